//! Random choice, from randomness that the caller brings.

use std::num::NonZeroU32;

/// The partition that `random`, uniform over all its values, stands for. Each partition gets an
/// equal share, to within 2^-32 of it.
pub(crate) fn partition_of(random: u64, partition_count: NonZeroU32) -> u32 {
    let scaled = (u128::from(random) * u128::from(partition_count.get())) >> 64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction below one of the count is below the count"
    )]
    let partition = scaled as u32;
    partition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_randomness_is_cut_into_equal_parts() {
        let three = NonZeroU32::new(3).unwrap();
        assert_eq!(partition_of(0, three), 0);
        assert_eq!(partition_of(u64::MAX / 3, three), 0);
        assert_eq!(partition_of(u64::MAX / 3 + 1, three), 1);
        assert_eq!(partition_of(u64::MAX, three), 2);
    }
}
