//! The producer's counts, as far as the summary needs them. The only file of `produce` that reads
//! them.

use indicatif::HumanCount;
use wolff::{
    DeliveryError, DoubtReason, FailReason, FailureCount, FailureKind, ProducerStats, RequiredAcks,
};

use crate::console::WithCauses;

/// The name of the reason of records that the queue did not store.
pub(super) const QUEUE_UNAVAILABLE: &str = "queue_unavailable";

/// Counts of records at one moment.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Of this run's input: accepted and stored.
    pub(super) accepted: u64,
    pub(super) acked: u64,
    /// With acks=none.
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) in_doubt: u64,
    /// In the queue, on disk or in memory.
    pub(super) left: u64,
    pub(super) replayed: u64,
    pub(super) replay_failed: u64,
    pub(super) possibly_duplicated: u64,
    /// Of earlier runs, in doubt: sent under the numbers that they had.
    pub(super) resumed: u64,
    /// Number of times that the cluster turned out to have lost what it had acknowledged.
    pub(super) broker_data_loss: u64,
    /// Partitions that wait, since the cluster is another one.
    pub(super) other_cluster_partitions: u64,
    pub(super) damaged: u64,
    pub(super) is_idempotent: bool,
    /// Accepted first, and then not stored by the queue.
    pub(super) not_stored: NotStored,
    /// Failed and in-doubt records by reason.
    pub(super) reasons: Vec<Reason>,
}

/// Records that ended without an acknowledgement, for one reason.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    /// One word, for programs.
    pub(super) name: String,
    pub(super) records: u64,
    /// Text for a person.
    pub(super) words: String,
    pub(super) is_in_doubt: bool,
}

/// Records that the queue on disk refused.
#[derive(Debug, Default)]
pub(super) struct NotStored {
    pub(super) records: u64,
    pub(super) why: String,
}

impl NotStored {
    pub(super) fn of(stats: &ProducerStats) -> Self {
        let not_stored = |count: &&FailureCount| count.kind == FailureKind::QueueUnavailable;
        match stats.failures.iter().find(not_stored) {
            Some(count) => Self {
                records: count.records,
                why: why_not_stored(&count.latest),
            },
            None => Self::default(),
        }
    }

    /// True if the queue has stored all that it was given, as far as the counts say. A failure
    /// counts before its reason does.
    pub(super) fn is_nothing(stats: &ProducerStats) -> bool {
        let with_reason: u64 = stats.failures.iter().map(|count| count.records).sum();
        let ended = stats.failed + stats.in_doubt + stats.replay_failed;
        Self::of(stats).records == 0 && with_reason >= ended
    }
}

impl Counts {
    pub(super) fn of(stats: &ProducerStats, acks: RequiredAcks) -> Self {
        let not_stored = NotStored::of(stats);
        let (acked, sent) = match acks {
            RequiredAcks::None => (0, stats.acked),
            _ => (stats.acked, 0),
        };
        let ended = stats.failures.iter();
        let ended = ended.filter(|count| count.kind != FailureKind::QueueUnavailable);
        let reasons = ended.map(reason).collect();
        Self {
            accepted: stats.accepted.saturating_sub(not_stored.records),
            acked,
            sent,
            failed: stats.failed.saturating_sub(not_stored.records),
            in_doubt: stats.in_doubt,
            left: stats.left + stats.queued,
            replayed: stats.replayed,
            replay_failed: stats.replay_failed,
            possibly_duplicated: stats.possibly_duplicated,
            resumed: stats.resumed,
            broker_data_loss: stats.broker_data_loss,
            other_cluster_partitions: u64::try_from(stats.other_cluster_partitions)
                .unwrap_or(u64::MAX),
            damaged: stats.damaged_records,
            is_idempotent: stats.is_idempotent,
            not_stored,
            reasons,
        }
    }
}

/// Why the queue on disk did not store records.
fn why_not_stored(end: &DeliveryError) -> String {
    match end {
        DeliveryError::Failed(FailReason::QueueUnavailable(error)) => WithCauses(error).to_string(),
        other => WithCauses(other).to_string(),
    }
}

fn reason(count: &FailureCount) -> Reason {
    let words = match (&count.kind, &count.latest) {
        // Sizes differ from record to record.
        (FailureKind::MessageTooLarge, _) => {
            "message too large: raise the topic's max.message.bytes or send smaller records"
                .to_owned()
        }
        (_, DeliveryError::Failed(reason)) => WithCauses(reason).to_string(),
        (_, DeliveryError::InDoubt(reason)) => WithCauses(reason).to_string(),
        (_, end) => WithCauses(end).to_string(),
    };
    Reason {
        name: name(count.kind),
        records: count.records,
        words,
        is_in_doubt: matches!(count.kind, FailureKind::InDoubt(_)),
    }
}

/// The name of a reason in the summary.
fn name(kind: FailureKind) -> String {
    match kind {
        FailureKind::MessageTooLarge => "message_too_large".to_owned(),
        FailureKind::Rejected(code) => format!("rejected_{code}"),
        FailureKind::Unauthorized(code) => format!("unauthorized_{code}"),
        FailureKind::InvalidPartition => "invalid_partition".to_owned(),
        FailureKind::QueueUnavailable => QUEUE_UNAVAILABLE.to_owned(),
        FailureKind::QueueDamaged => "queue_damaged".to_owned(),
        FailureKind::WorkerCrashed => "worker_crashed".to_owned(),
        FailureKind::Stopped => "stopped".to_owned(),
        FailureKind::InDoubt(DoubtReason::Refused(code)) => format!("in_doubt_refused_{code}"),
        FailureKind::InDoubt(DoubtReason::Stopped) => "in_doubt_stopped".to_owned(),
        FailureKind::InDoubt(DoubtReason::Dropped) => "in_doubt_dropped".to_owned(),
        FailureKind::InDoubt(DoubtReason::WorkerCrashed) => "in_doubt_worker_crashed".to_owned(),
        FailureKind::InDoubt(DoubtReason::QueueFailed) => "in_doubt_queue_failed".to_owned(),
        FailureKind::InDoubt(DoubtReason::QueueDamaged) => "in_doubt_queue_damaged".to_owned(),
        _ => "other".to_owned(),
    }
}

pub(super) fn count_records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{} records", HumanCount(count)),
    }
}
