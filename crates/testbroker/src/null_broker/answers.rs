//! Responses of the null broker. It decodes requests, which copies nothing, and never looks at a
//! record.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use thiserror::Error;
use wolff_codec::ids::{
    BrokerId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId,
};
use wolff_codec::messages::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, Coordinator, FindCoordinatorRequest,
    FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
    MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use wolff_codec::records::{BATCH_HEADER_BYTES, BatchHeader};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    ApiKey, BrokerIds, DecodeError, EncodeError, ErrorCode, Message, RequestHeader, Str,
    decode_request_header, encode_response,
};

/// The only broker that there is.
const BROKER: BrokerId = BrokerId(1);

/// Versions that the broker announces. librdkafka compresses and batches as it should only for
/// brokers that also have Fetch and FindCoordinator, and old versions of Produce.
const ADVERTISED: [(ApiKey, i16, i16); 6] = [
    (ApiKey::PRODUCE, 0, 12),
    (ApiKey::FETCH, 4, 12),
    (ApiKey::METADATA, 4, 12),
    (ApiKey::FIND_COORDINATOR, 0, 4),
    (ApiKey::API_VERSIONS, 0, 4),
    (ApiKey::INIT_PRODUCER_ID, 0, 5),
];

/// Counts of what has come so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// Produce requests.
    pub requests: u64,
    /// Record batches.
    pub batches: u64,
    /// Records, as the headers of their batches claim.
    pub records: u64,
    /// Bytes of the batches as they were sent: compressed or not, with their headers.
    pub bytes: u64,
}

