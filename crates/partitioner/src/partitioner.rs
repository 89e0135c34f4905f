//! The strategies as one, and the handle that carries one out.

use crate::error::ChooseError;
use crate::keyed::{KeyHash, Keyless};
use crate::random;
use crate::round_robin::Cursor;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A caller's own way to choose: gets the key of a call's first record and the count of partitions, which is at least 1,
/// and returns the partition.
pub type ChoosePartition = dyn Fn(Option<&[u8]>, u32) -> i32 + Send + Sync;

/// How the partition of a call is chosen.
/// The default is [`Strategy::MURMUR2`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Strategy {
    /// Any partition, chosen anew for each call; keys don't matter. Erlang's wolff does so by default.
    Random,
    /// One after the other, from 0; keys don't matter.
    RoundRobin,
    /// Always this one.
    Fixed(i32),
    /// By the key of the call's first record.
    Keyed {
        /// Which client's way.
        hash: KeyHash,
        /// What to do without a key.
        keyless: Keyless,
    },
    /// The caller's own function.
    Custom(Arc<ChoosePartition>),
}

impl Strategy {
    /// As the Java client chooses for records with a key; the others go to a random partition, anew for each call.
    ///
    /// The Java client keeps records without a key on one partition until a batch is full. Here batching is not the
    /// partitioner's business, so there is nothing to stick to.
    pub const MURMUR2: Self = Self::Keyed {
        hash: KeyHash::Murmur2,
        keyless: Keyless::Random,
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

    /// The caller's own function of key and partition count.
    ///
    /// ```
    /// use wolff_partitioner::{Partitioner, Strategy};
    ///
    /// let vips_first = Strategy::custom(|key, _count| if key == Some(b"vip") { 0 } else { 1 });
    /// assert_eq!(Partitioner::new(vips_first).choose(Some(b"vip"), 3, 0), Ok(0));
    /// ```
    pub fn custom(choose: impl Fn(Option<&[u8]>, u32) -> i32 + Send + Sync + 'static) -> Self {
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

/// Carries out a [`Strategy`] for one producer. Threads share it; only round robin has anything to share.
#[derive(Debug, Default)]
pub struct Partitioner {
    strategy: Strategy,
    cursor: Cursor,
}

impl Partitioner {
    /// A partitioner of its own: its round robin begins at 0, whatever others do.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            cursor: Cursor::default(),
        }
    }

    /// The strategy it carries out.
    #[must_use]
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Chooses the partition of one call, from 0 to `partition_count` − 1.
    ///
    /// `key` is the key of the call's first record; an empty key differs from none. `random` is uniformly distributed
    /// over all of `u64` and fresh for each call; only a random choice looks at it.
    ///
    /// # Errors
    /// [`ChooseError::NoPartitions`] when the count is 0; [`ChooseError::OutOfRange`] when a fixed partition or the result
    /// of a custom function does not exist.
    pub fn choose(
        &self,
        key: Option<&[u8]>,
        partition_count: u32,
        random: u64,
    ) -> Result<u32, ChooseError> {
        let count = NonZeroU32::new(partition_count).ok_or(ChooseError::NoPartitions)?;
        match (&self.strategy, key) {
            (Strategy::Random, _) => Ok(random::partition_of(random, count)),
            (Strategy::RoundRobin, _) => Ok(self.cursor.advance(count)),
            (Strategy::Fixed(partition), _) => in_range(*partition, count),
            (Strategy::Keyed { hash, .. }, Some(key)) => Ok(hash.partition_of(key, count)),
            (Strategy::Keyed { hash, keyless }, None) => Ok(match keyless {
                Keyless::Random => random::partition_of(random, count),
                Keyless::AsEmptyKey => hash.partition_of(&[], count),
            }),
            (Strategy::Custom(choose), key) => in_range(choose(key, partition_count), count),
        }
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
