//! Record batches: the same bytes, and with every compression each reads the other's.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as peer;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;
use wolff_codec::records::{
    BatchHeader, Batches, Compression, CompressionLevel, FrameTotals, Header, Record,
    RecordsBuilder, compress, crc32c,
};
use wolff_codec::{Offset, ProducerEpoch, ProducerId, Str};

/// Size that no sample decompresses to.
const AMPLE: usize = 16 << 20;

/// Producer fields of a batch.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    is_transactional: bool,
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    (0..i64::MAX, 0..i16::MAX, 0..1_000_000i32, any::<bool>()).prop_map(
        |(producer_id, producer_epoch, base_sequence, is_transactional)| Stamp {
            producer_id,
            producer_epoch,
            base_sequence,
            is_transactional,
        },
    )
}

/// Records in the order of their timestamps, because the peer takes the lowest as the base and we
/// the first; without headers of the same name, which the peer cannot hold.
fn any_records() -> impl Strategy<Value = Vec<Record>> {
    let bytes = || option::of(vec(any::<u8>(), 0..200).prop_map(Bytes::from));
    let header = move |key: &'static str| {
        bytes().prop_map(move |value| Header {
            key: Str::from_static(key),
            value,
        })
    };
    let headers = subsequence(vec!["", "trace", "größe"], 0..=3)
        .prop_flat_map(move |keys| keys.into_iter().map(header).collect::<Vec<_>>());
    let record = (0i64..5000, bytes(), bytes(), headers);
    (-1000i64..1_700_000_000_000, vec(record, 1..40)).prop_map(|(start, records)| {
        let mut timestamp_ms = start;
        let numbered = (0..).zip(records);
        numbered
            .map(|(offset, (step, key, value, headers))| {
                timestamp_ms += step;
                Record {
                    offset: Offset(offset),
                    timestamp_ms,
                    key,
                    value,
                    headers,
                }
            })
            .collect()
    })
}

const COMPRESSIONS: [(Compression, peer::Compression); 5] = [
    (Compression::None, peer::Compression::None),
    (Compression::Gzip, peer::Compression::Gzip),
    (Compression::Snappy, peer::Compression::Snappy),
    (Compression::Lz4, peer::Compression::Lz4),
    (Compression::Zstd, peer::Compression::Zstd),
];

fn our_batch(records: &[Record], stamp: Stamp, compression: Compression) -> Bytes {
    let mut builder = RecordsBuilder::new(records[0].timestamp_ms);
    for record in records {
        builder.append(&record.as_record_ref()).unwrap();
    }
    let frame = builder.cut().unwrap();
    let totals = FrameTotals::of([&frame]).unwrap();
    let header = BatchHeader {
        compression,
        producer_id: ProducerId(stamp.producer_id),
        producer_epoch: ProducerEpoch(stamp.producer_epoch),
        base_sequence: stamp.base_sequence,
        is_transactional: stamp.is_transactional,
        ..BatchHeader::for_totals(&totals).unwrap()
    };
    let stored = compress(compression, CompressionLevel::DEFAULT, &[frame.records]).unwrap();
    let header = header.encode(stored.len(), crc32c(&stored)).unwrap();
    Bytes::from([&header[..], &stored].concat())
}

fn peer_records(records: &[Record], stamp: Stamp) -> Vec<peer::Record> {
    let header = |header: &Header| {
        (
            StrBytes::from_string(header.key.to_string()),
            header.value.clone(),
        )
    };
    records
        .iter()
        .map(|record| peer::Record {
            transactional: stamp.is_transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: peer::NO_PARTITION_LEADER_EPOCH,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            timestamp_type: peer::TimestampType::Creation,
            offset: record.offset.0,
            sequence: stamp.base_sequence + i32::try_from(record.offset.0).unwrap(),
            timestamp: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record
                .headers
                .iter()
                .map(header)
                .collect::<IndexMap<_, _>>(),
        })
        .collect()
}

fn peer_batch(records: &[peer::Record], compression: peer::Compression) -> Bytes {
    let mut batch = BytesMut::new();
    let options = peer::RecordEncodeOptions {
        version: 2,
        compression,
    };
    peer::RecordBatchEncoder::encode(&mut batch, records, &options).unwrap();
    batch.freeze()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn uncompressed_batches_are_the_same_bytes(records in any_records(), stamp in any_stamp()) {
        let theirs = peer_batch(&peer_records(&records, stamp), peer::Compression::None);
        prop_assert_eq!(our_batch(&records, stamp, Compression::None), theirs);
    }

    #[test]
    fn the_peer_reads_our_batches(records in any_records(), stamp in any_stamp()) {
        for (compression, peer_compression) in COMPRESSIONS {
            let mut batch = our_batch(&records, stamp, compression);
            let read = peer::RecordBatchDecoder::decode(&mut batch).unwrap();
            prop_assert_eq!(read.compression, peer_compression);
            prop_assert_eq!(read.records, peer_records(&records, stamp));
            prop_assert!(batch.is_empty());
        }
    }

    #[test]
    fn we_read_the_peers_batches(records in any_records(), stamp in any_stamp()) {
        for (compression, peer_compression) in COMPRESSIONS {
            let bytes = peer_batch(&peer_records(&records, stamp), peer_compression);
            let mut batches = Batches::new(bytes);
            let batch = batches.next().unwrap().unwrap();
            prop_assert!(batches.next().is_none());
            prop_assert_eq!(batch.verify(), Ok(()));
            prop_assert_eq!(batch.header().compression, compression);
            prop_assert_eq!(batch.header().producer_id, ProducerId(stamp.producer_id));
            prop_assert_eq!(batch.header().base_sequence, stamp.base_sequence);
            let read: Result<Vec<Record>, _> = batch.records(AMPLE).unwrap().collect();
            prop_assert_eq!(read.unwrap(), records.clone());
        }
    }
}

/// Snappy blocks and lz4 blocks end within such a batch.
#[test]
fn large_batches_are_read_both_ways() {
    let stamp = Stamp {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        is_transactional: false,
    };
    let records: Vec<Record> = (0..3000i64)
        .map(|index| Record {
            offset: Offset(index),
            timestamp_ms: 1_700_000_000_000 + index,
            key: None,
            value: Some(Bytes::from(format!(
                "{{\"reading\":{},\"unit\":\"kelvin\"}}",
                index * 7919
            ))),
            headers: Vec::new(),
        })
        .collect();
    for (compression, peer_compression) in COMPRESSIONS {
        let mut ours = our_batch(&records, stamp, compression);
        let read = peer::RecordBatchDecoder::decode(&mut ours).unwrap();
        assert_eq!(read.records, peer_records(&records, stamp));

        let theirs = peer_batch(&peer_records(&records, stamp), peer_compression);
        let batch = Batches::new(theirs).next().unwrap().unwrap();
        let read: Result<Vec<Record>, _> = batch.records(AMPLE).unwrap().collect();
        assert_eq!(read.unwrap(), records);
    }
}
