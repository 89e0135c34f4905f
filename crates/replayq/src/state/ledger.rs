//! What the queue holds, in memory: who has which item, what is done, which file holds what. Locked for moments only, never during I/O.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bytes::Bytes;

use crate::damage::Damage;
use crate::error::{AckError, LeaseError};
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::generations::Generations;
use crate::format::segment::head::HEAD_BYTES;
use crate::format::segment::key::SegmentKey;
use crate::ids::acks::Acks;
use crate::ids::ranges::RangeSet;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::limits::{BytesLimit, PopLimits};
use crate::state::damage_log::DamageLog;
use crate::state::deliveries::Deliveries;
use crate::state::detach::apart;
use crate::state::leases::{Home, Leases, OpenLease, Replaced};
use crate::state::pop::Taker;
use crate::state::segments::{Segments, Span};
use crate::state::transit::Transit;
use crate::state::waiting::{Backlog, Item};

/// Items taken out of the queue until they are acked or released.
///
/// With a tag it outlives the process, for callers who must do a thing once: the tag is durable before they begin, and who comes after them finds the same items with
/// it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, ItemRange, PopLimits, Queue};
///
/// let room = tempfile::tempdir()?;
/// let config = || Config::disk(room.path().join("queue"));
/// let (queue, _) = Queue::open(config())?;
/// queue.append(&["one".into(), "two".into(), "three".into()])?;
/// let lease = queue.pop(PopLimits::items(2))?.ok_or("nothing waits")?;
/// queue.tag(lease.id, "batch 7".into())?;
///
/// // The process dies in the middle of batch 7.
/// drop(queue);
/// let (queue, recovery) = Queue::open(config())?;
/// let found = &recovery.leases[0];
/// assert_eq!(&found.tag[..], b"batch 7");
/// let lease = queue.read_lease(found.id)?;
/// assert_eq!(&lease.items[1].payload[..], b"two");
///
/// // A part of it is done. The rest is given up, and waits before all others.
/// queue.ack_items(lease.id, ItemRange::one(lease.items[0].id))?;
/// queue.release(lease.id)?;
/// let again = queue.pop(PopLimits::default())?.ok_or("nothing waits")?;
/// assert_eq!(&again.items[0].payload[..], b"two");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// The items in order; at least one.
    pub items: Vec<Item>,
    /// What the caller has written down with it.
    pub tag: Option<Bytes>,
}

/// What giving up a lease came to.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Released {
    /// Its items wait again.
    Done,
    /// There is no such lease.
    Unknown,
    /// Its items must be brought into memory first, and put into the lease.
    NeedsItems,
}

/// Where an item lies on disk.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Place {
    pub(crate) segment: SegmentKey,
    pub(crate) position: u64,
    pub(crate) id: u64,
}

/// The state of a queue.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) backlog: Backlog,
    /// Where the first item lies that is on disk only; none while the reader is on its way, or has nothing to read.
    pub(crate) unread_from: Option<Place>,
    /// The reader has passed the items up to this id: those that wait are in memory.
    pub(crate) read_through: u64,
    pub(crate) leases: Leases,
    /// Items that calls under way have taken: in no lease yet, and not waiting any more.
    pub(crate) transit: Transit,
    deliveries: Deliveries,
    pub(crate) acks: Acks,
    pub(crate) segments: Segments,
    pub(crate) next_id: u64,
    pub(crate) generations: Generations,
    pub(crate) lease_sequence: u64,
    pub(crate) commit_tag: Bytes,
    /// Counts the changes that a commit record would show.
    pub(crate) version: u64,
    /// A commit could not be written: the next call that changes what is done writes one, even if it needs none itself, for its answer covers those before it.
    pub(crate) owes_commit: bool,
    /// Items that are in no file, where there are files.
    pub(crate) in_memory_only: RangeSet,
    /// Those of them that may be in a file all the same, since writing them down was begun and did not come to an end.
    pub(crate) half_written: RangeSet,
    /// Appended items go to disk although there is room in memory: older ones wait there.
    pub(crate) is_spilling: bool,
    /// Ids from here on need a commit before they are used.
    pub(crate) reserved_id: u64,
    pub(crate) damage: DamageLog,
    pub(crate) is_closed: bool,
}

