//! Leases of the unrouted queue of which records are being delivered: what is with which partition,
//! and what waits for its partition in the local queue.
//!
//! A partition that does not move holds up nobody else. Records for it beyond a bound are not kept
//! in memory: only where they lie in their lease is, in about two bytes a call, and the lease is
//! read again when the partition has room.

mod left;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wolff_codec::PartitionId;

use crate::action::{LeaseNo, Origin};
use crate::counters::Owner;
use crate::deferred::DeferredCalls;
use crate::outcome::Outcome;
use crate::routable::{RoutedCall, RoutedEnd, RoutedPart};
use crate::routing_tag::RoutingTag;

/// Time without any end after which a partition is taken not to move, once others wait for memory.
const STUCK_AFTER: Duration = Duration::from_millis(500);

/// The part of all bytes on their way that one partition may have.
const PARTITION_SHARE: u64 = 4;

/// Bytes of notes about deferred calls at which no more is leased: of some ten million calls.
const MAX_NOTES_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that the notes about one lease take at least.
const LEASE_NOTES_BYTES: usize = 256;

/// A lease of which records are being delivered. Records that have not ended are with a partition,
/// in the hands of the owner, or deferred.
#[derive(Debug)]
struct Delivery<T> {
    origin: Origin<T>,
    /// First call and count, of this run.
    calls: (u64, u64),
    records: u64,
    /// Bytes that each record counts for, and those that go with the last one.
    record_bytes: u64,
    rest_bytes: u64,
    /// Ends so far, and whether the rest was perhaps sent.
    tag: RoutingTag,
    /// Some of it stays in the queue for the next run.
    is_left: bool,
    deferred: BTreeMap<PartitionId, DeferredCalls>,
}

/// The records of one partition.
#[derive(Debug)]
struct Lane {
    /// Bytes that are with the partition.
    bytes: u64,
    /// Time of its last end, or of its beginning.
    moved_at: Instant,
    /// Time of its last end.
    ended_at: Option<Instant>,
    /// True if it had an end since its first call was deferred.
    has_moved: bool,
    /// Leases that hold deferred calls.
    deferred: BTreeSet<LeaseNo>,
}

impl Lane {
    /// Returns whether others need not wait for what it has.
    fn is_aside(&self, now: Instant) -> bool {
        !self.deferred.is_empty() || self.stuck_at().is_some_and(|at| at <= now)
    }

    /// Returns whether it does not take what it gets, as far as is known.
    fn is_blocked(&self, now: Instant) -> bool {
        let has_ended = |at: Instant| now.saturating_duration_since(at) < STUCK_AFTER;
        !self.deferred.is_empty() || (self.bytes > 0 && !self.ended_at.is_some_and(has_ended))
    }

    fn stuck_at(&self) -> Option<Instant> {
        (self.bytes > 0)
            .then(|| self.moved_at.checked_add(STUCK_AFTER))
            .flatten()
    }
}

/// A lease of which all records have ended.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) calls: (u64, u64),
    pub(crate) rest_bytes: u64,
    /// State that the next run needs, where some of it is left.
    pub(crate) left: Option<RoutingTag>,
}

/// A lease to be delivered.
#[derive(Debug)]
pub(crate) struct Opened<T> {
    pub(crate) origin: Origin<T>,
    pub(crate) calls: (u64, u64),
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// State that previous runs left in its tag.
    pub(crate) tag: RoutingTag,
}

/// The leases that are being delivered.
#[derive(Debug)]
pub(crate) struct Routing<T> {
    /// Bytes that may be with partitions that move, half of what may be with all; 0: nothing is
    /// routed.
    max_bytes: u64,
    leases: BTreeMap<LeaseNo, Delivery<T>>,
    lanes: BTreeMap<PartitionId, Lane>,
    /// The sum over the lanes.
    bytes: u64,
    /// Leases to be read again, each with a partition that has room for what was deferred in it.
    ready: BTreeSet<(LeaseNo, PartitionId)>,
    /// The same, from the reading to the routing.
    reloading: BTreeSet<(LeaseNo, PartitionId)>,
    notes_bytes: usize,
    /// Records of a lease that has ended stay in the queue for the next run.
    has_left: bool,
}

impl<T: Clone> Routing<T> {
    pub(crate) fn new() -> Self {
        Self {
            max_bytes: 0,
            leases: BTreeMap::new(),
            lanes: BTreeMap::new(),
            bytes: 0,
            ready: BTreeSet::new(),
            reloading: BTreeSet::new(),
            notes_bytes: 0,
            has_left: false,
        }
    }

    /// Sets how many bytes may be on their way; 0: nothing is leased.
    pub(crate) fn limit(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
    }

