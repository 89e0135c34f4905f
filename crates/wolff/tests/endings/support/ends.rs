//! Ends of calls and counts of the producer, in the words of the promise that it makes.

use std::collections::BTreeMap;

use super::world::with_causes;

use wolff::{Delivery, DeliveryError, FailReason, ProducerStats, SendError};

/// The end of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Kafka has it.
    Acked {
        partition: i32,
        offset: Option<i64>,
        possibly_duplicated: bool,
    },
    /// It is definitely not in Kafka, for this reason.
    Failed(&'static str),
    /// It was sent, and nobody can say.
    InDoubt,
    /// It is on disk, and the next run sends it.
    LeftInQueue,
}

impl End {
    pub(crate) fn of(delivery: Delivery) -> Self {
        match delivery {
            Ok(ack) => Self::Acked {
                partition: ack.partition.0,
                offset: ack.offset.map(|offset| offset.0),
                possibly_duplicated: false,
            },
            Err(DeliveryError::LeftInQueue) => Self::LeftInQueue,
            Err(DeliveryError::Failed(reason)) => Self::Failed(name(&reason)),
            Err(DeliveryError::InDoubt(_)) => Self::InDoubt,
            Err(_) => Self::Failed("unknown to these tests"),
        }
    }

    pub(crate) fn is_acked(&self) -> bool {
        matches!(self, Self::Acked { .. })
    }
}

fn name(reason: &FailReason) -> &'static str {
    match reason {
        FailReason::MessageTooLarge { .. } => "message_too_large",
        FailReason::Rejected { .. } => "rejected",
        FailReason::Unauthorized { .. } => "unauthorized",
        FailReason::QueueUnavailable(_) => "queue_unavailable",
        FailReason::QueueDamaged => "queue_damaged",
        FailReason::InvalidPartition { .. } => "invalid_partition",
        FailReason::WorkerCrashed => "worker_crashed",
        FailReason::Stopped => "stopped",
        _ => "unknown to these tests",
    }
}

/// Why a call was not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    Full,
    Stopped,
    Queue(String),
    Other(String),
}

impl Refusal {
    pub(crate) fn of(error: &SendError) -> Self {
        match error {
            SendError::Full => Self::Full,
            SendError::Stopped => Self::Stopped,
            SendError::QueueUnavailable(_) => Self::Queue(with_causes(error)),
            other => Self::Other(with_causes(other)),
        }
    }
}

/// Counts of a producer, in records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    pub(crate) in_doubt: u64,
    pub(crate) left: u64,
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
    pub(crate) replayed: u64,
    pub(crate) replay_failed: u64,
    pub(crate) possibly_duplicated: u64,
    pub(crate) damaged_records: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) is_idempotent: bool,
    pub(crate) damages: u64,
    pub(crate) unknown_items: u64,
    /// The same of calls: accepted, and the sum of all that they can have come to.
    pub(crate) calls: (u64, u64),
}

impl Counts {
    pub(crate) fn of(stats: &ProducerStats) -> Self {
        Self {
            accepted: stats.accepted,
            acked: stats.acked,
            failed: stats.failed,
            in_doubt: stats.in_doubt,
            left: stats.left,
            queued: stats.queued,
            in_flight: stats.in_flight,
            replayed: stats.replayed,
            replay_failed: stats.replay_failed,
            possibly_duplicated: stats.possibly_duplicated,
            damaged_records: stats.damaged_records,
            queued_bytes: stats.queued_bytes,
            is_idempotent: stats.is_idempotent,
            damages: stats.damages,
            unknown_items: stats.unknown_items,
            calls: {
                let calls = &stats.calls;
                let ended = calls.acked + calls.failed + calls.in_doubt + calls.left;
                (calls.accepted, ended + calls.queued)
            },
        }
    }

    /// Asserts that each accepted record is counted under exactly one end, or as queued.
    #[track_caller]
    pub(crate) fn assert_sum(&self) {
        let ended = self.acked + self.failed + self.in_doubt + self.left;
        assert_eq!(self.accepted, ended + self.queued, "{self:#?}");
        assert_eq!(self.calls.0, self.calls.1, "{self:#?}");
    }

    /// Asserts the sum, and that the counts are those of these ends, of one record each.
    #[track_caller]
    pub(crate) fn assert_ends<'a>(&self, ends: impl IntoIterator<Item = &'a End>) {
        self.assert_sum();
        let (mut acked, mut failed, mut in_doubt, mut left) = (0, 0, 0, 0);
        for end in ends {
            match end {
                End::Acked { .. } => acked += 1,
                End::Failed(_) => failed += 1,
                End::InDoubt => in_doubt += 1,
                End::LeftInQueue => left += 1,
            }
        }
        let counted = (self.acked, self.failed, self.in_doubt);
        assert_eq!(counted, (acked, failed, in_doubt), "{self:#?}");
        assert_eq!(self.left + self.queued, left, "{self:#?}");
    }
}

/// Result of a stop.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stopped {
    /// Errors of closing, in words.
    pub(crate) errors: Vec<String>,
}

/// Asserts that the ends that callers got are true of the log: what is acked is in it, what failed
/// is not, and what is in it twice is counted as possibly duplicated.
#[track_caller]
pub(crate) fn judge(log: &[String], ends: &[(&str, End)], possibly_duplicated: u64) {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for value in log {
        *times.entry(value).or_default() += 1;
    }
    let mut repeated = 0;
    for (value, end) in ends {
        let found = times.get(value).copied().unwrap_or(0);
        match end {
            End::Acked { .. } => assert!(found > 0, "{value} is acked and not in {log:?}"),
            End::Failed(why) => {
                assert!(found == 0, "{value} failed ({why}) and is in {log:?}");
            }
            End::InDoubt | End::LeftInQueue => {}
        }
        repeated += found.saturating_sub(1);
    }
    assert!(
        repeated <= possibly_duplicated,
        "{repeated} records are in the log again, {possibly_duplicated} are counted: {log:?}"
    );
}
