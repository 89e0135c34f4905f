//! The list of segment files: what each holds, which are done, which wait to be used again.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::format::control::commit::PartlyDone;
use crate::format::segment::key::SegmentKey;
use crate::ids::acks::Acks;
use crate::limits::load::Load;
use crate::state::segment::{Retired, Segment, Written};

/// All segment files of the queue.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    live: BTreeMap<SegmentKey, Segment>,
    /// Done in memory, not yet in a commit.
    done: Vec<SegmentKey>,
    /// Done in a commit that is not yet durable, or in the way of being removed.
    retired: Vec<Retired>,
    /// Ready to be used again, under their old names.
    spares: Vec<(SegmentKey, u64)>,
    /// Bytes of all these files.
    file_bytes: u64,
}

impl Segments {
    pub(crate) fn insert(&mut self, key: SegmentKey, segment: Segment) {
        self.file_bytes = self.file_bytes.saturating_add(segment.file_bytes);
        self.live.insert(key, segment);
    }

    /// A file that was found, and in which nothing is that counts.
    pub(crate) fn insert_retired(&mut self, retired: Retired) {
        self.file_bytes = self.file_bytes.saturating_add(retired.file_bytes);
        self.retired.push(retired);
    }

    pub(crate) fn get(&self, key: SegmentKey) -> Option<&Segment> {
        self.live.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: SegmentKey) -> Option<&mut Segment> {
        self.live.get_mut(&key)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (SegmentKey, &Segment)> {
        self.live.iter().map(|(key, segment)| (*key, segment))
    }

    /// The first segment behind the key, or of all.
    pub(crate) fn after(&self, key: Option<SegmentKey>) -> Option<(SegmentKey, &Segment)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.live
            .range((from, Bound::Unbounded))
            .next()
            .map(|(key, segment)| (*key, segment))
    }

    /// The first id of the segment behind the key.
    pub(crate) fn next_first_id(&self, key: SegmentKey) -> u64 {
        self.after(Some(key))
            .map_or(u64::MAX, |(next, _)| next.first_id)
    }

    /// Ids from here on are not the segment's: they are the next one's, or behind the last that
    /// this one has where nothing is appended to it any more. A seal may say less than there is.
    pub(crate) fn limit_id(&self, key: SegmentKey) -> u64 {
        let own = self.get(key).filter(|segment| segment.is_closed);
        let own = own.map_or(u64::MAX, |segment| segment.last_id.saturating_add(1));
        own.min(self.next_first_id(key))
    }

    /// Bytes of all segment files, spare ones too.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Notes that a file has grown or shrunk.
    pub(crate) fn set_file_bytes(&mut self, key: SegmentKey, bytes: u64) {
        if let Some(segment) = self.live.get_mut(&key) {
            self.file_bytes = self
                .file_bytes
                .saturating_sub(segment.file_bytes)
                .saturating_add(bytes);
            segment.file_bytes = bytes;
        }
    }

    /// Entries were written to a segment.
    pub(crate) fn note_written(&mut self, written: &Written, is_synced: bool) {
        self.update_written(written, is_synced, |_| ());
    }

    /// Items were written to a segment, up to the id.
    pub(crate) fn add_written(
        &mut self,
        written: &Written,
        load: Load,
        last_id: u64,
        is_synced: bool,
    ) {
        self.update_written(written, is_synced, |segment| segment.add(load, last_id));
    }

    /// One search in the map, since this is done for each append.
    fn update_written(
        &mut self,
        written: &Written,
        is_synced: bool,
        add: impl FnOnce(&mut Segment),
    ) {
        if let Some(segment) = self.live.get_mut(&written.segment) {
            add(segment);
            segment.end = written.end;
            segment.is_unsynced = !is_synced;
            self.file_bytes = self
                .file_bytes
                .saturating_sub(segment.file_bytes)
                .saturating_add(written.file_bytes);
            segment.file_bytes = written.file_bytes;
        }
    }

    /// The closed segments of which some items are done and some are not, in order, as far as these
    /// are counted.
    pub(crate) fn partly_done(&self, acks: &Acks) -> impl Iterator<Item = PartlyDone> {
        let first_open = acks.through().saturating_add(1);
        let last = last_of(acks.last());
        let first = self
            .live
            .range(..=last_of(first_open).min(last))
            .next_back()
            .map(|(key, _)| *key);
        first
            .into_iter()
            .flat_map(move |first| self.live.range(first..=last))
            .filter(|(key, segment)| {
                segment.is_closed && acks.touches(key.first_id, segment.last_id)
            })
            .filter_map(|(key, segment)| {
                Some(PartlyDone {
                    segment: *key,
                    items: segment.items,
                    open: segment.open.filter(|open| open.items > 0)?,
                })
            })
    }