/// Why a connection is closed.
#[derive(Debug, Error)]
pub(super) enum NoAnswer {
    #[error("malformed request")]
    Malformed(#[from] DecodeError),
    #[error("{api} version {version} is not served")]
    NotServed { api: ApiKey, version: i16 },
    #[error("response cannot be encoded")]
    Response(#[from] EncodeError),
}

/// State shared by all connections.
#[derive(Debug)]
pub(super) struct Answers {
    topic: Str,
    host: Str,
    port: u16,
    /// The offset of the next record of each partition, whatever the topic.
    next_offsets: Vec<AtomicI64>,
    next_producer_id: AtomicI64,
    requests: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Answers {
    pub(super) fn new(topic: Str, partitions: u16, host: Str, port: u16) -> Self {
        Self {
            topic,
            host,
            port,
            next_offsets: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
            next_producer_id: AtomicI64::new(1),
            requests: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn received(&self) -> Received {
        Received {
            requests: self.requests.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The answer to a request, which has lost its length prefix; none for a producer that wants
    /// none.
    pub(super) fn answer(&self, frame: &Bytes) -> Result<Option<Chunks>, NoAnswer> {
        let (header, body) = decode_request_header(frame)?;
        let (api, version) = (header.api_key, header.api_version);
        match api {
            ApiKey::PRODUCE => {
                let request = ProduceRequest::decode(&body, version)?;
                let is_answered = request.acks != 0;
                let response = self.produce(request);
                if is_answered {
                    encode(&header, &response)
                } else {
                    Ok(None)
                }
            }
            ApiKey::METADATA => encode(
                &header,
                &self.metadata(MetadataRequest::decode(&body, version)?),
            ),
            ApiKey::INIT_PRODUCER_ID => {
                InitProducerIdRequest::decode(&body, version)?;
                encode(&header, &self.init_producer_id())
            }
            ApiKey::API_VERSIONS if ApiVersionsRequest::VERSIONS.contains(&version) => {
                encode(&header, &api_versions(ErrorCode::NONE))
            }
            ApiKey::API_VERSIONS => {
                // Whatever the version, this one every client can read.
                let response = api_versions(ErrorCode::UNSUPPORTED_VERSION);
                Ok(Some(encode_response(&response, 0, header.correlation_id)?))
            }
            ApiKey::FIND_COORDINATOR => {
                let request = FindCoordinatorRequest::decode(&body, version)?;
                encode(&header, &find_coordinator(request, version))
            }
            _ => Err(NoAnswer::NotServed { api, version }),
        }
    }

    fn produce(&self, request: ProduceRequest) -> ProduceResponse {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let topic = |data: TopicProduceData| TopicProduceResponse {
            partition_responses: data
                .partition_data
                .iter()
                .map(|data| self.discard(data))
                .collect(),
            name: data.name,
            ..Default::default()
        };
        ProduceResponse {
            responses: request.topic_data.into_iter().map(topic).collect(),
            ..Default::default()
        }
    }

    /// Counts a batch by its header and forgets it.
    fn discard(&self, data: &PartitionProduceData) -> PartitionProduceResponse {
        let records = data.records.iter().flat_map(Chunks::iter).next();
        let header = records.and_then(|bytes| bytes.first_chunk::<BATCH_HEADER_BYTES>());
        let header = header.and_then(|header| BatchHeader::decode(header).ok());
        let record_count = header.map_or(0, |(header, _)| header.record_count);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.records
            .fetch_add(u64::try_from(record_count).unwrap_or(0), Ordering::Relaxed);
        let bytes = data.records.as_ref().map_or(0, Chunks::len);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);

        let index = usize::try_from(data.index.0).ok();
        match index.and_then(|index| self.next_offsets.get(index)) {
            Some(next_offset) => PartitionProduceResponse {
                index: data.index,
                base_offset: Offset(next_offset.fetch_add(record_count.into(), Ordering::Relaxed)),
                ..Default::default()
            },
            None => PartitionProduceResponse {
                index: data.index,
                error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ..Default::default()
            },
        }
    }

    fn init_producer_id(&self) -> InitProducerIdResponse {
        InitProducerIdResponse {
            producer_id: ProducerId(self.next_producer_id.fetch_add(1, Ordering::Relaxed)),
            producer_epoch: ProducerEpoch(0),
            ..Default::default()
        }
    }

    /// Every topic that is asked for by name exists.
    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let own = || MetadataRequestTopic {
            name: Some(self.topic.clone()),
            ..Default::default()
        };
        let topics = request.topics.unwrap_or_else(|| vec![own()]);
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: BROKER,
                host: self.host.clone(),
                port: self.port.into(),
                ..Default::default()
            }],
            cluster_id: Some(Str::from_static("null")),
            controller_id: BROKER,
            topics: topics
                .into_iter()
                .map(|topic| self.topic_named(topic.name))
                .collect(),
            ..Default::default()
        }
    }

    fn topic_named(&self, name: Option<Str>) -> MetadataResponseTopic {
        if name.is_none() {
            let error_code = ErrorCode::UNKNOWN_TOPIC_ID;
            return MetadataResponseTopic {
                error_code,
                ..Default::default()
            };
        }
        let partition = |(index, _): (i32, _)| MetadataResponsePartition {
            partition_index: PartitionId(index),
            leader_id: BROKER,
            leader_epoch: LeaderEpoch(0),
            replica_nodes: BrokerIds::from([BROKER]),
            isr_nodes: BrokerIds::from([BROKER]),
            ..Default::default()
        };
        MetadataResponseTopic {
            name,
            topic_id: TopicId::ZERO,
            partitions: (0..).zip(&self.next_offsets).map(partition).collect(),
            ..Default::default()
        }
    }
}

fn encode<M: Message>(header: &RequestHeader, response: &M) -> Result<Option<Chunks>, NoAnswer> {
    Ok(Some(encode_response(
        response,
        header.api_version,
        header.correlation_id,
    )?))
}

fn api_versions(error_code: ErrorCode) -> ApiVersionsResponse {
    let version = |(api_key, min_version, max_version)| ApiVersion {
        api_key,
        min_version,
        max_version,
        ..Default::default()
    };
    ApiVersionsResponse {
        error_code,
        api_keys: ADVERTISED.into_iter().map(version).collect(),
        ..Default::default()
    }
}

fn find_coordinator(request: FindCoordinatorRequest, version: i16) -> FindCoordinatorResponse {
    let error_code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    if version < 4 {
        return FindCoordinatorResponse {
            error_code,
            ..Default::default()
        };
    }
    let coordinator = |key| Coordinator {
        key,
        error_code,
        ..Default::default()
    };
    FindCoordinatorResponse {
        coordinators: request
            .coordinator_keys
            .into_iter()
            .map(coordinator)
            .collect(),
        ..Default::default()
    }
}
