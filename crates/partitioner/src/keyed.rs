//! Choice by key: which hash, how it becomes a partition, and what happens without a key.

use crate::crc32::crc32;
use crate::fnv1a::fnv1a;
use crate::murmur2::murmur2;
use crate::phash2::phash2;
use std::num::NonZeroU32;

/// Which client's way from key to partition. Keys that meet in one partition there meet in the same
/// one here.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyHash {
    /// The Java client's, and librdkafka's `murmur2` and `murmur2_random`: the hash without its
    /// sign bit, modulo the count.
    #[default]
    Murmur2,
    /// librdkafka's `consistent` and `consistent_random`: CRC-32 modulo the count.
    Crc32,
    /// sarama's hash partitioner, and librdkafka's `fnv1a`: the hash as a signed number, remainder,
    /// without its sign.
    Fnv1a,
    /// Erlang wolff's `first_key_dispatch`: `erlang:phash2(Key) rem Count`.
    Phash2,
}

impl KeyHash {
    /// The partition of this key.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use wolff_partitioner::KeyHash;
    ///
    /// assert_eq!(KeyHash::Murmur2.partition_of(b"customer-17", NonZeroU32::MIN), 0);
    /// ```
    #[must_use]
    pub fn partition_of(self, key: &[u8], partition_count: NonZeroU32) -> u32 {
        let number = match self {
            Self::Murmur2 => murmur2(key) & (u32::MAX >> 1),
            Self::Crc32 => crc32(key),
            Self::Fnv1a => fnv1a(key).cast_signed().unsigned_abs(),
            Self::Phash2 => phash2(key),
        };
        number % partition_count
    }
}

/// Where records without a key go when the choice is by key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Keyless {
    /// To any partition, chosen anew for each call. An empty key is a key: only its absence counts.
    #[default]
    Random,
    /// To the partition of the empty key: Erlang's wolff, and librdkafka's `consistent`, `murmur2`
    /// and `fnv1a`.
    AsEmptyKey,
    /// To one available partition until it was given so many bytes, then to another, each alike
    /// (KIP-480): fuller batches where there are many partitions and few records. A good value is
    /// the size of a batch; 16 KiB is the Java client's.
    Sticky(NonZeroU32),
    /// As [`Sticky`](Self::Sticky), where partitions for which little waits are chosen more often
    /// (KIP-794, the Java client's choice since 3.3): a slow broker gets less.
    Adaptive(NonZeroU32),
}
