//! Random numbers of a scenario, from its seed.

use std::ops::Range;

/// Returns how many rounds are wanted, where the environment says so.
pub(crate) fn rounds(usual: u64) -> u64 {
    number("WOLFF_ROUNDS").unwrap_or(usual)
}

/// Draws by splitmix64.
pub(crate) struct Random(u64);

impl Random {
    /// From the seed that the environment names.
    pub(crate) fn of_seed() -> Self {
        Self(number("WOLFF_SEED").unwrap_or(1))
    }

    /// A number of this range.
    pub(crate) fn draw(&mut self, range: Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        range.start + mixed % (range.end - range.start)
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
