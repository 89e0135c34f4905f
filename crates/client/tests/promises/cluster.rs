//! A2, A3, A8, A9, A10: connections, metadata and leaders.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wolff_client::codec::messages::InitProducerIdRequest;
use wolff_client::codec::records::{BatchHeader, RecordRef, RecordsBuilder};
use wolff_client::codec::{ApiKey, BrokerId, ErrorCode, PartitionId};
use wolff_client::{
    Client, ConnectionStrategy, HostError, HostReason, MetadataError, ProduceBatch, TopicEvent,
};
use wolff_testbroker::{Cluster, Fault, Proxy};

use crate::impatience::{client_of, cluster, in_time, leader};

const P0: PartitionId = PartitionId(0);

fn batch(topic_id: wolff_client::codec::TopicId, partition: PartitionId) -> ProduceBatch {
    let mut builder = RecordsBuilder::new(1_000);
    let record = RecordRef {
        timestamp_ms: 1_000,
        key: None,
        value: Some(b"value"),
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
    let records: Vec<Bytes> = vec![header.to_vec().into(), frame.records];
    ProduceBatch {
        topic: "t".into(),
        topic_id,
        partition,
        records: records.into(),
        acks: -1,
        timeout_ms: 10_000,
    }
}

#[tokio::test]
async fn a2_partitions_have_connections_of_their_own_or_share_one_for_each_broker_and_its_requests()
{
    const PARTITIONS: i32 = 12;
    for (strategy, connections) in [
        (ConnectionStrategy::PerPartition, 12),
        (ConnectionStrategy::PerBroker, 2),
    ] {
        let cluster = cluster(2, PARTITIONS).await;
        let client = client_of(cluster.bootstrap())
            .connection_strategy(strategy)
            .build()
            .unwrap();
        let mut leaders = Vec::new();
        for partition in 0..PARTITIONS {
            leaders.push(leader(&client, PartitionId(partition)).await);
        }
        // One more asks for metadata.
        assert_eq!(cluster.stats().connections_open(), connections + 1);

        // All batches at once, each on the connection of its partition's leader.
        let pending: Vec<_> = (0..)
            .zip(&leaders)
            .map(|(partition, leader)| {
                let batch = batch(leader.topic_id, PartitionId(partition));
                leader.connection.start_produce(batch).unwrap()
            })
            .collect();
        for (partition, pending) in (0..).zip(pending) {
            let answer = in_time(pending).await.unwrap().partition;
            assert_eq!(answer.index, PartitionId(partition));
            assert_eq!(
                (answer.error_code, answer.base_offset.0),
                (ErrorCode::NONE, 0)
            );
        }
        let requests = cluster.stats().requests(ApiKey::PRODUCE);
        match strategy {
            ConnectionStrategy::PerBroker => assert_eq!(requests, 2),
            _ => assert_eq!(requests, 12),
        }
        drop(leaders);
        in_time(cluster.wait_for(|stats| stats.connections_open() == 1)).await;
    }
    assert_eq!(
        ConnectionStrategy::default(),
        ConnectionStrategy::PerPartition
    );
}

#[tokio::test]
async fn a3_metadata_is_refreshed_once_per_interval_at_once_after_a_disconnect_and_in_bounded_time()
{
    let questions = |cluster: &Cluster| cluster.stats().requests(ApiKey::METADATA);
    let cluster = cluster(2, 1).await;
    let interval = Duration::from_millis(300);
    let client = Client::builder([cluster.bootstrap()])
        .min_metadata_refresh_interval(interval)
        .build()
        .unwrap();
    // However many want it at the same time: one question.
    let lookups = (0..1_000).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.topic("t").await.map(drop) })
    });
    for lookup in lookups.collect::<Vec<_>>() {
        lookup.await.unwrap().unwrap();
    }
    assert_eq!(questions(&cluster), 1);
    // However often it proves stale: one question per interval.
    let begin = Instant::now();
    while begin.elapsed() < 4 * interval {
        client.mark_stale("t");
        client.topic("t").await.unwrap();
    }
    let refreshes = u128::from(questions(&cluster) - 1);
    let intervals = begin.elapsed().as_millis() / interval.as_millis() + 1;
    assert!((2..=intervals).contains(&refreshes), "{refreshes}");

    // After a disconnect it is asked at once, although the interval is an hour.
    let patient = Client::builder([cluster.bootstrap()])
        .min_metadata_refresh_interval(Duration::from_secs(3600))
        .build()
        .unwrap();
    let lost = leader(&patient, P0).await;
    cluster.kill(lost.broker).await.unwrap();
    in_time(lost.connection.closed()).await;
    assert_ne!(leader(&patient, P0).await.broker, lost.broker);

    // And the time for it is bounded.
    cluster.inject(Fault::hold().api(ApiKey::METADATA).always());
    let limit = Duration::from_millis(200);
    let client = client_of(cluster.bootstrap()).metadata_timeout(limit);
    let error = in_time(client.build().unwrap().topic("t")).await;
    let MetadataError::Unanswered { after, hosts } = error.unwrap_err() else {
        unreachable!("nobody answers")
    };
    assert_eq!(after, limit);
    let is_silent = |host: &HostError| {
        matches!(
            host.reason,
            HostReason::StillTrying { .. } | HostReason::TimedOut { .. }
        )
    };
    assert!(hosts.iter().any(is_silent), "{hosts:?}");
}

