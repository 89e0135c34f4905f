//! The strategies as one, and the handle that carries one out.

use crate::call::{CallView, TopicView};
use crate::error::ChooseError;
use crate::keyed::{KeyHash, Keyless};
use crate::random;
use crate::round_robin::Cursor;
use crate::sticky::{Next, Stuck};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A caller's own way to choose: gets the call and the topic, which has at least one partition, and
/// returns the partition.
pub type ChoosePartition = dyn Fn(&dyn CallView, &dyn TopicView) -> i32 + Send + Sync;

/// Choice of a call's partition.
/// The default is [`Strategy::MURMUR2`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Strategy {
    /// Any partition, chosen anew for each call; keys don't matter. Erlang's wolff does so by
    /// default.
    Random,
    /// One after the other, from 0; keys don't matter.
    RoundRobin,
    /// Always this one.
    Fixed(i32),
    /// By the key of the call's first record.
    Keyed {
        /// Which client's way.
        hash: KeyHash,
        /// Strategy for calls without a key.
        keyless: Keyless,
    },
    /// The caller's own function.
    Custom(Arc<ChoosePartition>),
}

impl Strategy {
    /// As the Java client chooses for records with a key; the others go to a random partition, anew
    /// for each call.
    ///
    /// The Java client keeps records without a key on one partition until a batch is full:
    /// [`ADAPTIVE`](Self::ADAPTIVE) does so.
    pub const MURMUR2: Self = Self::Keyed {
        hash: KeyHash::Murmur2,
        keyless: Keyless::Random,
    };

    /// As the Java client chooses since version 3.3: by key as [`MURMUR2`](Self::MURMUR2); without
    /// a key one partition for 16 KiB, then another, the less the more waits for it.
    pub const ADAPTIVE: Self = Self::Keyed {
        hash: KeyHash::Murmur2,
        keyless: Keyless::Adaptive(JAVA_BATCH_BYTES),
    };

    /// As the Java client chose from version 2.4 to 3.2: by key as [`MURMUR2`](Self::MURMUR2);
    /// without a key one partition for 16 KiB, then any other.
    pub const STICKY: Self = Self::Keyed {
        hash: KeyHash::Murmur2,
        keyless: Keyless::Sticky(JAVA_BATCH_BYTES),
    };

    /// As librdkafka chooses by default (`consistent_random`).
    pub const CONSISTENT_RANDOM: Self = Self::Keyed {
        hash: KeyHash::Crc32,
        keyless: Keyless::Random,
    };

    /// As sarama's hash partitioner chooses.
    pub const FNV1A: Self = Self::Keyed {
        hash: KeyHash::Fnv1a,
        keyless: Keyless::Random,
    };

    /// As Erlang's wolff chooses by `first_key_dispatch`.
    pub const FIRST_KEY_DISPATCH: Self = Self::Keyed {
        hash: KeyHash::Phash2,
        keyless: Keyless::AsEmptyKey,
    };

    /// The caller's own function of a call and a topic. It should be quick: it runs once per call,
    /// in the thread of the caller.
    ///
    /// ```
    /// use wolff_partitioner::{Partitioner, Strategy};
    ///
    /// let vips_first = Strategy::custom(|call, _| i32::from(call.key() != Some(b"vip")));
    /// assert_eq!(Partitioner::new(vips_first).choose(Some(b"vip"), 3, 0), Ok(0));
    /// ```
    pub fn custom(
        choose: impl Fn(&dyn CallView, &dyn TopicView) -> i32 + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Arc::new(choose))
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::MURMUR2
    }
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("Random"),
            Self::RoundRobin => f.write_str("RoundRobin"),
            Self::Fixed(partition) => f.debug_tuple("Fixed").field(partition).finish(),
            Self::Keyed { hash, keyless } => f
                .debug_struct("Keyed")
                .field("hash", hash)
                .field("keyless", keyless)
                .finish(),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

const JAVA_BATCH_BYTES: NonZeroU32 = NonZeroU32::new(16 * 1024).unwrap();

/// Carries out a [`Strategy`] for one producer. Threads share it, and with it the turn of round
/// robin and the partition that is stuck to.
#[derive(Debug, Default)]
pub struct Partitioner {
    strategy: Strategy,
    cursor: Cursor,
    stuck: Stuck,
}

impl Partitioner {
    /// A partitioner of its own: its round robin begins at 0, whatever others do.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            cursor: Cursor::default(),
            stuck: Stuck::default(),
        }
    }

    /// The strategy it carries out.
    #[must_use]
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Chooses the partition of one call, from 0 to `partition_count` − 1.
    ///
    /// `call` is the call, or just the key of its first record; an empty key differs from none.
    /// `topic` is the topic, or just its partition count. `random` is uniformly distributed over
    /// all of `u64` and fresh for each call; only a random choice looks at it.
    ///
    /// # Errors [`ChooseError::NoPartitions`] when the count is 0; [`ChooseError::OutOfRange`] when
    /// a fixed partition or the result of a custom function does not exist.
    #[inline]
    pub fn choose(
        &self,
        call: impl CallView,
        topic: impl TopicView,
        random: u64,
    ) -> Result<u32, ChooseError> {
        let count = NonZeroU32::new(topic.partition_count()).ok_or(ChooseError::NoPartitions)?;
        match &self.strategy {
            Strategy::Random => Ok(random::partition_of(random, count)),
            Strategy::RoundRobin => Ok(self.cursor.advance(count)),
            Strategy::Fixed(partition) => in_range(*partition, count),
            Strategy::Keyed { hash, keyless } => Ok(match call.key() {
                Some(key) => hash.partition_of(key, count),
                None => match keyless {
                    Keyless::Random => random::partition_of(random, count),
                    Keyless::AsEmptyKey => hash.partition_of(&[], count),
                    Keyless::Sticky(bytes) => {
                        self.stick(&call, &topic, (*bytes, Next::Uniform), count, random)
                    }
                    Keyless::Adaptive(bytes) => {
                        self.stick(&call, &topic, (*bytes, Next::ByLoad), count, random)
                    }
                },
            }),
            Strategy::Custom(choose) => in_range(choose(&call, &topic), count),
        }
    }

    fn stick(
        &self,
        call: &impl CallView,
        topic: &impl TopicView,
        (batch_bytes, next): (NonZeroU32, Next),
        count: NonZeroU32,
        random: u64,
    ) -> u32 {
        self.stuck
            .choose(call.bytes(), batch_bytes, next, topic, count, random)
    }
}

fn in_range(partition: i32, partition_count: NonZeroU32) -> Result<u32, ChooseError> {
    u32::try_from(partition)
        .ok()
        .filter(|partition| *partition < partition_count.get())
        .ok_or(ChooseError::OutOfRange {
            partition,
            partition_count: partition_count.get(),
        })
}
