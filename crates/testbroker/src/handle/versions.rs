//! Which versions of which APIs this broker tells its clients.

use std::ops::RangeInclusive;

use wolff_codec::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeProducersRequest,
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest,
};
use wolff_codec::{ApiKey, Message};

use crate::shared::Shared;

/// By key. A request of an API that is not here never gets to its handler.
const ADVERTISED: &[(ApiKey, RangeInclusive<i16>)] = &[
    // Kafka 4 claims the versions before 3 too: librdkafka takes them for a sign that the broker
    // knows compression (KAFKA-18659). They are not served, here as there.
    (ApiKey::PRODUCE, 0..=*ProduceRequest::VERSIONS.end()),
    (ApiKey::FETCH, FetchRequest::VERSIONS),
    (
        ApiKey::LIST_OFFSETS,
        1..=*ListOffsetsRequest::VERSIONS.end(),
    ),
    (ApiKey::METADATA, MetadataRequest::VERSIONS),
    (ApiKey::OFFSET_COMMIT, OffsetCommitRequest::VERSIONS),
    (ApiKey::OFFSET_FETCH, OffsetFetchRequest::VERSIONS),
    (ApiKey::FIND_COORDINATOR, FindCoordinatorRequest::VERSIONS),
    (ApiKey::JOIN_GROUP, JoinGroupRequest::VERSIONS),
    (ApiKey::HEARTBEAT, HeartbeatRequest::VERSIONS),
    (ApiKey::LEAVE_GROUP, LeaveGroupRequest::VERSIONS),
    (ApiKey::SYNC_GROUP, SyncGroupRequest::VERSIONS),
    (ApiKey::SASL_HANDSHAKE, SaslHandshakeRequest::VERSIONS),
    (ApiKey::API_VERSIONS, ApiVersionsRequest::VERSIONS),
    (ApiKey::CREATE_TOPICS, CreateTopicsRequest::VERSIONS),
    (ApiKey::DELETE_TOPICS, DeleteTopicsRequest::VERSIONS),
    (ApiKey::DELETE_RECORDS, DeleteRecordsRequest::VERSIONS),
    (ApiKey::INIT_PRODUCER_ID, InitProducerIdRequest::VERSIONS),
    (ApiKey::DESCRIBE_CONFIGS, DescribeConfigsRequest::VERSIONS),
    (ApiKey::SASL_AUTHENTICATE, SaslAuthenticateRequest::VERSIONS),
    (ApiKey::CREATE_PARTITIONS, CreatePartitionsRequest::VERSIONS),
    (
        ApiKey::INCREMENTAL_ALTER_CONFIGS,
        IncrementalAlterConfigsRequest::VERSIONS,
    ),
    (ApiKey::DESCRIBE_CLUSTER, DescribeClusterRequest::VERSIONS),
    (
        ApiKey::DESCRIBE_PRODUCERS,
        DescribeProducersRequest::VERSIONS,
    ),
];

/// The APIs and versions of this cluster's brokers.
pub(super) fn advertised(shared: &Shared) -> impl Iterator<Item = (ApiKey, RangeInclusive<i16>)> {
    let overrides = &shared.config().versions;
    ADVERTISED
        .iter()
        .filter_map(|(api, versions)| match overrides.get(api) {
            None => Some((*api, versions.clone())),
            Some(versions) => versions.clone().map(|versions| (*api, versions)),
        })
}

/// True if a version of an API is among them.
pub(super) fn is_advertised(shared: &Shared, api: ApiKey, version: i16) -> bool {
    advertised(shared).any(|(known, versions)| known == api && versions.contains(&version))
}
