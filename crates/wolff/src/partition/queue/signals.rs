//! Those who wait for a queue: callers, and the task that serves its machine.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Notifications of one queue.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Wakes the task that serves the machine's network side.
    wake: Notify,
    /// Notified whenever something changed that a caller may wait for.
    progress: Notify,
}

impl Signals {
    /// Something changed that a caller may wait for.
    pub(super) fn moved(&self) {
        self.progress.notify_waiters();
    }

    /// The task that serves the machine may have something to do.
    #[inline]
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The next change, for a caller: it listens once it is enabled.
    pub(super) fn next_move(&self) -> Notified<'_> {
        self.progress.notified()
    }

    /// Waits until the task may have something to do.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
