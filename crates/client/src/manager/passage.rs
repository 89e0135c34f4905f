//! Waiting at the [`Gate`] of a broker.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep_until;
use wolff_backoff::{BackoffPolicy, Random};

use super::gate::{Admission, Gate, Ticket};
use crate::error::HostReason;

/// The gate of one broker, and the bell for those who wait at it.
pub(super) struct Passage {
    state: Mutex<(Gate, Random)>,
    changed: Notify,
}

/// The right to make one attempt. Its outcome must be told; dropped, it counts as none.
pub(super) struct Pass {
    passage: Arc<Passage>,
    ticket: Ticket,
    is_told: bool,
}

impl Passage {
    pub(super) fn new(policy: BackoffPolicy, random: Random) -> Self {
        Self {
            state: Mutex::new((Gate::new(policy), random)),
            changed: Notify::new(),
        }
    }

    /// Waits until an attempt may start.
    ///
    /// # Errors
    /// Why the attempt of somebody else has failed meanwhile.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Pass, HostReason> {
        let first = self.state.lock().0.ticket();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let admission = self.state.lock().0.poll(now(), first);
            match admission {
                Admission::Go(ticket) => {
                    let passage = Arc::clone(self);
                    return Ok(Pass {
                        passage,
                        ticket,
                        is_told: false,
                    });
                }
                Admission::Failed(reason) => return Err(reason),
                Admission::Wait(None) => changed.await,
                Admission::Wait(Some(until)) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(until.into()) => {}
                },
            }
        }
    }

    /// A connection was lost that had lived from `since` to `until`.
    pub(super) fn handle_lost(&self, since: Instant, until: Instant) {
        let (gate, random) = &mut *self.state.lock();
        gate.handle_lost(since, until, random.next_u64());
    }

    /// True if nothing would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().0.is_idle(now())
    }
}

impl Pass {
    /// Tells the outcome of the attempt.
    pub(super) fn tell<T>(mut self, outcome: Result<T, &HostReason>) {
        self.is_told = true;
        {
            let (gate, random) = &mut *self.passage.state.lock();
            match outcome {
                Ok(_) => gate.handle_connected(),
                Err(reason) => {
                    gate.handle_failed(now(), self.ticket, reason.clone(), random.next_u64());
                }
            }
        }
        self.passage.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_told {
            self.passage.state.lock().0.handle_abandoned();
            self.passage.changed.notify_waiters();
        }
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
