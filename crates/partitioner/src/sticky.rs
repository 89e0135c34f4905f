//! One partition until a batch is full, then another: KIP-480 and KIP-794.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::call::{Load, TopicView};
use crate::random;

/// Choice of the next partition once a batch is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Each available partition alike (KIP-480).
    Uniform,
    /// Available partitions, by how little waits for them (KIP-794).
    ByLoad,
}

/// The partition that is stuck to, and what it was given. Shared by all threads that use one
/// partitioner.
///
/// One word, so that a call is either counted for the partition that it goes to, or switches: in
/// the upper half the partition plus one (0: none yet), in the lower half the bytes given to it.
#[derive(Debug, Default)]
pub(crate) struct Stuck(AtomicU64);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Place {
    partition: u32,
    bytes: u32,
}

impl Place {
    fn unpack(word: u64) -> Option<Self> {
        let partition = (word >> 32).checked_sub(1)?;
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
        let place = Self {
            partition: partition as u32,
            bytes: word as u32,
        };
        Some(place)
    }

    fn pack(self) -> u64 {
        ((u64::from(self.partition) + 1) << 32) | u64::from(self.bytes)
    }
}

impl Stuck {
    /// The partition of a call of `bytes`: the one before until it was given `batch_bytes`, then
    /// the next one. A call counts as one byte at least.
    pub(crate) fn choose(
        &self,
        bytes: u64,
        batch_bytes: NonZeroU32,
        next: Next,
        topic: &(impl TopicView + ?Sized),
        count: NonZeroU32,
        random: u64,
    ) -> u32 {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        // Nothing else is published through the word, so no ordering is needed.
        let mut word = self.0.load(Ordering::Relaxed);
        let mut fresh = None;
        loop {
            let place = match Place::unpack(word) {
                Some(stuck) if stuck.partition < count.get() && stuck.bytes < batch_bytes.get() => {
                    Place {
                        partition: stuck.partition,
                        bytes: stuck.bytes.saturating_add(bytes),
                    }
                }
                _ => Place {
                    partition: *fresh.get_or_insert_with(|| next.partition(topic, count, random)),
                    bytes,
                },
            };
            let exchanged = self.0.compare_exchange_weak(
                word,
                place.pack(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return place.partition,
                Err(changed) => word = changed,
            }
        }
    }
}

impl Next {
    /// A random partition among those that are available, or among all where none is. By load, this
    /// looks at each partition twice.
    fn partition(self, topic: &(impl TopicView + ?Sized), count: NonZeroU32, random: u64) -> u32 {
        let any = random::partition_of(random, count);
        // The common case, whatever the count. Where it is not available, the others share what
        // would have been its part alike.
        if self == Self::Uniform && topic.load(any).is_available {
            return any;
        }
        let available = || {
            let loads = (0..count.get()).map(|partition| (partition, topic.load(partition)));
            loads.filter(|(_, load)| load.is_available)
        };
        let (mut number, mut most, mut sum) = (0_u32, 0_u64, 0_u128);
        for (_, load) in available() {
            number += 1;
            most = most.max(load.waiting_bytes);
            sum += u128::from(load.waiting_bytes);
        }
        let weight = |load: Load| match self {
            Self::Uniform => 1,
            // What waits may have become more since.
            Self::ByLoad => u128::from(most.saturating_sub(load.waiting_bytes)) + 1,
        };
        let total = match self {
            Self::Uniform => u128::from(number),
            Self::ByLoad => u128::from(number) * (u128::from(most) + 1) - sum,
        };
        // The lower half: the upper one has chosen what is not available.
        let mut target = scaled(random.rotate_left(32), total);
        let mut last = any;
        for (partition, load) in available() {
            let weight = weight(load);
            if target < weight {
                return partition;
            }
            target -= weight;
            last = partition;
        }
        last
    }
}

/// The part of `total`, which is below 2^97, that `random` is of 2^64.
fn scaled(random: u64, total: u128) -> u128 {
    let (high, low) = (total >> 32, total & u128::from(u32::MAX));
    let random = u128::from(random);
    // 2^65 * 2^64 would not fit, so the lower half of `random` is left out there.
    ((high * (random >> 32)) + ((low * random) >> 64)).min(total.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Topic(Vec<(u64, bool)>);

    impl TopicView for Topic {
        fn partition_count(&self) -> u32 {
            u32::try_from(self.0.len()).unwrap()
        }

        fn load(&self, partition: u32) -> Load {
            let (waiting_bytes, is_available) = self.0[partition as usize];
            Load {
                waiting_bytes,
                is_available,
            }
        }
    }

    const COUNT: NonZeroU32 = NonZeroU32::new(4).unwrap();

    fn shares(topic: &Topic, next: Next) -> [u32; 4] {
        let count = NonZeroU32::new(topic.partition_count()).unwrap();
        let mut shares = [0; 4];
        let steps = 1_u64 << 12;
        for step in 0..steps {
            // Steps of the golden ratio: spread evenly, and the same in every run.
            let random = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            shares[next.partition(topic, count, random) as usize] += 1;
        }
        shares
    }

    #[test]
    fn a_partition_is_kept_until_a_batch_is_full() {
        let stuck = Stuck::default();
        let batch = NonZeroU32::new(100).unwrap();
        let chosen =
            |bytes, random| stuck.choose(bytes, batch, Next::Uniform, &4_u32, COUNT, random);
        assert_eq!(chosen(60, 0), 0);
        assert_eq!(chosen(39, u64::MAX), 0);
        // 99 bytes: the batch has room, and this call fills it.
        assert_eq!(chosen(500, u64::MAX), 0);
        assert_eq!(chosen(1, u64::MAX), 3);
        assert_eq!(chosen(1, 0), 3);
    }

    #[test]
    fn calls_without_bytes_switch_too() {
        let stuck = Stuck::default();
        let batch = NonZeroU32::new(2).unwrap();
        let randoms = [0, u64::MAX, u64::MAX, 0];
        let chosen =
            randoms.map(|random| stuck.choose(0, batch, Next::Uniform, &4_u32, COUNT, random));
        assert_eq!(chosen, [0, 0, 3, 3]);
    }

    #[test]
    fn a_partition_that_is_gone_is_left_at_once() {
        let stuck = Stuck::default();
        let batch = NonZeroU32::MAX;
        assert_eq!(
            stuck.choose(1, batch, Next::Uniform, &4_u32, COUNT, u64::MAX),
            3
        );
        let two = NonZeroU32::new(2).unwrap();
        assert_eq!(
            stuck.choose(1, batch, Next::Uniform, &2_u32, two, u64::MAX),
            1
        );
    }

    #[test]
    fn what_cannot_be_sent_to_is_avoided() {
        let topic = Topic(vec![(0, false), (0, true), (0, false), (0, true)]);
        for next in [Next::Uniform, Next::ByLoad] {
            let [gone, one, too, other] = shares(&topic, next);
            assert_eq!((gone, too, one + other), (0, 0, 4_096), "{next:?}");
            assert!(one.abs_diff(other) <= 300, "{next:?}: {one} {other}");
        }
        let none = Topic(vec![(0, false); 4]);
        assert!(shares(&none, Next::ByLoad).iter().all(|share| *share > 900));
    }

    #[test]
    fn a_loaded_partition_gets_less() {
        let topic = Topic(vec![(0, true), (300, true), (100, true), (u64::MAX, false)]);
        let [idle, full, some, gone] = shares(&topic, Next::ByLoad);
        assert!(
            idle > some && some > full && full > 0,
            "{idle} {some} {full}"
        );
        assert_eq!(gone, 0);
        assert_eq!(shares(&topic, Next::Uniform)[3], 0);
    }

    #[test]
    fn the_largest_loads_do_not_overflow() {
        let mut loads = vec![(0, true); 3];
        loads.push((u64::MAX, true));
        let shares = shares(&Topic(loads), Next::ByLoad);
        assert!(
            shares[3] <= 1 && shares[..3].iter().all(|share| *share > 1_300),
            "{shares:?}"
        );
        let most = (1 << 97) - 1;
        let reached = scaled(u64::MAX, most);
        assert!(
            reached < most && reached > most - (most >> 30),
            "{reached:x}"
        );
        assert_eq!(scaled(u64::MAX, 1), 0);
        assert_eq!(scaled(0, 1 << 90), 0);
    }
}
