//! Allocations of decoding and encoding: bounded by the input for hostile bytes, nothing beyond the
//! result for ordinary ones.

use allocation_counter::{AllocationInfo, measure};
use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{AnyRequest, AnyResponse, MetadataResponse, ProduceResponse};
use wolff_codec::messages::{MetadataResponsePartition, MetadataResponseTopic};
use wolff_codec::messages::{PartitionProduceResponse, TopicProduceResponse};
use wolff_codec::records::BatchHeader;
use wolff_codec::records::{Batches, FrameTotals, Header, RecordRef, RecordsBuilder};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, BrokerId, DecodeError, Defect, Message, PartitionId, Str};

use crate::every_message::{AnyMessage, Kind};
use crate::grown::Random;

/// Bytes that may be allocated at a time, per byte of a message.
const ALLOCATED_PER_BYTE: usize = 64;

/// Memory that the decoded message may take, per byte of it and beside.
const MEMORY_PER_BYTE: usize = 4;
const MEMORY_BYTES: usize = 1 << 20;

/// For an error and its path.
const ERROR_BYTES: usize = 1024;

/// Bytes of a hostile body.
const BODY_BYTES: usize = 8_000;

/// A message up to a random byte; there a large count, and content that passes for many small
/// elements.
fn hostile_body(kind: Kind, valid: &Bytes, random: &mut Random) -> Bytes {
    const FILLERS: [&[u8]; 6] = [&[0], &[1], &[1, 0], &[0, 1], &[1, 1, 0], &[0xff]];
    const COUNTS: [&[u8]; 4] = [
        &[0xa0, 0x1f],
        &[0xff, 0x3e],
        &[0, 0, 0x0f, 0xa0],
        &[0, 0, 0x1f, 0],
    ];
    let mut body = BytesMut::from(&valid[..random.below(valid.len() + 1)]);
    body.extend_from_slice(COUNTS[random.below(2) + if kind.is_flexible() { 0 } else { 2 }]);
    let filler = FILLERS[random.below(FILLERS.len())];
    while body.len() < BODY_BYTES {
        body.extend_from_slice(filler);
    }
    body.freeze()
}

fn assert_bounded<M: AnyMessage>(kind: Kind, valid: &Bytes, _: &M) {
    let mut random = Random::new(valid.len() as u64);
    for _ in 0..12 {
        let body = hostile_body(kind, valid, &mut random);
        let allocated = measure(|| drop(std::hint::black_box(M::decode(kind, &body))));
        let limit = body.len() * ALLOCATED_PER_BYTE + ERROR_BYTES;
        assert!(
            allocated.bytes_max <= limit as u64,
            "{kind:?}: {allocated:?} of {limit}"
        );
    }
}

#[test]
fn hostile_bytes_are_given_a_bounded_multiple_of_their_size() {
    Kind::for_random_messages::<AnyRequest>(4, assert_bounded);
    Kind::for_random_messages::<AnyResponse>(4, assert_bounded);
}

#[test]
fn a_count_that_lies_is_given_nothing() {
    for kind in Kind::all() {
        let mut body = BytesMut::new();
        body.extend_from_slice(&[0x7f; 4]);
        body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07]);
        let body = body.freeze();
        let allocated = measure(|| {
            let _ = std::hint::black_box(AnyRequest::decode(kind.api_key, kind.version, &body));
            let _ = std::hint::black_box(AnyResponse::decode(kind.api_key, kind.version, &body));
        });
        assert!(
            allocated.bytes_max < ERROR_BYTES as u64,
            "{kind:?}: {allocated:?}"
        );
    }
}

/// A body of tiny elements in great number, behind so much of a valid one.
fn many_tiny_elements(valid: &Bytes, prefix: usize, is_flexible: bool, filler: &[u8]) -> Bytes {
    const ELEMENTS: u32 = 300_000;
    let mut body = BytesMut::from(&valid[..prefix]);
    if is_flexible {
        unsigned(ELEMENTS + 1, &mut body);
    } else {
        body.extend_from_slice(&ELEMENTS.to_be_bytes());
    }
    while body.len() < 400_000 {
        body.extend_from_slice(filler);
    }
    body.freeze()
}

