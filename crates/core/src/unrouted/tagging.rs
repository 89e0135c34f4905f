//! The tag of a lease, written before its records are handed over.

use std::collections::BTreeSet;

use crate::action::LeaseNo;
use crate::routable::Routable;

/// Attempts to write a tag, after which the records are handed over without.
const MOST_ATTEMPTS: u32 = 4;

/// The lease that waits for its tag, and those that have none. A run sends what previous runs have
/// tagged before the rest: so no lease is tagged behind one that is not.
#[derive(Debug)]
pub(super) struct Tagging<T> {
    waiting: Option<Routable<T>>,
    attempts: u32,
    /// Leases whose records were handed over without a tag.
    untagged: BTreeSet<LeaseNo>,
}

impl<T> Tagging<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: None,
            attempts: 0,
            untagged: BTreeSet::new(),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Returns whether a new lease is to be tagged.
    pub(super) fn tags(&mut self, lease: LeaseNo) -> bool {
        if !self.untagged.is_empty() {
            self.untagged.insert(lease);
        }
        self.untagged.is_empty()
    }

    /// A lease waits until its tag is durable.
    pub(super) fn wait(&mut self, routable: Routable<T>) {
        self.waiting = Some(routable);
        self.attempts = 0;
    }

    /// The tag of a lease is durable. Returns what waited for it.
    pub(super) fn tagged(&mut self, lease: LeaseNo) -> Option<Routable<T>> {
        self.waiting.take_if(|routable| routable.lease == lease)
    }

    /// The tag of a lease could not be written. Returns whether to try again.
    pub(super) fn failed(&mut self, lease: LeaseNo) -> bool {
        let is_waited_for = self
            .waiting
            .as_ref()
            .is_some_and(|routable| routable.lease == lease);
        self.attempts = self.attempts.saturating_add(1);
        is_waited_for && self.attempts < MOST_ATTEMPTS
    }

    /// Nothing will come of the tag of a lease. Returns what waited for it.
    pub(super) fn give_up(&mut self, lease: LeaseNo) -> Option<Routable<T>> {
        let routable = self.tagged(lease)?;
        self.untagged.insert(lease);
        Some(routable)
    }

    /// All records of a lease have ended. Returns whether it has a tag.
    pub(super) fn closed(&mut self, lease: LeaseNo) -> bool {
        !self.untagged.remove(&lease)
    }

    /// Takes out what waits, when everything is given up.
    pub(super) fn take(&mut self) -> Option<Routable<T>> {
        self.waiting.take()
    }
}
