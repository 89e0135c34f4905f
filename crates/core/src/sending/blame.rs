//! The records of a batch that a broker has named as invalid.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use wolff_codec::ErrorCode;

use crate::event::Answer;
use crate::outcome::FailReason;
use crate::split::SplitRule;

/// Named records up to which all are separated at once. A batch with more of them is halved first,
/// and each half is looked at when it is the oldest batch.
const MAX_ISOLATED: usize = 64;

/// Records that a broker has named as invalid, by number within a batch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Blame {
    code: ErrorCode,
    /// Ascending, each record once.
    records: Vec<(u32, Option<Arc<str>>)>,
}

impl Blame {
    /// The records that an answer names in a batch of so many. Others than those of the batch are
    /// not named.
    pub(crate) fn of(answer: &Answer, record_count: u32) -> Self {
        let message = |own: &Option<Arc<str>>| own.clone().or_else(|| answer.message.clone());
        let mut records: Vec<_> = answer
            .record_errors
            .iter()
            .filter(|(record, _)| *record < record_count)
            .map(|(record, own)| (*record, message(own)))
            .collect();
        // Stable: of two words about a record the first ones count.
        records.sort_by_key(|(record, _)| *record);
        records.dedup_by_key(|(record, _)| *record);
        Self {
            code: answer.code,
            records,
        }
    }

    /// Returns whether no record is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The named records of a piece, counted from its beginning.
    pub(crate) fn of_piece(&self, piece: Range<u32>) -> Self {
        let index_of = |record: u32| self.records.partition_point(|(named, _)| *named < record);
        let named = self
            .records
            .get(index_of(piece.start)..index_of(piece.end))
            .unwrap_or_default();
        Self {
            code: self.code,
            records: named
                .iter()
                .map(|(record, message)| (record - piece.start, message.clone()))
                .collect(),
        }
    }

    /// Rule by which the batch is split next.
    pub(crate) fn rule(&self) -> SplitRule {
        if self.records.len() > MAX_ISOLATED {
            return SplitRule::Halves;
        }
        let records: BTreeSet<u32> = self.records.iter().map(|(record, _)| *record).collect();
        SplitRule::Isolate { records }
    }

    /// The reason of a call that holds named records.
    pub(crate) fn reason(&self) -> Option<FailReason> {
        let (_, message) = self.records.first()?;
        Some(FailReason::Rejected {
            code: self.code,
            message: message.clone(),
        })
    }
}
