//! The end of a queue: closed, purged, or given up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wolff_core::{DoubtReason, FailReason, Outcome, StorageError};

use super::super::machines::CallMachine;
use super::Queue;
use super::accept::OBSERVER_BYTES;
use crate::clock;

impl<M: CallMachine> Queue<M> {
    /// Waits until no work on the local queue is left or under way, and every callback has
    /// returned.
    async fn until_idle(self: &Arc<Self>) {
        loop {
            let mut moved = std::pin::pin!(self.signals.next_move());
            moved.as_mut().enable();
            self.settle();
            let is_idle = {
                let now = clock::now();
                let machine = self.driver.machine();
                !machine.wants_append(now) && !machine.wants_lease(now)
            };
            if is_idle && self.lanes.are_idle() {
                break;
            }
            moved.await;
        }
        self.callbacks().idle().await;
    }

    /// Stores what was accepted, reports the rest as left behind, and closes the local queue.
    /// Nothing may be sent any more.
    pub(crate) async fn close(self: &Arc<Self>, sent: DoubtReason) -> Result<(), StorageError> {
        self.change(CallMachine::stop_accepting);
        self.wait_for(|machine| {
            let accepted = machine.snapshot().calls.accepted;
            (machine.queued_calls() >= accepted).then_some(())
        })
        .await;
        self.change(|machine| machine.abandon(&FailReason::Stopped, sent));
        // The last acknowledgements go to the local queue before it is closed.
        self.until_idle().await;
        self.until_idle().await;
        self.close_local(|queue| queue.close()).await
    }

    /// Closes the local queue and removes its files.
    pub(crate) async fn close_and_purge(self: &Arc<Self>) -> Result<(), StorageError> {
        self.until_idle().await;
        self.until_idle().await;
        self.close_local(|queue| queue.close_and_purge()).await
    }

    async fn close_local(
        &self,
        close: impl FnOnce(&replayq::Queue) -> Result<(), replayq::FlushError> + Send + 'static,
    ) -> Result<(), StorageError> {
        let Some(queue) = self.driver.local().take() else {
            return Ok(());
        };
        if !self.is_on_disk {
            return close(&queue).map_err(StorageError::new);
        }
        let closed = self.lanes.threads().compute(move || close(&queue)).await;
        closed.map_or_else(
            || {
                Err(StorageError::new(std::io::Error::other(
                    "closing was interrupted by a panic",
                )))
            },
            |closed| closed.map_err(StorageError::new),
        )
    }

    /// Ends everything at once: the task that served the queue is gone, its runtime has ended,
    /// or code panicked in it. What is on disk stays there.
    pub(crate) fn give_up(&self, unsent: &FailReason, sent: DoubtReason) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.driver.machine().abandon(unsent, sent);
            self.report_ends();
        }));
        if ended.is_err() {
            tracing::error!(
                partition = self.partition.map(|number| number.0),
                "a queue is inconsistent after a panic"
            );
        }
        // What has no end yet is with partitions that may be gone before they report it, and on the
        // disk all the same; or it is just being stored, or in a machine that makes no sense any
        // more.
        let is_kept = self.is_on_disk && ended.is_ok() && !self.driver.machine().is_appending();
        let rest = if is_kept {
            Outcome::LeftInQueue
        } else {
            Outcome::InDoubt(sent)
        };
        let observers = self.open.lock().give_up(&rest);
        self.driver.local().give_up();
        let mut machine = self.driver.machine();
        machine.let_go_beside(observers.saturating_mul(OBSERVER_BYTES));
        self.balance(&mut machine);
        drop(machine);
        self.signals.moved();
    }
}
