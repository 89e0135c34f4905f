//! The log of a partition: batches in the order of their offsets, without gaps.

use std::collections::VecDeque;

use wolff_codec::ids::{LeaderEpoch, Offset};

use super::batch::{BatchFacts, Placement, Stamp};

/// Batches with their offsets, oldest first.
#[derive(Clone, Debug)]
pub struct Log<P> {
    batches: VecDeque<StoredBatch<P>>,
    start_offset: Offset,
    end_offset: Offset,
    /// The sum of the batches' sizes.
    bytes: u64,
}

/// A batch in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredBatch<P> {
    placement: Placement,
    stamp: Option<Stamp>,
    record_count: i32,
    size_bytes: usize,
    max_timestamp_ms: i64,
    payload: P,
}

impl<P> StoredBatch<P> {
    /// Producer id, epoch and base sequence; `None` without idempotence.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// The number of records.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// The offset of the first record.
    pub fn base_offset(&self) -> Offset {
        self.placement.base_offset
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> Offset {
        let count = i64::from(self.record_count);
        Offset(self.placement.base_offset.0.saturating_add(count))
    }

    /// The epoch of the leader that appended it.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.placement.leader_epoch
    }

    /// The newest timestamp in milliseconds since the Unix epoch: the records' or the broker's.
    pub fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// The payload that the batch was stored with.
    pub fn payload(&self) -> &P {
        &self.payload
    }
}

impl<P> Default for Log<P> {
    fn default() -> Self {
        Self {
            batches: VecDeque::new(),
            start_offset: Offset(0),
            end_offset: Offset(0),
            bytes: 0,
        }
    }
}

impl<P> Log<P> {
    /// The offset of the first record that is still there, or would be.
    pub fn start_offset(&self) -> Offset {
        self.start_offset
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// The batches, oldest first.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = &StoredBatch<P>> + ExactSizeIterator {
        self.batches.iter()
    }

    /// The payloads of all batches, oldest first.
    pub fn payloads(&self) -> impl DoubleEndedIterator<Item = &P> + ExactSizeIterator {
        self.batches.iter().map(StoredBatch::payload)
    }

    /// The batches from the one that holds `offset` on.
    pub fn batches_from(&self, offset: Offset) -> impl Iterator<Item = &StoredBatch<P>> {
        let first = (self.batches).partition_point(|batch| batch.next_offset() <= offset);
        self.batches.range(first..)
    }

    /// Appends a batch at the end. The placement is the end's.
    pub(super) fn append(&mut self, facts: &BatchFacts, placement: Placement, payload: P) {
        let stored = StoredBatch {
            placement,
            stamp: facts.stamp,
            record_count: facts.record_count,
            size_bytes: facts.size_bytes,
            max_timestamp_ms: placement.append_time_ms.unwrap_or(facts.max_timestamp_ms),
            payload,
        };
        debug_assert_eq!(stored.base_offset(), self.end_offset);
        self.end_offset = stored.next_offset();
        self.bytes = self.bytes.saturating_add(stored.size_bytes as u64);
        self.batches.push_back(stored);
    }

    /// Drops every batch that reaches beyond an offset. The end is then there or, where a batch
    /// held the offset, before it.
    pub(super) fn truncate(&mut self, offset: Offset) {
        while let Some(last) = self.batches.back()
            && last.next_offset() > offset
        {
            self.end_offset = last.base_offset();
            self.bytes = self.bytes.saturating_sub(last.size_bytes as u64);
            self.batches.pop_back();
        }
        self.start_offset = self.start_offset.min(self.end_offset);
    }

    /// Moves the start up to an offset, at most to the end: batches that are wholly below it go.
    pub(super) fn delete_before(&mut self, offset: Offset) {
        self.start_offset = offset.clamp(self.start_offset, self.end_offset);
        while let Some(first) = self.batches.front()
            && first.next_offset() <= self.start_offset
        {
            self.bytes = self.bytes.saturating_sub(first.size_bytes as u64);
            self.batches.pop_front();
        }
    }

    /// Drops the oldest batches while there are more bytes than that; the last batch stays.
    pub(super) fn retain(&mut self, retention_bytes: u64) {
        while self.bytes > retention_bytes
            && self.batches.len() > 1
            && let Some(next) = self.batches.front().map(StoredBatch::next_offset)
        {
            self.delete_before(next);
        }
    }
}
