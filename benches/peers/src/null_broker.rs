//! A broker that acknowledges at once and keeps nothing, so that a client's own speed shows.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use bytes::Bytes;
use wolff_codec::messages::{
    ApiVersion, ApiVersionsResponse, InitProducerIdResponse, MetadataRequest, MetadataResponse,
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    ApiKey, BrokerId, CorrelationId, ErrorCode, LeaderEpoch, Message as _, Offset, PartitionId,
    ProducerEpoch, ProducerId, Str, decode_request_header, encode_response,
};

use crate::Failure;
use crate::affinity;

/// The longest request that is taken.
const MAX_REQUEST_BYTES: usize = 128 << 20;

/// Requests that are served, in versions that every contender supports.
const SERVED: [(ApiKey, i16, i16); 4] = [
    (ApiKey::PRODUCE, 3, 9),
    (ApiKey::METADATA, 0, 12),
    (ApiKey::API_VERSIONS, 0, 3),
    (ApiKey::INIT_PRODUCER_ID, 0, 4),
];

/// State that all connections share.
struct Broker {
    port: u16,
    partitions: i32,
    next_producer_id: AtomicI64,
    next_offset: AtomicI64,
}

/// Serves any number of connections for as long as the process lives, on one core; prints its
/// address first.
///
/// # Errors
/// There is no such core, or no port is free.
pub fn serve_on(core: Option<usize>, partitions: i32) -> Result<(), Failure> {
    if let Some(core) = core {
        affinity::pin_to(core)?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let broker = Arc::new(Broker {
        port,
        partitions,
        next_producer_id: AtomicI64::new(1),
        next_offset: AtomicI64::new(0),
    });
    println!("127.0.0.1:{port}");
    for stream in listener.incoming() {
        let (stream, broker) = (stream?, broker.clone());
        // A client that goes away, or speaks nonsense, loses its connection and nothing else.
        thread::spawn(move || broker.serve(stream));
    }
    Ok(())
}

impl Broker {
    fn serve(&self, stream: TcpStream) -> Result<(), Failure> {
        stream.set_nodelay(true)?;
        let mut output = stream.try_clone()?;
        let mut input = BufReader::with_capacity(64 << 10, stream);
        // One piece of memory for all requests: fresh pages for each would make the broker dearer
        // than some clients.
        let mut frame = Vec::new();
        loop {
            let mut prefix = [0; 4];
            input.read_exact(&mut prefix)?;
            let length = usize::try_from(i32::from_be_bytes(prefix))?;
            if length > MAX_REQUEST_BYTES {
                return Err("request too large".into());
            }
            frame.resize(length, 0);
            input.read_exact(&mut frame)?;
            let shared = Bytes::from(frame);
            if let Some(answer) = self.answer(&shared)? {
                output.write_all(&answer.to_bytes())?;
            }
            frame = Vec::from(shared);
        }
    }

    /// The answer to a request; `None` for a producer that wants none.
    fn answer(&self, frame: &Bytes) -> Result<Option<Chunks>, Failure> {
        let (header, body) = decode_request_header(frame)?;
        let (version, id) = (header.api_version, header.correlation_id);
        let answer = match header.api_key {
            ApiKey::PRODUCE => {
                let request = ProduceRequest::decode(&body, version)?;
                if request.acks == 0 {
                    return Ok(None);
                }
                encode_response(&self.produce(request), version, id)
            }
            ApiKey::METADATA => encode_response(
                &self.metadata(MetadataRequest::decode(&body, version)?),
                version,
                id,
            ),
            ApiKey::API_VERSIONS => api_versions(version, id),
            ApiKey::INIT_PRODUCER_ID => {
                let producer_id = ProducerId(self.next_producer_id.fetch_add(1, Ordering::Relaxed));
                let response = InitProducerIdResponse {
                    producer_id,
                    producer_epoch: ProducerEpoch(0),
                    ..Default::default()
                };
                encode_response(&response, version, id)
            }
            _ => return Err("an API that was not offered".into()),
        };
        Ok(Some(answer?))
    }

    fn produce(&self, request: ProduceRequest) -> ProduceResponse {
        let partition = |index: PartitionId| PartitionProduceResponse {
            index,
            base_offset: Offset(self.next_offset.fetch_add(1_000_000, Ordering::Relaxed)),
            ..Default::default()
        };
        let responses = request
            .topic_data
            .into_iter()
            .map(|topic| TopicProduceResponse {
                partition_responses: topic
                    .partition_data
                    .iter()
                    .map(|data| partition(data.index))
                    .collect(),
                name: topic.name,
                topic_id: topic.topic_id,
                ..Default::default()
            });
        ProduceResponse {
            responses: responses.collect(),
            ..Default::default()
        }
    }

    /// Every topic that is asked for exists.
    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let leader = BrokerId(1);
        let partition = |index: i32| MetadataResponsePartition {
            partition_index: PartitionId(index),
            leader_id: leader,
            leader_epoch: LeaderEpoch(0),
            replica_nodes: [leader].into(),
            isr_nodes: [leader].into(),
            ..Default::default()
        };
        let topics =
            request
                .topics
                .unwrap_or_default()
                .into_iter()
                .map(|topic| MetadataResponseTopic {
                    name: topic.name,
                    partitions: (0..self.partitions).map(partition).collect(),
                    ..Default::default()
                });
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: leader,
                host: Str::from_static("127.0.0.1"),
                port: i32::from(self.port),
                ..Default::default()
            }],
            cluster_id: Some(Str::from_static("null")),
            controller_id: leader,
            topics: topics.collect(),
            ..Default::default()
        }
    }
}

fn api_versions(version: i16, id: CorrelationId) -> Result<Chunks, wolff_codec::EncodeError> {
    let api_keys = SERVED
        .iter()
        .map(|&(api_key, min_version, max_version)| ApiVersion {
            api_key,
            min_version,
            max_version,
            ..Default::default()
        });
    let response = ApiVersionsResponse {
        api_keys: api_keys.collect(),
        ..Default::default()
    };
    if version <= 3 {
        return encode_response(&response, version, id);
    }
    encode_response(
        &ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..response
        },
        0,
        id,
    )
}
