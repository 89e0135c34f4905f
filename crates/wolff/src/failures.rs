//! Why records were given up, counted by reason.

use parking_lot::Mutex;
use wolff_codec::ErrorCode;
use wolff_core::{DoubtReason, FailReason};

use crate::error::DeliveryError;

/// Reasons that are counted separately; the rest is counted together. A broker can have thousands
/// of codes.
const MAX_REASONS: usize = 32;

/// The reason of an end without the details that differ from call to call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// [`FailReason::MessageTooLarge`].
    MessageTooLarge,
    /// [`FailReason::Rejected`] with this code.
    Rejected(ErrorCode),
    /// [`FailReason::Unauthorized`] with this code.
    Unauthorized(ErrorCode),
    /// [`FailReason::InvalidPartition`].
    InvalidPartition,
    /// [`FailReason::QueueUnavailable`].
    QueueUnavailable,
    /// [`FailReason::QueueDamaged`].
    QueueDamaged,
    /// [`FailReason::WorkerCrashed`].
    WorkerCrashed,
    /// [`FailReason::Stopped`].
    Stopped,
    /// In doubt for this reason.
    InDoubt(DoubtReason),
    /// Any of more reasons than are counted separately.
    Other,
}

impl FailureKind {
    fn of(reason: &FailReason) -> Self {
        match reason {
            FailReason::MessageTooLarge { .. } => Self::MessageTooLarge,
            FailReason::Rejected { code, .. } => Self::Rejected(*code),
            FailReason::Unauthorized { code } => Self::Unauthorized(*code),
            FailReason::InvalidPartition { .. } => Self::InvalidPartition,
            FailReason::QueueUnavailable(_) => Self::QueueUnavailable,
            FailReason::QueueDamaged => Self::QueueDamaged,
            FailReason::WorkerCrashed => Self::WorkerCrashed,
            FailReason::Stopped => Self::Stopped,
            _ => Self::Other,
        }
    }
}

/// Records that ended without an acknowledgement for one kind of reason.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FailureCount {
    /// The kind.
    pub kind: FailureKind,
    /// Number of records, of this run and of previous ones.
    pub records: u64,
    /// The latest end of that kind, with all details.
    pub latest: DeliveryError,
}

/// Counts by reason.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Vec<FailureCount>>);

impl Failures {
    /// Records failed.
    pub(crate) fn record(&self, reason: &FailReason, records: u32) {
        let latest = DeliveryError::Failed(reason.clone());
        self.add(FailureKind::of(reason), latest, records);
    }

    /// Records are in doubt.
    pub(crate) fn record_doubt(&self, reason: DoubtReason, records: u32) {
        let latest = DeliveryError::InDoubt(reason);
        self.add(FailureKind::InDoubt(reason), latest, records);
    }

    fn add(&self, kind: FailureKind, latest: DeliveryError, records: u32) {
        let mut counts = self.0.lock();
        let is_full = counts.len() >= MAX_REASONS;
        let mut at = counts.iter().position(|count| count.kind == kind);
        let mut kind = kind;
        if at.is_none() && is_full {
            kind = FailureKind::Other;
            at = counts.iter().position(|count| count.kind == kind);
        }
        match at.and_then(|at| counts.get_mut(at)) {
            Some(count) => {
                count.records = count.records.saturating_add(u64::from(records));
                count.latest = latest;
            }
            None => counts.push(FailureCount {
                kind,
                records: u64::from(records),
                latest,
            }),
        }
    }

    /// Records by reason, in the order in which the reasons came up.
    pub(crate) fn counts(&self) -> Vec<FailureCount> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_words_differ_and_the_kind_is_counted() {
        let failures = Failures::default();
        for bytes in [10, 20] {
            failures.record(&FailReason::MessageTooLarge { bytes, limit: None }, 3);
        }
        failures.record(&FailReason::Stopped, 1);
        failures.record_doubt(DoubtReason::Stopped, 2);
        let counts = failures.counts();
        let kinds: Vec<_> = counts
            .iter()
            .map(|count| (count.kind, count.records))
            .collect();
        let expected = [
            (FailureKind::MessageTooLarge, 6),
            (FailureKind::Stopped, 1),
            (FailureKind::InDoubt(DoubtReason::Stopped), 2),
        ];
        assert_eq!(kinds, expected);
        let latest = FailReason::MessageTooLarge {
            bytes: 20,
            limit: None,
        };
        assert_eq!(counts[0].latest, DeliveryError::Failed(latest));
    }

    #[test]
    fn no_number_of_codes_takes_more_than_a_few_counts() {
        let failures = Failures::default();
        for code in 0..1_000 {
            let code = ErrorCode(code);
            failures.record(
                &FailReason::Rejected {
                    code,
                    message: None,
                },
                1,
            );
        }
        let counts = failures.counts();
        assert_eq!(counts.len(), MAX_REASONS + 1);
        assert_eq!(counts.iter().map(|count| count.records).sum::<u64>(), 1_000);
        assert_eq!(counts[MAX_REASONS].kind, FailureKind::Other);
    }
}
