//! One partition after the other.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// The partition to take next. Shared by all threads that use one partitioner.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    next: AtomicU32,
}

impl Cursor {
    /// The next partition, beginning with 0. When the count has shrunk below the cursor, it begins
    /// again.
    pub(crate) fn advance(&self, partition_count: NonZeroU32) -> u32 {
        let count = partition_count.get();
        let after = |partition: u32| {
            if partition < count - 1 {
                partition + 1
            } else {
                0
            }
        };
        let step = |next: u32| Some(after(if next < count { next } else { 0 }));
        // Nothing else is published through the cursor, so no ordering is needed.
        match self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        {
            Ok(next) | Err(next) if next < count => next,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(cursor: &Cursor, count: u32, times: usize) -> Vec<u32> {
        let count = NonZeroU32::new(count).unwrap();
        (0..times).map(|_| cursor.advance(count)).collect()
    }

    #[test]
    fn partitions_come_in_turn_from_zero() {
        assert_eq!(take(&Cursor::default(), 3, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(take(&Cursor::default(), 1, 3), [0, 0, 0]);
    }

    #[test]
    fn new_partitions_join_the_turn_at_once() {
        let cursor = Cursor::default();
        assert_eq!(take(&cursor, 2, 3), [0, 1, 0]);
        assert_eq!(take(&cursor, 4, 5), [1, 2, 3, 0, 1]);
    }

    #[test]
    fn a_shrunk_topic_begins_again() {
        let cursor = Cursor::default();
        assert_eq!(take(&cursor, 5, 4), [0, 1, 2, 3]);
        assert_eq!(take(&cursor, 2, 4), [0, 1, 0, 1]);
    }
}
