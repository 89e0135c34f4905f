//! When a piece may leave: latency, jitter and bandwidth, computed. Nothing here waits.

use std::time::Duration;

use tokio::time::Instant;
use wolff_backoff::Random;

use super::conditions::Conditions;

/// With a limited bandwidth, how often something leaves in a second, at least.
const PIECES_PER_SECOND: u64 = 100;

/// The clock of one direction of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    random: Random,
    /// When the line has carried what was given to it so far.
    is_free_at: Option<Instant>,
}

impl Pace {
    /// The same seed makes the same jitter.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::from_seed(seed),
            is_free_at: None,
        }
    }

    /// When a piece that arrives now may leave at the earliest.
    pub(super) fn due(&mut self, now: Instant, conditions: &Conditions) -> Instant {
        let jitter = conditions.jitter.mul_f64(self.random.fraction());
        now + conditions.latency + jitter
    }

    /// Number of so many bytes that may be written at once.
    pub(super) fn piece_bytes(len: usize, conditions: &Conditions) -> usize {
        let slice = conditions.slice_bytes.unwrap_or(usize::MAX);
        let share = conditions
            .bytes_per_second
            .map_or(usize::MAX, |bytes| {
                usize::try_from(bytes / PIECES_PER_SECOND).unwrap_or(usize::MAX)
            })
            .max(1);
        len.min(slice).min(share)
    }

    /// Counts bytes that are about to be written; returns when that may be.
    pub(super) fn book(&mut self, now: Instant, bytes: usize, conditions: &Conditions) -> Instant {
        let start = self.is_free_at.map_or(now, |free_at| free_at.max(now));
        let takes = conditions.bytes_per_second.map_or(Duration::ZERO, |rate| {
            let nanos = u128::try_from(bytes)
                .unwrap_or(u128::MAX)
                .saturating_mul(1_000_000_000)
                / u128::from(rate.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        });
        self.is_free_at = Some(start + takes);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn jitter_is_the_same_for_the_same_seed_and_within_its_bound() {
        let now = Instant::now();
        let line = Conditions::default().latency(SECOND).jitter(SECOND);
        let delays = |seed| {
            let mut pace = Pace::new(seed);
            (0..100)
                .map(|_| pace.due(now, &line) - now)
                .collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        assert!(
            delays(7)
                .iter()
                .all(|delay| (SECOND..2 * SECOND).contains(delay))
        );
    }

    #[test]
    fn bandwidth_spreads_bytes_over_time_and_saves_nothing_up() {
        let start = Instant::now();
        let line = Conditions::default().bytes_per_second(1000);
        let mut pace = Pace::new(0);
        assert_eq!(pace.book(start, 500, &line), start);
        assert_eq!(pace.book(start, 500, &line), start + SECOND / 2);
        assert_eq!(pace.book(start, 500, &line), start + SECOND);
        let later = start + 60 * SECOND;
        assert_eq!(pace.book(later, 500, &line), later);
        assert_eq!(pace.book(later, 500, &line), later + SECOND / 2);
    }

    #[test]
    fn pieces_are_as_small_as_the_line_wants_them_and_never_empty() {
        let perfect = Conditions::default();
        assert_eq!(Pace::piece_bytes(100, &perfect), 100);
        assert_eq!(Pace::piece_bytes(100, &perfect.slice_bytes(7)), 7);
        assert_eq!(Pace::piece_bytes(100, &perfect.slice_bytes(0)), 1);
        assert_eq!(Pace::piece_bytes(100, &perfect.bytes_per_second(1000)), 10);
        assert_eq!(Pace::piece_bytes(100, &perfect.bytes_per_second(0)), 1);
    }
}
