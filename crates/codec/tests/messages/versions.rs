//! A field that a version cannot carry is an error; one that it can do without is left out.

use bytes::Bytes;
use wolff_codec::messages::*;
use wolff_codec::wire::{Chunks, Writer};
use wolff_codec::{
    ApiKey, BrokerId, DecodeError, EncodeError, ErrorCode, Message, PartitionId, Request, Str,
    TopicId, VersionRanges,
};

use crate::every_message::Kind;
use crate::grown::{Random, grow};

fn encoded<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    message.encode(version, &mut writer)?;
    Ok(writer.finish().to_bytes())
}

#[test]
fn a_version_out_of_range_is_an_error_value() {
    for kind in Kind::all() {
        let (_, request) = kind.grow::<AnyRequest>(&mut Random::new(1));
        let (_, response) = kind.grow::<AnyResponse>(&mut Random::new(1));
        let supported = AnyRequest::versions(kind.api_key).unwrap();
        for version in [
            i16::MIN,
            -1,
            supported.start() - 1,
            supported.end() + 1,
            i16::MAX,
        ] {
            let mut out = Writer::new();
            let (api, supported) = (kind.api_key, supported.clone());
            let error = EncodeError::UnsupportedVersion {
                api,
                version,
                supported: supported.clone(),
            };
            assert_eq!(request.encode(version, &mut out), Err(error.clone()));
            assert_eq!(response.encode(version, &mut out), Err(error));
            let error = DecodeError::UnsupportedVersion {
                api,
                version,
                supported,
            };
            assert_eq!(
                AnyRequest::decode(api, version, &Bytes::new()),
                Err(error.clone())
            );
            assert_eq!(AnyResponse::decode(api, version, &Bytes::new()), Err(error));
        }
    }
}

#[test]
fn produce_names_topics_by_name_up_to_12_and_by_id_since_13() {
    let records = Bytes::from(vec![7; 5000]);
    let partition = PartitionProduceData {
        index: PartitionId(3),
        records: Some(Chunks::from(records.clone())),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: Str::from("orders"),
        topic_id: TopicId([9; 16]),
        partition_data: vec![partition],
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        topic_data: vec![topic],
        ..Default::default()
    };

    for version in ProduceRequest::VERSIONS {
        let decoded =
            ProduceRequest::decode(&encoded(&request, version).unwrap(), version).unwrap();
        let mut expected = request.clone();
        match version {
            ..=12 => expected.topic_data[0].topic_id = TopicId::ZERO,
            13.. => expected.topic_data[0].name = Str::default(),
        }
        assert_eq!(decoded, expected, "version {version}");
    }

    let mut writer = Writer::new();
    request.encode(13, &mut writer).unwrap();
    let pieces = writer.finish();
    assert!(
        pieces
            .iter()
            .any(|piece| piece.as_ptr() == records.as_ptr()),
        "the batch is linked, not copied"
    );
}

#[test]
fn fetch_names_topics_by_name_up_to_12_and_by_id_since_13() {
    let topic = FetchTopic {
        topic: Str::from("orders"),
        topic_id: TopicId([9; 16]),
        partitions: vec![FetchPartition::default()],
        ..Default::default()
    };
    let request = FetchRequest {
        topics: vec![topic.clone()],
        forgotten_topics_data: vec![],
        ..Default::default()
    };
    assert_eq!(request.newest_version(), 18);
    for version in FetchRequest::VERSIONS {
        let decoded = FetchRequest::decode(&encoded(&request, version).unwrap(), version).unwrap();
        let mut expected = request.clone();
        match version {
            ..=12 => expected.topics[0].topic_id = TopicId::ZERO,
            13.. => expected.topics[0].topic = Str::default(),
        }
        assert_eq!(decoded, expected, "version {version}");
    }

    let forgotten = ForgottenTopic {
        topic: Str::from("bills"),
        ..Default::default()
    };
    let with_forgotten = FetchRequest {
        forgotten_topics_data: vec![forgotten],
        ..request.clone()
    };
    assert_eq!(with_forgotten.newest_version(), 12);
    let from_a_replica = FetchRequest {
        replica_id: BrokerId(3),
        ..request
    };
    assert_eq!(from_a_replica.newest_version(), 14);
    let error = encoded(&from_a_replica, 15).unwrap_err();
    assert_eq!(
        error.to_string(),
        "replica_id is set, but version 15 does not have it"
    );
}

