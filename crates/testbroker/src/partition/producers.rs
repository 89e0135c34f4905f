//! The idempotence rules: what a replica remembers of each producer, and its verdict on the next
//! batch.
//!
//! Kafka's `ProducerStateManager` and `ProducerAppendInfo` (KIP-98, KIP-360).

use std::collections::{BTreeMap, VecDeque};

use wolff_codec::ErrorCode;
use wolff_codec::ids::{Offset, ProducerEpoch, ProducerId};

use super::batch::{Stamp, sequence_after};
use super::log::StoredBatch;
use super::rules::{Expiry, UnknownProducers};

/// The treatment of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Append it.
    Append,
    /// Answer with success and the offset of the first time.
    Duplicate {
        base_offset: Offset,
        next_offset: Offset,
        max_timestamp_ms: i64,
    },
    /// Answer with this error.
    Refuse(ErrorCode),
}

/// The producers that a replica knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Producers {
    entries: BTreeMap<ProducerId, Entry>,
}

/// The state of one producer.
#[derive(Clone, Debug)]
struct Entry {
    epoch: ProducerEpoch,
    /// The last batches of this epoch, oldest first; never empty.
    batches: VecDeque<Remembered>,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
    next_offset: Offset,
    max_timestamp_ms: i64,
}

/// The state of a producer, as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProducerSummary {
    /// The producer's id.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The newest timestamp of its last batch, in milliseconds since the Unix epoch.
    pub last_timestamp_ms: i64,
}

impl Producers {
    /// Decides on a batch; changes nothing.
    pub(super) fn judge(
        &self,
        stamp: Stamp,
        record_count: i32,
        unknown: UnknownProducers,
        log_was_used: bool,
    ) -> Verdict {
        match self.entries.get(&stamp.producer_id) {
            Some(entry) => entry.judge(stamp, record_count),
            None => judge_unknown(stamp, unknown, log_was_used),
        }
    }

    /// Remembers a batch that was appended, and of its epoch at most `remembered` with it.
    pub(super) fn remember<P>(&mut self, batch: &StoredBatch<P>, remembered: usize) {
        let Some(stamp) = batch.stamp() else { return };
        let entry = self.entries.entry(stamp.producer_id).or_insert(Entry {
            epoch: stamp.epoch,
            batches: VecDeque::new(),
        });
        if entry.epoch != stamp.epoch {
            entry.epoch = stamp.epoch;
            entry.batches.clear();
        }
        while entry.batches.len() >= remembered.max(1) {
            entry.batches.pop_front();
        }
        entry.batches.push_back(Remembered {
            first_sequence: stamp.base_sequence,
            last_sequence: stamp.last_sequence(batch.record_count()),
            base_offset: batch.base_offset(),
            next_offset: batch.next_offset(),
            max_timestamp_ms: batch.max_timestamp_ms(),
        });
    }

    /// Forgets producers by the timestamp of their last batch, however long ago that was appended.
    pub(super) fn expire(&mut self, expiry: Expiry) {
        let after_ms = i64::try_from(expiry.after.as_millis()).unwrap_or(i64::MAX);
        self.entries.retain(|_, entry| {
            let last = entry.batches.back();
            last.is_some_and(|last| expiry.now_ms.saturating_sub(last.max_timestamp_ms) < after_ms)
        });
    }

    /// The part that a snapshot keeps.
    pub(super) fn last_of_each(&self) -> Self {
        let mut last = self.clone();
        for entry in last.entries.values_mut() {
            let older = entry.batches.len().saturating_sub(1);
            entry.batches.drain(..older);
        }
        last
    }

    /// The last batch of each producer, by producer id.
    pub(super) fn summaries(&self) -> impl Iterator<Item = ProducerSummary> {
        self.entries.iter().filter_map(|(producer_id, entry)| {
            entry.batches.back().map(|last| ProducerSummary {
                producer_id: *producer_id,
                epoch: entry.epoch,
                last_sequence: last.last_sequence,
                last_timestamp_ms: last.max_timestamp_ms,
            })
        })
    }
}

impl Entry {
    fn judge(&self, stamp: Stamp, record_count: i32) -> Verdict {
        let is_current = stamp.epoch == self.epoch;
        let last_sequence = stamp.last_sequence(record_count);
        // Content is not compared.
        let is_same = |batch: &&Remembered| {
            batch.first_sequence == stamp.base_sequence && batch.last_sequence == last_sequence
        };
        if is_current && let Some(batch) = self.batches.iter().find(is_same) {
            return Verdict::Duplicate {
                base_offset: batch.base_offset,
                next_offset: batch.next_offset,
                max_timestamp_ms: batch.max_timestamp_ms,
            };
        }
        if stamp.epoch < self.epoch {
            return Verdict::Refuse(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let last = self.batches.back().filter(|_| is_current);
        let expected = last.map_or(0, |last| sequence_after(last.last_sequence, 1));
        if stamp.base_sequence == expected {
            Verdict::Append
        } else {
            Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
    }
}

fn judge_unknown(stamp: Stamp, unknown: UnknownProducers, log_was_used: bool) -> Verdict {
    let refusal = match unknown {
        UnknownProducers::Accept => return Verdict::Append,
        UnknownProducers::AcceptOnUsedLog if log_was_used => return Verdict::Append,
        UnknownProducers::AcceptOnUsedLog | UnknownProducers::Never => {
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        }
        UnknownProducers::Refuse => ErrorCode::UNKNOWN_PRODUCER_ID,
    };
    if stamp.base_sequence == 0 {
        Verdict::Append
    } else {
        Verdict::Refuse(refusal)
    }
}
