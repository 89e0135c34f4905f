//! The work on the local queue's leases: one operation at a time, and a pause after each that
//! failed.

use std::collections::VecDeque;
use std::time::Instant;

use crate::action::{LeaseNo, LeaseOperation};
use crate::config::RetryDelay;
use crate::retry::{Pace, Retry};

/// Operations to do, and the one that is under way.
#[derive(Debug)]
pub(super) struct LeaseWork {
    /// Tags to be written, and leases to be given back.
    waiting: VecDeque<LeaseOperation>,
    /// The owner has an operation of which an event will report.
    is_under_way: bool,
    /// The lease that is read again.
    reading: Option<LeaseNo>,
    /// Back-off of operations that failed.
    retry: Retry,
}

impl LeaseWork {
    pub(super) fn new(delay: RetryDelay, seed: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            is_under_way: false,
            reading: None,
            retry: Retry::new(delay, seed),
        }
    }

    pub(super) fn push(&mut self, operation: LeaseOperation) {
        self.waiting.push_back(operation);
    }

    /// Returns whether no tag and no release is left to do.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// Returns whether the pause after a failure is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.retry.is_due(now)
    }

    /// The end of that pause, if it has not come.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        self.retry.due_at(now)
    }

    /// Returns whether there is a tag or a release to do now.
    pub(super) fn has_due(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.is_due(now)
    }

    /// Takes the oldest tag or release, if one is to be done now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<LeaseOperation> {
        self.is_due(now).then(|| self.waiting.pop_front()).flatten()
    }

    /// The owner gets this operation. No event reports of a release.
    pub(super) fn begin(&mut self, operation: &LeaseOperation) {
        if let LeaseOperation::Reload { lease, .. } = operation {
            self.reading = Some(*lease);
        }
        self.is_under_way = !matches!(operation, LeaseOperation::Release(_));
    }

    /// It was done.
    pub(super) fn succeeded(&mut self) {
        self.is_under_way = false;
        self.reading = None;
        self.retry.succeeded();
    }

    /// It failed. Returns the lease that was to be read again, if it was that.
    pub(super) fn failed(&mut self, now: Instant) -> Option<LeaseNo> {
        self.is_under_way = false;
        self.retry.failed(Pace::Normal, now);
        self.reading.take()
    }
}
