//! Versions, and clients that do not keep to the protocol.

use wolff_codec::ids::{CorrelationId, PartitionId};
use wolff_codec::messages::*;
use wolff_codec::{ApiKey, ErrorCode, Message, Request, Str, decode_response, encode_request};
use wolff_testbroker::{Cluster, Fault};

use crate::client::{Client, produce_request};
use crate::fixture;

async fn answered_in_all_versions<R: Request>(cluster: &Cluster, lowest: i16, request: R) {
    let mut client = Client::connect(cluster, 1).await;
    for version in lowest..=*R::VERSIONS.end() {
        client.request(&request, version).await;
    }
}

fn fetch_request(topic: &str, partition: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        topics: vec![FetchTopic {
            topic: Str::from(topic),
            partitions: vec![FetchPartition {
                partition: PartitionId(partition),
                fetch_offset: 0.into(),
                partition_max_bytes: 1000,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn list_offsets_request(topic: &str, partition: i32) -> ListOffsetsRequest {
    ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: Str::from(topic),
            partitions: vec![ListOffsetsPartition {
                partition_index: PartitionId(partition),
                timestamp: -1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn every_version_of_every_api_is_answered_in_success_and_in_error() {
    // Broker 1 leads partition 0 and not partition 1; there is no partition 2.
    let cluster = Cluster::builder()
        .brokers(2)
        .topic("orders", 2)
        .start()
        .await
        .unwrap();
    let cluster = &cluster;
    answered_in_all_versions(cluster, 0, ApiVersionsRequest::default()).await;
    answered_in_all_versions(cluster, 4, MetadataRequest::default()).await;
    for partition in 0..3 {
        answered_in_all_versions(cluster, 4, fetch_request("orders", partition)).await;
        answered_in_all_versions(cluster, 1, list_offsets_request("orders", partition)).await;
        let mut client = Client::connect(cluster, 1).await;
        let mut request = produce_request("orders", partition, fixture::batch(&["value"]));
        for version in 3..=12 {
            client.request(&request, version).await;
        }
        request.topic_data[0].name = Str::default();
        request.topic_data[0].topic_id = cluster.topic_id("orders").unwrap();
        client.request(&request, 13).await;
        let describe = DescribeProducersRequest {
            topics: vec![TopicRequest {
                name: Str::from("orders"),
                partition_indexes: vec![PartitionId(partition)],
                ..Default::default()
            }],
            ..Default::default()
        };
        answered_in_all_versions(cluster, 0, describe).await;
    }
    answered_in_all_versions(cluster, 0, InitProducerIdRequest::default()).await;
    answered_in_all_versions(cluster, 0, DescribeClusterRequest::default()).await;

    let mut client = Client::connect(cluster, 1).await;
    for version in 0..=6 {
        let request = if version < 4 {
            FindCoordinatorRequest {
                key: Str::from("group"),
                ..Default::default()
            }
        } else {
            FindCoordinatorRequest {
                coordinator_keys: vec![Str::from("group")],
                ..Default::default()
            }
        };
        for key_type in [0, 1] {
            if version == 0 && key_type == 1 {
                continue;
            }
            let request = FindCoordinatorRequest {
                key_type,
                ..request.clone()
            };
            let found = client.request(&request, version).await;
            let (code, message) = match found.coordinators.first() {
                Some(coordinator) => (coordinator.error_code, &coordinator.error_message),
                None => (found.error_code, &found.error_message),
            };
            // A transactional client would ask for ever otherwise.
            assert!(!code.is_retriable(), "{code}");
            assert_eq!(code.is_ok(), key_type == 0, "{code}");
            assert_eq!(version >= 1 && key_type == 1, message.is_some());
        }
    }
    for (name, versions) in [("orders", 0..=7), ("new", 0..=7)] {
        for version in versions {
            let create = CreateTopicsRequest {
                topics: vec![CreatableTopic {
                    name: Str::from(name),
                    num_partitions: 1,
                    replication_factor: 1,
                    ..Default::default()
                }],
                ..Default::default()
            };
            client.request(&create, version).await;
            let grow = CreatePartitionsRequest {
                topics: vec![CreatePartitionsTopic {
                    name: Str::from(name),
                    count: 2,
                    ..Default::default()
                }],
                ..Default::default()
            };
            client.request(&grow, version.min(3)).await;
            let resource = DescribeConfigsResource {
                resource_type: 2,
                resource_name: Str::from(name),
                ..Default::default()
            };
            let describe = DescribeConfigsRequest {
                resources: vec![resource],
                ..Default::default()
            };
            client.request(&describe, version.min(4)).await;
            let alter = IncrementalAlterConfigsRequest {
                resources: vec![AlterConfigsResource {
                    resource_type: 2,
                    resource_name: Str::from(name),
                    ..Default::default()
                }],
                ..Default::default()
            };
            client.request(&alter, version.min(1)).await;
            let delete = if version < 6 {
                DeleteTopicsRequest {
                    topic_names: vec![Str::from(name)],
                    ..Default::default()
                }
            } else {
                let topic = DeleteTopicState {
                    name: Some(Str::from(name)),
                    ..Default::default()
                };
                DeleteTopicsRequest {
                    topics: vec![topic],
                    ..Default::default()
                }
            };
            // Twice: the second time there is no such topic.
            for _ in 0..2 {
                client.request(&delete, version.min(6)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_advertised_is_served() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let response = client.request(&ApiVersionsRequest::default(), 3).await;
    let range = |api: ApiKey| {
        let mut apis = response.api_keys.iter();
        apis.find(|version| version.api_key == api)
            .map(|api| (api.min_version, api.max_version))
    };
    assert_eq!(
        range(ApiKey::PRODUCE),
        Some((0, 13)),
        "as Kafka 4 does, though 0 to 2 are refused"
    );
    assert_eq!(range(ApiKey::METADATA), Some((4, 13)));
    assert_eq!(range(ApiKey::DESCRIBE_GROUPS), None);
}

#[tokio::test]
async fn a_client_without_a_name_for_its_software_is_refused_as_by_kafka() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for (name, version) in [
        ("", "1"),
        ("wolff", ""),
        ("-wolff", "1"),
        ("wolff", "1 beta"),
    ] {
        let request = ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: version.into(),
            ..Default::default()
        };
        let response = client.request(&request, 3).await;
        assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST, "{name:?}");
        assert!(response.api_keys.is_empty());
        let older = client.request(&request, 2).await;
        assert_eq!(
            older.error_code,
            ErrorCode::NONE,
            "older versions have no name"
        );
    }
    let default = client.request(&ApiVersionsRequest::default(), 4).await;
    assert_eq!(default.error_code, ErrorCode::NONE);
}

#[tokio::test]
async fn a_version_of_api_versions_that_is_too_new_is_answered_in_version_0() {
    async fn answer_of(cluster: &Cluster) -> ApiVersionsResponse {
        let request = encode_request(&ApiVersionsRequest::default(), 3, CorrelationId(7), None);
        let mut request = request.unwrap().to_bytes().to_vec();
        request[7] = 99;
        let mut client = Client::connect(cluster, 1).await;
        client.send_raw(&request).await;
        let frame = client.receive().await.unwrap();
        let (correlation_id, response) = decode_response::<ApiVersionsResponse>(&frame, 0).unwrap();
        assert_eq!(correlation_id, CorrelationId(7));
        assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
        response
    }
    let new = Cluster::builder().start().await.unwrap();
    let hint = answer_of(&new).await.api_keys;
    assert_eq!(hint.len(), 1);
    assert_eq!(
        (hint[0].api_key, hint[0].max_version),
        (ApiKey::API_VERSIONS, 4)
    );

    let old = Cluster::builder()
        .versions(ApiKey::API_VERSIONS, 0..=2)
        .start()
        .await
        .unwrap();
    assert_eq!(
        answer_of(&old).await.api_keys,
        [],
        "before Kafka 2.4 there was no hint"
    );
}

#[tokio::test]
async fn what_is_not_advertised_closes_the_connection() {
    let cluster = Cluster::builder()
        .versions(ApiKey::METADATA, 4..=8)
        .without_api(ApiKey::FETCH)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    assert!(
        client
            .try_request(&MetadataRequest::default(), 8)
            .await
            .is_some()
    );
    assert!(
        client
            .try_request(&MetadataRequest::default(), 9)
            .await
            .is_none()
    );
    let mut client = Client::connect(&cluster, 1).await;
    assert!(
        client
            .try_request(&fetch_request("orders", 0), 9)
            .await
            .is_none()
    );
}

#[tokio::test]
async fn produce_versions_that_kafka_4_advertises_and_refuses_close_the_connection() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    // Produce version 2 with correlation id 1 and no client id; a body is not needed.
    client
        .send_raw(&[0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff])
        .await;
    assert!(client.receive().await.is_none());
}

#[tokio::test]
async fn bad_frames_close_their_connection_and_no_other() {
    let cluster = Cluster::builder()
        .max_request_bytes(1000)
        .start()
        .await
        .unwrap();
    let mut good = Client::connect(&cluster, 1).await;
    good.request(&MetadataRequest::default(), 9).await;
    let too_long = [&1001i32.to_be_bytes()[..], &[0; 1001]].concat();
    let bad: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01],
        &(-1i32).to_be_bytes(),
        &too_long,
        // A frame without a header.
        &[0, 0, 0, 0],
        // Metadata version 9 with a body that ends early.
        &[0, 0, 0, 12, 0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff],
        // An API that there is not.
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for bytes in bad {
        let mut client = Client::connect(&cluster, 1).await;
        client.send_raw(bytes).await;
        assert!(client.receive().await.is_none(), "{bytes:?}");
        good.request(&MetadataRequest::default(), 9).await;
    }
    let mut exact = Client::connect(&cluster, 1).await;
    let topic = MetadataRequestTopic {
        name: Some(Str::from("x".repeat(979))),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    };
    assert_eq!(
        encode_request(&request, 4, CorrelationId(1), Some("test"))
            .unwrap()
            .len(),
        1004
    );
    exact.request(&request, 4).await;
}

#[tokio::test]
async fn every_truncation_and_corruption_of_a_request_leaves_the_broker_alive() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let request = produce_request("orders", 0, fixture::batch(&["one", "two"]));
    let frame = encode_request(&request, 9, CorrelationId(1), Some("test"))
        .unwrap()
        .to_bytes();
    let body = &frame[4..];
    let length = |bytes: usize| i32::try_from(bytes).unwrap().to_be_bytes();
    for end in 0..body.len() {
        let mut client = Client::connect(&cluster, 1).await;
        client
            .send_raw(&[&length(end)[..], &body[..end]].concat())
            .await;
        assert!(
            client.receive().await.is_none(),
            "a request cut at {end} of {}",
            body.len()
        );
    }
    for position in 0..body.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = body.to_vec();
            damaged[position] ^= mask;
            let mut client = Client::connect(&cluster, 1).await;
            client
                .send_raw(&[&length(body.len())[..], &damaged].concat())
                .await;
            // Some answer, or none at all: the connection may close, the broker may not.
            client.send(&ApiVersionsRequest::default(), 0).await;
            let _ = client.receive().await;
        }
    }
    let mut client = Client::connect(&cluster, 1).await;
    client.request(&MetadataRequest::default(), 9).await;
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let hold = cluster.inject(Fault::hold().api(ApiKey::METADATA));
    let mut bytes = Vec::new();
    for (id, version) in [(1, 4), (2, 9), (3, 12)] {
        let request = encode_request(
            &MetadataRequest::default(),
            version,
            CorrelationId(id),
            None,
        );
        bytes.extend_from_slice(&request.unwrap().to_bytes());
    }
    client.send_raw(&bytes).await;
    cluster.wait_for(|stats| stats.hits(hold) == 1).await;
    assert_eq!(
        cluster.stats().requests(ApiKey::METADATA),
        1,
        "one request at a time"
    );
    cluster.remove_fault(hold);
    for (id, version) in [(1, 4), (2, 9), (3, 12)] {
        let frame = client.receive().await.unwrap();
        let (answered, _) = decode_response::<MetadataResponse>(&frame, version).unwrap();
        assert_eq!(answered, CorrelationId(id));
    }
}

/// librdkafka 2.12 leaves three zeros behind its question for all topics, and Kafka does not mind.
#[tokio::test]
async fn bytes_behind_a_request_do_not_matter() {
    let cluster = Cluster::builder().topic("orders", 2).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let frame = encode_request(&request, 13, CorrelationId(1), Some("librdkafka")).unwrap();
    let mut bytes = frame.to_bytes().to_vec();
    bytes.extend([0; 3]);
    let length = u32::try_from(bytes.len() - 4).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    client.send_raw(&bytes).await;
    let answer = client.receive().await.unwrap();
    let (_, response) = decode_response::<MetadataResponse>(&answer, 13).unwrap();
    assert_eq!(response.topics.len(), 1);
}

#[tokio::test]
async fn a_group_is_refused_for_good_and_nothing_is_committed_in_it() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let refusal = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    let group_id = Str::from("group");
    for version in JoinGroupRequest::VERSIONS {
        let request = JoinGroupRequest {
            group_id: group_id.clone(),
            ..Default::default()
        };
        let response = client.request(&request, version).await;
        assert_eq!(response.error_code, refusal);
    }
    for version in SyncGroupRequest::VERSIONS {
        let request = SyncGroupRequest {
            group_id: group_id.clone(),
            ..Default::default()
        };
        let response = client.request(&request, version).await;
        assert_eq!(response.error_code, refusal);
    }
    for version in HeartbeatRequest::VERSIONS {
        let request = HeartbeatRequest {
            group_id: group_id.clone(),
            ..Default::default()
        };
        let response = client.request(&request, version).await;
        assert_eq!(response.error_code, refusal);
    }
    for version in LeaveGroupRequest::VERSIONS {
        let request = LeaveGroupRequest {
            group_id: group_id.clone(),
            ..Default::default()
        };
        let response = client.request(&request, version).await;
        assert_eq!(response.error_code, refusal);
    }
    for version in OffsetCommitRequest::VERSIONS {
        let partition = OffsetCommitRequestPartition {
            committed_offset: 7.into(),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: group_id.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: Str::from("orders"),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = client.request(&request, version).await;
        assert_eq!(response.topics[0].partitions[0].error_code, refusal);
    }
    for version in OffsetFetchRequest::VERSIONS {
        let topics = Some(vec![OffsetFetchRequestTopic {
            name: Str::from("orders"),
            partition_indexes: vec![PartitionId(0)],
            ..Default::default()
        }]);
        let request = match version {
            0..=7 => OffsetFetchRequest {
                group_id: group_id.clone(),
                topics,
                ..Default::default()
            },
            _ => OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: group_id.clone(),
                    topics,
                    ..Default::default()
                }],
                ..Default::default()
            },
        };
        let response = client.request(&request, version).await;
        let topics = match version {
            0..=7 => &response.topics,
            _ => &response.groups[0].topics,
        };
        assert_eq!(topics[0].partitions[0].committed_offset, (-1).into());
        assert!(response.error_code.is_ok());
    }
}
