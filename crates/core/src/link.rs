//! The link to the partition's leader: when to connect, and how long to wait after a failure.

use std::time::{Duration, Instant};

use crate::config::RetryDelay;

/// State of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Not connected; an attempt may start at this time.
    Down { retry_at: Option<Instant> },
    /// An attempt is under way.
    Connecting,
    /// Connected. Until the first success on it, one request at a time: a leader that does not know the producer id
    /// accepts any first sequence, so a second batch in flight could shut out the first (KAFKA-15591).
    Up { proven: bool },
}

/// The link with its history of failures.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    /// Whether the next attempt should ask for fresh metadata.
    pub(crate) refresh_metadata: bool,
    delays: Delays,
}

impl Link {
    pub(crate) fn new(delay: RetryDelay, seed: u64) -> Self {
        Self {
            state: LinkState::Down { retry_at: None },
            refresh_metadata: false,
            delays: Delays {
                config: delay,
                failures: 0,
                random: seed,
            },
        }
    }

    /// The link was lost or an attempt failed. The first attempt after a success starts at once.
    pub(crate) fn fail(&mut self, now: Instant) {
        self.refresh_metadata = true;
        self.state = LinkState::Down {
            retry_at: self.delays.next_reconnect().map(|delay| now + delay),
        };
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self) {
        self.refresh_metadata = false;
        self.state = LinkState::Up { proven: false };
    }

    /// The leader took a batch.
    pub(crate) fn prove(&mut self) {
        self.delays.failures = 0;
        if let LinkState::Up { proven } = &mut self.state {
            *proven = true;
        }
    }

    /// How long to wait before a failed batch is sent again.
    pub(crate) fn retry_delay(&mut self) -> Duration {
        self.delays.next_retry()
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up { .. })
    }
}

/// Exponential delays with jitter; the numbers come from a seed, never from the environment.
#[derive(Debug)]
struct Delays {
    config: RetryDelay,
    failures: u32,
    random: u64,
}

impl Delays {
    fn next_reconnect(&mut self) -> Option<Duration> {
        let first = self.failures == 0;
        let delay = self.next_retry();
        (!first).then_some(delay)
    }

    fn next_retry(&mut self) -> Duration {
        let doubled = self
            .config
            .base
            .saturating_mul(1u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let full = doubled.min(self.config.ceiling);
        let half = full / 2;
        half + half.mul_f64(self.next_fraction())
    }

    /// SplitMix64, mapped to 0..1.
    fn next_fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reconnect_is_at_once_and_later_ones_back_off_to_the_ceiling() {
        let delay = RetryDelay {
            base: Duration::from_millis(100),
            ceiling: Duration::from_secs(2),
        };
        let mut link = Link::new(delay, 1);
        let now = Instant::now();
        link.fail(now);
        assert_eq!(link.state, LinkState::Down { retry_at: None });
        let mut last = Duration::ZERO;
        for attempt in 0..10 {
            link.fail(now);
            let LinkState::Down { retry_at: Some(at) } = link.state else {
                panic!("no delay at attempt {attempt}")
            };
            last = at - now;
            assert!(last <= Duration::from_secs(2));
        }
        assert!(last >= Duration::from_secs(1), "{last:?}");
        link.connected();
        link.prove();
        link.fail(now);
        assert_eq!(link.state, LinkState::Down { retry_at: None });
    }
}
