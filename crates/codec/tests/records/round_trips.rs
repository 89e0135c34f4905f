//! Written, read back, equal.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};
use wolff_codec::{
    ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId},
    records::{
        Batch, Batches, Compression, Frame, Record, RecordError, Records, RecordsBuilder,
        TimestampType,
    },
};

use crate::samples::{AMPLE, any_compression, any_record, batch_of, frames_of, ordinary_batch};

fn only_batch(bytes: Bytes) -> Batch {
    let mut batches = Batches::new(bytes);
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    assert!(batches.rest().is_empty());
    batch
}

fn records_of(batch: &Batch) -> Vec<Record> {
    let records: Result<Vec<_>, RecordError> = batch.records(AMPLE).unwrap().collect();
    records.unwrap()
}

/// The same records at consecutive offsets.
fn numbered(records: &[Record], base: i64) -> Vec<Record> {
    (base..)
        .zip(records)
        .map(|(offset, record)| Record {
            offset: Offset(offset),
            ..record.clone()
        })
        .collect()
}

proptest! {
    #[test]
    fn any_records_come_back_from_any_frames_with_any_compression(
        records in vec(any_record(), 1..60),
        base_timestamp_ms: i64,
        frame_sizes in vec(1usize..20, 0..4),
        compression in any_compression(),
    ) {
        let frames = frames_of(&records, base_timestamp_ms, &frame_sizes);
        let batch = only_batch(batch_of(&frames, compression, |header| header.base_offset = Offset(100)));
        prop_assert_eq!(batch.verify(), Ok(()));
        prop_assert_eq!(records_of(&batch), numbered(&records, 100));
    }

    #[test]
    fn a_stamp_changes_the_header_and_nothing_else(
        records in vec(any_record(), 1..10),
        stamp: (i64, i16, i32),
        is_transactional: bool,
    ) {
        let frames = frames_of(&records, 0, &[]);
        let batch = only_batch(batch_of(&frames, Compression::None, |header| {
            header.producer_id = ProducerId(stamp.0);
            header.producer_epoch = ProducerEpoch(stamp.1);
            header.base_sequence = stamp.2;
            header.is_transactional = is_transactional;
        }));
        prop_assert_eq!(batch.verify(), Ok(()));
        let header = batch.header();
        prop_assert_eq!((header.producer_id.0, header.producer_epoch.0, header.base_sequence), stamp);
        prop_assert_eq!(header.is_transactional, is_transactional);
        prop_assert_eq!(batch.stored_records(), &frames[0].records);
    }

    #[test]
    fn frames_read_back_from_storage_make_the_same_batch(
        records in vec(any_record(), 1..30),
        frame_sizes in vec(1usize..10, 1..4),
    ) {
        let frames = frames_of(&records, 5, &frame_sizes);
        let stored = frames.iter().map(|frame| (frame.records.to_vec(), frame.metadata()));
        let again: Vec<_> = stored.map(|(bytes, metadata)| Frame::from_parts(bytes.into(), metadata)).collect();
        prop_assert_eq!(
            batch_of(&again, Compression::None, |_| {}),
            batch_of(&frames, Compression::None, |_| {})
        );
    }

    #[test]
    fn a_batch_is_split_by_reading_its_frames_into_new_builders(records in vec(any_record(), 2..30)) {
        let mut halves = Vec::new();
        let mut builder = RecordsBuilder::new(0);
        for frame in frames_of(&records, 77, &[records.len() / 2 + 1]) {
            builder.restart(frame.base_timestamp_ms);
            for record in Records::of_frame(&frame) {
                builder.append(&record.unwrap().as_record_ref()).unwrap();
            }
            halves.push(batch_of(&[builder.cut().unwrap()], Compression::None, |_| {}));
        }
        let read: Vec<_> = halves.into_iter().flat_map(|half| records_of(&only_batch(half))).collect();
        prop_assert_eq!(numbered(&read, 0), numbered(&records, 0));
    }
}

#[test]
fn several_batches_in_a_row_are_read_up_to_the_partial_last_one() {
    let (first, second) = (
        ordinary_batch(3, Compression::None),
        ordinary_batch(5, Compression::Lz4),
    );
    for cut in 1..=second.len() {
        let partial = second.slice(..second.len() - cut);
        let bytes = [&first[..], &second, &first, &partial].concat();
        let mut batches = Batches::new(bytes.into());
        let counts: Vec<_> = batches
            .by_ref()
            .map(|batch| records_of(&batch.unwrap()).len())
            .collect();
        assert_eq!(counts, [3, 5, 3]);
        assert_eq!(batches.rest(), &partial);
        assert!(batches.next().is_none());
    }
}

#[test]
fn records_share_the_bytes_of_their_batch() {
    let bytes = ordinary_batch(2, Compression::None);
    let memory = bytes.as_ptr_range();
    for record in records_of(&only_batch(bytes)) {
        assert!(memory.contains(&record.value.unwrap().as_ptr()));
        assert!(memory.contains(&record.headers[0].key.as_bytes().as_ptr()));
    }
}

#[test]
fn null_and_empty_are_told_apart() {
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let record = |key, value| Record {
        offset: Offset(0),
        timestamp_ms: 0,
        key,
        value,
        headers: Vec::new(),
    };
    let records = [
        record(None, bytes("")),
        record(bytes(""), None),
        record(bytes(""), bytes("")),
        record(None, None),
    ];
    let batch = only_batch(batch_of(
        &frames_of(&records, 0, &[]),
        Compression::None,
        |_| {},
    ));
    assert_eq!(records_of(&batch), numbered(&records, 0));
}

#[test]
fn where_the_broker_sets_the_time_every_record_has_it() {
    let mut builder = RecordsBuilder::new(10);
    builder.append(&Default::default()).unwrap();
    builder.append(&Default::default()).unwrap();
    let batch = only_batch(batch_of(
        &[builder.cut().unwrap()],
        Compression::None,
        |header| {
            header.timestamp_type = TimestampType::LogAppendTime;
            header.max_timestamp_ms = 99;
        },
    ));
    let times: Vec<_> = records_of(&batch)
        .iter()
        .map(|record| record.timestamp_ms)
        .collect();
    assert_eq!(times, [99, 99]);
}

#[test]
fn what_the_broker_writes_into_a_batch_is_not_covered_by_its_checksum() {
    let mut bytes = BytesMut::from(&ordinary_batch(1, Compression::None)[..]);
    bytes[..8].copy_from_slice(&4711i64.to_be_bytes());
    bytes[12..16].copy_from_slice(&12i32.to_be_bytes());
    let batch = only_batch(bytes.freeze());
    assert_eq!(batch.verify(), Ok(()));
    assert_eq!(batch.header().partition_leader_epoch, LeaderEpoch(12));
    assert_eq!(records_of(&batch)[0].offset, Offset(4711));
}
