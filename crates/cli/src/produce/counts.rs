//! The producer's counts, as far as the summary needs them. The only file of `produce` that reads them.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use wolff::{DeliveryError, FailReason, FailureCount, FailureKind, ProducerStats, RequiredAcks};

use crate::console::WithCauses;

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
    pub(super) damaged: u64,
    /// Where it is known.
    pub(super) is_idempotent: Option<bool>,
    /// Accepted first, and then not stored by the queue.
    pub(super) not_stored: NotStored,
    /// Failed and in-doubt records by reason.
    pub(super) reasons: BTreeMap<String, u64>,
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

    /// Whether the queue has stored all that it was given, as far as the counts say. A failure counts before its reason
    /// is told.
    pub(super) fn is_nothing(stats: &ProducerStats) -> bool {
        let told: u64 = stats.failures.iter().map(|count| count.records).sum();
        Self::of(stats).records == 0 && told >= stats.failed + stats.replay_failed
    }
}

impl Counts {
    pub(super) fn of(stats: &ProducerStats, acks: RequiredAcks) -> Self {
        let not_stored = NotStored::of(stats);
        let (acked, sent) = match acks {
            RequiredAcks::None => (0, stats.acked),
            _ => (stats.acked, 0),
        };
        let mut reasons = BTreeMap::new();
        for count in &stats.failures {
            if count.kind != FailureKind::QueueUnavailable {
                *reasons.entry(reason(count)).or_default() += count.records;
            }
        }
        Self {
            accepted: stats.accepted.saturating_sub(not_stored.records),
            acked,
            sent,
            failed: stats.failed.saturating_sub(not_stored.records),
            in_doubt: 0,
            left: stats.queued,
            replayed: stats.replayed,
            replay_failed: stats.replay_failed,
            possibly_duplicated: stats.possibly_duplicated,
            damaged: 0,
            is_idempotent: None,
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

/// The reason of failures, for a person.
fn reason(count: &FailureCount) -> String {
    match (&count.kind, &count.latest) {
        // Sizes differ from record to record.
        (FailureKind::MessageTooLarge, _) => {
            "message too large: raise the topic's max.message.bytes or send smaller records"
                .to_owned()
        }
        (_, DeliveryError::Failed(reason)) => WithCauses(reason).to_string(),
        (_, end) => WithCauses(end).to_string(),
    }
}

pub(super) fn count_records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{} records", HumanCount(count)),
    }
}
