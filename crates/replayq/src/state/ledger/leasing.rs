//! Open leases: made, tagged, acked, released.

use bytes::Bytes;

use crate::error::{AckError, LeaseError};
use crate::field;
use crate::format::control::lease::LeaseRecord;
use crate::ids::{ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::state::leases::{Home, OpenLease, Replaced};
use crate::state::waiting::Item;

use super::{Ledger, Place};

/// The next step of a release.
#[derive(Debug)]
pub(crate) enum ReleaseStep {
    /// The items wait again.
    Done,
    /// The records of the lease are to be voided first; they are not the lease's any more.
    Void(Vec<Home>),
    /// The items are to be brought into memory first, with [`Ledger::hold`].
    Read,
}

impl Ledger {
    fn next_lease_sequence(&mut self) -> u64 {
        self.lease_sequence = self.lease_sequence.saturating_add(1);
        self.lease_sequence
    }

    /// A record that gives these items the tag, newer than all others.
    pub(super) fn new_record(&mut self, items: ItemRange, tag: Bytes) -> LeaseRecord {
        LeaseRecord {
            sequence: self.next_lease_sequence(),
            items,
            tag,
        }
    }

    /// A record that gives a lease the tag.
    pub(crate) fn record_for(
        &mut self,
        id: LeaseId,
        tag: Bytes,
    ) -> Result<LeaseRecord, LeaseError> {
        if self.is_closed {
            return Err(LeaseError::Closed);
        }
        let lease = self.leases.get(id).ok_or(LeaseError::UnknownLease(id))?;
        let items = lease.items;
        Ok(self.new_record(items, tag))
    }

    /// Leases items, which were waiting or are new, and whose payloads have so many bytes.
    pub(super) fn open_lease(
        &mut self,
        items: ItemRange,
        (held, open_bytes): (Vec<Item>, u64),
        tag: Option<Bytes>,
        homes: Vec<Home>,
    ) -> LeaseId {
        assert!(
            !self.transit.touches(items.first.0, items.last.0),
            "items {} to {} are on their way into another lease",
            items.first,
            items.last
        );
        self.assert_open(&held);
        self.metrics.note_leased(field::wide(held.len()));
        self.leases.insert(OpenLease {
            items,
            open_items: field::wide(held.len()),
            open_bytes,
            held: Some(held),
            tag,
            is_recorded: !homes.is_empty(),
            homes,
        })
    }

    /// The lease has a new tag, written down there.
    pub(crate) fn set_tag(&mut self, id: LeaseId, record: &LeaseRecord, home: Home) -> Replaced {
        let replaced = self.leases.update(id, |lease| {
            lease.tag = Some(record.tag.clone());
            lease.is_recorded = true;
            std::mem::replace(&mut lease.homes, vec![home])
        });
        replaced.map_or(Replaced::NoLease(home), Replaced::Older)
    }

    /// The lease has a new tag, which is written nowhere.
    pub(crate) fn set_tag_in_memory(&mut self, id: LeaseId, tag: Bytes) -> Result<(), LeaseError> {
        self.leases
            .update(id, |lease| lease.tag = Some(tag))
            .ok_or(LeaseError::UnknownLease(id))
    }

    /// The tag of the lease is written down there.
    pub(crate) fn note_recorded(&mut self, id: LeaseId, home: Home) {
        self.leases.update(id, |lease| {
            lease.is_recorded = true;
            lease.homes.insert(0, home);
        });
    }

    /// There are more records of the lease than its newest: to be voided when it ends. Nothing
    /// where it has ended.
    pub(crate) fn add_homes(&mut self, id: LeaseId, homes: impl IntoIterator<Item = Home>) {
        self.leases.update(id, |lease| lease.homes.extend(homes));
    }

    /// There is an older record of these items, which the lease that has some of them is to void
    /// when it ends.
    pub(crate) fn add_older_home(&mut self, items: ItemRange, home: Home) {
        let has_some = |lease: &OpenLease| lease.items.overlaps(items);
        let holder = self.leases.iter().find(|(_, lease)| has_some(lease));
        if let Some(id) = holder.map(|(id, _)| id) {
            self.add_homes(id, [home]);
        }
    }

    /// Marks a whole lease as done. Returns the places of its records.
    pub(super) fn ack(&mut self, id: LeaseId) -> Result<Vec<Home>, AckError> {
        let lease = self.leases.remove(id).ok_or(AckError::UnknownLease(id))?;
        self.take_off(&lease);
        self.metrics.note_acked(lease.open_items, lease.open_bytes);
        self.finish(lease.items.first.0, lease.items.last.0);
        Ok(lease.homes)
    }

    /// The open items of the lease are about to be done.
    fn take_off(&mut self, lease: &OpenLease) {
        let (first, last) = (lease.items.first.0, lease.items.last.0);
        match &lease.held {
            Some(held) if !self.segments.is_in_one(first, last) => {
                self.segments
                    .take_off(held.iter().map(|item| (item.id.0, item.bytes())));
            }
            _ => {
                let load = Load {
                    items: lease.open_items,
                    bytes: lease.open_bytes,
                };
                self.segments.take_off_all(first, last, load);
            }
        }
    }

    /// Marks some items of a lease, which must be in memory, as done. When none is left, the lease
    /// is, and the places of its records are returned.
    pub(super) fn ack_items(
        &mut self,
        id: LeaseId,
        items: ItemRange,
    ) -> Result<Vec<Home>, AckError> {
        let lease = self.leases.get(id).ok_or(AckError::UnknownLease(id))?;
        let is_within = lease.items.first <= items.first && items.last <= lease.items.last;
        let held = lease.held.as_ref();
        let is_open = held.is_none_or(|held| held.iter().any(|item| items.contains(item.id)));
        if !is_within || !is_open || self.acks.covers(items.first.0, items.last.0) {
            return Err(AckError::NotInLease { items, lease: id });
        }
        let range = lease.items;
        let (segments, metrics) = (&mut self.segments, &self.metrics);
        let is_drained = self.leases.update(id, |lease| {
            let held = lease.held.as_mut()?;
            let done = held.iter().filter(|item| items.contains(item.id));
            segments.take_off(done.map(|item| (item.id.0, item.bytes())));
            held.retain(|item| !items.contains(item.id));
            let left = Load {
                items: field::wide(held.len()),
                bytes: held.iter().map(Item::bytes).sum(),
            };
            metrics.note_acked(
                lease.open_items.saturating_sub(left.items),
                lease.open_bytes.saturating_sub(left.bytes),
            );
            (lease.open_items, lease.open_bytes) = (left.items, left.bytes);
            Some(held.is_empty())
        });
        self.finish(items.first.0, items.last.0);
        let is_over =
            is_drained.flatten().unwrap_or(false) || self.acks.covers(range.first.0, range.last.0);
        if is_over {
            self.ack(id)
        } else {
            Ok(Vec::new())
        }
    }

    /// Returns whether the reader has yet to pass all items of the range, so that they need not be
    /// in memory to be waiting.
    fn is_ahead_of_reader(&self, items: ItemRange) -> bool {
        self.backlog.is_behind() && self.read_through < items.first.0
    }

    /// Goes on with the release of a lease. `is_voided`: its records were. `may_read_again`: the
    /// caller holds the reader, which may be sent back to the items.
    #[inline]
    pub(crate) fn release(
        &mut self,
        id: LeaseId,
        is_voided: bool,
        may_read_again: bool,
    ) -> Result<ReleaseStep, AckError> {
        if self.is_closed {
            return Err(AckError::Closed);
        }
        let lease = self.leases.get(id).ok_or(AckError::UnknownLease(id))?;
        let has_record = !is_voided && lease.tag.is_some() || !lease.homes.is_empty();
        if lease.held.is_none() && !self.is_ahead_of_reader(lease.items) {
            // First of all: where reading fails nothing has changed.
            return Ok(ReleaseStep::Read);
        }
        if has_record {
            // Taken along: whoever tags the lease at the same time has nothing to void then, and a
            // place that was emptied may be another lease's at once.
            let homes = self
                .leases
                .update(id, |lease| std::mem::take(&mut lease.homes));
            return Ok(ReleaseStep::Void(homes.unwrap_or_default()));
        }
        let lease = self.leases.remove(id).ok_or(AckError::UnknownLease(id))?;
        self.metrics.note_released(lease.open_items);
        // Only of those that are not done: nobody would forget the others.
        let (first, last) = (lease.items.first.0, lease.items.last.0);
        for (first, last) in self.acks.open_within(first, last).iter() {
            self.deliveries.add(first, last);
        }
        match lease.held {
            None => self.backlog.add_unread(lease.open_items, lease.open_bytes),
            Some(held) if may_read_again && self.read_again_from(&held) => {}
            Some(held) => self.wait_again(held),
        }
        Ok(ReleaseStep::Done)
    }

    /// Sends the reader back to items that are released: they and all after them need not be in
    /// memory. Returns whether it could be.
    fn read_again_from(&mut self, items: &[Item]) -> bool {
        let first = items.first().filter(|_| self.in_memory_only.is_empty());
        let Some(first) = first.map(|item| item.id.0) else {
            return false;
        };
        let Some(segment) = self.segments.holder(first) else {
            return false;
        };
        if self.read_through < first && self.backlog.is_behind() {
            // It has yet to pass them.
            return false;
        }
        self.assert_open(items);
        for item in self.backlog.take_from(first).iter().chain(items) {
            self.backlog.add_unread(1, item.bytes());
        }
        self.read_through = first.saturating_sub(1);
        self.unread_from = Some(Place::start_of(segment));
        true
    }

    /// All open items of a lease of a previous run were read: it has no others.
    pub(crate) fn count_lease(&mut self, id: LeaseId, items: &mut Vec<Item>) {
        items.retain(|item| !self.acks.contains(item.id.0));
        self.leases.update(id, |lease| {
            if lease.held.is_none() {
                lease.open_items = field::wide(items.len());
                lease.open_bytes = items.iter().map(Item::bytes).sum();
            }
        });
    }

    /// Puts the items of a lease of a previous run into it, those that are still open.
    pub(crate) fn hold(&mut self, id: LeaseId, mut items: Vec<Item>) {
        items.retain(|item| !self.acks.contains(item.id.0));
        self.leases.update(id, |lease| {
            lease.open_items = field::wide(items.len());
            lease.open_bytes = items.iter().map(Item::bytes).sum();
            lease.held.get_or_insert(items);
        });
    }

    /// The items of a lease whose items are not in memory.
    pub(crate) fn items_to_read(&self, id: LeaseId) -> Result<Option<ItemRange>, AckError> {
        let lease = self.leases.get(id).ok_or(AckError::UnknownLease(id))?;
        Ok(lease.held.is_none().then_some(lease.items))
    }

    /// Records of the leases that have a tag and are not written down.
    pub(crate) fn leases_without_home(&mut self) -> Vec<(LeaseId, LeaseRecord)> {
        let tagged = self.leases.iter().filter(|(_, lease)| !lease.is_recorded);
        let tagged: Vec<(LeaseId, ItemRange, Bytes)> = tagged
            .filter_map(|(id, lease)| Some((id, lease.items, lease.tag.clone()?)))
            .collect();
        tagged
            .into_iter()
            .map(|(id, items, tag)| (id, self.new_record(items, tag)))
            .collect()
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::ids::ItemId;
    use crate::moment::Moment;

    fn items(ids: std::ops::RangeInclusive<u64>) -> Vec<Item> {
        ids.map(|id| Item {
            id: ItemId(id),
            payload: Bytes::new(),
            accepted: Moment::UNKNOWN,
        })
        .collect()
    }

    fn range(first: u64, last: u64) -> ItemRange {
        ItemRange {
            first: ItemId(first),
            last: ItemId(last),
        }
    }

    #[test]
    #[should_panic(expected = "item 3 is done and not done")]
    fn an_item_that_is_done_is_not_leased() {
        let mut ledger = Ledger::new();
        ledger.finish(3, 3);
        ledger.open_lease(range(2, 4), (items(2..=4), 0), None, Vec::new());
    }

    #[test]
    #[should_panic(expected = "item 2 is done and not done")]
    fn an_item_that_is_done_does_not_wait_again() {
        let mut ledger = Ledger::new();
        ledger.finish(1, 2);
        ledger.wait_again(items(2..=3));
    }

    #[test]
    #[should_panic(expected = "items 2 to 5 are done, and one of them waits")]
    fn an_item_that_waits_is_not_done() {
        let mut ledger = Ledger::new();
        ledger.wait_again(items(4..=4));
        ledger.finish(2, 5);
    }

    #[test]
    #[should_panic(expected = "items 1 to 9 are done, and one of them waits")]
    fn an_item_in_transit_is_not_done() {
        let mut ledger = Ledger::new();
        let _parked = ledger.transit.park(items(4..=5));
        ledger.finish(1, 9);
    }

    #[test]
    #[should_panic(expected = "items 1 to 4 are in two leases")]
    fn an_item_is_not_in_two_leases() {
        let mut ledger = Ledger::new();
        ledger.open_lease(range(3, 5), (items(3..=5), 0), None, Vec::new());
        ledger.open_lease(range(1, 4), (items(1..=2), 0), None, Vec::new());
    }

    /// Each release would count the items that are done as well, and never forget them.
    #[test]
    fn releases_are_counted_of_items_that_are_not_done() {
        let mut ledger = Ledger::new();
        // Item 1 fails again and again; one more item is done in each round.
        ledger.wait_again(items(1..=1));
        for last in 2..=500 {
            let mut held = Vec::from(ledger.backlog.take_from(1));
            held.extend(items(last..=last));
            let id = ledger.open_lease(range(1, last), (held, 0), None, Vec::new());
            assert!(ledger.ack_items(id, range(last, last)).is_ok());
            let released = ledger.release(id, false, false);
            assert!(matches!(released, Ok(ReleaseStep::Done)));
            assert_eq!(ledger.deliveries.ranges(), 1);
        }
        assert_eq!(ledger.delivery_count(ItemId(1)), 499);
        let held = Vec::from(ledger.backlog.take_from(1));
        let id = ledger.open_lease(range(1, 1), (held, 0), None, Vec::new());
        assert!(ledger.ack(id).is_ok());
        assert_eq!(ledger.deliveries.ranges(), 0);
    }

    #[test]
    fn what_a_file_has_lost_is_not_lost_where_it_is_in_memory() {
        let mut ledger = Ledger::new();
        ledger.wait_again(items(2..=2));
        ledger.open_lease(range(4, 5), (items(4..=5), 0), None, Vec::new());
        let _parked = ledger.transit.park(items(7..=7));
        ledger.lose(1, 8);
        let open: Vec<_> = ledger.acks.open_within(1, 9).iter().collect();
        assert_eq!(open, [(2, 2), (4, 5), (7, 7), (9, 9)]);
    }
}
