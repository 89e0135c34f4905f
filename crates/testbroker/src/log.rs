//! Record batches as a broker stores them: their bytes, with the offsets that they got.

use bytes::{Bytes, BytesMut};
use wolff_codec::ids::Offset;
use wolff_codec::records::{
    BATCH_HEADER_BYTES, Batch, BatchHeader, BatchTooLarge, Record, TimestampType, crc32c,
};

use crate::incoming::MAX_DECOMPRESSED_BYTES;
use crate::partition::{Log, Placement, StoredBatch};

/// Where a batch header has the base offset and the leader's epoch: the only bytes of a batch that
/// a broker may change without a new checksum.
const BASE_OFFSET_AT: std::ops::Range<usize> = 0..8;
const LEADER_EPOCH_AT: std::ops::Range<usize> = 12..16;

/// The bytes of a batch in the log: header and records.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    bytes: Bytes,
}

impl Stored {
    /// A checked batch at its place. An append time replaces the records' timestamps.
    ///
    /// The bytes are copied, so that the log does not keep whole requests alive.
    pub(crate) fn new(batch: &Batch, placement: &Placement) -> Result<Self, BatchTooLarge> {
        let mut bytes = BytesMut::from(&batch.as_bytes()[..]);
        if let Some(append_time_ms) = placement.append_time_ms {
            let header = BatchHeader {
                timestamp_type: TimestampType::LogAppendTime,
                max_timestamp_ms: append_time_ms,
                ..*batch.header()
            };
            let records = batch.stored_records();
            let encoded = header.encode(records.len(), crc32c(&records))?;
            overwrite(&mut bytes, 0..BATCH_HEADER_BYTES, &encoded);
        }
        let base_offset = placement.base_offset.0.to_be_bytes();
        overwrite(&mut bytes, BASE_OFFSET_AT, &base_offset);
        let leader_epoch = placement.leader_epoch.0.to_be_bytes();
        overwrite(&mut bytes, LEADER_EPOCH_AT, &leader_epoch);
        Ok(Self {
            bytes: bytes.freeze(),
        })
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn records(&self) -> impl Iterator<Item = Record> + use<> {
        let batches = wolff_codec::records::Batches::new(self.bytes.clone());
        batches
            .flatten()
            .filter_map(|batch| batch.records(MAX_DECOMPRESSED_BYTES).ok())
            .flatten()
            .flatten()
    }
}

/// Reading.
impl Log<Stored> {
    /// Whole batches from the one that has `offset` on, up to `max_bytes`; the first one even if it
    /// is larger. None if the offset is not in the log; empty at its end.
    pub(crate) fn read(&self, offset: Offset, max_bytes: usize) -> Option<Vec<Bytes>> {
        if offset < self.start_offset() || offset > self.end_offset() {
            return None;
        }
        let mut read = Vec::new();
        let mut room = max_bytes;
        for batch in self.batches_from(offset) {
            let bytes = batch.payload().bytes();
            if bytes.len() > room && !read.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes.len());
            read.push(bytes.clone());
        }
        Some(read)
    }

    /// The first record that is not older than a time: its offset and timestamp in milliseconds.
    pub(crate) fn first_since(&self, timestamp_ms: i64) -> Option<(Offset, i64)> {
        let mut batches = self.batches();
        let batch = batches.find(|batch| batch.max_timestamp_ms() >= timestamp_ms)?;
        let mut records = batch.payload().records();
        let record = records.find(|record| record.timestamp_ms >= timestamp_ms);
        record.map(|record| (record.offset, record.timestamp_ms))
    }

    /// The first of the youngest records: its offset and timestamp in milliseconds.
    pub(crate) fn youngest(&self) -> Option<(Offset, i64)> {
        let times = self.batches().map(StoredBatch::max_timestamp_ms);
        times.max().and_then(|youngest| self.first_since(youngest))
    }

    /// Every record, in order. What cannot be read, for want of a decompressor, is left out.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.payloads().flat_map(Stored::records)
    }
}

