//! The log of a partition: record batches as they came, with the offsets that they got.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use wolff_codec::ids::{LeaderEpoch, Offset};
use wolff_codec::records::{
    BATCH_HEADER_BYTES, Batch, BatchHeader, BatchTooLarge, Record, TimestampType, crc32c,
};

use crate::incoming::MAX_DECOMPRESSED_BYTES;

/// Where a batch header has the base offset and the leader's epoch: the only bytes of a batch that a broker may change
/// without a new checksum.
const BASE_OFFSET_AT: std::ops::Range<usize> = 0..8;
const LEADER_EPOCH_AT: std::ops::Range<usize> = 12..16;

/// Record batches in memory, by offset without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<StoredBatch>,
    /// The offset that the next record gets.
    end_offset: i64,
    /// The length of all batches.
    bytes: u64,
}

/// A batch in the log.
#[derive(Clone, Debug)]
pub(crate) struct StoredBatch {
    /// As stored: with its base offset.
    header: BatchHeader,
    /// Header and records.
    bytes: Bytes,
}

impl StoredBatch {
    pub(crate) fn header(&self) -> &BatchHeader {
        &self.header
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn base_offset(&self) -> i64 {
        self.header.base_offset.0
    }

    fn next_offset(&self) -> i64 {
        // The log's end is checked when a batch is appended.
        self.base_offset()
            .saturating_add(i64::from(self.header.last_offset_delta))
            .saturating_add(1)
    }
}

impl Log {
    /// The offset of the first record that is still there, or would be.
    pub(crate) fn start_offset(&self) -> Offset {
        let first = self.batches.front();
        Offset(first.map_or(self.end_offset, StoredBatch::base_offset))
    }

    /// The offset that the next record gets. Nothing lags behind here, so this is the high watermark too.
    pub(crate) fn end_offset(&self) -> Offset {
        Offset(self.end_offset)
    }

    /// The batches, oldest first.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter()
    }

    /// Appends a checked batch, and returns the offset of its first record. With an append time, it replaces the records'
    /// timestamps.
    ///
    /// The bytes are copied, so that the log does not keep whole requests alive.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        leader_epoch: LeaderEpoch,
        append_time_ms: Option<i64>,
    ) -> Result<Offset, BatchTooLarge> {
        let mut header = BatchHeader {
            base_offset: Offset(self.end_offset),
            partition_leader_epoch: leader_epoch,
            ..*batch.header()
        };
        let mut bytes = BytesMut::from(&batch.as_bytes()[..]);
        if let Some(append_time_ms) = append_time_ms {
            header.timestamp_type = TimestampType::LogAppendTime;
            header.max_timestamp_ms = append_time_ms;
            let records = batch.stored_records();
            let encoded = header.encode(records.len(), crc32c(&records))?;
            overwrite(&mut bytes, 0..BATCH_HEADER_BYTES, &encoded);
        }
        overwrite(
            &mut bytes,
            BASE_OFFSET_AT,
            &header.base_offset.0.to_be_bytes(),
        );
        overwrite(&mut bytes, LEADER_EPOCH_AT, &leader_epoch.0.to_be_bytes());

        let stored = StoredBatch {
            header,
            bytes: bytes.freeze(),
        };
        self.end_offset = stored.next_offset();
        self.bytes = self.bytes.saturating_add(stored.bytes.len() as u64);
        self.batches.push_back(stored);
        Ok(header.base_offset)
    }

    /// Drops the oldest batches while there are more bytes than that; the last batch stays.
    pub(crate) fn retain(&mut self, retention_bytes: u64) {
        while self.bytes > retention_bytes && self.batches.len() > 1 {
            if let Some(dropped) = self.batches.pop_front() {
                self.bytes = self.bytes.saturating_sub(dropped.bytes.len() as u64);
            }
        }
    }

    /// Drops every batch that reaches up to or beyond an offset, as a follower does that becomes leader without having had
    /// them.
    pub(crate) fn truncate(&mut self, offset: Offset) {
        while let Some(last) = self.batches.back()
            && last.next_offset() > offset.0
        {
            self.end_offset = last.base_offset();
            self.bytes = self.bytes.saturating_sub(last.bytes.len() as u64);
            self.batches.pop_back();
        }
    }

    /// Whole batches from the one that has `offset` on, up to `max_bytes`; the first one even if it is larger. None if the
    /// offset is not in the log; empty at its end.
    pub(crate) fn read(&self, offset: Offset, max_bytes: usize) -> Option<Vec<Bytes>> {
        if offset < self.start_offset() || offset > self.end_offset() {
            return None;
        }
        let mut read = Vec::new();
        let mut room = max_bytes;
        for batch in self.batches.range(self.index_of(offset)..) {
            if batch.bytes.len() > room && !read.is_empty() {
                break;
            }
            room = room.saturating_sub(batch.bytes.len());
            read.push(batch.bytes.clone());
        }
        Some(read)
    }

    /// The first record that is not older than a time: its offset and timestamp in milliseconds.
    pub(crate) fn first_since(&self, timestamp_ms: i64) -> Option<(Offset, i64)> {
        let mut batches = self.batches.iter();
        let batch = batches.find(|batch| batch.header.max_timestamp_ms >= timestamp_ms)?;
        let record = records_of(batch).find(|record| record.timestamp_ms >= timestamp_ms);
        record.map(|record| (record.offset, record.timestamp_ms))
    }

    /// The first of the youngest records: its offset and timestamp in milliseconds.
    pub(crate) fn youngest(&self) -> Option<(Offset, i64)> {
        let times = self
            .batches
            .iter()
            .map(|batch| batch.header.max_timestamp_ms);
        times.max().and_then(|youngest| self.first_since(youngest))
    }

    /// Every record, in order. What cannot be read, for want of a decompressor, is left out.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.batches.iter().flat_map(records_of)
    }

    /// The index of the batch that has an offset, or of the end.
    fn index_of(&self, offset: Offset) -> usize {
        self.batches
            .partition_point(|batch| batch.next_offset() <= offset.0)
    }
}

