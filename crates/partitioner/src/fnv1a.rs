//! The hash of sarama.

/// FNV-1a, 32 bits, by Fowler, Noll and Vo (IETF draft-eastlake-fnv).
///
/// ```
/// assert_eq!(wolff_partitioner::fnv1a(b"foobar"), 0xbf9c_f968);
/// ```
#[must_use]
pub fn fnv1a(key: &[u8]) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    key.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(PRIME)
    })
}
