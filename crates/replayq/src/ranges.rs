//! A set of ids kept as ranges.

/// Ids as sorted ranges that neither overlap nor touch.
#[derive(Clone, Default, Eq, PartialEq, Debug)]
pub(crate) struct RangeSet {
    ranges: Vec<(u64, u64)>,
}

impl RangeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The ranges in order, both ends included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().copied()
    }

    /// Adds the ids from `first` to `last`.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let from = self
            .ranges
            .partition_point(|&(_, end)| end.saturating_add(1) < first);
        let to = self
            .ranges
            .partition_point(|&(start, _)| start <= last.saturating_add(1));
        let merged = self
            .ranges
            .get(from..to)
            .unwrap_or(&[])
            .iter()
            .fold((first, last), |(low, high), &(start, end)| {
                (low.min(start), high.max(end))
            });
        self.ranges.splice(from..to.max(from), [merged]);
    }

    /// Takes out the ids from `first` to `last`.
    pub(crate) fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let from = self.ranges.partition_point(|&(_, end)| end < first);
        let to = self
            .ranges
            .partition_point(|&(start, _)| start <= last)
            .max(from);
        let cut = self.ranges.get(from..to).unwrap_or(&[]);
        let left = cut
            .first()
            .filter(|&&(start, _)| start < first)
            .map(|&(start, _)| (start, first.saturating_sub(1)));
        let right = cut
            .last()
            .filter(|&&(_, end)| end > last)
            .map(|&(_, end)| (last.saturating_add(1), end));
        self.ranges.splice(from..to, left.into_iter().chain(right));
    }

    pub(crate) fn last(&self) -> Option<(u64, u64)> {
        self.ranges.last().copied()
    }

    /// The range in which the id is.
    pub(crate) fn around(&self, id: u64) -> Option<(u64, u64)> {
        let at = self.ranges.partition_point(|&(_, end)| end < id);
        self.ranges
            .get(at)
            .copied()
            .filter(|&(start, _)| start <= id)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.covers(id, id)
    }

    /// Whether all ids from `first` to `last` are in the set.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end < first);
        self.ranges
            .get(at)
            .is_some_and(|&(start, end)| start <= first && last <= end)
    }

    /// Whether any id from `first` to `last` is in the set.
    pub(crate) fn overlaps(&self, first: u64, last: u64) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end < first);
        self.ranges.get(at).is_some_and(|&(start, _)| start <= last)
    }

    /// Takes the first range out, if it starts at or below `id`.
    pub(crate) fn take_front_up_to(&mut self, id: u64) -> Option<(u64, u64)> {
        let front = *self.ranges.first().filter(|&&(start, _)| start <= id)?;
        self.ranges.remove(0);
        Some(front)
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
                if is_insert { ranges.insert(first, last); ids.extend(first..=last); }
                else { ranges.remove(first, last); ids.retain(|id| !(first..=last).contains(id)); }
                let listed: Vec<u64> = ranges.iter().flat_map(|(start, end)| start..=end).collect();
                prop_assert_eq!(&listed, &ids.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|((_, end), (start, _))| end + 1 < start));
                prop_assert_eq!(ranges.covers(first, last), (first..=last).all(|id| ids.contains(&id)));
                prop_assert_eq!(ranges.overlaps(first, last), (first..=last).any(|id| ids.contains(&id)));
            }
        }
    }
}
