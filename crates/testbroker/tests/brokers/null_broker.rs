//! The broker for benchmarks: it answers, counts and forgets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::messages::*;
use wolff_codec::wire::Chunks;
use wolff_codec::{CorrelationId, ErrorCode, Request, Str, decode_response, encode_request};
use wolff_testbroker::{NullBroker, RunningNullBroker};

use crate::fixture::batch;

fn broker() -> RunningNullBroker {
    NullBroker::bind("127.0.0.1:0", "orders", 2)
        .unwrap()
        .start()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn send<R: Request>(stream: &mut TcpStream, request: &R, version: i16) {
    let frame = encode_request(request, version, CorrelationId(7), Some("test")).unwrap();
    stream.write_all(&frame.to_bytes()).unwrap();
}

fn receive(stream: &mut TcpStream) -> Option<Bytes> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
    stream.read_exact(&mut frame).unwrap();
    Some(frame.into())
}

fn request<R: Request>(stream: &mut TcpStream, request: &R, version: i16) -> R::Response {
    send(stream, request, version);
    let (id, response) = decode_response(&receive(stream).unwrap(), version).unwrap();
    assert_eq!(id, CorrelationId(7));
    response
}

fn produce(acks: i16, partitions: &[i32], batch: &Bytes) -> ProduceRequest {
    let data = |partition: &i32| PartitionProduceData {
        index: (*partition).into(),
        records: Some(Chunks::from(batch.clone())),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: Str::from("orders"),
        partition_data: partitions.iter().map(data).collect(),
        ..Default::default()
    };
    ProduceRequest {
        acks,
        topic_data: vec![topic],
        ..Default::default()
    }
}

#[test]
fn every_version_is_answered() {
    let broker = broker();
    let mut stream = connect(broker.address());
    for version in 0..=4 {
        let answer = request(&mut stream, &ApiVersionsRequest::default(), version);
        assert!(answer.api_keys.len() >= 4);
        request(&mut stream, &InitProducerIdRequest::default(), version);
    }
    for version in 4..=12 {
        let answer = request(&mut stream, &MetadataRequest::default(), version);
        assert_eq!(answer.topics[0].name.as_deref(), Some("orders"));
        assert_eq!(answer.topics[0].partitions.len(), 2);
        assert_eq!(answer.brokers[0].port, i32::from(broker.address().port()));
    }
    for version in 3..=12 {
        request(&mut stream, &produce(-1, &[0], &batch(&["a"])), version);
    }
}

#[test]
fn batches_are_counted_and_get_offsets() {
    let broker = broker();
    let mut stream = connect(broker.address());
    let batch = batch(&["a", "b", "c"]);
    for round in 0..100 {
        let answer = request(&mut stream, &produce(1, &[0, 1], &batch), 9);
        for partition in &answer.responses[0].partition_responses {
            assert_eq!(
                (partition.error_code, partition.base_offset.0),
                (ErrorCode::NONE, 3 * round)
            );
        }
    }
    let received = broker.received();
    assert_eq!(
        (received.requests, received.batches, received.records),
        (100, 200, 600)
    );
    assert_eq!(received.bytes, 200 * batch.len() as u64);
    let answer = request(&mut stream, &produce(1, &[2], &batch), 9);
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn without_acks_there_is_no_answer() {
    let broker = broker();
    let mut stream = connect(broker.address());
    send(&mut stream, &produce(0, &[0], &batch(&["a"])), 9);
    // The next answer is that of the next request.
    request(&mut stream, &MetadataRequest::default(), 9);
    assert_eq!(broker.received().records, 1);
}

#[test]
fn requests_of_many_sizes_are_taken_one_behind_the_other() {
    let broker = broker();
    let mut stream = connect(broker.address());
    let long = "x".repeat(300_000);
    for value in ["short", &long, "short", "", &long] {
        request(&mut stream, &produce(-1, &[0, 1], &batch(&[value])), 9);
    }
    assert_eq!(broker.received().records, 10);
}

#[test]
fn nonsense_closes_its_connection_and_no_other() {
    let broker = broker();
    let mut good = connect(broker.address());
    request(&mut good, &MetadataRequest::default(), 9);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4],
        &[0, 0, 0, 0],
        &[0, 0, 0, 2, 0, 1],
    ] {
        let mut bad = connect(broker.address());
        bad.write_all(bytes).unwrap();
        assert_eq!(receive(&mut bad), None, "{bytes:?}");
    }
    request(&mut good, &MetadataRequest::default(), 9);
}

#[test]
fn dropping_it_closes_connections_and_port() {
    let broker = broker();
    let address = broker.address();
    let mut stream = connect(address);
    request(&mut stream, &MetadataRequest::default(), 9);
    drop(broker);
    assert_eq!(receive(&mut stream), None);
    assert!(TcpStream::connect(address).is_err());
}