    /// Items are done that were not, in the order of their ids: id and payload's bytes of each.
    pub(crate) fn take_off(&mut self, items: impl Iterator<Item = (u64, u64)>) {
        if self.live.is_empty() {
            return;
        }
        let mut items = items.peekable();
        while let Some((first, _)) = items.peek().copied() {
            let next = (Bound::Excluded(last_of(first)), Bound::Unbounded);
            let before_next = self
                .live
                .range(next)
                .next()
                .map_or(u64::MAX, |(key, _)| key.first_id.saturating_sub(1));
            let segment = self.around_mut(first);
            // Items behind the last one of a segment are in no file.
            let last = segment
                .as_ref()
                .map_or(before_next, |segment| segment.last_id);
            let mut load = Load::default();
            while let Some((_, bytes)) = items.next_if(|(id, _)| *id <= last) {
                load = load.plus(Load { items: 1, bytes });
            }
            if let Some(segment) = segment {
                segment.open = segment.open.map(|open| open.less(load));
            }
        }
    }

    /// So many items with ids from `first` to `last` are done that were not.
    pub(crate) fn take_off_all(&mut self, first: u64, last: u64, load: Load) {
        if let Some(segment) = self
            .around_mut(first)
            .filter(|segment| last <= segment.last_id)
        {
            segment.open = segment.open.map(|open| open.less(load));
            return;
        }
        // Which of them was in which segment is unknown.
        self.forget_open(first, last);
    }

    /// Forgets how many items of the segments with ids from `first` to `last` are open.
    fn forget_open(&mut self, first: u64, last: u64) {
        let before = self.live.range(..=last_of(first)).next_back();
        let from = before.map_or(
            SegmentKey {
                first_id: first,
                generation: 0,
            },
            |(key, _)| *key,
        );
        for (_, segment) in self.live.range_mut(from..=last_of(last).max(from)) {
            segment.open = None;
        }
    }

    /// The segment in which the item is.
    fn around_mut(&mut self, id: u64) -> Option<&mut Segment> {
        let (_, segment) = self.live.range_mut(..=last_of(id)).next_back()?;
        (id <= segment.last_id).then_some(segment)
    }

    /// The segment in which the item is.
    pub(crate) fn holder(&self, id: u64) -> Option<SegmentKey> {
        let (key, segment) = self.live.range(..=last_of(id)).next_back()?;
        (id <= segment.last_id).then_some(*key)
    }

    /// The first segment that begins with the id or a later one.
    pub(crate) fn first_from(&self, id: u64) -> Option<&Segment> {
        let start = SegmentKey {
            first_id: id,
            generation: 0,
        };
        self.live.range(start..).next().map(|(_, segment)| segment)
    }

    /// Returns whether one segment has all these ids.
    pub(crate) fn is_in_one(&self, first: u64, last: u64) -> bool {
        let segment = self.live.range(..=last_of(first)).next_back();
        segment.is_some_and(|(_, segment)| last <= segment.last_id)
    }

    /// Looks for segments that became done by acks of ids from `first` to `last`.
    pub(crate) fn note_acked(&mut self, acks: &Acks, first: u64, last: u64) {
        if first > last || self.live.is_empty() {
            return;
        }
        let start = last_of(first);
        let mut covered = Vec::new();
        let before = self.live.range(..=start).next_back();
        let within = self
            .live
            .range((Bound::Excluded(start), Bound::Included(last_of(last))));
        for (key, segment) in before.into_iter().chain(within) {
            if is_done(*key, segment, acks) {
                covered.push(*key);
            }
        }
        self.done.extend(
            covered
                .into_iter()
                .filter(|key| !self.done.contains(key))
                .collect::<Vec<_>>(),
        );
    }

    /// A lease entry in the segment is needed: it stays, whatever is done of its items.
    pub(crate) fn pin(&mut self, key: SegmentKey) {
        if let Some(segment) = self.live.get_mut(&key) {
            segment.lease_pins = segment.lease_pins.saturating_add(1);
            self.done.retain(|done| *done != key);
        }
    }

    /// Looks whether one segment is done: it was closed, or lost a lease.
    pub(crate) fn note_changed(&mut self, acks: &Acks, key: SegmentKey) {
        if self
            .live
            .get(&key)
            .is_some_and(|segment| is_done(key, segment, acks))
            && !self.done.contains(&key)
        {
            self.done.push(key);
        }
    }