#[test]
fn a_hostile_response_takes_four_times_its_bytes_and_a_mebibyte_at_most() {
    let mut refused = 0;
    for kind in Kind::all() {
        let newest = *AnyResponse::versions(kind.api_key).unwrap().end();
        if kind.version != newest {
            continue;
        }
        let mut random = Random::new(kind.version.cast_unsigned().into());
        let (valid, _) = kind.grow::<AnyResponse>(&mut random);
        for prefix in (0..valid.len()).take(6) {
            let body = many_tiny_elements(&valid, prefix, kind.is_flexible(), &[0]);
            let mut error = None;
            let allocated = measure(|| {
                error = AnyResponse::decode(kind.api_key, kind.version, &body).err();
            });
            let limit = body.len() * MEMORY_PER_BYTE + MEMORY_BYTES + ERROR_BYTES;
            assert!(
                allocated.bytes_max <= limit as u64,
                "{kind:?}: {allocated:?} of {limit}"
            );
            if let Some(DecodeError::Malformed(malformed)) = error {
                refused += i32::from(matches!(malformed.defect, Defect::TooMuchMemory { .. }));
            }
        }
    }
    assert!(refused > 8, "{refused}");
}

#[test]
fn a_large_answer_of_a_real_cluster_takes_three_times_its_bytes_at_most() {
    for replicas in 1..=3 {
        let brokers = (0..replicas).map(BrokerId);
        let partition = |index| MetadataResponsePartition {
            partition_index: PartitionId(index),
            replica_nodes: brokers.clone().collect(),
            isr_nodes: brokers.clone().collect(),
            ..Default::default()
        };
        let topic = |index: i32| MetadataResponseTopic {
            name: Some(Str::from(format!("topic-{index}"))),
            partitions: (0..10).map(partition).collect(),
            ..Default::default()
        };
        let response = MetadataResponse {
            topics: (0..20_000).map(topic).collect(),
            ..Default::default()
        };
        for version in [4, 8, 12] {
            let body = received(&response, version);
            assert!(MetadataResponse::decode(&body, version).is_ok());
            let allocated = decoding::<MetadataResponse>(&body, version);
            assert!(
                allocated.bytes_max <= 3 * body.len() as u64,
                "{version}: {allocated:?} of {}",
                body.len()
            );
        }
    }
}

fn unsigned(mut value: u32, out: &mut BytesMut) {
    while let Some(low) = (value >= 0x80).then_some(value & 0x7f) {
        out.extend_from_slice(&[u8::try_from(low).unwrap() | 0x80]);
        value >>= 7;
    }
    out.extend_from_slice(&[u8::try_from(value).unwrap()]);
}

fn assert_response_is_bounded(api_key: ApiKey, version: i16, body: BytesMut) {
    let body = body.freeze();
    let limit = body.len() * ALLOCATED_PER_BYTE + ERROR_BYTES;
    let allocated = measure(|| {
        let _ = std::hint::black_box(AnyResponse::decode(api_key, version, &body));
    });
    // All that was ever allocated, not only what was at a time.
    assert!(
        allocated.bytes_total <= limit as u64,
        "{api_key} {version}: {allocated:?} of {limit}"
    );
}

#[test]
fn lies_inside_of_lies_do_not_add_up() {
    // In front of each count: the fixed part of the first element that the count before it claims.
    let nested: [(ApiKey, i16, [&[u8]; 4]); 3] = [
        (
            ApiKey::DESCRIBE_CONFIGS,
            4,
            [&[0; 4], &[0, 0, 0, 0, 1], &[1, 0, 0, 0, 0], &[1, 0, 0]],
        ),
        (
            ApiKey::PRODUCE,
            13,
            [&[], &[0; 16], &[0; 30], &[0, 0, 0, 0, 0]],
        ),
        (
            ApiKey::DESCRIBE_PRODUCERS,
            0,
            [&[0; 4], &[1], &[0; 7], &[0; 36]],
        ),
    ];
    for (api_key, version, fixed) in nested {
        for tag_count in [20, 65, 129, 1025, 4097] {
            let mut body = BytesMut::new();
            // Each tag takes three bytes at most.
            let [first, inner @ ..] = fixed;
            body.extend_from_slice(first);
            for fixed in inner {
                unsigned(2 * tag_count, &mut body);
                body.extend_from_slice(fixed);
            }
            unsigned(tag_count, &mut body);
            for tag in 0..tag_count {
                unsigned(tag, &mut body);
                body.extend_from_slice(&[0]);
            }
            assert_response_is_bounded(api_key, version, body);
        }
    }
}

