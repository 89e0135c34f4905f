//! The producer's counts, as far as the summary needs them. The only file of `produce` that reads them.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use wolff::{ProducerStats, RequiredAcks};

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
        let words = "the local queue could not store the records";
        let mut refused = Self::default();
        for (reason, records) in &stats.failures {
            if let Some(why) = reason.strip_prefix(words) {
                refused.records += records;
                refused.why = why.trim_start_matches(": ").to_owned();
            }
        }
        refused
    }

    /// Whether the queue has stored all that it was given, as far as the counts say. A failure counts before its reason
    /// is told.
    pub(super) fn is_nothing(stats: &ProducerStats) -> bool {
        let told: u64 = stats.failures.iter().map(|(_, records)| records).sum();
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
        let is_told_apart =
            |reason: &str| !not_stored.why.is_empty() && reason.contains(&not_stored.why);
        let reasons = stats.failures.iter();
        let reasons = reasons.filter(|(reason, _)| !is_told_apart(reason));
        let reasons = reasons.cloned().collect();
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

pub(super) fn count_records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{} records", HumanCount(count)),
    }
}