    /// Returns whether another batch may be leased.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        if self.bytes < self.max_bytes {
            return self.notes_bytes < MAX_NOTES_BYTES;
        }
        let moving: u64 = self
            .lanes
            .values()
            .filter(|lane| !lane.is_aside(now))
            .map(|lane| lane.bytes)
            .sum();
        moving < self.max_bytes
            && self.bytes < self.max_bytes.saturating_mul(2)
            && self.notes_bytes < MAX_NOTES_BYTES
    }

    /// Time at which a partition that holds up the others is no longer waited for.
    pub(crate) fn room_at(&self, now: Instant) -> Option<Instant> {
        if self.max_bytes == 0 || self.bytes < self.max_bytes {
            return None;
        }
        let lanes = self.lanes.values().filter(|lane| lane.deferred.is_empty());
        lanes
            .filter_map(Lane::stuck_at)
            .filter(|at| *at > now)
            .min()
    }

    /// The lease to read again, if a partition has room for what it waits for in it.
    pub(crate) fn next_reload(&self) -> Option<LeaseNo> {
        let (lease, _) = self.ready.first().filter(|_| self.max_bytes > 0)?;
        Some(*lease)
    }

    /// A lease is read again, for the partitions that have room.
    pub(crate) fn start_reload(&mut self, lease: LeaseNo) {
        move_lease(&mut self.ready, &mut self.reloading, lease);
    }

    /// It could not be read.
    pub(crate) fn reload_failed(&mut self, lease: LeaseNo) {
        move_lease(&mut self.reloading, &mut self.ready, lease);
    }

    /// Adds a lease. Its records are in the owner's hands until they are routed.
    pub(crate) fn open(&mut self, lease: LeaseNo, opened: Opened<T>) {
        let record_bytes = opened.bytes / opened.records.max(1);
        self.notes_bytes += LEASE_NOTES_BYTES;
        self.leases.insert(
            lease,
            Delivery {
                origin: opened.origin,
                calls: opened.calls,
                records: opened.records,
                record_bytes,
                rest_bytes: opened
                    .bytes
                    .saturating_sub(record_bytes.saturating_mul(opened.records)),
                tag: opened.tag,
                is_left: false,
                deferred: BTreeMap::new(),
            },
        );
    }

    /// Origin of the records of a lease that is being delivered.
    pub(crate) fn origin(&self, lease: LeaseNo) -> Option<Origin<T>> {
        self.leases
            .get(&lease)
            .map(|delivery| delivery.origin.clone())
    }

    /// Returns whether previous runs have perhaps sent what a lease holds.
    pub(crate) fn was_sent(&self, lease: LeaseNo) -> bool {
        let delivery = self.leases.get(&lease);
        delivery.is_some_and(|delivery| delivery.tag.is_doubtful)
    }

    /// Deferred calls of a lease for which it was read again, in the order of the batch.
    pub(crate) fn due(&self, lease: LeaseNo) -> Vec<RoutedCall> {
        let Some(delivery) = self.leases.get(&lease) else {
            return Vec::new();
        };
        let mut due: Vec<RoutedCall> = delivery
            .deferred
            .iter()
            .filter(|(partition, _)| self.reloading.contains(&(lease, **partition)))
            .flat_map(|(partition, calls)| {
                calls.iter().map(|(first_record, records)| RoutedCall {
                    first_record,
                    records,
                    partition: *partition,
                })
            })
            .collect();
        due.sort_unstable_by_key(|call| call.first_record);
        due
    }

    /// Decides which of these calls, given in the order of the batch, go to their partitions now;
    /// the others are deferred. A partition gets its calls in order: nothing overtakes what was
    /// deferred.
    pub(crate) fn route(
        &mut self,
        lease: LeaseNo,
        part: &RoutedPart,
        calls: &[RoutedCall],
        now: Instant,
    ) -> Vec<bool> {
        let mut touched = BTreeSet::new();
        if let RoutedPart::Deferred(due) = part {
            touched.extend(due.iter().map(|call| call.partition));
            for partition in &touched {
                self.forget_deferred(lease, *partition);
            }
        }
        let Some(delivery) = self.leases.get_mut(&lease) else {
            return vec![false; calls.len()];
        };
        let is_first = matches!(part, RoutedPart::AllBut(_));
        let is_short = self.bytes >= self.max_bytes;
        let mut goes = Vec::with_capacity(calls.len());
        for call in calls {
            let lane = self.lanes.entry(call.partition).or_insert_with(|| Lane {
                bytes: 0,
                moved_at: now,
                ended_at: None,
                has_moved: true,
                deferred: BTreeSet::new(),
            });
            let bytes = delivery
                .record_bytes
                .saturating_mul(u64::from(call.records));
            let is_behind = lane.deferred.first().is_some_and(|first| *first <= lease);
            let is_full = lane.bytes > 0 && lane.bytes + bytes > self.max_bytes / PARTITION_SHARE;
            let is_stuck = is_first && is_short && lane.is_aside(now);
            let goes_now = !(is_behind || is_full || is_stuck);
            if goes_now {
                if lane.bytes == 0 {
                    lane.moved_at = now;
                }
                lane.bytes += bytes;
                self.bytes += bytes;
            } else {
                let deferred = delivery.deferred.entry(call.partition).or_default();
                let before = deferred.byte_count();
                deferred.push(call.first_record, call.records);
                self.notes_bytes += deferred.byte_count() - before;
                if lane.deferred.is_empty() {
                    lane.has_moved = false;
                }
                lane.deferred.insert(lease);
            }
            touched.insert(call.partition);
            goes.push(goes_now);
        }
        for partition in touched {
            self.refresh(partition);
        }
        goes
    }

    fn forget_deferred(&mut self, lease: LeaseNo, partition: PartitionId) {
        if let Some(delivery) = self.leases.get_mut(&lease)
            && let Some(deferred) = delivery.deferred.remove(&partition)
        {
            self.notes_bytes = self.notes_bytes.saturating_sub(deferred.byte_count());
        }
        self.ready.remove(&(lease, partition));
        self.reloading.remove(&(lease, partition));
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.deferred.remove(&lease);
        }
    }

    /// Notes whether the partition has room for the first calls that wait for it.
    fn refresh(&mut self, partition: PartitionId) {
        let Some(lane) = self.lanes.get(&partition) else {
            return;
        };
        let has_room = lane.has_moved && lane.bytes <= self.max_bytes / PARTITION_SHARE / 2;
        match lane.deferred.first() {
            Some(first) if self.reloading.contains(&(*first, partition)) => {}
            Some(first) if has_room => {
                self.ready.insert((*first, partition));
            }
            Some(first) => {
                self.ready.remove(&(*first, partition));
            }
            None if lane.bytes == 0 => {
                self.lanes.remove(&partition);
            }
            None => {}
        }
    }

    /// Records of a lease came to their end. Returns whose they are, how many, and their bytes.
    pub(crate) fn ended(&mut self, end: &RoutedEnd<'_>) -> Option<(Owner, u32, u64)> {
        let delivery = self.leases.get_mut(&end.lease)?;
        let mut count = 0u32;
        let is_left = matches!(end.outcome, Outcome::LeftInQueue);
        for (first, records) in end.records {
            count = count.saturating_add(*records);
            if !is_left {
                delivery.tag.done.add(*first, *records);
            }
        }
        delivery.is_left |= is_left;
        delivery.tag.is_doubtful |= is_left && end.was_sent;
        delivery.records = delivery.records.saturating_sub(u64::from(count));
        let bytes = delivery.record_bytes.saturating_mul(u64::from(count));
        let owner = match delivery.origin {
            Origin::ThisRun(_) => Owner::ThisRun,
            _ => Owner::PreviousRun,
        };
        if let Some((partition, now)) = end.at
            && let Some(lane) = self.lanes.get_mut(&partition)
        {
            lane.bytes = lane.bytes.saturating_sub(bytes);
            lane.moved_at = now;
            lane.ended_at = Some(now);
            lane.has_moved = true;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.refresh(partition);
        }
        Some((owner, count, bytes))
    }

    /// Takes out a lease of which all records have ended.
    pub(crate) fn close(&mut self, lease: LeaseNo) -> Option<Delivered> {
        self.leases
            .get(&lease)
            .filter(|delivery| delivery.records == 0)?;
        let delivery = self.leases.remove(&lease)?;
        self.has_left |= delivery.is_left;
        self.notes_bytes = self.notes_bytes.saturating_sub(LEASE_NOTES_BYTES);
        Some(Delivered {
            calls: delivery.calls,
            rest_bytes: delivery.rest_bytes,
            left: delivery.is_left.then_some(delivery.tag),
        })
    }

    /// The tag that says that records of a lease are on their way.
    pub(crate) fn tag(&self, lease: LeaseNo) -> RoutingTag {
        let done = self
            .leases
            .get(&lease)
            .map(|delivery| delivery.tag.done.clone());
        RoutingTag {
            done: done.unwrap_or_default(),
            is_doubtful: true,
        }
    }

    /// Returns whether records that were leased stay in the queue for the next run.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left
    }
}

/// Moves the entries of a lease from one set to the other.
fn move_lease(
    from: &mut BTreeSet<(LeaseNo, PartitionId)>,
    to: &mut BTreeSet<(LeaseNo, PartitionId)>,
    lease: LeaseNo,
) {
    let first = (lease, PartitionId(i32::MIN));
    let last = (lease, PartitionId(i32::MAX));
    let moved: Vec<_> = from.range(first..=last).copied().collect();
    for entry in moved {
        from.remove(&entry);
        to.insert(entry);
    }
}