#[test]
fn elements_that_are_tiny_on_the_wire_are_paid_for_once() {
    for count in [100, 1000, 10_000] {
        let mut topics = BytesMut::new();
        unsigned(count + 1, &mut topics);
        (0..count).for_each(|_| topics.extend_from_slice(&[1, 1, 0]));
        topics.extend_from_slice(&[0; 5]);
        assert!(AnyResponse::decode(ApiKey::PRODUCE, 12, &topics.clone().freeze()).is_ok());
        assert_response_is_bounded(ApiKey::PRODUCE, 12, topics);

        // A large one first, by which no other can be judged.
        let mut names = BytesMut::from(&[0; 39][..]);
        unsigned(count + 1, &mut names);
        unsigned(count / 2 + 1, &mut names);
        (0..count / 2).for_each(|_| names.extend_from_slice(b"x"));
        (0..count).for_each(|_| names.extend_from_slice(&[1]));
        assert_response_is_bounded(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, 0, names);
    }
}

/// A body as it comes off a connection: part of a larger buffer.
fn received<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer).unwrap();
    let mut buffer = BytesMut::from(&writer.finish().to_bytes()[..]);
    buffer.extend_from_slice(b"the next frame");
    buffer.split_to(buffer.len() - 14).freeze()
}

fn decoding<M: Message>(body: &Bytes, version: i16) -> AllocationInfo {
    measure(|| drop(std::hint::black_box(M::decode(body, version))))
}

#[test]
fn a_produce_response_is_decoded_with_one_allocation_per_list() {
    let partition = |index| PartitionProduceResponse {
        index,
        ..Default::default()
    };
    let topic = TopicProduceResponse {
        name: Str::from("orders"),
        partition_responses: (0..10).map(|index| partition(PartitionId(index))).collect(),
        ..Default::default()
    };
    let response = ProduceResponse {
        responses: vec![topic],
        ..Default::default()
    };
    let body = received(&response, 12);
    assert_eq!(decoding::<ProduceResponse>(&body, 12).count_total, 2);
}

#[test]
fn a_metadata_response_is_decoded_with_one_allocation_per_list() {
    let partition = MetadataResponsePartition {
        replica_nodes: [BrokerId(1), BrokerId(2)].into(),
        isr_nodes: [BrokerId(1)].into(),
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some(Str::from("orders")),
        partitions: vec![partition; 50],
        ..Default::default()
    };
    let response = MetadataResponse {
        topics: vec![topic; 4],
        ..Default::default()
    };
    let body = received(&response, 12);
    let lists = 1 + 4;
    assert_eq!(decoding::<MetadataResponse>(&body, 12).count_total, lists);
}

fn record(value: &[u8]) -> RecordRef<'_> {
    RecordRef {
        timestamp_ms: 5,
        key: Some(b"key"),
        value: Some(value),
        headers: &[],
    }
}

#[test]
fn records_are_appended_and_read_without_an_allocation_for_each() {
    const RECORDS: u32 = 1000;
    let value = [7; 100];
    let mut builder = RecordsBuilder::with_capacity(5, 200_000);
    let appending = measure(|| {
        for _ in 0..RECORDS {
            builder.append(&record(&value)).unwrap();
        }
    });
    assert!(appending.count_total < 10, "{appending:?}");

    let frame = builder.cut().unwrap();
    let totals = FrameTotals::of([&frame]).unwrap();
    let header = BatchHeader::for_totals(&totals).unwrap();
    let header = header
        .encode(totals.records_len, totals.records_crc32c)
        .unwrap();
    let batch = Bytes::from([&header[..], &frame.records].concat());
    let reading = measure(|| {
        let batch = Batches::new(batch).next().unwrap().unwrap();
        let records = batch.records(1 << 20).unwrap();
        assert_eq!(records.map(Result::unwrap).count(), RECORDS as usize);
    });
    assert!(reading.count_total < 10, "{reading:?}");
}

#[test]
fn records_with_headers_are_appended_without_an_allocation_for_each() {
    let headers = [
        Header::new("trace", "id-1"),
        Header::new("trace", Bytes::new()),
    ];
    let with_headers = RecordRef {
        headers: &headers,
        ..record(b"value")
    };
    let mut builder = RecordsBuilder::with_capacity(5, 100_000);
    let appending = measure(|| {
        for _ in 0..1000 {
            builder.append(&with_headers).unwrap();
        }
    });
    assert!(appending.count_total < 10, "{appending:?}");
}
