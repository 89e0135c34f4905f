//! Tagged fields: known ones where the version has them, unknown ones kept.

use bytes::Bytes;
use wolff_codec::messages::{
    ApiVersionsResponse, CreatableTopicResult, CreateTopicsResponse, EndTxnRequest, EpochEndOffset,
    FetchRequest, FetchResponse, FetchableTopicResponse, FinalizedFeatureKey, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData, PartitionProduceResponse, ProduceResponse, SnapshotId,
    SupportedFeatureKey, TopicProduceResponse,
};
use wolff_codec::wire::{TaggedField, TaggedFields, Writer};
use wolff_codec::{
    BrokerId, DecodeError, Defect, EncodeError, ErrorCode, LeaderEpoch, Message, Offset, Str,
};

fn encoded<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    message.encode(version, &mut writer)?;
    Ok(writer.finish().to_bytes())
}

fn assert_comes_back<M: Message>(message: &M, versions: impl Iterator<Item = i16>) {
    for version in versions {
        let body = encoded(message, version).unwrap();
        assert_eq!(
            M::decode(&body, version).as_ref(),
            Ok(message),
            "version {version}"
        );
    }
}

fn unknown(tag: u32) -> TaggedFields {
    [TaggedField {
        tag,
        value: Bytes::from_static(b"later"),
    }]
    .into_iter()
    .collect()
}

fn moved_leader() -> ProduceResponse {
    ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: Str::from("orders"),
            partition_responses: vec![PartitionProduceResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                current_leader: LeaderIdAndEpoch {
                    leader_id: BrokerId(2),
                    leader_epoch: LeaderEpoch(5),
                    unknown_tags: unknown(9),
                },
                unknown_tags: unknown(1),
                ..Default::default()
            }],
            ..Default::default()
        }],
        node_endpoints: vec![NodeEndpoint {
            node_id: BrokerId(2),
            host: Str::from("kafka-2"),
            port: 9092,
            rack: Some(Str::from("b")),
            ..Default::default()
        }],
        unknown_tags: unknown(1000),
        ..Default::default()
    }
}

#[test]
fn a_produce_response_names_the_new_leader_since_version_10() {
    assert_comes_back(&moved_leader(), 10..=12);
}

#[test]
fn before_version_10_tags_of_leader_hints_are_unknown_ones() {
    let body = encoded(&moved_leader(), 10).unwrap();
    let older = ProduceResponse::decode(&body, 9).unwrap();
    assert!(older.node_endpoints.is_empty());
    assert_eq!(
        older
            .unknown_tags
            .iter()
            .map(|field| field.tag)
            .collect::<Vec<_>>(),
        [0, 1000]
    );
    assert_eq!(encoded(&older, 9), Ok(body));
}

#[test]
fn other_known_tags_come_back() {
    let partition = PartitionData {
        diverging_epoch: Some(Box::new(EpochEndOffset {
            epoch: LeaderEpoch(3),
            ..Default::default()
        })),
        current_leader: LeaderIdAndEpoch {
            leader_id: BrokerId(1),
            ..Default::default()
        },
        snapshot_id: Some(Box::new(SnapshotId {
            end_offset: Offset(8),
            ..Default::default()
        })),
        unknown_tags: unknown(7),
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        partitions: vec![partition],
        ..Default::default()
    };
    let fetched = FetchResponse {
        responses: vec![topic],
        ..Default::default()
    };
    assert_comes_back(&fetched, 12..=12);

    let fetch = FetchRequest {
        cluster_id: Some(Str::from("cluster")),
        ..Default::default()
    };
    assert_comes_back(&fetch, 12..=12);

    let supported = SupportedFeatureKey {
        name: Str::from("kraft.version"),
        ..Default::default()
    };
    let finalized = FinalizedFeatureKey {
        max_version_level: 1,
        ..Default::default()
    };
    let versions = ApiVersionsResponse {
        supported_features: vec![supported],
        finalized_features_epoch: 17,
        finalized_features: vec![finalized],
        zk_migration_ready: true,
        unknown_tags: unknown(4),
        ..Default::default()
    };
    assert_comes_back(&versions, 3..=4);

    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let topic = CreatableTopicResult {
        topic_config_error_code: code,
        configs: None,
        unknown_tags: unknown(2),
        ..Default::default()
    };
    let created = CreateTopicsResponse {
        topics: vec![topic],
        ..Default::default()
    };
    assert_comes_back(&created, 5..=7);
}

