//! The hash of the Java client.

/// Murmur2, 32 bits, with the seed of Kafka's Java client
/// (`org.apache.kafka.common.utils.Utils.murmur2`, which returns the same bits as a signed number).
///
/// ```
/// assert_eq!(wolff_partitioner::murmur2(b"21"), 0xc5f2_f8ec);
/// ```
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a Kafka key is shorter than 2 GiB, and the hash takes the length modulo 2^32"
    )]
    let length = key.len() as u32;

    let (words, tail) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        for (position, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * position);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}
