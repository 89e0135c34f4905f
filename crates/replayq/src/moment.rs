//! Times of acceptance, and how an entry holds its own in 24 bits.

use std::time::{Duration, SystemTime};

/// Milliseconds since the beginning of 1970 by the system's clock, which may be set back.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug, Default)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The time is not known.
    pub(crate) const UNKNOWN: Self = Self(0);

    /// So long after the beginning of 1970.
    pub(crate) fn since_epoch(time: Duration) -> Self {
        Self(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// As it is in a file.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether it is less than that after `start`; also where the clock was set back.
    pub(crate) fn is_within(self, time: Duration, start: Self) -> bool {
        u128::from(self.0.saturating_sub(start.0)) < time.as_millis()
    }

    /// The time since an earlier moment; zero where the clock was set back.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn system_time(self) -> Option<SystemTime> {
        if self == Self::UNKNOWN {
            return None;
        }
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.0))
    }

    /// This time as an entry of a segment made at `start` encodes it; zero where it is before that.
    pub(crate) const fn after(self, start: Self) -> Elapsed {
        Elapsed::of(self.0.saturating_sub(start.0))
    }

    /// The time that an entry of a segment made at this one names.
    pub(crate) fn plus(self, elapsed: Elapsed) -> Self {
        if self == Self::UNKNOWN {
            self
        } else {
            Self(self.0.saturating_add(elapsed.milliseconds()))
        }
    }
}

/// Milliseconds in 24 bits: 19 of a number, and 5 that say by how many bits it is shifted. Exact
/// below 524 seconds, beyond with an error below one part in 262,144.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Elapsed(u32);

const NUMBER_BITS: u32 = 19;
const MOST_SHIFT: u32 = 31;

impl Elapsed {
    /// No time.
    pub(crate) const ZERO: Self = Self(0);

    const fn of(milliseconds: u64) -> Self {
        let shift = u64::BITS
            .saturating_sub(milliseconds.leading_zeros())
            .saturating_sub(NUMBER_BITS);
        if shift > MOST_SHIFT {
            return Self((1 << 24) - 1);
        }
        let [a, b, c, _, ..] = (milliseconds >> shift).to_le_bytes();
        Self(shift << NUMBER_BITS | u32::from_le_bytes([a, b, c, 0]))
    }

    const fn milliseconds(self) -> u64 {
        let [a, b, c, _] = (self.0 & ((1 << NUMBER_BITS) - 1)).to_le_bytes();
        u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]) << (self.0 >> NUMBER_BITS)
    }

    /// From the lowest 24 bits.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << 24) - 1))
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_exact_within_minutes_and_to_a_part_in_a_quarter_million_after_years() {
        let start = Moment::since_epoch(Duration::from_secs(1_700_000_000));
        for milliseconds in (0..2000)
            .chain([524_286, 524_287, 524_288, 1 << 30, 1 << 40, (1 << 50) - 1])
            .chain((0..50).map(|bit| (1_u64 << bit) + 1))
        {
            let moment = Moment(start.0 + milliseconds);
            let elapsed = Elapsed::from_bits(moment.after(start).bits());
            let error = moment.0 - start.plus(elapsed).0;
            let bound = if milliseconds < 1 << 19 {
                0
            } else {
                milliseconds >> 18
            };
            assert!(error <= bound, "{milliseconds}: {error}");
        }
        assert_eq!(start.plus(Moment(5).after(start)), start);
        assert_eq!(Moment::UNKNOWN.plus(Elapsed::of(7)), Moment::UNKNOWN);
        assert_eq!(Moment(u64::MAX).after(start).bits(), (1 << 24) - 1);
        assert_eq!(Moment::UNKNOWN.system_time(), None);
    }
}