#[test]
fn committed_offsets_are_fetched_of_one_group_up_to_7_and_of_several_since_8() {
    let of_one = OffsetFetchRequest {
        group_id: Str::from("billing"),
        ..Default::default()
    };
    assert_eq!(of_one.newest_version(), 7);
    assert!(encoded(&of_one, 2).is_ok());
    let error = encoded(&of_one, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topics is none, but version 1 requires it"
    );
    let error = encoded(&of_one, 8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "group_id is set, but version 8 does not have it"
    );
    let of_several = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup::default()],
        ..Default::default()
    };
    assert_eq!(of_several.newest_version(), 10);
    assert!(encoded(&of_several, 7).is_err());
}

#[test]
fn a_produce_request_waits_for_all_in_sync_replicas_unless_told_otherwise() {
    assert_eq!(ProduceRequest::default().acks, -1);
}

#[test]
fn decoded_records_and_names_share_the_bytes_of_the_frame() {
    let records = Some(Chunks::from(Bytes::from_static(b"batch")));
    let partition = PartitionProduceData {
        records,
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: Str::from("orders"),
        partition_data: vec![partition],
        ..Default::default()
    };
    let request = ProduceRequest {
        topic_data: vec![topic],
        ..Default::default()
    };
    let body = encoded(&request, 9).unwrap();
    let decoded = ProduceRequest::decode(&body, 9).unwrap();
    let topic = &decoded.topic_data[0];
    let records = topic.partition_data[0].records.as_ref().unwrap().to_bytes();
    for part in [topic.name.as_bytes(), &records] {
        assert!(body.as_ptr_range().contains(&part.as_ptr()));
    }
}

#[test]
fn what_changes_the_meaning_is_not_left_out() {
    let request = CreateTopicsRequest {
        validate_only: true,
        ..Default::default()
    };
    assert!(encoded(&request, 1).is_ok());
    let error = encoded(&request, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "validate_only is set, but version 0 does not have it"
    );
}

#[test]
fn a_topic_without_a_name_needs_a_version_with_ids() {
    let topic = MetadataRequestTopic {
        topic_id: TopicId([1; 16]),
        name: None,
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    };
    assert!(encoded(&request, 10).is_ok());
    let error = encoded(&request, 9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topics[0].name is none, but version 9 requires it"
    );
}

#[test]
fn a_string_of_32768_bytes_is_too_long_for_any_version() {
    let name = |length| {
        let name = Some(Str::from("x".repeat(length)));
        let topic = MetadataRequestTopic {
            name,
            ..Default::default()
        };
        MetadataRequest {
            topics: Some(vec![topic]),
            ..Default::default()
        }
    };
    for version in MetadataRequest::VERSIONS {
        let body = encoded(&name(32_767), version).unwrap();
        assert_eq!(MetadataRequest::decode(&body, version), Ok(name(32_767)));
        let error = encoded(&name(32_768), version).unwrap_err();
        assert_eq!(
            error.to_string(),
            "topics[0].name has a length of 32768, the limit is 32767"
        );
    }
}

#[test]
fn metadata_has_an_error_for_the_whole_response_since_13() {
    let error_code = ErrorCode::REBOOTSTRAP_REQUIRED;
    let response = MetadataResponse {
        error_code,
        ..Default::default()
    };
    let back = |version| MetadataResponse::decode(&encoded(&response, version).unwrap(), version);
    assert_eq!(back(13), Ok(response.clone()));
    assert_eq!(back(12).unwrap().error_code, ErrorCode::NONE);
}

#[test]
fn the_shape_of_a_request_bounds_its_version() {
    let find = FindCoordinatorRequest {
        key: Str::from("tx"),
        ..Default::default()
    };
    assert_eq!(find.newest_version(), 3);
    let coordinator_keys = vec![Str::from("tx")];
    let find = FindCoordinatorRequest {
        coordinator_keys,
        ..Default::default()
    };
    assert_eq!(find.newest_version(), 6);

    let delete = DeleteTopicsRequest {
        topic_names: vec![Str::from("t")],
        ..Default::default()
    };
    assert_eq!(delete.newest_version(), 5);

    let transactions = vec![AddPartitionsToTxnTransaction::default()];
    let add = AddPartitionsToTxnRequest {
        transactions,
        ..Default::default()
    };
    assert_eq!(add.newest_version(), 5);
    assert_eq!(AddPartitionsToTxnRequest::default().newest_version(), 3);
}

/// Random requests of every version can be encoded in the newest version that they admit to.
fn assert_newest_version_carries<R: Request>() {
    for version in R::VERSIONS {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let (_, request) = grow(&mut random, R::is_flexible(version), |body| {
                R::decode(body, version)
            });
            let newest = request.newest_version();
            assert!(R::VERSIONS.contains(&newest));
            let carried = encoded(&request, newest);
            assert!(carried.is_ok(), "{version}: {carried:?} of {request:?}");
        }
    }
}

