//! The calls that came to their end, by number.

use std::collections::BTreeMap;

/// Finished calls. Most finish in the order in which they were accepted; those that the local queue
/// refused, or that were routed to different partitions, do not.
#[derive(Debug, Default)]
pub(crate) struct FinishedCalls {
    /// Every call before this one is finished.
    prefix: u64,
    /// Ranges behind the prefix: first call and count. They do not touch the prefix.
    ahead: BTreeMap<u64, u64>,
}

impl FinishedCalls {
    /// Number of the first call that is not finished.
    pub(crate) fn first_unfinished(&self) -> u64 {
        self.prefix
    }

    /// So many calls after the finished ones are finished.
    pub(crate) fn finish_next(&mut self, calls: u64) {
        self.finish(self.prefix, calls);
    }

    /// The calls from this one on are finished.
    pub(crate) fn finish(&mut self, first: u64, calls: u64) {
        if calls == 0 {
            return;
        }
        if first > self.prefix {
            self.join(first, calls);
            return;
        }
        self.prefix = self.prefix.max(first.saturating_add(calls));
        while let Some(range) = self.ahead.first_entry()
            && *range.key() <= self.prefix
        {
            let (first, calls) = range.remove_entry();
            self.prefix = self.prefix.max(first.saturating_add(calls));
        }
    }

    /// Adds a range, to the one before it where they touch.
    fn join(&mut self, first: u64, calls: u64) {
        if let Some((start, count)) = self.ahead.range_mut(..first).next_back()
            && start.saturating_add(*count) == first
        {
            *count = count.saturating_add(calls);
            return;
        }
        self.ahead.insert(first, calls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_finish_ahead_count_once_those_before_them_have_finished() {
        let mut finished = FinishedCalls::default();
        finished.finish_next(2);
        finished.finish(5, 2);
        finished.finish(7, 1);
        assert_eq!(finished.first_unfinished(), 2);
        assert_eq!(finished.ahead.len(), 1, "ranges that touch are one");
        finished.finish(10, 5);
        finished.finish_next(3);
        assert_eq!(finished.first_unfinished(), 8);
        finished.finish_next(2);
        assert_eq!(finished.first_unfinished(), 15);
        assert!(finished.ahead.is_empty());
    }
}