fn overwrite(bytes: &mut BytesMut, range: std::ops::Range<usize>, with: &[u8]) {
    if let Some(place) = bytes.get_mut(range)
        && place.len() == with.len()
    {
        place.copy_from_slice(with);
    }
}

fn records_of(stored: &StoredBatch) -> impl Iterator<Item = Record> + use<> {
    let batches = wolff_codec::records::Batches::new(stored.bytes.clone());
    batches
        .flatten()
        .filter_map(|batch| batch.records(MAX_DECOMPRESSED_BYTES).ok())
        .flatten()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::incoming;

    fn log_of(batches: &[&[&str]]) -> Log {
        let mut log = Log::default();
        for values in batches {
            append(&mut log, values, None);
        }
        log
    }

    fn append(log: &mut Log, values: &[&str], append_time_ms: Option<i64>) -> i64 {
        let batch = incoming::check(Some(fixture::batch(values)), 9, usize::MAX).unwrap();
        log.append(&batch, LeaderEpoch(3), append_time_ms)
            .unwrap()
            .0
    }

    fn values(log: &Log) -> Vec<(i64, String)> {
        let text = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        log.records()
            .map(|record| (record.offset.0, text(record)))
            .collect()
    }

    #[test]
    fn records_get_offsets_without_gaps_and_keep_their_checksum() {
        let log = log_of(&[&["a", "b"], &["c"]]);
        let expected =
            [(0, "a"), (1, "b"), (2, "c")].map(|(offset, text)| (offset, text.to_owned()));
        assert_eq!(values(&log), expected);
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (Offset(0), Offset(3))
        );
        for stored in log.batches() {
            let batch = wolff_codec::records::Batches::new(stored.bytes.clone())
                .next()
                .unwrap()
                .unwrap();
            batch.verify().unwrap();
            assert_eq!(batch.header(), stored.header());
            assert_eq!(batch.header().partition_leader_epoch, LeaderEpoch(3));
        }
    }

    #[test]
    fn reading_begins_at_the_batch_that_has_the_offset() {
        let log = log_of(&[&["a", "b"], &["c", "d"], &["e"]]);
        let sizes: Vec<usize> = log.batches().map(|batch| batch.bytes.len()).collect();
        let read = |offset, max_bytes| {
            log.read(Offset(offset), max_bytes)
                .map(|batches| batches.len())
        };
        assert_eq!(read(0, usize::MAX), Some(3));
        assert_eq!(read(1, usize::MAX), Some(3));
        assert_eq!(read(2, usize::MAX), Some(2));
        assert_eq!(read(3, sizes[1]), Some(1));
        assert_eq!(read(3, sizes[1] + sizes[2]), Some(2));
        assert_eq!(
            read(0, 0),
            Some(1),
            "a batch larger than the limit is read alone"
        );
        assert_eq!(read(5, usize::MAX), Some(0));
        assert_eq!(read(6, usize::MAX), None);
        assert_eq!(read(-1, usize::MAX), None);
    }

    #[test]
    fn retention_drops_the_oldest_and_keeps_the_last() {
        let mut log = log_of(&[&["a", "b"], &["c"], &["d"]]);
        let last_bytes = log.batches.back().unwrap().bytes.len() as u64;
        log.retain(2 * last_bytes);
        assert_eq!(log.start_offset(), Offset(2));
        assert_eq!(log.read(Offset(1), 1000), None);
        log.retain(0);
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (Offset(3), Offset(4))
        );
        assert_eq!(append(&mut log, &["e"], None), 4);
    }

    #[test]
    fn truncation_drops_whole_batches_and_gives_their_offsets_again() {
        let mut log = log_of(&[&["a", "b"], &["c", "d"], &["e"]]);
        log.truncate(Offset(3));
        assert_eq!(log.end_offset(), Offset(2));
        assert_eq!(append(&mut log, &["x"], None), 2);
        assert_eq!(values(&log).last(), Some(&(2, "x".to_owned())));
        log.truncate(Offset(0));
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (Offset(0), Offset(0))
        );
    }

    #[test]
    fn records_are_found_by_time() {
        // Every batch of the fixture has timestamps 1000, 1001, …
        let mut log = log_of(&[&["a", "b"]]);
        assert_eq!(log.first_since(0), Some((Offset(0), 1000)));
        assert_eq!(log.first_since(1001), Some((Offset(1), 1001)));
        assert_eq!(log.first_since(1002), None);
        append(&mut log, &["c"], Some(5000));
        assert_eq!(log.first_since(1002), Some((Offset(2), 5000)));
        assert_eq!(log.youngest(), Some((Offset(2), 5000)));
        assert_eq!(Log::default().youngest(), None);
    }

    #[test]
    fn append_time_replaces_the_timestamps() {
        let mut log = Log::default();
        append(&mut log, &["a", "b"], Some(77));
        let times: Vec<i64> = log.records().map(|record| record.timestamp_ms).collect();
        assert_eq!(times, [77, 77]);
        let stored = log.batches().next().unwrap();
        let batch = wolff_codec::records::Batches::new(stored.bytes.clone())
            .next()
            .unwrap()
            .unwrap();
        batch.verify().unwrap();
    }
}
