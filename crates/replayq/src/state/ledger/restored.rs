//! The ledger of a queue that is being opened.

use crate::format::control::commit::Commit;
use crate::format::segment::generations::{self, Generations};
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::state::leases::OpenLease;
use crate::state::segment::{Retired, Segment};

use super::{Ledger, Place};

impl Ledger {
    /// The state that a commit shows.
    pub(crate) fn of_commit(commit: &Commit) -> Self {
        let mut ledger = Self::new();
        ledger.acks = commit.acks.clone();
        // A forged commit may say that ids are done which it does not count as used: none of them is
        // given to an item.
        let after_done = commit.acks.last().saturating_add(1);
        ledger.next_id = commit.next_id.max(after_done);
        ledger.generations = commit.generations.clone();
        ledger.commit_tag = commit.tag.clone();
        ledger
    }

    /// A segment of that generation exists.
    pub(crate) fn note_generation(&mut self, generation: u64) {
        self.generations.note(generation);
    }

    /// An empty file exists, which is removed when the commit that covers it is durable. Its
    /// generation counts where it is not far ahead of the others: one from a forged name must not
    /// use them up.
    pub(crate) fn add_empty_file(&mut self, file: Retired) {
        const NEAR: u64 = 1 << 20;
        let generation = file.key.generation;
        if generations::counter(generation) < self.generations.next().saturating_add(NEAR) {
            self.generations.note(generation);
        }
        self.segments.insert_retired(file);
    }

    /// A segment was found, with so many items that are not done.
    pub(crate) fn add_segment(&mut self, key: SegmentKey, segment: Segment, waiting: Option<Load>) {
        if let Some(waiting) = waiting {
            self.backlog.add_unread(waiting.items, waiting.bytes);
            self.unread_from.get_or_insert_with(|| Place::start_of(key));
        }
        self.segments.insert(key, segment);
    }

    /// Ids below this one are used.
    pub(crate) fn use_ids_below(&mut self, next_id: u64) {
        self.next_id = self.next_id.max(next_id);
    }

    /// Passes over so many ids: some of them may have been used for items that are lost.
    pub(crate) fn skip_ids(&mut self, count: u64) {
        let first = self.next_id;
        self.next_id = first.saturating_add(count);
        self.finish(first, self.next_id.saturating_sub(1));
    }

    /// Begins a run, whose segments differ from those of others. Returns what to go back to where
    /// no commit can say so.
    pub(crate) fn begin_run(&mut self, draw: u64, live: &[u64]) -> Generations {
        let before = self.generations.clone();
        self.generations.begin_run(draw, live);
        before
    }

    /// Goes on with the run before.
    pub(crate) fn continue_run(&mut self, before: Generations) {
        self.generations = before;
    }

    /// The highest number of a lease record that was found.
    pub(crate) fn set_lease_sequence(&mut self, sequence: u64) {
        self.lease_sequence = sequence;
    }

    /// Returns whether any of the items exists and is not done.
    pub(crate) fn has_open(&self, items: ItemRange) -> bool {
        items.last.0 < self.next_id && !self.acks.covers(items.first.0, items.last.0)
    }

    /// Opens a lease of a previous run again: its items wait no longer.
    pub(crate) fn restore_lease(&mut self, lease: OpenLease) -> LeaseId {
        self.backlog.lose_unread(lease.open_items, lease.open_bytes);
        self.leases.insert(lease)
    }

    /// All is taken over. `is_filling`: a segment is being filled.
    pub(crate) fn begin(&mut self, is_filling: bool) {
        self.version = 1;
        self.is_spilling = self.backlog.is_behind() || is_filling;
        let keys: Vec<SegmentKey> = self.segments.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.segments.note_changed(&self.acks, key);
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::AppendError;
    use crate::ids::acks::Acks;

    fn forged(through: u64, ranges: &[(u64, u64)]) -> Commit {
        Commit {
            sequence: 1,
            acks: Acks::new(through, ranges.iter().copied()),
            next_id: 5,
            generations: Generations::default(),
            boot_id: [0; 16],
            tag: Bytes::new(),
            partly_done: Vec::new(),
        }
    }

    #[test]
    fn ids_that_a_forged_commit_has_done_ahead_of_all_used_ones_are_given_to_no_item() {
        for (commit, expected) in [
            (forged(3, &[]), 5),
            (forged(100, &[]), 101),
            (forged(3, &[(50, 60)]), 61),
        ] {
            let mut ledger = Ledger::of_commit(&commit);
            let (first_id, _) = ledger.begin_append(3, None).unwrap();
            assert_eq!(first_id, expected);
        }
        let mut ledger = Ledger::of_commit(&forged(u64::MAX, &[]));
        let refused = ledger.begin_append(1, None).map(|(first, _)| first);
        assert!(
            matches!(refused, Err(AppendError::NoMoreIds)),
            "{refused:?}"
        );
    }
}
