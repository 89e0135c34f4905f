//! A set of ids kept as ranges.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Ids as ranges that neither overlap nor touch: each costs little, however many there are and
/// wherever it lies.
#[derive(Clone, Default, Eq, PartialEq, Debug)]
pub(crate) struct RangeSet {
    /// The last id of each range by its first.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The number of ids.
    pub(crate) fn count(&self) -> u64 {
        let spans = self.iter().map(|(first, last)| last.saturating_sub(first));
        spans.fold(0, |sum, span| sum.saturating_add(span).saturating_add(1))
    }

    /// The ranges in order, both ends included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().map(|(start, end)| (*start, *end))
    }

    pub(crate) fn last(&self) -> Option<(u64, u64)> {
        self.ranges
            .last_key_value()
            .map(|(start, end)| (*start, *end))
    }

    /// Adds the ids from `first` to `last`. Whether none of them was in the set.
    pub(crate) fn insert(&mut self, first: u64, last: u64) -> bool {
        if first > last {
            return true;
        }
        let (first_new, last_new, mut is_new) = (first, last, true);
        let (mut first, mut last) = (first, last);
        // Those that it overlaps or touches become one with it, from the end on.
        while let Some((start, end)) = self.last_from(last.saturating_add(1)) {
            if end.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&start);
            is_new &= end < first_new || last_new < start;
            (first, last) = (first.min(start), last.max(end));
        }
        self.ranges.insert(first, last);
        is_new
    }

    /// Takes out the ids from `first` to `last`.
    pub(crate) fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        // Most often it is a range as it was put in.
        if let Entry::Occupied(range) = self.ranges.entry(first)
            && *range.get() == last
        {
            range.remove();
            return;
        }
        while let Some((start, end)) = self.last_from(last) {
            if end < first {
                break;
            }
            self.ranges.remove(&start);
            if end > last {
                self.ranges.insert(last.saturating_add(1), end);
            }
            if start < first {
                self.ranges.insert(start, first.saturating_sub(1));
            }
        }
    }

    /// The range in which the id is.
    pub(crate) fn around(&self, id: u64) -> Option<(u64, u64)> {
        self.last_from(id).filter(|&(_, end)| id <= end)
    }

    /// The ranges, as they are, of which an id is from `first` to `last`.
    pub(crate) fn overlapping(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
        let start = self.around(first).map_or(first, |(start, _)| start);
        self.ranges
            .range(start..=last.max(start))
            .map(|(start, end)| (*start, *end))
            .filter(move |(start, _)| *start <= last)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.around(id).is_some()
    }

    /// Returns whether all ids from `first` to `last` are in the set.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        self.around(first).is_some_and(|(_, end)| last <= end)
    }

    /// Returns whether any id from `first` to `last` is in the set.
    pub(crate) fn overlaps(&self, first: u64, last: u64) -> bool {
        self.last_from(last).is_some_and(|(_, end)| first <= end)
    }

    /// Takes the first range out, if it starts at or below `id`.
    pub(crate) fn take_front_up_to(&mut self, id: u64) -> Option<(u64, u64)> {
        let front = self
            .ranges
            .first_entry()
            .filter(|front| *front.key() <= id)?;
        Some(front.remove_entry())
    }

    /// The last range that starts at or below the id.
    fn last_from(&self, id: u64) -> Option<(u64, u64)> {
        self.ranges
            .range(..=id)
            .next_back()
            .map(|(start, end)| (*start, *end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_ids(operations in proptest::collection::vec((any::<bool>(), 0_u64..60, 0_u64..12), 0..60)) {
            let mut ranges = RangeSet::default();
            let mut ids = BTreeSet::new();
            for (is_insert, first, span) in operations {
                let last = first + span;
                if is_insert {
                    let is_new = (first..=last).all(|id| !ids.contains(&id));
                    prop_assert_eq!(ranges.insert(first, last), is_new);
                    ids.extend(first..=last);
                }
                else { ranges.remove(first, last); ids.retain(|id| !(first..=last).contains(id)); }
                let listed: Vec<u64> = ranges.iter().flat_map(|(start, end)| start..=end).collect();
                prop_assert_eq!(&listed, &ids.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|((_, end), (start, _))| end + 1 < start));
                prop_assert_eq!(ranges.covers(first, last), (first..=last).all(|id| ids.contains(&id)));
                prop_assert_eq!(ranges.overlaps(first, last), (first..=last).any(|id| ids.contains(&id)));
                let there = ranges.iter().filter(|(start, end)| *start <= last && *end >= first);
                prop_assert!(ranges.overlapping(first, last).eq(there));
            }
        }
    }
}
