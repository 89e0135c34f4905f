//! A configuration whose options are in their ranges and agree with each other.

use std::fmt::Debug;
use std::ops::{Deref, RangeInclusive};
use std::time::Duration;

use replayq::Durability;
use wolff_core::Idempotence;
use wolff_partitioner::Strategy;

use super::producer::{ProducerConfig, RequiredAcks};
use crate::directory::MAX_PARTITIONS;
use crate::error::ConfigError;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const SEGMENT_BYTES: RangeInclusive<u64> = 64 * 1024..=1 << 30;
const TOTAL_BYTES: RangeInclusive<u64> = 1..=u64::MAX;
const FRAGMENT_BYTES: RangeInclusive<usize> = 1024..=100 * 1024 * 1024;
const MEMORY_BYTES: RangeInclusive<usize> = 64 * 1024..=usize::MAX;
const BATCH_BYTES: RangeInclusive<usize> = 100..=100 * 1024 * 1024;
const SEND_AHEAD: RangeInclusive<usize> = 0..=100;
/// A broker remembers five batches of a producer.
const SEND_AHEAD_IDEMPOTENT: RangeInclusive<usize> = 0..=4;
/// A request has it in milliseconds, as an i32.
const ACK_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(24 * 24 * 3600);
const LINGER: RangeInclusive<Duration> = Duration::ZERO..=DAY;
const RETRY_DELAY: RangeInclusive<Duration> = MILLISECOND..=HOUR;
const SYNC_DELAY: RangeInclusive<Duration> = Duration::ZERO..=MINUTE;

/// A valid configuration: made by [`ProducerConfig::validated`] only, and never changed.
#[derive(Clone, Debug)]
pub(crate) struct Settings(ProducerConfig);

impl Deref for Settings {
    type Target = ProducerConfig;

    fn deref(&self) -> &ProducerConfig {
        &self.0
    }
}

impl Settings {
    /// Idempotence as it takes effect: sequence numbers are worthless without the acks of all
    /// replicas.
    pub(crate) fn effective_idempotence(&self) -> Idempotence {
        effective_idempotence(&self.0)
    }

    /// Produce requests in flight at once; at least 1.
    pub(crate) fn max_in_flight(&self) -> usize {
        let default = match self.effective_idempotence() {
            Idempotence::Off => 0,
            _ => 4,
        };
        self.max_send_ahead.unwrap_or(default).saturating_add(1)
    }
}

impl ProducerConfig {
    /// Checks every option.
    ///
    /// # Errors
    /// [`ConfigError`] names the first option that is out of range.
    pub(crate) fn validated(self) -> Result<Settings, ConfigError> {
        within("replayq_seg_bytes", self.replayq_seg_bytes, &SEGMENT_BYTES)?;
        let total = self.replayq_max_total_bytes;
        within("replayq_max_total_bytes", total, &TOTAL_BYTES)?;
        if let Durability::Fsync { max_delay } = self.durability {
            within("durability.max_delay", max_delay, &SYNC_DELAY)?;
        }
        within("ack_timeout", self.ack_timeout, &ACK_TIMEOUT)?;
        within("max_batch_bytes", self.max_batch_bytes, &BATCH_BYTES)?;
        within("fragment_bytes", self.fragment_bytes, &FRAGMENT_BYTES)?;
        let memory = self.memory_budget.limit_bytes();
        within("memory_budget", memory, &MEMORY_BYTES)?;
        within("max_linger", self.max_linger, &LINGER)?;
        within("retry_delay.base", self.retry_delay.base, &RETRY_DELAY)?;
        let above_base = self.retry_delay.base..=HOUR;
        within("retry_delay.ceiling", self.retry_delay.ceiling, &above_base)?;
        if let Some(ahead) = self.max_send_ahead {
            let range = match effective_idempotence(&self) {
                Idempotence::Off => SEND_AHEAD,
                _ => SEND_AHEAD_IDEMPOTENT,
            };
            within("max_send_ahead", ahead, &range)?;
        }
        if self.idempotence == Idempotence::Required && self.required_acks != RequiredAcks::All {
            let value = format!("{:?}", self.required_acks);
            let range = "All, with idempotence required";
            return Err(ConfigError::new("required_acks", value, range));
        }
        if let Strategy::Fixed(partition) = self.partitioner {
            within(
                "partitioner",
                partition,
                &(0..=MAX_PARTITIONS.saturating_sub(1)),
            )?;
        }
        Ok(Settings(self))
    }
}

fn effective_idempotence(config: &ProducerConfig) -> Idempotence {
    match config.required_acks {
        RequiredAcks::All => config.idempotence,
        _ => Idempotence::Off,
    }
}

