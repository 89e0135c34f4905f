//! Waiting for a number of things to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Pending {
    count: AtomicUsize,
    none_left: Notify,
}

impl Pending {
    /// Nothing has begun.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One more has begun.
    pub(super) fn begin(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// One has ended.
    pub(super) fn end(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            // There is one who waits, at most; a permit is kept where it does not wait yet.
            self.none_left.notify_one();
        }
    }

    /// Waits until all have ended. Nothing may begin meanwhile.
    pub(super) async fn ended(&self) {
        while self.count.load(Ordering::Acquire) > 0 {
            self.none_left.notified().await;
        }
    }
}
