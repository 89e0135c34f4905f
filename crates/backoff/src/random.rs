//! A seeded source of random numbers, for jitter and for spreading load; never for secrets.

/// SplitMix64 (Steele, Lea and Flood 2014): eight bytes of state, good enough to spread things,
/// reproducible by its seed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence that belongs to `seed`.
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence that differs in every process and at every call, from the seed that the standard
    /// library draws for its maps.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a seed comes from the environment"
    )]
    pub fn from_process() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self::from_seed(RandomState::new().hash_one(()))
    }

    /// Another sequence, which this one decides.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.next_u64())
    }

    /// The next number, uniform over all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`; 0 if `bound` is 0. Each has an equal share, to within
    /// `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = u128::from(self.next_u64()) * u128::from(bound);
        // The upper half of a product of two 64-bit numbers.
        u64::try_from(scaled >> 64).unwrap_or(u64::MAX)
    }

    /// The next number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        fraction(self.next_u64())
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(last);
            items.swap(last, other);
        }
    }
}

/// The upper 53 bits as a fraction in `0.0..1.0`, which `f64` holds exactly.
pub(crate) fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seed_gives_the_published_numbers() {
        // Of the reference implementation, by Sebastiano Vigna.
        let mut random = Random::from_seed(1_234_567);
        let numbers = [(); 5].map(|()| random.next_u64());
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn sequences_of_processes_and_forks_differ() {
        assert_ne!(Random::from_process(), Random::from_process());
        let mut random = Random::from_seed(7);
        let mut fork = random.fork();
        assert_ne!(fork.next_u64(), random.next_u64());
        assert_eq!(Random::from_seed(7).fork(), Random::from_seed(7).fork());
    }

    #[test]
    fn shuffling_keeps_every_item_and_reaches_every_order() {
        let mut random = Random::from_seed(1);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            random.shuffle(&mut items);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 6);
    }

    proptest! {
        #[test]
        fn numbers_stay_below_their_bound(seed: u64, bound: u64) {
            let mut random = Random::from_seed(seed);
            let number = random.below(bound);
            prop_assert!(number < bound || bound == 0 && number == 0);
            prop_assert!((0.0..1.0).contains(&random.fraction()));
        }
    }
}
