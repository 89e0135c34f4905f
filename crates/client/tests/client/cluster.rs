//! The client over TCP, against a cluster that really takes records, moves leaders and dies.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use wolff_client::codec::messages::{
    MetadataRequest, PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use wolff_client::codec::records::{BatchHeader, RecordRef, RecordsBuilder};
use wolff_client::codec::{ApiKey, BrokerId, ErrorCode, PartitionId, TopicId};
use wolff_client::{
    AdminError, Client, ClientBuilder, ConnectError, Connection, ConnectionStrategy,
    LeaderConnection, NewTopic, RequestError, TopicEvent,
};
use wolff_testbroker::{Cluster, Fault};

const P0: PartitionId = PartitionId(0);

async fn cluster(brokers: i32, partitions: i32) -> (Cluster, ClientBuilder) {
    let builder = Cluster::builder().brokers(brokers);
    let cluster = builder.topic("t", partitions).start().await.unwrap();
    let client = client_of(&cluster);
    (cluster, client)
}

/// Impatient, so that what is tested is not how long a pause is.
fn client_of(cluster: &Cluster) -> ClientBuilder {
    crate::trace::begin();
    Client::builder([cluster.bootstrap()])
        .min_metadata_refresh_interval(Duration::from_millis(10))
        .connect_timeout(Duration::from_secs(30))
}