impl Place {
    pub(crate) fn start_of(segment: SegmentKey) -> Self {
        Self {
            segment,
            position: HEAD_BYTES,
            id: segment.first_id,
        }
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            backlog: Backlog::default(),
            unread_from: None,
            read_through: 0,
            leases: Leases::default(),
            transit: Transit::default(),
            deliveries: Deliveries::default(),
            acks: Acks::default(),
            segments: Segments::default(),
            next_id: 1,
            generations: Generations::default(),
            lease_sequence: 0,
            commit_tag: Bytes::new(),
            version: 0,
            owes_commit: false,
            in_memory_only: RangeSet::default(),
            half_written: RangeSet::default(),
            is_spilling: false,
            reserved_id: u64::MAX,
            damage: DamageLog::default(),
            is_closed: false,
        }
    }

    /// Remembers damage. Items in it that are not done yet are lost.
    pub(crate) fn report(&mut self, damage: Damage) {
        let lost = damage.ids().map_or(0, |ids| {
            let open = self.acks.open_within(ids.first.0, ids.last.0);
            open.iter()
                .map(|(first, last)| last.saturating_sub(first).saturating_add(1))
                .fold(0, u64::saturating_add)
        });
        self.damage.add(damage, lost);
    }

    /// Whether there is enough in memory for a look at the front.
    pub(crate) fn has_enough(&self, limits: &PopLimits<'_>, most_bytes: u64) -> bool {
        let (BytesLimit::AtMost(bytes) | BytesLimit::AtLeast(bytes)) = limits.bytes;
        !self.backlog.is_behind()
            || self.backlog.budget_bytes() >= most_bytes.max(1)
            || self.backlog.resident_bytes() >= bytes.min(most_bytes).max(1)
            || self.backlog.resident().len() >= limits.max_items.max(1)
    }

    /// Moves items from the front to the taker, as far as they are in memory and the limits let them. Whether the taker is done: what it has is to be leased then, under the same
    /// lock. Otherwise it goes on to the disk with what it has in hand.
    pub(crate) fn take(&mut self, taker: &mut Taker<'_>) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.take_wanted(taker))) {
            Ok(is_done) => is_done,
            Err(panic) => {
                // The caller's function has panicked: what it had let through is in nobody's hands.
                let taken = taker.give_back();
                self.put_back_taken(taken);
                resume_unwind(panic)
            }
        }
    }

    fn take_wanted(&mut self, taker: &mut Taker<'_>) -> bool {
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
            self.transit.keep(taker.items());
        }
        is_done
    }

    /// Items in transit wait again.
    pub(crate) fn put_back_taken(&mut self, items: Vec<Item>) {
        self.transit.end(&items);
        self.wait_again(items);
    }

    /// Items that were taken or leased wait again, in their old place: in memory, unless the reader, which may
    /// have been sent back meanwhile, has yet to come by them.
    fn wait_again(&mut self, mut items: Vec<Item>) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        let (first, last) = (first.id, last.id);
        assert!(
            !self.is_taken(first.0, last.0),
            "items {first} to {last} are leased, or about to be, and wait at the same time"
        );
        if self.backlog.is_behind() {
            let passed = items.partition_point(|item| item.id.0 <= self.read_through);
            for item in items.split_off(passed) {
                self.backlog.add_unread(1, item.bytes());
            }
        }
        self.backlog.put_back(items);
    }

    /// Whether any of the ids is leased, or about to be.
    fn is_taken(&self, first: u64, last: u64) -> bool {
        self.leases.touches(first, last) || self.transit.touches(first, last)
    }

    /// Whether the item may be in one lease with those taken before: a lease is one range, which must not reach over another one.
    fn is_next(&self, taker: &Taker<'_>, id: ItemId) -> bool {
        taker.last().is_none_or(|last| {
            id == last.next() || id > last && !self.is_taken(last.next().0, id.previous().0)
        })
    }

    /// Leases what was taken.
    pub(crate) fn lease_taken(&mut self, items: Vec<Item>) -> Option<Lease> {
        self.transit.end(&items);
        let range = ItemRange {
            first: items.first()?.id,
            last: items.last()?.id,
        };
        let items = if range.first.0 <= self.read_through {
            apart(items)
        } else {
            items
        };
        let id = self.open_lease(range, Some(items.clone()), None, Vec::new());
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

    /// Where a lease may start that covers everything that is not leased, and items yet to come: at the oldest of these.
    pub(crate) fn lease_start(&self, from: Option<ItemId>) -> Result<ItemId, LeaseError> {
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

    pub(crate) fn next_lease_sequence(&mut self) -> u64 {
        self.lease_sequence = self.lease_sequence.saturating_add(1);
        self.lease_sequence
    }

    pub(crate) fn open_lease(
        &mut self,
        items: ItemRange,
        held: Option<Vec<Item>>,
        tag: Option<Bytes>,
        homes: Vec<Home>,
    ) -> LeaseId {
        let open_items = held
            .as_ref()
            .map_or(0, |held| crate::field::wide(held.len()));
        let open_bytes = held
            .as_ref()
            .map_or(0, |held| held.iter().map(Item::bytes).sum());
        assert!(
            !self.transit.touches(items.first.0, items.last.0),
            "items {} to {} are on their way into another lease",
            items.first,
            items.last
        );
        self.leases.insert(OpenLease {
            items,
            held,
            open_items,
            open_bytes,
            tag,
            homes,
        })
    }

    /// The lease has a new tag, written down there.
    pub(crate) fn set_tag(&mut self, id: LeaseId, record: &LeaseRecord, home: Home) -> Replaced {
        let replaced = self.leases.update(id, |lease| {
            lease.tag = Some(record.tag.clone());
            std::mem::replace(&mut lease.homes, vec![home])
        });
        replaced.map_or(Replaced::NoLease(home), Replaced::Older)
    }

    /// Marks a whole lease as done. Returns where its records lie.
    pub(crate) fn ack(&mut self, id: LeaseId) -> Result<Vec<Home>, AckError> {
        let lease = self.leases.remove(id).ok_or(AckError::UnknownLease(id))?;
        self.take_off(&lease);
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

    /// Marks some items of a lease, which must be in memory, as done. When none is left, the lease is, and the places of its records are returned.
    pub(crate) fn ack_items(
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
        let segments = &mut self.segments;
        self.leases.update(id, |lease| {
            if let Some(held) = lease.held.as_mut() {
                let done = held.iter().filter(|item| items.contains(item.id));
                segments.take_off(done.map(|item| (item.id.0, item.bytes())));
                held.retain(|item| !items.contains(item.id));
                lease.open_items = crate::field::wide(held.len());
                lease.open_bytes = held.iter().map(Item::bytes).sum();
            }
        });
        self.finish(items.first.0, items.last.0);
        if self.acks.covers(range.first.0, range.last.0)
            || self
                .leases
                .get(id)
                .is_some_and(|lease| lease.held.as_ref().is_some_and(Vec::is_empty))
        {
            return self.ack(id);
        }
        Ok(Vec::new())
    }

    /// Whether the reader has yet to come by all items of the range, so that they need not be in memory to be waiting.
    fn is_ahead_of_reader(&self, items: ItemRange) -> bool {
        self.backlog.is_behind() && self.read_through < items.first.0
    }

    /// Whether giving the lease up needs its items, which are not in memory: the reader has passed them.
    pub(crate) fn must_read(&self, lease: &OpenLease) -> bool {
        lease.held.is_none() && !self.is_ahead_of_reader(lease.items)
    }

    /// Gives a lease up: its items wait again, in their old place; on disk only, where the reader may be sent back to them.
    pub(crate) fn release(&mut self, id: LeaseId, may_read_again: bool) -> Released {
        let Some(lease) = self.leases.get(id) else {
            return Released::Unknown;
        };
        if self.must_read(lease) {
            return Released::NeedsItems;
        }
        let Some(lease) = self.leases.remove(id) else {
            return Released::Unknown;
        };
        let (first, last) = (lease.items.first.0, lease.items.last.0);
        self.deliveries.add(first, last);
        let Some(held) = lease.held else {
            self.backlog.add_unread(lease.open_items, lease.open_bytes);
            return Released::Done;
        };
        if may_read_again && self.read_again_from(&held) {
            return Released::Done;
        }
        self.wait_again(held);
        Released::Done
    }

    /// Sends the reader back to items that are given up, which it must not be at work for: they and all behind them need not be in memory. Whether it can.
    fn read_again_from(&mut self, items: &[Item]) -> bool {
        let first = items.first().filter(|_| self.in_memory_only.is_empty());
        let Some(first) = first.map(|item| item.id.0) else {
            return false;
        };
        let Some(segment) = self.segments.holder(first) else {
            return false;
        };
        if self.read_through < first && self.backlog.is_behind() {
            // It has yet to come by them.
            return false;
        }
        for item in self.backlog.take_from(first).iter().chain(items) {
            self.backlog.add_unread(1, item.bytes());
        }
        self.read_through = first.saturating_sub(1);
        self.unread_from = Some(Place::start_of(segment));
        true
    }

    /// How many leases the item has been in, in this run, the open one included.
    pub(crate) fn delivery_count(&self, id: ItemId) -> u32 {
        if self.acks.contains(id.0) {
            return 0;
        }
        self.deliveries
            .released(id.0)
            .saturating_add(u32::from(self.leases.contains(id)))
    }

    /// Whether so many items can still be numbered.
    pub(crate) fn has_ids(&self, items: usize) -> bool {
        self.next_id
            .checked_add(crate::field::wide(items))
            .is_some()
    }

    /// All items that are not done.
    pub(crate) fn load(&self) -> Load {
        Load {
            items: self.backlog.items().saturating_add(self.leases.items()),
            bytes: self.backlog.bytes().saturating_add(self.leases.bytes()),
        }
    }

    /// All open items of a lease of an earlier life were read: it has no others.
    pub(crate) fn count_lease(&mut self, id: LeaseId, items: &mut Vec<Item>) {
        items.retain(|item| !self.acks.contains(item.id.0));
        self.leases.update(id, |lease| {
            if lease.held.is_none() {
                lease.open_items = crate::field::wide(items.len());
                lease.open_bytes = items.iter().map(Item::bytes).sum();
            }
        });
    }

    /// Puts the items of a lease of an earlier life into it, those that are still open.
    pub(crate) fn hold(&mut self, id: LeaseId, mut items: Vec<Item>) {
        items.retain(|item| !self.acks.contains(item.id.0));
        self.leases.update(id, |lease| {
            lease.open_items = crate::field::wide(items.len());
            lease.open_bytes = items.iter().map(Item::bytes).sum();
            lease.held.get_or_insert(items);
        });
    }

    /// Ids that will never be handed out again.
    pub(crate) fn finish(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        self.acks.insert(first, last);
        self.deliveries.forget(first, last);
        self.version = self.version.saturating_add(1);
        if !self.in_memory_only.is_empty() {
            self.in_memory_only.remove(first, last);
            self.half_written.remove(first, last);
        }
        self.segments.note_acked(&self.acks, first, last);
    }

    /// Looks at all segments whether they are done.
    pub(crate) fn note_all_segments(&mut self) {
        let keys: Vec<SegmentKey> = self.segments.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.segments.note_changed(&self.acks, key);
        }
    }

    /// Takes what one read brought into the backlog, but for what is done, leased, in transit, or was read before: in
    /// a segment that was replaced by a copy.
    pub(crate) fn absorb(&mut self, mut items: Vec<Item>) {
        let read = items.len();
        let has_transit = !self.transit.is_empty();
        items.retain(|item| {
            item.id.0 > self.read_through
                && !self.acks.contains(item.id.0)
                && !self.leases.contains(item.id)
                && (!has_transit || !self.transit.contains(item.id))
        });
        if items.len() < read {
            items = apart(items);
        }
        for item in items {
            self.backlog.push_read(item);
        }
    }

    /// The parts of segments in which items of these ranges lie.
    pub(crate) fn spans(&self, ranges: impl Iterator<Item = ItemRange> + Clone) -> Vec<Span> {
        let mut spans = Vec::new();
        for (key, segment) in self.segments.iter() {
            let Some(own) = ItemRange::new(ItemId(key.first_id), ItemId(segment.last_id)) else {
                continue;
            };
            let wanted =
                ranges
                    .clone()
                    .filter(|range| range.overlaps(own))
                    .reduce(|left, right| ItemRange {
                        first: left.first.min(right.first),
                        last: left.last.max(right.last),
                    });
            if let Some(items) = wanted {
                spans.push(Span {
                    segment: key,
                    items,
                    made: segment.made,
                    end: segment.end,
                    limit_id: self.segments.limit_id(key),
                });
            }
        }
        spans
    }
}
