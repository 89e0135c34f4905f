//! The state of a queue, in memory. Locked for moments only, never during I/O.
//!
//! Each id below the next one is in exactly one of four places: *waiting* (in memory, or counted
//! and on disk only), *in transit* (taken by a call that has not leased it yet), *leased*, or
//! *done*. The fields are private to this folder, whose verbs move ids from one place to another,
//! and assert that they were in no other, in release too.

mod in_memory;

mod appended;
mod commit;
mod files;
mod leasing;
mod popping;
mod reading;
mod restored;

use std::sync::Arc;

use bytes::Bytes;

use crate::damage::Damage;
use crate::field;
use crate::format::segment::generations::Generations;
use crate::format::segment::head::HEAD_BYTES;
use crate::format::segment::key::SegmentKey;
use crate::ids::ItemId;
use crate::ids::acks::Acks;
use crate::ids::ranges::RangeSet;
use crate::limits::load::Load;
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::state::damage_log::{DamageLog, Places};
use crate::state::deliveries::Deliveries;
use crate::state::leases::Leases;
use crate::state::segments::Segments;
use crate::state::transit::Transit;
use crate::state::waiting::Backlog;
use crate::stats::Stats;

pub(crate) use appended::Appended;
pub(crate) use commit::Acked;
pub(crate) use files::{Copied, Rescue};
pub(crate) use leasing::ReleaseStep;

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
    backlog: Backlog,
    /// The place of the first item that is on disk only. `None` while the reader is on its way, or
    /// has nothing to read.
    unread_from: Option<Place>,
    /// The reader has passed the items up to this id: those that wait are in memory.
    read_through: u64,
    leases: Leases,
    transit: Transit,
    deliveries: Deliveries,
    acks: Acks,
    segments: Segments,
    next_id: u64,
    generations: Generations,
    lease_sequence: u64,
    commit_tag: Bytes,
    /// Counts the changes that a commit record would show.
    version: u64,
    /// A commit could not be written: the next call that changes what is done writes one, even if
    /// it needs none itself, for its result covers those before it.
    owes_commit: bool,
    /// Items that are in no file, where there are files.
    in_memory_only: RangeSet,
    /// Those of them that may be in a file all the same, since writing them down was begun and
    /// failed.
    half_written: RangeSet,
    /// Appended items go to disk although there is room in memory: older ones wait there.
    is_spilling: bool,
    /// Ids from here on need a commit before they are used.
    reserved_id: u64,
    damage: DamageLog,
    metrics: Arc<Metrics>,
    is_closed: bool,
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
            metrics: Arc::default(),
            is_closed: false,
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Ends the queue. Returns whether it was open.
    pub(crate) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.is_closed, true)
    }

    /// Undoes a close that failed.
    pub(crate) fn reopen(&mut self) {
        self.is_closed = false;
    }

    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    pub(crate) fn acks(&self) -> &Acks {
        &self.acks
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Returns whether so many items can still be numbered.
    pub(crate) fn has_ids(&self, items: usize) -> bool {
        self.next_id.checked_add(field::wide(items)).is_some()
    }

    /// All items that are not done.
    pub(crate) fn load(&self) -> Load {
        self.waiting_load().plus(Load {
            items: self.leases.items(),
            bytes: self.leases.bytes(),
        })
    }

    /// All items that are not leased, those in transit included: until a pop has them they wait.
    fn waiting_load(&self) -> Load {
        let transit = self.transit.load();
        transit.plus(Load {
            items: self.backlog.items(),
            bytes: self.backlog.bytes(),
        })
    }

    /// Figures of the queue; of its files those of segments.
    pub(crate) fn stats(&self) -> Stats {
        let waiting = self.waiting_load();
        Stats {
            waiting_items: waiting.items,
            waiting_bytes: waiting.bytes,
            leased_items: self.leases.items(),
            leased_bytes: self.leases.bytes(),
            leases: field::wide(self.leases.len()),
            counted_bytes: self.load().counted_bytes(),
            memory_bytes: self
                .backlog
                .resident_bytes()
                .saturating_add(self.transit.load().bytes)
                .saturating_add(self.leases.held_bytes()),
            disk_bytes: self.segments.file_bytes(),
            segments: field::wide(self.segments.iter().count()),
            damage: self.damage.places(),
            lost_items: self.damage.lost_items(),
        }
    }

    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The time of acceptance of the oldest item that is not done, as far as memory tells: of
    /// leased ones of a previous run the time at which their segment was made.
    pub(crate) fn oldest(&self) -> Option<Moment> {
        let leased = self.leases.iter().filter_map(|(_, lease)| {
            let held = lease.held.as_ref().map(|held| held.first());
            match held {
                Some(first) => first.map(|item| item.accepted),
                None => self.made_around(self.acks.first_open(lease.items.first.0)),
            }
        });
        let waiting = self.backlog.resident().front().map(|item| item.accepted);
        let transit = self.transit.firsts().map(|item| item.accepted);
        let known = leased.chain(waiting).chain(transit);
        known.filter(|moment| *moment != Moment::UNKNOWN).min()
    }

    /// The time at which the segment was made that has the item, or the next one where none has.
    fn made_around(&self, id: u64) -> Option<Moment> {
        let segment = match self.segments.holder(id) {
            Some(holder) => self.segments.get(holder),
            None => self.segments.first_from(id),
        };
        segment.map(|segment| segment.made)
    }

    /// Places found damaged since there were `seen` of them, as far as they are remembered.
    pub(crate) fn damage_since(&self, seen: u64) -> Vec<Damage> {
        self.damage.since(seen)
    }

    /// The number of leases the item has been in, in this run, the open one included.
    pub(crate) fn delivery_count(&self, id: ItemId) -> u32 {
        if self.acks.contains(id.0) {
            return 0;
        }
        self.deliveries
            .released(id.0)
            .saturating_add(u32::from(self.leases.contains(id)))
    }

    /// Remembers damage. Items in it that are neither done nor in memory are lost.
    pub(crate) fn report(&mut self, damage: Damage) {
        let lost = damage
            .ids()
            .map_or(0, |ids| self.lost_within(ids.first.0, ids.last.0).count());
        self.damage.add(damage, lost);
        self.metrics
            .note_damage(self.damage.places(), self.damage.lost_items());
    }

    /// Remembers some damage.
    pub(crate) fn report_all(&mut self, places: &Places) {
        for damage in places.first() {
            self.report(damage.clone());
        }
        self.damage.add_more(places);
        self.metrics
            .note_damage(self.damage.places(), self.damage.lost_items());
    }

    /// Ids that are lost where no file has them: neither done nor in memory.
    fn lost_within(&self, first: u64, last: u64) -> RangeSet {
        let mut lost = self.acks.open_within(first, last);
        if !lost.is_empty() {
            for item in self.items_at_hand(first, last) {
                lost.remove(item.id.0, item.id.0);
            }
        }
        lost
    }

    /// Ids that no file has are done, but for items that are in memory.
    pub(crate) fn lose(&mut self, first: u64, last: u64) {
        for (first, last) in self.lost_within(first, last).iter() {
            self.finish(first, last);
        }
    }

    /// Ids that will never be leased again.
    pub(crate) fn finish(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        assert!(
            !self.backlog.has_resident(first, last) && !self.transit.has_item(first, last),
            "items {first} to {last} are done, and one of them waits or is on its way into a lease"
        );
        self.acks.insert(first, last);
        self.deliveries.forget(first, last);
        self.version = self.version.saturating_add(1);
        if !self.in_memory_only.is_empty() {
            self.in_memory_only.remove(first, last);
            self.half_written.remove(first, last);
        }
        self.segments.note_acked(&self.acks, first, last);
    }
}
