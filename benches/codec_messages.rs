//! Messages: decoding the responses a producer gets and encoding the request it sends, against the
//! `kafka-protocol` crate.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run must end")]

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group};
use kafka_protocol::messages as peer;
use kafka_protocol::protocol::{Decodable, Encodable};
use wolff_benches::{Contender, compare, print_ratio, print_table};
use wolff_codec::messages::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use wolff_codec::wire::{Chunks, Writer};
use wolff_codec::{
    BrokerId, LeaderEpoch, Message, Offset, PartitionId, Str, TopicId, encode_request,
};

/// Produce as Kafka 4.0 speaks it.
const PRODUCE_VERSION: i16 = 12;

/// Metadata as Kafka 4.0 speaks it.
const METADATA_VERSION: i16 = 13;

/// The answer to one request: so many topics with so many partitions each.
fn produce_response(topics: usize, partitions: i32) -> ProduceResponse {
    let partition = |index| PartitionProduceResponse {
        index: PartitionId(index),
        base_offset: Offset(1_234_567_890),
        log_start_offset: Offset(0),
        ..Default::default()
    };
    let topic = |index| TopicProduceResponse {
        name: Str::from(format!("orders-{index}")),
        partition_responses: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    ProduceResponse {
        responses: (0..topics).map(topic).collect(),
        ..Default::default()
    }
}

/// A cluster of three brokers with so many topics of so many partitions, three replicas each.
fn metadata_response(topics: u8, partitions: i32) -> MetadataResponse {
    let broker = |id| MetadataResponseBroker {
        node_id: BrokerId(id),
        host: Str::from(format!("kafka-{id}.example.com")),
        port: 9092,
        rack: Some(Str::from_static("eu-central-1a")),
        ..Default::default()
    };
    let partition = |index: i32| MetadataResponsePartition {
        partition_index: PartitionId(index),
        leader_id: BrokerId(index % 3),
        leader_epoch: LeaderEpoch(7),
        replica_nodes: [BrokerId(0), BrokerId(1), BrokerId(2)].into(),
        isr_nodes: [BrokerId(0), BrokerId(1), BrokerId(2)].into(),
        ..Default::default()
    };
    let topic = |index| MetadataResponseTopic {
        name: Some(Str::from(format!("orders-{index}"))),
        topic_id: TopicId([index; 16]),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: (0..3).map(broker).collect(),
        cluster_id: Some(Str::from_static("vPeOCWypqUOSepEvx0cbog")),
        controller_id: BrokerId(1),
        topics: (0..topics).map(topic).collect(),
        ..Default::default()
    }
}

/// One batch of that many bytes.
fn produce_request(batch: &Bytes) -> ProduceRequest {
    let partition = PartitionProduceData {
        index: PartitionId(3),
        records: Some(Chunks::from(batch.clone())),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: Str::from_static("orders"),
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    }
}

/// A body as it comes off a connection: a part of a larger buffer.
fn received<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message
        .encode(version, &mut writer)
        .expect("a version we speak");
    let mut buffer = BytesMut::from(&writer.finish().to_bytes()[..]);
    let body_len = buffer.len();
    buffer.extend_from_slice(&[0; 64]);
    buffer.split_to(body_len).freeze()
}

fn decode<M: Message>(body: &Bytes, version: i16) -> M {
    M::decode(body, version).expect("well-formed")
}

fn peer_decode<M: Decodable>(body: &Bytes, version: i16) -> M {
    M::decode(&mut body.clone(), version).expect("well-formed")
}

fn encode(request: &ProduceRequest) -> Chunks {
    encode_request(request, PRODUCE_VERSION, 7.into(), Some("client-1"))
        .expect("a version we speak")
}

fn peer_encode(request: &peer::ProduceRequest) -> Bytes {
    let mut buffer = BytesMut::new();
    let header = peer::RequestHeader::default()
        .with_request_api_key(0)
        .with_request_api_version(PRODUCE_VERSION)
        .with_correlation_id(7)
        .with_client_id(Some(kafka_protocol::protocol::StrBytes::from_static_str(
            "client-1",
        )));
    buffer.extend_from_slice(&[0; 4]);
    header.encode(&mut buffer, 2).expect("a version it speaks");
    request
        .encode(&mut buffer, PRODUCE_VERSION)
        .expect("a version it speaks");
    buffer.freeze()
}

/// Messages that are decoded, by name: with its size in topics and partitions.
fn produce_responses() -> [(&'static str, Bytes); 2] {
    [
        (
            "produce_response_1x1",
            received(&produce_response(1, 1), PRODUCE_VERSION),
        ),
        (
            "produce_response_8x32",
            received(&produce_response(8, 32), PRODUCE_VERSION),
        ),
    ]
}

fn metadata_responses() -> [(&'static str, Bytes); 2] {
    [
        (
            "metadata_response_1x12",
            received(&metadata_response(1, 12), METADATA_VERSION),
        ),
        (
            "metadata_response_100x12",
            received(&metadata_response(100, 12), METADATA_VERSION),
        ),
    ]
}

/// A batch that is worth its request.
fn batch() -> Bytes {
    Bytes::from(vec![7; 64 * 1024])
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("messages");
    for (name, body) in produce_responses() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode::<ProduceResponse>(&body, PRODUCE_VERSION));
        });
    }
    for (name, body) in metadata_responses() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode::<MetadataResponse>(&body, METADATA_VERSION));
        });
    }
    let request = produce_request(&batch());
    group.bench_function("produce_request_64kib", |bencher| {
        bencher.iter(|| encode(&request))
    });
}

fn compare_decoding<M: Message, P: Decodable>(name: &str, body: &Bytes, version: i16) {
    let outcomes = compare(
        [
            Contender::new("wolff-codec", || decode::<M>(body, version)),
            Contender::new("kafka-protocol", || peer_decode::<P>(body, version)),
        ],
        51,
    );
    print_table(
        &format!("decode {name}, {} bytes", body.len()),
        1,
        &outcomes,
    );
    let [ours, theirs] = outcomes;
    print_ratio(
        &format!("codec_decode_{name}_vs_kafka_protocol"),
        ours.speed_relative_to(&theirs),
    );
}

/// The goals: the contenders in turns, and their ratios.
fn compare_all() {
    for (name, body) in produce_responses() {
        compare_decoding::<ProduceResponse, peer::ProduceResponse>(name, &body, PRODUCE_VERSION);
    }
    for (name, body) in metadata_responses() {
        compare_decoding::<MetadataResponse, peer::MetadataResponse>(name, &body, METADATA_VERSION);
    }

    let ours = produce_request(&batch());
    let mut body = received(&ours, PRODUCE_VERSION);
    let theirs = peer::ProduceRequest::decode(&mut body, PRODUCE_VERSION).expect("well-formed");
    let outcomes = compare(
        [
            Contender::new("wolff-codec", || encode(&ours)),
            Contender::new("kafka-protocol", || peer_encode(&theirs)),
        ],
        51,
    );
    print_table("encode a Produce request of 64 KiB", 1, &outcomes);
    let [ours, theirs] = outcomes;
    print_ratio(
        "codec_encode_produce_request_vs_kafka_protocol",
        ours.speed_relative_to(&theirs),
    );
}

criterion_group!(benches, measure);

/// `--ratios` prints the comparison alone.
fn main() {
    if !std::env::args().any(|argument| argument == "--ratios") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    compare_all();
}