/// A Produce request with one record.
fn produce(acks: i16, topic_id: TopicId, partition: PartitionId, value: &str) -> ProduceRequest {
    let mut builder = RecordsBuilder::new(1_000);
    let record = RecordRef {
        timestamp_ms: 1_000,
        key: None,
        value: Some(value.as_bytes()),
        headers: &[],
    };
    builder.append(&record).unwrap();
    let frame = builder.cut().unwrap();
    let header = BatchHeader {
        base_timestamp_ms: 1_000,
        max_timestamp_ms: 1_000,
        record_count: 1,
        ..BatchHeader::default()
    };
    let header = header.encode(frame.records.len(), frame.crc32c).unwrap();
    let records = vec![header.to_vec().into(), frame.records];
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            topic_id,
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(records.into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn offset(response: Result<ProduceResponse, RequestError>) -> Result<i64, ErrorCode> {
    let topic = response.unwrap().responses.remove(0);
    let answer = topic.partition_responses.first().unwrap();
    match answer.error_code {
        ErrorCode::NONE => Ok(answer.base_offset.0),
        code => Err(code),
    }
}

/// As a producer does: again until it works.
async fn leader(client: &Client, partition: PartitionId) -> LeaderConnection {
    loop {
        match client.leader_connection("t", partition).await {
            Ok(leader) => return leader,
            Err(_not_yet) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn records_go_to_the_leader_of_their_partition() {
    let (cluster, client) = cluster(3, 6).await;
    let client = client.build().unwrap();
    for partition in 0..6 {
        let partition = PartitionId(partition);
        let leader = leader(&client, partition).await;
        assert_eq!(leader.broker, cluster.leader("t", partition).unwrap().0);
        assert_eq!(leader.topic_id, cluster.topic_id("t").unwrap());
        let pending: Vec<_> = (0..10)
            .map(|number| {
                let value = format!("{partition}/{number}");
                let request = produce(-1, leader.topic_id, partition, &value);
                leader.connection.start(&request).unwrap()
            })
            .collect();
        for (number, pending) in (0..).zip(pending) {
            assert_eq!(offset(pending.await), Ok(number));
        }
    }
    assert_eq!(cluster.stats().records(), 60);
}

#[tokio::test]
async fn unacknowledged_records_arrive_as_well() {
    let (cluster, client) = cluster(1, 1).await;
    let client = client.build().unwrap();
    let leader = leader(&client, P0).await;
    for number in 0..100 {
        let request = produce(0, leader.topic_id, P0, &number.to_string());
        leader
            .connection
            .start_unacknowledged(&request)
            .unwrap()
            .await
            .unwrap();
    }
    // Nobody is left who could keep the connection, and still all of it is delivered.
    drop((leader, client));
    cluster.wait_for(|stats| stats.records() == 100).await;
}

#[tokio::test]
async fn every_version_of_every_broker_will_do() {
    let ceilings = [
        (ApiKey::API_VERSIONS, 0..=4),
        (ApiKey::METADATA, 4..=13),
        (ApiKey::PRODUCE, 3..=13),
        (ApiKey::CREATE_TOPICS, 2..=7),
    ];
    for (api, versions) in ceilings {
        for newest in versions.clone() {
            let builder = Cluster::builder().versions(api, *versions.start()..=newest);
            let cluster = builder.topic("t", 1).start().await.unwrap();
            let client = client_of(&cluster).build().unwrap();
            let leader = leader(&client, P0).await;
            let request = produce(-1, leader.topic_id, P0, "value");
            assert_eq!(
                offset(leader.connection.request(&request).await),
                Ok(0),
                "{api} {newest}"
            );
            let topic = NewTopic {
                partitions: Some(2),
                replication_factor: Some(1),
                ..NewTopic::new("u")
            };
            client
                .create_topic(&topic, Duration::from_secs(10))
                .await
                .unwrap();
            assert_eq!(client.topic("u").await.unwrap().partitions.len(), 2);
        }
    }
}

#[tokio::test]
async fn without_a_question_for_versions_records_get_through() {
    let (cluster, client) = cluster(1, 1).await;
    let client = client.query_api_versions(false).build().unwrap();
    let leader = leader(&client, P0).await;
    let request = produce(-1, leader.topic_id, P0, "value");
    assert_eq!(offset(leader.connection.request(&request).await), Ok(0));
    assert_eq!(cluster.stats().requests(ApiKey::API_VERSIONS), 0);
}

#[tokio::test]
async fn when_a_leader_dies_the_next_one_is_found() {
    for strategy in [
        ConnectionStrategy::PerPartition,
        ConnectionStrategy::PerBroker,
    ] {
        let (cluster, client) = cluster(3, 3).await;
        let client = client.connection_strategy(strategy).build().unwrap();
        for round in 0..4 {
            let leader = leader(&client, P0).await;
            let request = produce(-1, leader.topic_id, P0, "value");
            assert_eq!(offset(leader.connection.request(&request).await), Ok(round));
            cluster.kill(leader.broker).await.unwrap();
            leader.connection.closed().await;
            cluster.revive(leader.broker).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_move_of_the_leader_is_learnt_from_the_refusal() {
    let (cluster, client) = cluster(2, 1).await;
    let client = client.build().unwrap();
    let old = leader(&client, P0).await;
    let new = BrokerId(if old.broker == BrokerId(1) { 2 } else { 1 });
    cluster.move_leader("t", P0, new).unwrap();
    let request = produce(-1, old.topic_id, P0, "value");
    let answer = old.connection.request(&request).await.unwrap();
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);

    // The answer says who leads now, and where that broker is: no question is needed.
    let asked = cluster.stats().requests(ApiKey::METADATA);
    let hint = &partition.current_leader;
    let endpoint = answer
        .node_endpoints
        .iter()
        .find(|node| node.node_id == hint.leader_id)
        .unwrap();
    let port = u16::try_from(endpoint.port).unwrap();
    let address = wolff_client::Address::new(&endpoint.host, port);
    let is_news = client.update_leader("t", P0, hint.leader_id, hint.leader_epoch, Some(address));
    assert!(is_news);
    let leader = client.leader_connection("t", P0).await.unwrap();
    assert_eq!(leader.broker, new);
    assert!(leader.leader_epoch > old.leader_epoch);
    assert_eq!(offset(leader.connection.request(&request).await), Ok(0));
    assert_eq!(cluster.stats().requests(ApiKey::METADATA), asked);
}

#[tokio::test]
async fn a_recreated_topic_is_another_one() {
    let (cluster, client) = cluster(1, 4).await;
    let client = client.build().unwrap();
    let mut events = client.topic_events();
    let before = client.topic("t").await.unwrap();
    cluster.delete_topic("t").unwrap();
    cluster.create_topic("t", 2).unwrap();
    client.mark_stale("t");
    let after = client.topic("t").await.unwrap();
    assert_ne!(before.topic_id, after.topic_id);
    assert_eq!((before.partitions.len(), after.partitions.len()), (4, 2));
    let recreated = TopicEvent::Recreated {
        topic: "t".into(),
        before: before.topic_id,
        now: after.topic_id,
    };
    assert_eq!(events.next().await, Some(recreated));
    let count = TopicEvent::PartitionCount {
        topic: "t".into(),
        before: 4,
        now: 2,
    };
    assert_eq!(events.next().await, Some(count));
    client.close().await;
    drop(client);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn the_whole_cluster_can_go_and_come_back() {
    let (cluster, client) = cluster(2, 2).await;
    let client = client.build().unwrap();
    let first = leader(&client, P0).await;
    for broker in [1, 2] {
        cluster.kill(broker).await.unwrap();
    }
    first.connection.closed().await;
    let errors = client.check_connectivity().await.unwrap_err();
    assert_eq!(errors.len(), 2);
    for error in &errors {
        let said = error.to_string();
        assert!(
            said.ends_with(": connection refused: nothing listens on that port"),
            "{said}"
        );
    }
    let outcome = client.leader_connection("t", P0).await.unwrap_err();
    assert!(matches!(outcome, ConnectError::Metadata(_)), "{outcome}");
    for broker in [1, 2] {
        cluster.revive(broker).await.unwrap();
    }
    client.check_connectivity().await.unwrap();
    let leader = leader(&client, P0).await;
    let request = produce(-1, leader.topic_id, P0, "value");
    assert_eq!(offset(leader.connection.request(&request).await), Ok(0));
}

#[tokio::test]
async fn answers_that_go_wrong_cost_a_connection_and_no_more() {
    let (cluster, client) = cluster(2, 1).await;
    let client = client.build().unwrap();
    let faults: [fn() -> Fault; 5] = [
        Fault::drop_request,
        Fault::drop_answer,
        Fault::half_answer,
        Fault::wrong_correlation_id,
        || Fault::raw_answer(&b"\0\0\0\x06\0\0\0\0\x7f\xff"[..]),
    ];
    for (round, fault) in (0..).zip(faults) {
        // For metadata another connection is tried at once; nobody notices.
        let id = cluster.inject(fault().api(ApiKey::METADATA));
        client.mark_stale("t");
        client.topic("t").await.unwrap();
        assert_eq!(cluster.stats().hits(id), 1);
        // A request of the caller's is the caller's to repeat.
        let id = cluster.inject(fault().api(ApiKey::PRODUCE));
        let broken = leader(&client, P0).await;
        let request = produce(-1, broken.topic_id, P0, "value");
        let error = broken.connection.request(&request).await.unwrap_err();
        assert!(error.is_in_doubt() && error.is_connection_lost(), "{error}");
        assert_eq!(cluster.stats().hits(id), 1);
        let whole = leader(&client, P0).await;
        let applied = if round == 0 { 0 } else { 1 };
        let expected = offset(whole.connection.request(&request).await).unwrap();
        assert_eq!(cluster.high_watermark("t", P0).unwrap().0, expected + 1);
        assert!(expected >= applied);
    }
}

#[tokio::test]
async fn topics_are_created_listed_and_deleted_through_the_controller() {
    let (_cluster, client) = cluster(3, 1).await;
    let client = client.build().unwrap();
    let timeout = Duration::from_secs(10);
    let topic = NewTopic {
        partitions: Some(5),
        ..NewTopic::new("made")
    };
    client.create_topic(&topic, timeout).await.unwrap();
    let again = client.create_topic(&topic, timeout).await.unwrap_err();
    let is_there = |code| code == ErrorCode::TOPIC_ALREADY_EXISTS;
    assert!(
        matches!(again, AdminError::Refused { code, .. } if is_there(code)),
        "{again}"
    );
    assert_eq!(client.topic("made").await.unwrap().partitions.len(), 5);
    let names: Vec<_> = client
        .topics()
        .await
        .unwrap()
        .iter()
        .map(|topic| topic.name.to_string())
        .collect();
    assert_eq!(names, ["made", "t"]);
    client.delete_topic("made", timeout).await.unwrap();
    assert_eq!(client.topic_exists("made").await, Ok(false));
    let cluster = client.cluster().await.unwrap();
    assert_eq!(cluster.brokers.len(), 3);
    assert!(cluster.controller.is_some());
}

#[tokio::test]
async fn a_lookup_creates_a_topic_where_both_sides_allow_it() {
    let builder = Cluster::builder()
        .auto_create_topics(true)
        .default_partitions(3);
    let cluster = builder.start().await.unwrap();
    let strict = client_of(&cluster).build().unwrap();
    assert_eq!(strict.topic_exists("new").await, Ok(false));
    let client = client_of(&cluster)
        .allow_auto_topic_creation(true)
        .build()
        .unwrap();
    assert_eq!(client.topic_exists("new").await, Ok(true));
    assert_eq!(client.topic("new").await.unwrap().partitions.len(), 3);
}

#[tokio::test]
async fn hundreds_of_partitions_share_three_connections_or_have_their_own() {
    for (strategy, expected) in [
        (ConnectionStrategy::PerBroker, 3 + 1),
        (ConnectionStrategy::PerPartition, 300 + 1),
    ] {
        let (cluster, client) = cluster(3, 300).await;
        let client = client.connection_strategy(strategy).build().unwrap();
        let leaders: Vec<_> = (0..300)
            .map(|partition| {
                let client = client.clone();
                tokio::spawn(
                    async move { client.leader_connection("t", PartitionId(partition)).await },
                )
            })
            .collect();
        let mut connections = Vec::new();
        for leader in leaders {
            connections.push(leader.await.unwrap().unwrap().connection);
        }
        assert_eq!(cluster.stats().connections_open(), expected);
        assert_eq!(cluster.stats().requests(ApiKey::METADATA), 1);
        // When nobody uses them any more they go, and the client stays.
        drop(connections);
        cluster
            .wait_for(|stats| stats.connections_open() == 1)
            .await;
        client.check_connectivity().await.unwrap();
        drop(client);
        cluster
            .wait_for(|stats| stats.connections_open() == 0)
            .await;
    }
}

#[tokio::test]
async fn a_broker_that_closed_an_idle_connection_is_no_alarm() {
    let (cluster, client) = cluster(1, 1).await;
    let client = client.build().unwrap();
    let connection: Connection = client.any_connection().await.unwrap();
    cluster.kill(1).await.unwrap();
    cluster.revive(1).await.unwrap();
    connection.closed().await;
    client.check_connectivity().await.unwrap();
    assert_eq!(client.topic("t").await.unwrap().partitions.len(), 1);
    let connection = client.controller_connection().await.unwrap();
    connection
        .request(&MetadataRequest::default())
        .await
        .unwrap();
}
