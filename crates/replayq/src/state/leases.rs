//! The open leases: which items are out, and where their records lie.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::format::control::LeaseSlot;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::key::SegmentKey;
use crate::ids::ranges::RangeSet;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::state::waiting::Item;

/// Items taken out of the queue until they are acked or released.
///
/// A lease is in memory: when the process ends, its items wait again. [`crate::Queue::tag`] makes
/// it durable: the lease comes back at the next open with the same items and the tag. For callers
/// who must not do a thing twice: what they need to find out whether it was done goes into the tag,
/// first.
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
/// // The process is killed in the middle of batch 7.
/// drop(queue);
/// let (queue, recovery) = Queue::open(config())?;
/// let found = &recovery.leases[0];
/// assert_eq!(&found.tag[..], b"batch 7");
/// let lease = queue.read_lease(found.id)?;
/// assert_eq!(&lease.items[1].payload[..], b"two");
///
/// // A part of it is done. The rest is released, and waits before all others.
/// queue.ack_items(lease.id, ItemRange::one(lease.items[0].id))?;
/// queue.release(lease.id)?;
/// let again = queue.pop(PopLimits::default())?.ok_or("nothing waits")?;
/// assert_eq!(&again.items[0].payload[..], b"two");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lease {
    /// The id of the lease, in this run.
    pub id: LeaseId,
    /// The items in order; at least one.
    pub items: Vec<Item>,
    /// The tag that the caller gave it.
    pub tag: Option<Bytes>,
}

/// Where a lease is written down.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Home {
    /// In a lease slot of the control file.
    Slot(LeaseSlot),
    /// As an entry at this position of a segment.
    Entry {
        /// The segment.
        segment: SegmentKey,
        /// Where its header starts.
        position: u64,
        /// Bytes of its payload.
        payload_bytes: u32,
        /// The id in its header.
        id: u64,
    },
}

impl Home {
    /// The place of a record that was written as an entry, with that id in its header.
    pub(crate) fn entry(segment: SegmentKey, position: u64, record: &LeaseRecord, id: u64) -> Self {
        let payload_bytes = u32::try_from(record.tag.len())
            .unwrap_or(u32::MAX)
            .saturating_add(24);
        Self::Entry {
            segment,
            position,
            payload_bytes,
            id,
        }
    }
}

/// The effect of a new record of a lease.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// The lease has it; those are its older ones.
    Older(Vec<Home>),
    /// There is no such lease any more: the record belongs to none.
    NoLease(Home),
}

/// One open lease.
#[derive(Clone, Debug)]
pub(crate) struct OpenLease {
    pub(crate) items: ItemRange,
    /// The items that are not done, where they are in memory; those of a lease of a previous run
    /// are read when needed.
    pub(crate) held: Option<Vec<Item>>,
    /// Of the items that are not done.
    pub(crate) open_items: u64,
    pub(crate) open_bytes: u64,
    pub(crate) tag: Option<Bytes>,
    /// Its tag is written down.
    pub(crate) is_recorded: bool,
    /// Where its records lie: the newest, and others that could not be voided.
    pub(crate) homes: Vec<Home>,
}

/// All open leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    open: BTreeMap<LeaseId, OpenLease>,
    /// The ids of all leased items.
    ids: RangeSet,
    last: u64,
    items: u64,
    bytes: u64,
    held_bytes: u64,
}

impl Leases {
    /// Leased items that are not done.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    /// Their payloads' bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of those that are in memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LeaseId, &OpenLease)> {
        self.open.iter().map(|(id, lease)| (*id, lease))
    }

    /// The leased items that are in memory.
    pub(crate) fn held_items(&self) -> impl Iterator<Item = &Item> {
        self.open
            .values()
            .filter_map(|lease| lease.held.as_ref())
            .flatten()
    }

    pub(crate) fn insert(&mut self, lease: OpenLease) -> LeaseId {
        self.last = self.last.saturating_add(1);
        let id = LeaseId(self.last);
        let (first, last) = (lease.items.first, lease.items.last);
        assert!(
            self.ids.insert(first.0, last.0),
            "items {first} to {last} are in two leases"
        );
        self.count(&lease, u64::saturating_add);
        self.open.insert(id, lease);
        id
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<&OpenLease> {
        self.open.get(&id)
    }

    pub(crate) fn remove(&mut self, id: LeaseId) -> Option<OpenLease> {
        let lease = self.open.remove(&id)?;
        self.ids.remove(lease.items.first.0, lease.items.last.0);
        self.count(&lease, u64::saturating_sub);
        Some(lease)
    }

    /// Changes a lease in place; its range must stay.
    pub(crate) fn update<T>(
        &mut self,
        id: LeaseId,
        change: impl FnOnce(&mut OpenLease) -> T,
    ) -> Option<T> {
        let mut lease = self.open.remove(&id)?;
        self.count(&lease, u64::saturating_sub);
        let result = change(&mut lease);
        self.count(&lease, u64::saturating_add);
        self.open.insert(id, lease);
        Some(result)
    }

    /// A segment was replaced by a copy, in which the entries lie elsewhere. Returns how many of
    /// them there are still in use; those that were lost are none any more.
    pub(crate) fn move_homes(
        &mut self,
        old: SegmentKey,
        new: SegmentKey,
        positions: &BTreeMap<u64, u64>,
    ) -> u32 {
        let mut moved = 0_u32;
        for lease in self.open.values_mut() {
            lease.homes.retain_mut(|home| match home {
                Home::Entry {
                    segment, position, ..
                } if *segment == old => {
                    let Some(place) = positions.get(position) else {
                        return false;
                    };
                    (*segment, *position) = (new, *place);
                    moved = moved.saturating_add(1);
                    true
                }
                _ => true,
            });
        }
        moved
    }

    /// Returns whether the item is in a lease.
    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.ids.contains(id.0)
    }

    /// Returns whether any id from `first` to `last` is in a lease.
    pub(crate) fn touches(&self, first: u64, last: u64) -> bool {
        first <= last && self.ids.overlaps(first, last)
    }

    fn count(&mut self, lease: &OpenLease, change: impl Fn(u64, u64) -> u64) {
        self.items = change(self.items, lease.open_items);
        self.bytes = change(self.bytes, lease.open_bytes);
        if lease.held.is_some() {
            self.held_bytes = change(self.held_bytes, lease.open_bytes);
        }
    }
}
