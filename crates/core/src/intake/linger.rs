//! Longest time for which an undersized batch waits for more records while it could be sent.

use std::time::{Duration, Instant};

/// The linger of a partition.
#[derive(Debug)]
pub(super) struct Linger {
    time: Duration,
    /// Calls below this number do not linger.
    flushed_calls: u64,
    is_stopped: bool,
}

impl Linger {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            flushed_calls: 0,
            is_stopped: false,
        }
    }

    pub(super) fn flush(&mut self, calls: u64) {
        self.flushed_calls = self.flushed_calls.max(calls);
    }

    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Time at which the linger of a batch is over; `None`: at no time that can be expressed.
    pub(super) fn ends(&self, opened_at: Instant, first_call: u64) -> Option<Instant> {
        if self.is_stopped || first_call < self.flushed_calls {
            return Some(opened_at);
        }
        opened_at.checked_add(self.time)
    }
}