#[test]
fn every_request_is_carried_by_the_newest_version_that_it_admits_to() {
    macro_rules! assert_all {
        ($($request:ident)*) => {$( assert_newest_version_carries::<$request>(); )*};
    }
    assert_all! {
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest FindCoordinatorRequest SaslHandshakeRequest
        ApiVersionsRequest CreateTopicsRequest DeleteTopicsRequest InitProducerIdRequest AddPartitionsToTxnRequest
        AddOffsetsToTxnRequest EndTxnRequest TxnOffsetCommitRequest DescribeConfigsRequest SaslAuthenticateRequest
        CreatePartitionsRequest IncrementalAlterConfigsRequest DescribeClusterRequest DescribeProducersRequest
        GetTelemetrySubscriptionsRequest PushTelemetryRequest OffsetCommitRequest OffsetFetchRequest JoinGroupRequest
        HeartbeatRequest LeaveGroupRequest SyncGroupRequest DescribeGroupsRequest ListGroupsRequest DeleteRecordsRequest
        OffsetForLeaderEpochRequest DeleteGroupsRequest DescribeTransactionsRequest ListTransactionsRequest
        DescribeTopicPartitionsRequest
    }
}

#[test]
fn a_request_that_only_old_versions_carry_is_not_sent_in_a_new_one() {
    let request = MetadataRequest {
        include_cluster_authorized_operations: true,
        ..Default::default()
    };
    let broker = ApiVersion {
        api_key: ApiKey::METADATA,
        max_version: 13,
        ..Default::default()
    };
    let ranges = VersionRanges::from(&ApiVersionsResponse {
        api_keys: vec![broker],
        ..Default::default()
    });
    assert_eq!(ranges.pick_for(&request), Ok(10));
    assert!(encoded(&request, 10).is_ok());
    assert_eq!(ranges.pick_for(&MetadataRequest::default()), Ok(13));
}

#[test]
fn a_refused_api_versions_request_is_answered_with_version_0() {
    let own = ApiVersion {
        api_key: ApiKey::API_VERSIONS,
        max_version: 3,
        ..Default::default()
    };
    let refusal = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![own],
        ..Default::default()
    };
    let body = encoded(&refusal, 0).unwrap();
    for version in ApiVersionsResponse::VERSIONS {
        assert_eq!(
            ApiVersionsResponse::decode(&body, version).as_ref(),
            Ok(&refusal)
        );
    }
    assert_eq!(refusal.retry_version(), 3);

    let silent = ApiVersionsResponse {
        api_keys: vec![],
        ..refusal.clone()
    };
    let body = encoded(&silent, 0).unwrap();
    assert_eq!(ApiVersionsResponse::decode(&body, 4).as_ref(), Ok(&silent));
    assert_eq!(silent.retry_version(), 0);

    // As librdkafka's mock cluster answers version 4: a compact length of one too few, a throttle
    // time, no tagged fields.
    let body = Bytes::from_static(&[0, 35, 1, 0, 18, 0, 0, 0, 3, 0, 0, 0, 0]);
    assert_eq!(ApiVersionsResponse::decode(&body, 4), Ok(silent));

    // Any other version-0 answer to a newer request is a defect.
    let body = encoded(&ApiVersionsResponse::default(), 0).unwrap();
    assert!(ApiVersionsResponse::decode(&body, 4).is_err());
}

/// A row of the tables of messages: key, versions, first flexible version.
fn row(api_key: ApiKey) -> Option<String> {
    let versions = AnyRequest::versions(api_key)?;
    let versions = match (versions.start(), versions.end()) {
        (oldest, newest) if oldest == newest => oldest.to_string(),
        (oldest, newest) => format!("{oldest}–{newest}"),
    };
    let flexible = api_key
        .first_flexible_version()
        .map_or(String::from("never"), |first| first.to_string());
    Some(format!("| {} | {versions} | {flexible} |", api_key.0))
}

#[test]
fn the_tables_of_messages_are_true() {
    let readme = include_str!("../../README.md");
    let module = include_str!("../../src/messages/mod.rs");
    for &api_key in ApiKey::NAMED {
        let Some(row) = row(api_key) else { continue };
        assert!(
            readme.contains(&format!("\n| {api_key} {row}\n")),
            "{api_key} {row}"
        );
        let in_module =
            |line: &str| line.starts_with(&format!("//! | [{api_key}](")) && line.ends_with(&row);
        assert!(module.lines().any(in_module), "{api_key} {row}");
    }
}
