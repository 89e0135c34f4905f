//! Which items are done: everything up to a point that only moves forward, and ranges behind it.

use crate::ranges::RangeSet;

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

    /// Whether all ids from `first` to `last` are done.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        last <= self.through
            || first > last
            || self
                .beyond
                .covers(first.max(self.through.saturating_add(1)), last)
    }

    /// Whether any id from `first` to `last` is done.
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
}
