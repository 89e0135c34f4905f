//! Which items are done: everything up to a point that only moves forward, and ranges behind it.

use crate::ids::ranges::RangeSet;

/// The ids of the items that will never be handed out again: acked, dropped, lost, or never used.
#[derive(Clone, Default, Eq, PartialEq, Debug)]
pub(crate) struct Acks {
    /// All ids up to here are done.
    through: u64,
    /// Done beyond; none of them starts at `through + 1`.
    beyond: RangeSet,
}

impl Acks {
    pub(crate) fn new(through: u64, ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut acks = Self {
            through,
            beyond: RangeSet::default(),
        };
        for (first, last) in ranges {
            acks.insert(first, last);
        }
        acks
    }

    /// All ids up to this one are done.
    pub(crate) fn through(&self) -> u64 {
        self.through
    }

    pub(crate) fn beyond(&self) -> &RangeSet {
        &self.beyond
    }

    /// Marks the ids from `first` to `last` as done.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if last <= self.through || first > last {
            return;
        }
        if self.beyond.is_empty() && first <= self.through.saturating_add(1) {
            self.through = last;
            return;
        }
        self.beyond
            .insert(first.max(self.through.saturating_add(1)), last);
        if let Some((_, end)) = self.beyond.take_front_up_to(self.through.saturating_add(1)) {
            self.through = end;
        }
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        id <= self.through || self.beyond.contains(id)
    }

    /// Returns whether all ids from `first` to `last` are done.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        last <= self.through
            || first > last
            || self
                .beyond
                .covers(first.max(self.through.saturating_add(1)), last)
    }

    /// The last id that is done.
    pub(crate) fn last(&self) -> u64 {
        self.beyond.last().map_or(self.through, |(_, last)| last)
    }

    /// The first id from `first` on that is not done.
    pub(crate) fn first_open(&self, first: u64) -> u64 {
        let first = first.max(self.through.saturating_add(1));
        self.beyond
            .around(first)
            .map_or(first, |(_, end)| end.saturating_add(1))
    }

    /// The last id up to `last` that is not done, if one is.
    pub(crate) fn last_open(&self, last: u64) -> Option<u64> {
        let last = self
            .beyond
            .around(last)
            .map_or(last, |(start, _)| start.saturating_sub(1));
        (last > self.through).then_some(last)
    }

    /// The ids from `first` to `last` that are not done.
    pub(crate) fn open_within(&self, first: u64, last: u64) -> RangeSet {
        let mut ids = RangeSet::default();
        ids.insert(first, last);
        ids.remove(0, self.through);
        for (first, last) in self.beyond.overlapping(first, last) {
            ids.remove(first, last);
        }
        ids
    }

    /// Returns whether any id from `first` to `last` is done.
    pub(crate) fn touches(&self, first: u64, last: u64) -> bool {
        first <= self.through || self.beyond.overlaps(first, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_moves_over_what_was_acked_out_of_order() {
        let mut acks = Acks::default();
        acks.insert(4, 6);
        assert_eq!((acks.through(), acks.beyond().len()), (0, 1));
        acks.insert(1, 2);
        assert_eq!(acks.through(), 2);
        acks.insert(3, 3);
        assert_eq!((acks.through(), acks.beyond().len()), (6, 0));
        acks.insert(2, 5);
        assert_eq!(acks.through(), 6);
    }

    #[test]
    fn covering_looks_at_both_parts() {
        let acks = Acks::new(5, [(8, 9)]);
        assert!(acks.covers(1, 5) && acks.covers(8, 9));
        assert!(!acks.covers(5, 8) && !acks.contains(6));
        assert!(acks.touches(5, 7) && acks.touches(6, 8) && !acks.touches(6, 7));
    }

    #[test]
    fn what_is_open_lies_between_what_is_done() {
        let acks = Acks::new(5, [(8, 9), (20, 30)]);
        assert_eq!(acks.last(), 30);
        assert_eq!(
            [1, 6, 8, 10, 25].map(|id| acks.first_open(id)),
            [6, 6, 10, 10, 31]
        );
        assert_eq!(
            [40, 25, 19, 9, 5].map(|id| acks.last_open(id)),
            [Some(40), Some(19), Some(19), Some(7), None]
        );
    }
}
