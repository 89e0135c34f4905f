//! The one back-off of a partition: reconnecting, sending again, requesting an identity.

use std::time::{Duration, Instant};

use wolff_backoff::{BackoffPolicy, Random};

use crate::config::RetryDelay;

/// Steepness of the back-off: the delay's ceiling, as a multiple of the configured one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// Conditions that pass by themselves: no leader, too few replicas, a lost connection.
    Normal,
    /// Conditions that an operator has to lift: 16 s with the default ceiling.
    Held,
    /// Codes that nobody has classified: a minute with the default ceiling.
    Unknown,
}

impl Pace {
    fn ceilings(self) -> u32 {
        match self {
            Self::Normal => 1,
            Self::Held => 8,
            Self::Unknown => 30,
        }
    }
}

/// Consecutive failures of a partition, and the time before which nothing is tried again. The delay
/// is exponential with jitter of up to half of it; the jitter comes from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    delay: RetryDelay,
    failures: u32,
    until: Option<Instant>,
    random: Random,
}

impl Retry {
    pub(crate) fn new(delay: RetryDelay, seed: u64) -> Self {
        Self {
            delay,
            failures: 0,
            until: None,
            random: Random::from_seed(seed),
        }
    }

    /// The link was lost or could not be made: the first attempt after a success starts at once.
    pub(crate) fn link_failed(&mut self, now: Instant) {
        if self.failures == 0 {
            self.failures = 1;
        } else {
            self.failed(Pace::Normal, now);
        }
    }

    /// An attempt failed: the next one waits.
    pub(crate) fn failed(&mut self, pace: Pace, now: Instant) {
        self.until = now.checked_add(self.next_delay(pace)).or(self.until);
    }

    /// Kafka took something.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// Something has failed since the last success.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether something may be tried now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Time at which something may be tried again, if that is not now.
    pub(crate) fn due_at(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    fn next_delay(&mut self, pace: Pace) -> Duration {
        let policy = BackoffPolicy {
            initial: self.delay.base,
            ceiling: self.delay.ceiling.saturating_mul(pace.ceilings()),
            ..BackoffPolicy::default()
        };
        let delay = policy.delay(self.failures, self.random.next_u64());
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests take the time from the system once"
)]
mod tests {
    use super::*;

    fn delay_of(retry: &mut Retry, pace: Pace, now: Instant) -> Duration {
        retry.failed(pace, now);
        retry.due_at(now).map_or(Duration::ZERO, |at| at - now)
    }

    #[test]
    fn the_first_reconnect_is_at_once_and_later_ones_back_off_to_the_ceiling() {
        let mut retry = Retry::new(RetryDelay::default(), 1);
        let now = Instant::now();
        retry.link_failed(now);
        assert!(retry.is_due(now));
        for _ in 0..10 {
            retry.link_failed(now);
            assert!(!retry.is_due(now));
            assert!(retry.is_due(now + Duration::from_secs(2)));
        }
        assert!(!retry.is_due(now + Duration::from_millis(999)));
        retry.succeeded();
        retry.link_failed(now);
        assert!(retry.is_due(now));
    }

    #[test]
    fn held_and_unknown_refusals_are_tried_less_often() {
        let now = Instant::now();
        let mut retry = Retry::new(RetryDelay::default(), 2);
        let longest =
            |pace, retry: &mut Retry| (0..40).map(|_| delay_of(retry, pace, now)).max().unwrap();
        assert!(longest(Pace::Normal, &mut retry) <= Duration::from_secs(2));
        let held = longest(Pace::Held, &mut retry);
        assert!(held > Duration::from_secs(8) && held <= Duration::from_secs(16));
        let unknown = longest(Pace::Unknown, &mut retry);
        assert!(unknown > Duration::from_secs(30) && unknown <= Duration::from_secs(60));
    }

    #[test]
    fn no_delay_overflows() {
        let delay = RetryDelay {
            base: Duration::MAX,
            ceiling: Duration::MAX,
        };
        let mut retry = Retry::new(delay, 3);
        for _ in 0..50 {
            retry.failed(Pace::Unknown, Instant::now());
        }
    }
}
