//! From waiting to leased: what a pop takes, and what goes back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::error::LeaseError;
use crate::ids::{ItemId, ItemRange};
use crate::limits::{BytesLimit, PopLimits};
use crate::state::detach::detached;
use crate::state::leases::Lease;
use crate::state::pop::Taker;
use crate::state::waiting::Item;

use super::Ledger;

impl Ledger {
    /// Returns whether there is enough in memory for a look at the front.
    pub(crate) fn has_enough(&self, limits: &PopLimits<'_>, most_bytes: u64) -> bool {
        let (BytesLimit::AtMost(bytes) | BytesLimit::AtLeast(bytes)) = limits.bytes;
        !self.backlog.is_behind()
            || self.backlog.budget_bytes() >= most_bytes.max(1)
            || self.backlog.resident_bytes() >= bytes.min(most_bytes).max(1)
            || self.backlog.resident().len() >= limits.max_items.max(1)
    }

    /// Moves items from the front to the taker, as far as they are in memory and the limits let
    /// them. Returns whether the taker is done: what it has is to be leased then, under the same
    /// lock. Otherwise it reads on, with what it has in transit.
    pub(crate) fn take(&mut self, taker: &mut Taker<'_>) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.take_wanted(taker))) {
            Ok(is_done) => is_done,
            Err(panic) => {
                // The caller's function has panicked: what it had let through waits again.
                self.wait_again(taker.give_back());
                resume_unwind(panic)
            }
        }
    }

    fn take_wanted(&mut self, taker: &mut Taker<'_>) -> bool {
        taker.unpark(&mut self.transit);
        taker.expect(self.backlog.resident().len());
        while let Some(item) = self.backlog.resident().front() {
            if !self.is_next(taker, item.id) || !taker.wants(item) {
                return true;
            }
            if let Some(item) = self.backlog.pop() {
                taker.push(item);
            }
        }
        let is_done = !self.backlog.is_behind();
        if !is_done {
            taker.park(&mut self.transit);
        }
        is_done
    }

    /// The items of a call that is given up wait again.
    pub(crate) fn put_back_taken(&mut self, mut taker: Taker<'_>) {
        taker.unpark(&mut self.transit);
        self.wait_again(taker.into_items());
    }

    /// Items that were taken or leased wait again, in their old place: in memory, unless the
    /// reader, which may have been sent back meanwhile, has yet to pass them.
    pub(super) fn wait_again(&mut self, mut items: Vec<Item>) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        let (first, last) = (first.id, last.id);
        assert!(
            !self.is_taken(first.0, last.0),
            "items {first} to {last} are leased, or about to be, and wait at the same time"
        );
        self.assert_open(&items);
        if self.backlog.is_behind() {
            let passed = items.partition_point(|item| item.id.0 <= self.read_through);
            for item in items.split_off(passed) {
                self.backlog.add_unread(1, item.bytes());
            }
        }
        self.backlog.put_back(items);
    }

    /// None of the items, which are about to wait or to be leased, is done.
    pub(super) fn assert_open(&self, items: &[Item]) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        if self.acks.touches(first.id.0, last.id.0) {
            for item in items {
                let id = item.id;
                assert!(!self.acks.contains(id.0), "item {id} is done and not done");
            }
        }
    }

    /// Returns whether any of the ids is leased, or about to be.
    pub(super) fn is_taken(&self, first: u64, last: u64) -> bool {
        self.leases.touches(first, last) || self.transit.touches(first, last)
    }

    /// Returns whether the item may be in one lease with those taken before: a lease is one range,
    /// which must not reach over another one.
    fn is_next(&self, taker: &Taker<'_>, id: ItemId) -> bool {
        taker.last().is_none_or(|last| {
            id == last.next() || id > last && !self.is_taken(last.next().0, id.previous().0)
        })
    }

    /// Leases what was taken.
    pub(crate) fn lease_taken(&mut self, taker: Taker<'_>) -> Option<Lease> {
        let (items, bytes) = taker.into_load();
        let range = ItemRange {
            first: items.first()?.id,
            last: items.last()?.id,
        };
        let items = if range.first.0 <= self.read_through {
            detached(items)
        } else {
            items
        };
        let id = self.open_lease(range, (items.clone(), bytes), None, Vec::new());
        Some(Lease {
            id,
            items,
            tag: None,
        })
    }

    /// Copies of the items at the front, of those in memory.
    pub(crate) fn peek(&self, limits: PopLimits<'_>) -> Vec<Item> {
        let mut taker = Taker::new(limits);
        for item in self.backlog.resident() {
            if !self.is_next(&taker, item.id) || !taker.wants(item) {
                break;
            }
            taker.push(item.clone());
        }
        taker.into_items()
    }

    /// Where a lease may start that covers everything that is not leased, and items yet to come: at
    /// the oldest of these.
    pub(super) fn lease_start(&self, from: Option<ItemId>) -> Result<ItemId, LeaseError> {
        let oldest = self.backlog.resident().front().map(|item| item.id);
        match from {
            _ if self.backlog.is_behind() => Err(LeaseError::NotAtFront),
            Some(from) if self.is_taken(from.0, u64::MAX) => Err(LeaseError::NotAtFront),
            None if oldest.is_none() => Ok(ItemId(self.next_id)),
            Some(from) if oldest == Some(from) || oldest.is_none() && from.0 == self.next_id => {
                Ok(from)
            }
            _ => Err(LeaseError::NotAtFront),
        }
    }

    /// Returns whether items that are released are to wait on disk, since there are enough in
    /// memory.
    pub(crate) fn is_crowded(&self, resident_bytes: u64) -> bool {
        self.backlog.budget_bytes() > resident_bytes
    }
}