fn overwrite(bytes: &mut BytesMut, range: std::ops::Range<usize>, with: &[u8]) {
    if let Some(place) = bytes.get_mut(range)
        && place.len() == with.len()
    {
        place.copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use wolff_codec::ids::{BrokerId, LeaderEpoch};

    use super::*;
    use crate::fixture;
    use crate::incoming;
    use crate::partition::{ACKS_ALL, PartitionModel, Refusal, Rules};

    fn partition() -> PartitionModel<Stored> {
        PartitionModel::new(Rules::default(), [BrokerId(1)])
    }

    fn partition_of(batches: &[&[&str]]) -> PartitionModel<Stored> {
        let mut partition = partition();
        partition.elect(BrokerId(1), 0);
        for values in batches {
            append(&mut partition, values, 0);
        }
        partition
    }

    fn append(partition: &mut PartitionModel<Stored>, values: &[&str], now_ms: i64) -> i64 {
        let checked = incoming::check(Some(fixture::batch(values)), 9, usize::MAX, false).unwrap();
        let store = |placement: &Placement| {
            Ok::<_, Refusal>(Stored::new(&checked.batch, placement).unwrap())
        };
        let appended = partition.produce_with(&checked.facts, ACKS_ALL, now_ms, store);
        appended.unwrap().base_offset.0
    }

    fn values(log: &Log<Stored>) -> Vec<(i64, String)> {
        let text = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        log.records()
            .map(|record| (record.offset.0, text(record)))
            .collect()
    }

    fn parsed(stored: &Stored) -> Batch {
        let mut batches = wolff_codec::records::Batches::new(stored.bytes.clone());
        batches.next().unwrap().unwrap()
    }

    #[test]
    fn records_get_offsets_without_gaps_and_keep_their_checksum() {
        let partition = partition_of(&[&["a", "b"], &["c"]]);
        let log = partition.log();
        let expected =
            [(0, "a"), (1, "b"), (2, "c")].map(|(offset, text)| (offset, text.to_owned()));
        assert_eq!(values(log), expected);
        for stored in log.batches() {
            let batch = parsed(stored.payload());
            batch.verify().unwrap();
            assert_eq!(batch.header().base_offset, stored.base_offset());
            assert_eq!(batch.header().partition_leader_epoch, LeaderEpoch(1));
        }
    }

    #[test]
    fn reading_begins_at_the_batch_that_has_the_offset() {
        let partition = partition_of(&[&["a", "b"], &["c", "d"], &["e"]]);
        let log = partition.log();
        let sizes: Vec<usize> = log.payloads().map(|stored| stored.bytes.len()).collect();
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
        let mut partition = partition_of(&[&["a", "b"], &["c"], &["d"]]);
        let last = partition.log().payloads().last().unwrap();
        partition.rules_mut().retention_bytes = Some(2 * last.bytes.len() as u64);
        assert_eq!(append(&mut partition, &["e"], 0), 4);
        assert_eq!(partition.log().start_offset(), Offset(3));
        assert!(partition.log().read(Offset(2), 1000).is_none());
        partition.rules_mut().retention_bytes = Some(0);
        assert_eq!(append(&mut partition, &["f"], 0), 5);
        let log = partition.log();
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (Offset(5), Offset(6))
        );
    }

    #[test]
    fn truncation_drops_whole_batches_and_gives_their_offsets_again() {
        let mut partition = partition_of(&[&["a", "b"], &["c", "d"], &["e"]]);
        partition.lose_beyond(Offset(3), 0);
        assert_eq!(partition.log().end_offset(), Offset(2));
        assert_eq!(append(&mut partition, &["x"], 0), 2);
        assert_eq!(values(partition.log()).last(), Some(&(2, "x".to_owned())));
        partition.lose_beyond(Offset(0), 0);
        let log = partition.log();
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (Offset(0), Offset(0))
        );
    }

    #[test]
    fn records_are_found_by_time() {
        // Every batch of the fixture has timestamps 1000, 1001, …
        let mut partition = partition_of(&[&["a", "b"]]);
        assert_eq!(partition.log().first_since(0), Some((Offset(0), 1000)));
        assert_eq!(partition.log().first_since(1001), Some((Offset(1), 1001)));
        assert_eq!(partition.log().first_since(1002), None);
        partition.rules_mut().has_log_append_time = true;
        append(&mut partition, &["c"], 5000);
        assert_eq!(partition.log().first_since(1002), Some((Offset(2), 5000)));
        assert_eq!(partition.log().youngest(), Some((Offset(2), 5000)));
        assert_eq!(Log::<Stored>::default().youngest(), None);
    }

    #[test]
    fn append_time_replaces_the_timestamps() {
        let mut partition = partition();
        partition.rules_mut().has_log_append_time = true;
        append(&mut partition, &["a", "b"], 77);
        let times: Vec<i64> = (partition.log().records())
            .map(|record| record.timestamp_ms)
            .collect();
        assert_eq!(times, [77, 77]);
        let stored = partition.log().payloads().next().unwrap();
        parsed(stored).verify().unwrap();
    }
}