#[test]
fn a_known_tag_at_its_default_takes_no_bytes() {
    let response = ApiVersionsResponse::default();
    assert_eq!(
        encoded(&response, 3).unwrap(),
        &[0, 0, 1, 0, 0, 0, 0, 0][..]
    );
}

#[test]
fn unknown_tags_are_refused_where_the_version_has_none() {
    let request = EndTxnRequest {
        unknown_tags: unknown(0),
        ..Default::default()
    };
    assert!(encoded(&request, 3).is_ok());
    let error = encoded(&request, 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown_tags is set, but version 2 does not have it"
    );
}

#[test]
fn an_unknown_tag_must_not_take_a_known_number() {
    let response = ProduceResponse {
        unknown_tags: unknown(0),
        ..Default::default()
    };
    assert!(encoded(&response, 9).is_ok());
    let error = encoded(&response, 10).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown_tags holds tag 0, which this version defines"
    );
}

/// The defect of a Produce response without topics that ends with these tagged fields.
fn defect(tagged_fields: &[u8]) -> Defect {
    let body = [&[1, 0, 0, 0, 0][..], tagged_fields].concat();
    match ProduceResponse::decode(&Bytes::from(body), 10) {
        Err(DecodeError::Malformed(malformed)) => malformed.defect,
        other => panic!("not malformed: {other:?}"),
    }
}

#[test]
fn tagged_fields_must_ascend_and_fit_their_size() {
    assert_eq!(defect(&[2, 5, 0, 5, 0]), Defect::TagOutOfOrder { tag: 5 });
    assert_eq!(defect(&[2, 5, 0, 4, 0]), Defect::TagOutOfOrder { tag: 4 });
    assert_eq!(defect(&[1, 0, 2, 1, 9]), Defect::LeftOver { count: 1 });
    assert!(matches!(
        defect(&[1, 5, 3, 0, 0]),
        Defect::Truncated {
            needed: 3,
            remaining: 2,
            ..
        }
    ));
    assert!(matches!(
        defect(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Defect::Truncated { .. }
    ));
}

#[test]
fn an_error_in_tagged_fields_says_in_which_one() {
    let error = |body: &[u8]| {
        ProduceResponse::decode(&Bytes::copy_from_slice(body), 10)
            .unwrap_err()
            .to_string()
    };
    let body = |tagged_fields: &[u8]| [&[1, 0, 0, 0, 0][..], tagged_fields].concat();
    assert_eq!(
        error(&body(&[])),
        "tagged_fields at byte 5: the number of tagged fields needs 1 bytes, 0 remain"
    );
    assert_eq!(
        error(&body(&[2, 5, 0, 4, 0])),
        "tagged_fields[1] at byte 8: tag 4 is out of order"
    );
    assert_eq!(
        error(&body(&[1, 0, 2, 1, 9])),
        "tagged_fields[0] at byte 9: 1 bytes are left over"
    );
    assert_eq!(
        error(&body(&[1, 0, 2, 2, 0])),
        "node_endpoints[0].node_id at byte 9: a number needs 4 bytes, 1 remain"
    );
    // A topic without a name and partitions, whose tagged field is cut short.
    assert_eq!(
        error(&[2, 1, 1, 1, 7, 4, 0]),
        "responses[0].tagged_fields[0] at byte 6: the content needs 4 bytes, 1 remain"
    );
}
