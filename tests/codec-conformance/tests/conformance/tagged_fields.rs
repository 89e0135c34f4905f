//! Known tagged fields, which random messages do not have.

use bytes::Bytes;
use kafka_protocol::messages as peer;
use kafka_protocol::protocol::{Decodable, Encodable};
use wolff_codec::messages::{
    ApiVersionsResponse, CreatableTopicResult, CreateTopicsResponse, EpochEndOffset, FetchRequest,
    FetchResponse, FetchableTopicResponse, FinalizedFeatureKey, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData, PartitionProduceResponse, ProduceResponse, SnapshotId, SupportedFeatureKey,
    TopicProduceResponse,
};
use wolff_codec::wire::{TaggedField, TaggedFields, Writer};
use wolff_codec::{BrokerId, ErrorCode, LeaderEpoch, Message, Offset, Str};
use wolff_codec_conformance::printed::Printed;

use crate::messages::OTHERWISE_KEPT;

fn assert_agrees<M: Message, P: Decodable + Encodable + std::fmt::Debug>(ours: &M, version: i16) {
    let mut writer = Writer::new();
    ours.encode(version, &mut writer).unwrap();
    let our_bytes = writer.finish().to_bytes();
    let mut unread = our_bytes.clone();
    let theirs = P::decode(&mut unread, version).unwrap();
    assert!(unread.is_empty());
    let (our_fields, their_fields) = (Printed::of(ours).unwrap(), Printed::of(&theirs).unwrap());
    assert_eq!(
        our_fields.difference(&their_fields, &OTHERWISE_KEPT),
        None,
        "{ours:?}\n{theirs:?}"
    );
    let mut their_bytes = Vec::new();
    theirs.encode(&mut their_bytes, version).unwrap();
    assert_eq!(their_bytes, our_bytes);
}

fn unknown() -> TaggedFields {
    let field = |tag| TaggedField {
        tag,
        value: Bytes::from_static(b"later"),
    };
    [field(70), field(700)].into_iter().collect()
}

fn leader() -> LeaderIdAndEpoch {
    LeaderIdAndEpoch {
        leader_id: BrokerId(2),
        leader_epoch: LeaderEpoch(5),
        unknown_tags: unknown(),
    }
}

#[test]
fn leader_hints_of_produce_responses() {
    let response = ProduceResponse {
        responses: vec![TopicProduceResponse {
            partition_responses: vec![PartitionProduceResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                current_leader: leader(),
                unknown_tags: unknown(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        node_endpoints: vec![NodeEndpoint {
            node_id: BrokerId(2),
            host: Str::from("kafka-2"),
            port: 9092,
            rack: Some(Str::from("b")),
            unknown_tags: unknown(),
        }],
        unknown_tags: unknown(),
        ..Default::default()
    };
    for version in 10..=13 {
        assert_agrees::<_, peer::ProduceResponse>(&response, version);
    }
}

#[test]
fn tagged_fields_of_fetch() {
    let partition = PartitionData {
        diverging_epoch: Some(Box::new(EpochEndOffset {
            epoch: LeaderEpoch(3),
            end_offset: Offset(17),
            unknown_tags: unknown(),
        })),
        current_leader: leader(),
        snapshot_id: Some(Box::new(SnapshotId {
            end_offset: Offset(8),
            epoch: LeaderEpoch(1),
            unknown_tags: unknown(),
        })),
        unknown_tags: unknown(),
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        partitions: vec![partition],
        ..Default::default()
    };
    let response = FetchResponse {
        responses: vec![topic],
        ..Default::default()
    };
    assert_agrees::<_, peer::FetchResponse>(&response, 12);

    let cluster_id = Some(Str::from("cluster"));
    let request = FetchRequest {
        cluster_id,
        unknown_tags: unknown(),
        ..Default::default()
    };
    assert_agrees::<_, peer::FetchRequest>(&request, 12);
}

#[test]
fn features_of_api_versions_responses() {
    let response = ApiVersionsResponse {
        supported_features: vec![SupportedFeatureKey {
            name: Str::from("kraft.version"),
            min_version: 0,
            max_version: 1,
            unknown_tags: unknown(),
        }],
        finalized_features_epoch: 17,
        finalized_features: vec![FinalizedFeatureKey {
            name: Str::from("metadata.version"),
            max_version_level: 25,
            min_version_level: 25,
            unknown_tags: unknown(),
        }],
        zk_migration_ready: true,
        unknown_tags: unknown(),
        ..Default::default()
    };
    for version in 3..=4 {
        assert_agrees::<_, peer::ApiVersionsResponse>(&response, version);
    }
}

#[test]
fn the_error_of_a_hidden_topic_configuration() {
    let topic = CreatableTopicResult {
        topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        unknown_tags: unknown(),
        ..Default::default()
    };
    let response = CreateTopicsResponse {
        topics: vec![topic],
        ..Default::default()
    };
    for version in 5..=7 {
        assert_agrees::<_, peer::CreateTopicsResponse>(&response, version);
    }
}
