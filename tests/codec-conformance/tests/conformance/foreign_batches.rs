//! Record batches that other implementations wrote: the samples, in every compression.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{BatchHeader, Batches, FrameTotals, Record, RecordsBuilder};
use wolff_codec_conformance::{golden, samples};

/// More than the samples have.
const AMPLE: usize = 1 << 20;

fn read(bytes: &Bytes) -> Option<Vec<Record>> {
    let batch = Batches::new(bytes.clone()).next()?.ok()?;
    batch.verify().ok()?;
    batch.records(AMPLE).ok()?.collect::<Result<_, _>>().ok()
}

#[test]
fn the_samples_are_read_from_every_batch() {
    for golden::Batch {
        writer,
        compression,
        bytes,
    } in golden::batches().unwrap()
    {
        let mut batches = Batches::new(bytes);
        let batch = batches.next().unwrap().unwrap();
        assert_eq!(batch.verify(), Ok(()), "{writer} {compression}");
        assert_eq!(batch.header().compression.name(), compression, "{writer}");
        let records: Result<Vec<Record>, _> = batch.records(AMPLE).unwrap().collect();
        assert_eq!(records, Ok(samples::records()), "{writer} {compression}");
        assert!(batches.next().is_none() && batches.rest().is_empty());
    }
}

#[test]
fn java_librdkafka_and_franz_go_have_written_every_compression() {
    let batches = golden::batches().unwrap();
    for program in ["java-", "librdkafka-", "franz-go-"] {
        let written: BTreeSet<&str> = batches
            .iter()
            .filter(|batch| batch.writer.starts_with(program))
            .map(|batch| batch.compression)
            .collect();
        assert_eq!(written.len(), 5, "{program}: {written:?}");
    }
}

#[test]
fn uncompressed_batches_are_written_to_the_same_bytes() {
    for golden::Batch {
        writer,
        compression,
        bytes,
    } in golden::batches().unwrap()
    {
        if compression != "none" {
            continue;
        }
        let theirs = *Batches::new(bytes.clone())
            .next()
            .unwrap()
            .unwrap()
            .header();
        let mut builder = RecordsBuilder::new(theirs.base_timestamp_ms);
        for record in samples::records() {
            builder.append(&record.as_record_ref()).unwrap();
        }
        let frame = builder.cut().unwrap();
        let totals = FrameTotals::of([&frame]).unwrap();
        let header = BatchHeader {
            partition_leader_epoch: theirs.partition_leader_epoch,
            producer_id: theirs.producer_id,
            producer_epoch: theirs.producer_epoch,
            base_sequence: theirs.base_sequence,
            ..BatchHeader::for_totals(&totals).unwrap()
        };
        let header = header
            .encode(totals.records_len, totals.records_crc32c)
            .unwrap();
        assert_eq!(bytes, [&header[..], &frame.records].concat(), "{writer}");
    }
}

#[test]
fn a_batch_cut_at_any_byte_is_no_batch_yet() {
    for golden::Batch {
        writer,
        compression,
        bytes,
    } in golden::batches().unwrap()
    {
        for length in 0..bytes.len() {
            let mut batches = Batches::new(bytes.slice(..length));
            assert!(batches.next().is_none(), "{writer} {compression}: {length}");
            assert_eq!(batches.rest().len(), length);
        }
    }
}

/// The checksum does not cover the first bytes; those that it covers cannot change unnoticed.
#[test]
fn a_batch_with_a_flipped_bit_is_not_read() {
    for golden::Batch {
        writer,
        compression,
        bytes,
    } in golden::batches().unwrap()
    {
        for position in 17..bytes.len() {
            let mut damaged = BytesMut::from(&bytes[..]);
            damaged[position] ^= 1 << (position % 8);
            let damaged = damaged.freeze();
            assert_eq!(
                read(&damaged),
                None,
                "{writer} {compression}: byte {position}"
            );
        }
    }
}

#[test]
fn all_batches_are_read_from_one_piece_behind_each_other() {
    let batches = golden::batches().unwrap();
    let together: Vec<u8> = batches
        .iter()
        .flat_map(|batch| batch.bytes.to_vec())
        .collect();
    let read: Vec<Bytes> = Batches::new(together.into())
        .map(|batch| batch.unwrap().as_bytes().clone())
        .collect();
    let expected: Vec<Bytes> = batches.into_iter().map(|batch| batch.bytes).collect();
    assert_eq!(read, expected);
}
