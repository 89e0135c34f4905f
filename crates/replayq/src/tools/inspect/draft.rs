//! An inspection in the making: what is done and leased decides what the rest means.

use crate::damage::Damage;
use crate::disk::RESERVED_IDS;
use crate::format::control::Found;
use crate::format::control::commit::PartlyDone;
use crate::format::control::lease::{LeaseRecord, SlotState};
use crate::format::segment::key::QueueUuid;
use crate::ids::acks::Acks;
use crate::ids::ranges::RangeSet;
use crate::ids::{ItemId, ItemRange};

use super::ItemState;
use super::view::LeaseView;

/// The contents of the control file.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) acks: Acks,
    pub(super) damage: Vec<Damage>,
    /// The rests of segments.
    pub(super) partly_done: Vec<PartlyDone>,
    leases: Vec<(LeaseRecord, String)>,
    leased: RangeSet,
    /// Ids are given to items that are in no file.
    is_reserving: bool,
}

impl Draft {
    pub(super) fn new(found: Option<&Found>, uuid: QueueUuid) -> Self {
        let mut draft = Self::default();
        let Some(found) = found else { return draft };
        if let Some(commit) = found.newest(uuid) {
            draft.acks = commit.acks.clone();
            draft.partly_done = commit.partly_done.clone();
        }
        draft
            .damage
            .extend(std::iter::repeat_n(Damage::Commit, found.damaged_commits));
        for slot in found.leases(uuid) {
            match slot {
                SlotState::Live(record) => {
                    draft.add_lease(record, crate::format::control::FILE_NAME.to_owned())
                }
                SlotState::Damaged => draft.damage.push(Damage::Lease),
                SlotState::Empty => {}
            }
        }
        draft
    }

    /// A lease that was found; one whose items are all done says nothing any more.
    pub(super) fn add_lease(&mut self, record: LeaseRecord, file: String) {
        let (first, last) = (record.items.first.0, record.items.last.0);
        if !self.acks.covers(first, last) {
            self.leased.insert(first, last);
            self.leases.push((record, file));
        }
    }

    pub(super) fn state(&self, id: u64) -> ItemState {
        if self.acks.contains(id) {
            ItemState::Done
        } else if self.leased.contains(id) {
            ItemState::Leased
        } else {
            ItemState::Waiting
        }
    }

    /// Looks whether ids behind the last item in files are so many that they were not used but
    /// reserved: offload mode does so, and has items in memory. Which ids had items and have none
    /// now is not known then.
    pub(super) fn note_reserved(&mut self, last: u64, next_id: u64) {
        const MOST: u64 = RESERVED_IDS / 2;
        let mut open = RangeSet::default();
        open.insert(
            last.max(self.acks.through()).saturating_add(1),
            next_id.saturating_sub(1),
        );
        for (first, last) in self.acks.beyond().iter() {
            open.remove(first, last);
        }
        self.is_reserving = open
            .iter()
            .any(|(first, last)| last.saturating_sub(first) >= MOST);
    }

    /// Ids from behind `after` to before `first_id` are in no file; those up to `previous_id` once
    /// had items.
    pub(super) fn note_missing(&mut self, after: u64, previous_id: u64, first_id: u64) {
        let (first, last) = (
            after.saturating_add(1),
            first_id.saturating_sub(1).min(previous_id),
        );
        if first > last || self.is_reserving || self.acks.covers(first, last) {
            return;
        }
        let mut missing = RangeSet::default();
        missing.insert(first, last);
        missing.remove(0, self.acks.through());
        for (first, last) in self.acks.beyond().iter() {
            missing.remove(first, last);
        }
        self.damage
            .extend(missing.iter().map(|(first, last)| Damage::Missing {
                ids: ItemRange {
                    first: ItemId(first),
                    last: ItemId(last),
                },
            }));
    }

    /// The leases that count: of two that overlap the later one.
    pub(super) fn leases(&self) -> Vec<LeaseView> {
        let mut found: Vec<_> = self.leases.iter().collect();
        found.sort_unstable_by_key(|(record, _)| std::cmp::Reverse(record.sequence));
        let mut kept: Vec<LeaseView> = Vec::new();
        let mut taken = RangeSet::default();
        for (record, file) in found {
            let (first, last) = (record.items.first.0, record.items.last.0);
            if !taken.overlaps(first, last) {
                taken.insert(first, last);
                kept.push(LeaseView {
                    items: record.items,
                    tag: record.tag.clone(),
                    file: file.clone(),
                });
            }
        }
        kept.sort_unstable_by_key(|lease| lease.items.first);
        kept
    }
}