fn within<T: PartialOrd + Debug>(
    option: &'static str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let range = format!("{:?} to {:?}", range.start(), range.end());
    Err(ConfigError::new(option, format!("{value:?}"), range))
}

#[cfg(test)]
mod tests {
    use wolff_core::RetryDelay;

    use super::*;
    use crate::memory::MemoryBudget;

    /// The option that is refused after the change.
    fn refused(change: impl FnOnce(&mut ProducerConfig)) -> Option<&'static str> {
        let mut config = ProducerConfig::default();
        change(&mut config);
        config.validated().err().map(|error| error.option)
    }

    #[test]
    fn the_default_is_valid_and_keeps_the_order() {
        let settings = ProducerConfig::default().validated().unwrap();
        assert_eq!(settings.max_in_flight(), 5);
        let config = ProducerConfig {
            required_acks: RequiredAcks::Leader,
            ..ProducerConfig::default()
        };
        let settings = config.validated().unwrap();
        assert_eq!(settings.effective_idempotence(), Idempotence::Off);
        assert_eq!(settings.max_in_flight(), 1);
    }

    #[test]
    fn zero_and_the_maximum_of_each_option_are_valid_or_refused_by_name() {
        const MAX: Duration = Duration::MAX;
        let delay = |base, ceiling| RetryDelay { base, ceiling };
        let sync = |max_delay| Durability::Fsync { max_delay };
        assert_eq!(
            refused(|c| c.replayq_seg_bytes = 0),
            Some("replayq_seg_bytes")
        );
        assert_eq!(
            refused(|c| c.replayq_seg_bytes = u64::MAX),
            Some("replayq_seg_bytes")
        );
        assert_eq!(
            refused(|c| c.replayq_max_total_bytes = 0),
            Some("replayq_max_total_bytes")
        );
        assert_eq!(refused(|c| c.replayq_max_total_bytes = u64::MAX), None);
        assert_eq!(refused(|c| c.durability = sync(Duration::ZERO)), None);
        assert_eq!(
            refused(|c| c.durability = sync(MAX)),
            Some("durability.max_delay")
        );
        assert_eq!(
            refused(|c| c.ack_timeout = Duration::ZERO),
            Some("ack_timeout")
        );
        assert_eq!(refused(|c| c.ack_timeout = MAX), Some("ack_timeout"));
        assert_eq!(refused(|c| c.max_batch_bytes = 0), Some("max_batch_bytes"));
        assert_eq!(
            refused(|c| c.max_batch_bytes = usize::MAX),
            Some("max_batch_bytes")
        );
        assert_eq!(refused(|c| c.fragment_bytes = 0), Some("fragment_bytes"));
        assert_eq!(
            refused(|c| c.fragment_bytes = usize::MAX),
            Some("fragment_bytes")
        );
        assert_eq!(
            refused(|c| c.memory_budget = MemoryBudget::new(0)),
            Some("memory_budget")
        );
        assert_eq!(
            refused(|c| c.memory_budget = MemoryBudget::new(usize::MAX)),
            None
        );
        assert_eq!(refused(|c| c.max_linger = MAX), Some("max_linger"));
        let zero = delay(Duration::ZERO, HOUR);
        assert_eq!(refused(|c| c.retry_delay = zero), Some("retry_delay.base"));
        assert_eq!(
            refused(|c| c.retry_delay = delay(MAX, MAX)),
            Some("retry_delay.base")
        );
        let falling = delay(HOUR, MINUTE);
        assert_eq!(
            refused(|c| c.retry_delay = falling),
            Some("retry_delay.ceiling")
        );
        assert_eq!(
            refused(|c| c.max_send_ahead = Some(5)),
            Some("max_send_ahead")
        );
        assert_eq!(refused(|c| c.partition_count_refresh_interval = MAX), None);
        assert_eq!(refused(|c| c.start_timeout = MAX), None);
        for partition in [-1, i32::MAX] {
            let fixed = Strategy::Fixed(partition);
            assert_eq!(refused(|c| c.partitioner = fixed), Some("partitioner"));
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let contradiction = refused(|config| {
            config.idempotence = Idempotence::Required;
            config.required_acks = RequiredAcks::None;
        });
        assert_eq!(contradiction, Some("required_acks"));
        let many = refused(|config| {
            config.idempotence = Idempotence::Off;
            config.max_send_ahead = Some(5);
        });
        assert_eq!(many, None);
    }

    #[test]
    fn an_error_says_what_was_given_and_what_is_expected() {
        let config = ProducerConfig {
            max_linger: Duration::MAX,
            ..ProducerConfig::default()
        };
        let text = config.validated().unwrap_err().to_string();
        assert!(
            text.starts_with("max_linger is 18446744073709551615"),
            "{text}"
        );
        assert!(text.ends_with("expected 0ns to 86400s"), "{text}");
    }
}
