//! Numbered records to a broker and back over a plain socket, by the codec alone.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use wolff_codec::messages::{
    ApiVersionsRequest, FetchPartition, FetchRequest, FetchTopic, MetadataRequest,
    MetadataRequestTopic, PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wolff_codec::records::{BatchHeader, Batches, Compression, RecordRef, encode_batch};
use wolff_codec::{
    CorrelationId, FrameSplitter, Offset, PartitionId, Request, VersionRanges, decode_response,
    encode_request,
};

struct Line {
    stream: TcpStream,
    received: bytes::BytesMut,
    requests: i32,
}

impl Line {
    fn roundtrip<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Box<dyn Error>> {
        self.requests += 1;
        let id = CorrelationId(self.requests);
        for piece in encode_request(request, version, id, Some("outside"))?.iter() {
            self.stream.write_all(piece)?;
        }
        let splitter = FrameSplitter::new(64 << 20);
        loop {
            if let Some(frame) = splitter.next_frame(&mut self.received)? {
                let (got, response) = decode_response(&frame, version)?;
                assert_eq!(got, id);
                return Ok(response);
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                return Err("the broker closed the connection".into());
            }
            self.received.extend_from_slice(&piece[..count]);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let [address, topic, count] = [(); 3].map(|()| arguments.next().expect("ADDRESS TOPIC COUNT"));
    let count: usize = count.parse()?;
    let mut line = Line {
        stream: TcpStream::connect(address)?,
        received: bytes::BytesMut::new(),
        requests: 0,
    };
    let first = ApiVersionsRequest {
        client_software_name: "outside".into(),
        client_software_version: "1.0".into(),
        ..Default::default()
    };
    let ranges = VersionRanges::from(&line.roundtrip(&first, 3)?);

    let named = MetadataRequestTopic { name: Some(topic.as_str().into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
    let metadata = line.roundtrip(&request, ranges.pick_for(&request)?)?;
    let topic_id = metadata.topics[0].topic_id;

    let values: Vec<String> = (0..count).map(|number| format!("line {number}")).collect();
    let records = values.iter().map(|value| RecordRef {
        timestamp_ms: 1_700_000_000_000,
        value: Some(value.as_bytes()),
        ..RecordRef::default()
    });
    let template = BatchHeader { compression: Compression::Lz4, ..BatchHeader::default() };
    let batch = encode_batch(&template, records)?;
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.as_str().into(),
            topic_id,
            partition_data: vec![PartitionProduceData {
                index: PartitionId(0),
                records: Some(batch.into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = line.roundtrip(&request, ranges.pick_for(&request)?)?;
    let outcome = &response.responses[0].partition_responses[0];
    assert!(outcome.error_code.is_ok(), "{}", outcome.error_code);

    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.as_str().into(),
            topic_id,
            partitions: vec![FetchPartition {
                partition: PartitionId(0),
                fetch_offset: Offset(0),
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = line.roundtrip(&request, ranges.pick_for(&request)?)?;
    let mut read = Vec::new();
    for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
        assert!(partition.error_code.is_ok(), "{}", partition.error_code);
        let Some(records) = &partition.records else { continue };
        for batch in Batches::new(records.to_bytes()) {
            let batch = batch?;
            batch.verify()?;
            for record in batch.records(16 << 20)? {
                read.push(String::from_utf8(record?.value.expect("a value").to_vec())?);
            }
        }
    }
    assert_eq!(read, values);
    println!("{} records there and back", read.len());
    Ok(())
}
