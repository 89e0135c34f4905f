//! The wait before the next attempt: at once, then exponentially longer, with jitter.

use std::time::Duration;

use crate::random::fraction;

/// The shape of a back-off.
///
/// The n-th delay after the immediate first one is `initial * 2^(n-1)`, at most `ceiling`, of which
/// the part `jitter` is drawn at random: clients that lost the same broker do not come back in
/// step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffPolicy {
    /// The first attempt after a success starts at once. Default: true.
    pub first_at_once: bool,
    /// The first delay that is waited for. Default: 50 ms.
    pub initial: Duration,
    /// The longest delay. Default: 2 s.
    pub ceiling: Duration,
    /// The random part of each delay, 0.0 (none) to 1.0 (all of it). Default: 0.5.
    pub jitter: f64,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            first_at_once: true,
            initial: Duration::from_millis(50),
            ceiling: Duration::from_secs(2),
            jitter: 0.5,
        }
    }
}

impl BackoffPolicy {
    /// The delay before the next attempt, after so many in a row have failed. Of the attempts that
    /// are counted here, none is at once: that is up to [`Backoff`].
    ///
    /// `random` is any number that is uniform over `u64`.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        let full = self.initial.saturating_mul(factor).min(self.ceiling);
        shorten(full, self.jitter, random)
    }
}

/// The attempts made so far, and the delay that follows from them.
///
/// Randomness is an argument, so that what decides can be replayed by seed.
///
/// ```
/// use std::time::Duration;
/// use wolff_backoff::{Backoff, BackoffPolicy};
///
/// let policy = BackoffPolicy { jitter: 0.0, ..BackoffPolicy::default() };
/// let mut backoff = Backoff::new(policy);
/// assert_eq!(backoff.next_delay(0), Duration::ZERO);
/// assert_eq!(backoff.next_delay(0), Duration::from_millis(50));
/// assert_eq!(backoff.next_delay(0), Duration::from_millis(100));
/// backoff.reset();
/// assert_eq!(backoff.next_delay(0), Duration::ZERO);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempts: u32,
}

impl Backoff {
    /// No attempt has been made yet.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self {
            policy,
            attempts: 0,
        }
    }

    /// Counts one attempt and returns the delay before it.
    ///
    /// `random` is any number that is uniform over `u64`.
    pub fn next_delay(&mut self, random: u64) -> Duration {
        let attempt = self.attempts;
        self.attempts = self.attempts.saturating_add(1);
        let doublings = if self.policy.first_at_once {
            match attempt.checked_sub(1) {
                Some(doublings) => doublings,
                None => return Duration::ZERO,
            }
        } else {
            attempt
        };
        self.policy.delay(doublings, random)
    }

    /// The attempts since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Forgets the attempts: the last one has succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Takes up to the part `jitter` away from `full`.
fn shorten(full: Duration, jitter: f64, random: u64) -> Duration {
    // A policy is plain data, so a NaN or a 7.0 can be in it; neither may panic below.
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.0
    };
    // A part below one of any duration fits; the whole of `Duration::MAX` would not survive floats.
    full.saturating_sub(full.mul_f64(jitter * fraction(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: BackoffPolicy, random: u64, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new(policy);
        (0..count)
            .map(|_| backoff.next_delay(random).as_millis())
            .collect()
    }

    #[test]
    fn delays_double_up_to_the_ceiling() {
        let policy = BackoffPolicy::default();
        assert_eq!(
            delays(policy, 0, 9),
            [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]
        );
        let patient = BackoffPolicy {
            first_at_once: false,
            ..policy
        };
        assert_eq!(delays(patient, 0, 3), [50, 100, 200]);
    }

    #[test]
    fn jitter_takes_away_at_most_its_part() {
        assert_eq!(
            delays(BackoffPolicy::default(), u64::MAX, 3),
            [0, 25, 50],
            "half of each delay"
        );
        let none = BackoffPolicy {
            jitter: f64::NAN,
            ..BackoffPolicy::default()
        };
        assert_eq!(delays(none, u64::MAX, 2), [0, 50]);
    }

    #[test]
    fn a_million_attempts_do_not_overflow() {
        let mut backoff = Backoff::new(BackoffPolicy {
            ceiling: Duration::MAX,
            ..BackoffPolicy::default()
        });
        backoff.attempts = u32::MAX;
        assert!(backoff.next_delay(0) > Duration::from_secs(1_000_000));
        assert_eq!(backoff.attempts(), u32::MAX);
    }
}
