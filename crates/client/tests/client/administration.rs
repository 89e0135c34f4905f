//! Requests to leaders and to the controller: offsets, records, partitions, settings, deletion.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::time::Duration;

use bytes::Bytes;
use wolff_client::codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_client::codec::records::{BatchHeader, RecordRef, encode_batch};
use wolff_client::codec::{ApiKey, BrokerId, ErrorCode, Offset, PartitionId};
use wolff_client::{
    AdminError, Client, ConfigResource, ConfigSource, ConnectError, FetchOptions, NewTopic,
    OffsetSpec,
};
use wolff_testbroker::{Cluster, Fault};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn cluster(brokers: i32, partitions: i32) -> (Cluster, Client) {
    crate::trace::begin();
    let builder = Cluster::builder().brokers(brokers);
    let cluster = builder.topic("t", partitions).start().await.unwrap();
    let client = Client::builder([cluster.bootstrap()])
        .min_metadata_refresh_interval(Duration::from_millis(10))
        .build()
        .unwrap();
    (cluster, client)
}

/// Writes records to a partition, one batch each, with these timestamps.
async fn write(client: &Client, partition: i32, timestamps: &[i64]) {
    for &timestamp_ms in timestamps {
        let value = timestamp_ms.to_string();
        let record = RecordRef {
            timestamp_ms,
            value: Some(value.as_bytes()),
            ..RecordRef::default()
        };
        let batch = encode_batch(&BatchHeader::default(), [record]).unwrap();
        let request = ProduceRequest {
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: "t".into(),
                partition_data: vec![PartitionProduceData {
                    index: PartitionId(partition),
                    records: Some(batch.into()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let leader = client.leader_connection("t", PartitionId(partition));
        let response = leader.await.unwrap().connection.request(&request).await;
        let outcome = &response.unwrap().responses[0].partition_responses[0];
        assert!(outcome.error_code.is_ok(), "{outcome:?}");
    }
}

fn refusal<T: std::fmt::Debug>(outcome: &Result<T, AdminError>) -> ErrorCode {
    match outcome {
        Err(AdminError::Refused { code, .. }) => *code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn offsets_are_listed_from_the_leader_of_each_partition() {
    let (_cluster, client) = cluster(3, 6).await;
    for partition in 0..6 {
        write(&client, partition, &[1_000, 2_000, 3_000]).await;
    }
    // Both ends of a partition in one call: brokers refuse it twice in one request.
    let wanted: Vec<_> = (0..6)
        .flat_map(|partition| {
            [
                OffsetSpec::Earliest,
                OffsetSpec::Latest,
                OffsetSpec::Timestamp(1_500),
                OffsetSpec::Timestamp(9_000),
            ]
            .map(|spec| (PartitionId(partition), spec))
        })
        .collect();
    let listed = client.list_offsets("t", &wanted).await;
    for (of_partition, partition) in listed.chunks(4).zip(0..) {
        let offsets: Vec<(PartitionId, i64, Option<i64>)> = of_partition
            .iter()
            .map(|(partition, listed)| {
                let listed = listed.as_ref().unwrap();
                (*partition, listed.offset.0, listed.timestamp_ms)
            })
            .collect();
        let partition = PartitionId(partition);
        let expected = [
            (partition, 0, None),
            (partition, 3, None),
            (partition, 1, Some(2_000)),
            (partition, -1, None),
        ];
        assert_eq!(offsets, expected);
    }
}

#[tokio::test]
async fn what_is_known_wrongly_is_asked_for_again() {
    let (cluster, client) = cluster(3, 1).await;
    write(&client, 0, &[1_000]).await;
    let (old_leader, _) = cluster.leader("t", 0).unwrap();
    let other = BrokerId(if old_leader.0 == 1 { 2 } else { 1 });
    cluster.move_leader("t", 0, other).unwrap();
    let latest = [(PartitionId(0), OffsetSpec::Latest)];
    let (_, listed) = client.list_offsets("t", &latest).await.remove(0);
    assert_eq!(listed.unwrap().offset, Offset(1));

    // Once for a passing reason: repeated without a word.
    cluster.inject(
        Fault::error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
            .api(ApiKey::LIST_OFFSETS)
            .times(1),
    );
    let (_, listed) = client.list_offsets("t", &latest).await.remove(0);
    assert_eq!(listed.unwrap().offset, Offset(1));
}

#[tokio::test]
async fn records_are_fetched_from_an_offset_on() {
    let (cluster, client) = cluster(2, 2).await;
    write(&client, 0, &[1_000, 2_000]).await;
    write(&client, 1, &[3_000]).await;
    let options = FetchOptions::default();
    let from = [
        (PartitionId(1), Offset(0)),
        (PartitionId(0), Offset(1)),
        (PartitionId(0), Offset(7)),
        (PartitionId(9), Offset(0)),
    ];
    let fetched = client.fetch("t", &from, &options).await;
    let values = |index: usize| -> Vec<Bytes> {
        let (_, fetched) = &fetched[index];
        let batches = fetched.as_ref().unwrap().batches();
        let records = batches.flat_map(|batch| batch.unwrap().records(1_000).unwrap());
        records
            .map(|record| record.unwrap().value.unwrap())
            .collect()
    };
    assert_eq!(values(0), ["3000"]);
    assert_eq!(values(1), ["2000"]);
    let (_, first) = &fetched[1];
    assert_eq!(first.as_ref().unwrap().high_watermark, Offset(2));
    assert_eq!(refusal(&fetched[2].1), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(matches!(
        fetched[3].1,
        Err(AdminError::Connect(ConnectError::UnknownPartition { .. }))
    ));

    // Topics go by id where the broker knows that, by name elsewhere.
    let names = Cluster::builder().versions(ApiKey::FETCH, 4..=12);
    let names = names.topic("t", 1).start().await.unwrap();
    let client = Client::builder([names.bootstrap()]).build().unwrap();
    write(&client, 0, &[5_000]).await;
    let from = [(PartitionId(0), Offset(0))];
    let (_, fetched) = client.fetch("t", &from, &options).await.remove(0);
    assert!(!fetched.unwrap().records.is_empty());
    drop(cluster);
}

#[tokio::test]
async fn partitions_are_added_by_the_controller() {
    let (cluster, client) = cluster(3, 2).await;
    client.create_partitions("t", 5, TIMEOUT).await.unwrap();
    assert_eq!(cluster.topics(), [("t".into(), 5)]);
    assert_eq!(client.topic("t").await.unwrap().partitions.len(), 5);
    let fewer = client.create_partitions("t", 3, TIMEOUT).await;
    assert_eq!(refusal(&fewer), ErrorCode::INVALID_PARTITIONS);
}

#[tokio::test]
async fn settings_are_described_by_topic_and_by_broker() {
    let (_cluster, client) = cluster(2, 1).await;
    let mut topic = NewTopic::new("large");
    topic.configs = vec![("max.message.bytes".into(), "2000000".into())];
    client.create_topic(&topic, TIMEOUT).await.unwrap();
    let resources = [
        ConfigResource::topic("large"),
        ConfigResource::Broker(BrokerId(2)),
        ConfigResource::topic("none"),
        ConfigResource::Broker(BrokerId(9)),
        ConfigResource::topic("large"),
    ];
    let described = client
        .describe_configs(&resources, Some(&["max.message.bytes"]))
        .await;
    let asked: Vec<_> = described
        .iter()
        .map(|(resource, _)| resource.clone())
        .collect();
    assert_eq!(asked, resources);
    let entries = described[0].1.as_ref().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name, "max.message.bytes");
    assert_eq!(entries[0].value.as_deref(), Some("2000000"));
    assert_eq!(entries[0].source, ConfigSource::Topic);
    assert!(described[1].1.is_ok());
    assert_eq!(
        refusal(&described[2].1),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        described[3].1,
        Err(AdminError::Connect(ConnectError::UnknownBroker(BrokerId(
            9
        ))))
    );
    assert_eq!(described[4].1, described[0].1);
}

#[tokio::test]
async fn a_topic_that_is_refused_keeps_no_other_from_deletion() {
    let (cluster, client) = cluster(3, 1).await;
    cluster.create_topic("u", 1).unwrap();
    let deleted = client
        .delete_topics(&["t", "none", "u"], TIMEOUT)
        .await
        .unwrap();
    let names: Vec<&str> = deleted.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["t", "none", "u"]);
    assert_eq!(deleted[0].1, Ok(()));
    assert_eq!(
        refusal(&deleted[1].1),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(deleted[2].1, Ok(()));
    assert!(cluster.topics().is_empty());
}

#[tokio::test]
async fn records_before_an_offset_are_deleted_at_the_leader() {
    let (cluster, client) = cluster(2, 2).await;
    for partition in 0..2 {
        write(&client, partition, &[1_000, 2_000, 3_000]).await;
    }
    let before = [
        (PartitionId(0), Offset(2)),
        (PartitionId(1), Offset::UNKNOWN),
        (PartitionId(0), Offset(9)),
    ];
    let deleted = client.delete_records("t", &before, TIMEOUT).await;
    assert_eq!(deleted[0], (PartitionId(0), Ok(Offset(2))));
    assert_eq!(deleted[1], (PartitionId(1), Ok(Offset(3))));
    assert_eq!(refusal(&deleted[2].1), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(cluster.log_start_offset("t", 0).unwrap(), Offset(2));
    assert_eq!(cluster.records("t", 1).unwrap(), []);
}
