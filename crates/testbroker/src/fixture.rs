//! Record batches for the unit tests.

use bytes::Bytes;
use wolff_codec::ids::{ProducerEpoch, ProducerId};
use wolff_codec::records::{BatchHeader, FrameTotals, RecordRef, RecordsBuilder};

/// An uncompressed batch with these values, no keys, and timestamps 1000, 1001, …
pub(crate) fn batch(values: &[&str]) -> Bytes {
    stamped_batch(values, BatchHeader::default())
}

/// The same with producer id, epoch and sequence of a header.
pub(crate) fn stamped_batch(values: &[&str], stamp: BatchHeader) -> Bytes {
    let mut builder = RecordsBuilder::new(1000);
    for (timestamp_ms, value) in (1000..).zip(values) {
        let record = RecordRef {
            timestamp_ms,
            value: Some(value.as_bytes()),
            ..RecordRef::default()
        };
        builder.append(&record).unwrap();
    }
    let frame = builder.cut().unwrap();
    let totals = FrameTotals::of([&frame]).unwrap();
    let header = BatchHeader {
        producer_id: stamp.producer_id,
        producer_epoch: stamp.producer_epoch,
        base_sequence: stamp.base_sequence,
        ..BatchHeader::for_totals(&totals).unwrap()
    };
    let encoded = header
        .encode(totals.records_len, totals.records_crc32c)
        .unwrap();
    Bytes::from([&encoded[..], &frame.records].concat())
}

/// A header with this stamp.
pub(crate) fn stamp(producer_id: i64, epoch: i16, base_sequence: i32) -> BatchHeader {
    BatchHeader {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        ..BatchHeader::default()
    }
}
