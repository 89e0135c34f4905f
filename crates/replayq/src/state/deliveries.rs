//! Release counts of items in this run: a range costs little, however many items it has.

use std::collections::BTreeMap;

/// Release counts of items that are not done, by ranges of their ids that do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// By its first id, the last id of a range, and how often its items were released.
    released: BTreeMap<u64, (u64, u32)>,
}

impl Deliveries {
    /// The items from `first` to `last` were released.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        self.split(first);
        if let Some(after) = last.checked_add(1) {
            self.split(after);
        }
        let mut next = Some(first);
        while let Some(from) = next.filter(|from| *from <= last) {
            let found = self.released.range(from..=last).next();
            let found = found.map(|(start, (end, count))| (*start, *end, *count));
            let gap_end = found.map_or(last, |(start, ..)| start.saturating_sub(1));
            if found.is_none_or(|(start, ..)| from < start) {
                self.released.insert(from, (gap_end, 1));
            }
            let Some((start, end, count)) = found else {
                break;
            };
            self.released.insert(start, (end, count.saturating_add(1)));
            next = end.checked_add(1);
        }
    }

    /// The items from `first` to `last` are done.
    #[inline]
    pub(crate) fn forget(&mut self, first: u64, last: u64) {
        if !self.released.is_empty() && first <= last {
            self.forget_some(first, last);
        }
    }

    fn forget_some(&mut self, first: u64, last: u64) {
        self.split(first);
        if let Some(after) = last.checked_add(1) {
            self.split(after);
        }
        while let Some((start, _)) = self.released.range(first..=last).next() {
            let start = *start;
            self.released.remove(&start);
        }
    }

    /// The number of times the item was released.
    pub(crate) fn released(&self, id: u64) -> u32 {
        let before = self.released.range(..=id).next_back();
        before.map_or(0, |(_, (end, count))| if id <= *end { *count } else { 0 })
    }

    /// The number of ranges that are kept.
    #[cfg(test)]
    #[cfg(not(shuttle))]
    pub(crate) fn ranges(&self) -> usize {
        self.released.len()
    }

    /// Lets a range begin at the id, where one reaches over it.
    fn split(&mut self, id: u64) {
        if let Some((_, (end, count))) = self.released.range_mut(..id).next_back()
            && *end >= id
        {
            let rest = (*end, *count);
            *end = id.saturating_sub(1);
            self.released.insert(id, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_as_one_counter_for_each_item(operations in proptest::collection::vec((any::<bool>(), 0_usize..40, 0_usize..10), 0..40)) {
            let mut deliveries = Deliveries::default();
            let mut counts = [0_u32; 60];
            for (is_release, first, span) in operations {
                let last = first + span;
                let items = &mut counts[first..=last];
                let (first, last) = (first as u64, last as u64);
                if is_release {
                    deliveries.add(first, last);
                    items.iter_mut().for_each(|count| *count += 1);
                } else {
                    deliveries.forget(first, last);
                    items.fill(0);
                }
                for (id, count) in (0..).zip(&counts) {
                    prop_assert_eq!(deliveries.released(id), *count);
                }
            }
        }
    }
}
