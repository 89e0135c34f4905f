//! A seeded source of random numbers, for jitter and for spreading load; never for secrets.

/// SplitMix64: eight bytes of state, good enough to spread things, reproducible by its seed.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence that belongs to `seed`.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence nobody can predict, from the seed that the standard library draws for its maps.
    pub(crate) fn from_process() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self::from_seed(RandomState::new().hash_one(()))
    }

    /// Another sequence, which this one decides.
    pub(crate) fn fork(&mut self) -> Self {
        Self::from_seed(self.next())
    }

    /// The next number, uniform over all of `u64`.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Puts `items` into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let range = last as u64 + 1;
            // Below `range`, so it fits; the tiny modulo bias does not matter for spreading load.
            let other = usize::try_from(self.next() % range).unwrap_or(last);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (mut one, mut two) = (Random::from_seed(7), Random::from_seed(7));
        assert_eq!(one.next(), two.next());
        assert_ne!(one.next(), Random::from_seed(8).next());
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
}