    pub(crate) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// The acks that cover the done segments are now in the commit with that sequence.
    pub(crate) fn retire(&mut self, keys: &[SegmentKey], covered_by: u64) {
        for key in keys {
            if let Some(segment) = self.live.remove(key) {
                self.retired.push(Retired {
                    key: *key,
                    file_bytes: segment.file_bytes,
                    is_damaged: segment.is_damaged,
                    is_given_up: segment.is_given_up || segment.is_suspect,
                    covered_by,
                });
            }
        }
        self.done.retain(|key| !keys.contains(key));
    }

    /// Takes a segment out that another one replaces: its file is to be removed, but counts until
    /// it is.
    pub(crate) fn take_out(&mut self, key: SegmentKey) -> Option<Retired> {
        let segment = self.live.remove(&key)?;
        self.done.retain(|done| *done != key);
        Some(Retired {
            key,
            file_bytes: segment.file_bytes,
            is_damaged: segment.is_damaged,
            is_given_up: true,
            covered_by: 0,
        })
    }

    /// The segments that wait for a commit.
    pub(crate) fn done(&self) -> Vec<SegmentKey> {
        self.done.clone()
    }

    /// Returns whether there are any that are done in a commit.
    pub(crate) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Returns whether a sync of the control file would let go of some: commits up to `durable`
    /// are, the newest is `newest`. Not of those that are in the way of being removed.
    pub(crate) fn has_waiting_for_sync(&self, durable: u64, newest: u64) -> bool {
        self.retired
            .iter()
            .any(|segment| durable < segment.covered_by && segment.covered_by <= newest)
    }

    /// Takes out the segments that may be removed or used again, given that commits up to that
    /// sequence are durable: up to `most_spares` sound ones of about `spare_bytes` become spares,
    /// the others are to be removed, or kept aside if damaged, by the caller.
    pub(crate) fn settle(
        &mut self,
        durable: u64,
        most_spares: usize,
        spare_bytes: u64,
    ) -> Vec<Retired> {
        let mut leaving = Vec::new();
        let retired = std::mem::take(&mut self.retired);
        for segment in retired {
            if segment.covered_by > durable {
                self.retired.push(segment);
            } else if !segment.is_damaged
                && !segment.is_given_up
                && self.spares.len() < most_spares
                && segment.file_bytes >= spare_bytes / 2
                && segment.file_bytes <= spare_bytes.saturating_mul(2)
            {
                self.spares.push((segment.key, segment.file_bytes));
            } else {
                leaving.push(segment);
            }
        }
        leaving
    }

    /// Takes all files out that are kept to be used again: they are to be removed by the caller.
    pub(crate) fn take_spares(&mut self) -> Vec<Retired> {
        let spares = std::mem::take(&mut self.spares);
        let retired = spares.into_iter().map(|(key, file_bytes)| Retired {
            key,
            file_bytes,
            is_damaged: false,
            is_given_up: false,
            covered_by: 0,
        });
        retired.collect()
    }

    /// A file was removed.
    pub(crate) fn forget(&mut self, retired: &Retired) {
        self.file_bytes = self.file_bytes.saturating_sub(retired.file_bytes);
    }

    /// Removing a file failed: it is tried again with the next ones.
    pub(crate) fn keep(&mut self, retired: Retired) {
        self.retired.push(retired);
    }

    /// A file to be used again, and its length. It does not count any more.
    pub(crate) fn take_spare(&mut self) -> Option<(SegmentKey, u64)> {
        let (key, bytes) = self.spares.pop()?;
        self.file_bytes = self.file_bytes.saturating_sub(bytes);
        Some((key, bytes))
    }
}

/// The last key that a segment beginning with the id may have.
fn last_of(first_id: u64) -> SegmentKey {
    SegmentKey {
        first_id,
        generation: u64::MAX,
    }
}

fn is_done(key: SegmentKey, segment: &Segment, acks: &Acks) -> bool {
    segment.is_closed && segment.lease_pins == 0 && acks.covers(key.first_id, segment.last_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each ack synced the control file as long as one file could not be removed.
    #[test]
    fn a_file_that_cannot_be_removed_waits_for_no_sync() {
        let mut segments = Segments::default();
        let retired = |covered_by| Retired {
            key: last_of(1),
            file_bytes: 1,
            is_damaged: false,
            is_given_up: true,
            covered_by,
        };
        segments.insert_retired(retired(3));
        assert!(segments.has_waiting_for_sync(2, 5) && !segments.has_waiting_for_sync(3, 5));
        let leaving = segments.settle(3, 0, 1);
        assert_eq!(leaving, [retired(3)]);
        segments.keep(retired(3));
        assert!(segments.has_retired() && !segments.has_waiting_for_sync(3, 5));
        // One that stays until the next open.
        segments.keep(retired(u64::MAX));
        assert!(!segments.has_waiting_for_sync(3, 5));
    }
}
