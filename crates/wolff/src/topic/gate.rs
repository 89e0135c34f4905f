//! Admission to the queue of unrouted calls.
//!
//! Which calls go there was decided when their routes were read. A partition begins to take its own
//! calls at one moment: no call for it that is decided by older routes is accepted after that.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::RwLock;
use tokio::sync::Notify;
use wolff_core::Refused;

/// Number of a decision about who uses the queue of unrouted calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Era(u64);

/// The gate of the queue of unrouted calls.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    era: RwLock<Era>,
    changed: Notify,
}

/// Permission to use the queue, as long as nothing is decided anew.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    era: Era,
}

impl Gate {
    /// Decides anew: while `decide` runs nobody passes, and afterwards nobody with a pass of before
    /// if it returns true. Its argument is the era that begins then.
    pub(super) fn change(&self, decide: impl FnOnce(Era) -> bool) -> bool {
        let mut era = self.era.write();
        let next = Era(era.0.saturating_add(1));
        let is_changed = decide(next);
        if is_changed {
            *era = next;
        }
        drop(era);
        if is_changed {
            self.changed.notify_waiters();
        }
        is_changed
    }
}

impl Pass {
    pub(super) fn new(gate: Arc<Gate>, era: Era) -> Self {
        Self { gate, era }
    }

    /// Runs `accept` unless the pass is void: then the call is to be routed again.
    pub(super) fn accept<R>(
        &self,
        accept: impl FnOnce() -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let era = self.gate.era.read();
        if *era == self.era {
            accept()
        } else {
            Err(Refused::Stopping)
        }
    }

    /// The same for one that waits, until the pass is void.
    pub(super) async fn accept_waiting<R>(
        &self,
        accepting: impl Future<Output = Result<R, Refused>>,
    ) -> Result<R, Refused> {
        let mut changed = pin!(self.gate.changed.notified());
        // Listen before looking, or a change between the two would be missed.
        changed.as_mut().enable();
        let mut accepting = pin!(accepting);
        std::future::poll_fn(|context| {
            // Held for one attempt, never while it waits.
            let polled = self.accept(|| Ok(accepting.as_mut().poll(context)));
            match polled {
                Err(refused) => Poll::Ready(Err(refused)),
                Ok(Poll::Ready(done)) => Poll::Ready(done),
                Ok(Poll::Pending) => changed
                    .as_mut()
                    .poll(context)
                    .map(|()| Err(Refused::Stopping)),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_passes_with_a_decision_of_before_not_even_who_waited_for_room() {
        let gate = Arc::new(Gate::default());
        let pass = Pass::new(gate.clone(), Era::default());
        assert_eq!(pass.accept(|| Ok(1)), Ok(1));
        assert!(!gate.change(|_| false));
        assert_eq!(pass.accept(|| Ok(2)), Ok(2));
        let mut waiting =
            stepwise(pass.accept_waiting(std::future::pending::<Result<u32, Refused>>()));
        assert_eq!(waiting(), None);
        let mut next = Era::default();
        assert!(gate.change(|era| {
            next = era;
            true
        }));
        assert_eq!(waiting(), Some(Err(Refused::Stopping)));
        assert_eq!(pass.accept(|| Ok(3)), Err(Refused::Stopping));
        assert_eq!(Pass::new(gate, next).accept(|| Ok(4)), Ok(4));
    }

    /// Polls a future each time that it is called.
    fn stepwise<F: Future>(future: F) -> impl FnMut() -> Option<F::Output> {
        let mut future = Box::pin(future);
        move || {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            }
        }
    }
}