#[tokio::test]
async fn a8_connectivity_existence_automatic_creation_and_a_readable_reason_for_each_host() {
    let cluster = Cluster::builder().topic("t", 1).auto_create_topics(true);
    let cluster = cluster.start().await.unwrap();
    let client = client_of(cluster.bootstrap()).build().unwrap();
    assert_eq!(client.check_connectivity().await, Ok(()));
    assert_eq!(client.topic_exists("t").await, Ok(true));
    // Both sides must allow it.
    assert_eq!(client.topic_exists("new").await, Ok(false));
    let creating = client_of(cluster.bootstrap()).allow_auto_topic_creation(true);
    let creating = creating.build().unwrap();
    assert_eq!(creating.topic_exists("new").await, Ok(true));

    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = gone.local_addr().unwrap();
    drop(gone);
    let lost = Client::builder([format!("{refused},no-such-host.invalid:9092")]);
    let errors = in_time(lost.build().unwrap().check_connectivity()).await;
    let errors = errors.unwrap_err();
    let about = |host: &str| {
        let found = errors
            .iter()
            .find(|error| error.to_string().starts_with(host));
        &found.unwrap().reason
    };
    assert_eq!(about(&refused.to_string()), &HostReason::Refused);
    let unknown = about("no-such-host.invalid:9092");
    assert!(matches!(unknown, HostReason::NameNotFound(_)), "{unknown}");
}

#[tokio::test]
async fn a9_bootstrap_again_leader_hints_and_topics_that_were_made_anew() {
    let cluster = cluster(3, 1).await;
    // The bootstrap host is a proxy, which stays, whatever the brokers do; it does not rewrite what
    // brokers say.
    let first = cluster.addresses()[&BrokerId(1)].to_string();
    let relay = crate::relay::Relay::to(first).await;
    let client = client_of(relay.address.to_string()).build().unwrap();
    let before = leader(&client, P0).await;
    let known = client.known_cluster();
    assert_eq!(known.brokers.len(), 3);

    // All brokers that are known go; the bootstrap host leads to one that is back (KIP-899).
    let asked_before = relay.peers().len();
    for broker in 1..=3 {
        cluster.kill(broker).await.unwrap();
    }
    in_time(before.connection.closed()).await;
    assert!(client.cluster().await.is_err());
    cluster.revive(1).await.unwrap();
    let come_back = async {
        while client.cluster().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(come_back).await;
    assert!(
        relay.peers().len() > asked_before,
        "its name is looked up again"
    );
    for broker in 2..=3 {
        cluster.revive(broker).await.unwrap();
    }

    // A hint at a new leader is followed without a question (KIP-951).
    let old = leader(&client, P0).await;
    let next = BrokerId(old.broker.0 % 3 + 1);
    cluster.move_leader("t", P0, next).unwrap();
    let (broker, epoch) = cluster.leader("t", P0).unwrap();
    let asked = cluster.stats().requests(ApiKey::METADATA);
    let address = cluster.addresses()[&next].to_string();
    let address: wolff_client::Endpoint = address.parse().unwrap();
    assert!(client.update_leader("t", P0, broker, epoch, Some(address.address)));
    let hinted = client.leader_connection("t", P0).await.unwrap();
    assert_eq!(hinted.broker, next);
    assert_eq!(cluster.stats().requests(ApiKey::METADATA), asked);

    // A topic of the same name with another id is another topic (KIP-516).
    let mut events = client.topic_events();
    cluster.delete_topic("t").unwrap();
    cluster.create_topic("t", 1).unwrap();
    client.mark_stale("t");
    let anew = leader(&client, P0).await;
    assert_ne!(anew.topic_id, hinted.topic_id);
    let event = in_time(events.next()).await.unwrap();
    let TopicEvent::Recreated { before, now, .. } = event else {
        unreachable!("{event:?}")
    };
    assert_eq!((before, now), (hinted.topic_id, anew.topic_id));
}

#[tokio::test]
async fn a10_throttling_is_obeyed_by_silence_and_nothing_accepted_is_sent_again() {
    let cluster = cluster(1, 1).await;
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let leader = leader(&client, P0).await;
    let pause = Duration::from_millis(400);
    cluster.inject(Fault::throttle(pause).api(ApiKey::PRODUCE));
    let start = || {
        let batch = batch(leader.topic_id, P0);
        leader.connection.start_produce(batch).unwrap()
    };
    let begin = Instant::now();
    let first = in_time(start()).await.unwrap();
    assert_eq!(
        first.partition.base_offset.0, 0,
        "accepted, only slowed down"
    );
    // What comes now is held here for as long as the broker wants.
    let second = start();
    let question = InitProducerIdRequest::default();
    let third = leader.connection.start(&question).unwrap();
    assert_eq!(proxy.stats().requests(ApiKey::PRODUCE), 1);
    assert_eq!(in_time(second).await.unwrap().partition.base_offset.0, 1);
    in_time(third).await.unwrap();
    assert!(begin.elapsed() >= pause);
    assert_eq!(proxy.stats().requests(ApiKey::PRODUCE), 2, "each once");
    assert_eq!(cluster.stats().records(), 2);
}
