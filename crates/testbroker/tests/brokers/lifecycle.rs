//! Brokers die and come back, leaders move.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use wolff_codec::ids::{BrokerId, LeaderEpoch};
use wolff_codec::messages::{DescribeClusterRequest, MetadataRequest};
use wolff_codec::{ApiKey, ErrorCode};
use wolff_testbroker::{Cluster, ClusterError, Fault};

use crate::client::{Client, produce_request, values};
use crate::fixture::{batch, stamp, stamped_batch};

#[tokio::test]
async fn a_killed_broker_refuses_connections_and_comes_back_with_its_logs_on_the_same_port() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let address = cluster.addresses()[&BrokerId(1)];
    let mut client = Client::connect(&cluster, 1).await;
    client.produce("orders", 0, batch(&["a"])).await;
    for round in 1..=3 {
        cluster.kill(1).await.unwrap();
        assert!(client.receive().await.is_none());
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            cluster.leader("orders", 0).unwrap(),
            (BrokerId::NONE, LeaderEpoch(2 * round - 1))
        );
        assert_eq!(cluster.stats().connections_open(), 0);

        cluster.revive(1).await.unwrap();
        assert_eq!(
            cluster.leader("orders", 0).unwrap(),
            (BrokerId(1), LeaderEpoch(2 * round))
        );
        client = Client::connect(&cluster, 1).await;
        client.produce("orders", 0, batch(&["b"])).await;
    }
    assert_eq!(values(&cluster, "orders", 0), ["a", "b", "b", "b"]);
    assert_eq!(cluster.stats().connections_accepted(), 4);
}

#[tokio::test]
async fn what_a_broker_held_when_it_died_is_not_applied() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let hold = cluster.inject(Fault::hold().api(ApiKey::PRODUCE));
    let mut client = Client::connect(&cluster, 1).await;
    client
        .send(&produce_request("orders", 0, batch(&["a"])), 9)
        .await;
    cluster.wait_for(|stats| stats.hits(hold) == 1).await;
    cluster.kill(1).await.unwrap();
    cluster.clear_faults();
    assert!(client.receive().await.is_none());
    cluster.revive(1).await.unwrap();
    assert_eq!(values(&cluster, "orders", 0), Vec::<String>::new());
}

#[tokio::test]
async fn another_replica_takes_over_and_knows_log_and_producers() {
    // The records' timestamps are of 1970.
    let cluster = Cluster::builder()
        .brokers(2)
        .topic("orders", 1)
        .producer_expiration(Duration::MAX)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for sequence in 0..3 {
        client
            .produce("orders", 0, stamped_batch(&["a"], stamp(1, 0, sequence)))
            .await;
    }
    cluster.kill(1).await.unwrap();
    let mut client = Client::connect(&cluster, 2).await;
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    let brokers: Vec<i32> = metadata
        .brokers
        .iter()
        .map(|broker| broker.node_id.0)
        .collect();
    let partition = &metadata.topics[0].partitions[0];
    assert_eq!((brokers, partition.leader_id), (vec![2], BrokerId(2)));
    assert_eq!(partition.isr_nodes, [BrokerId(2)]);
    assert_eq!(partition.offline_replicas, [BrokerId(1)]);

    let resend = async |client: &mut Client, sequence| {
        let batch = stamped_batch(&["a"], stamp(1, 0, sequence));
        client.produce("orders", 0, batch).await.error_code
    };
    assert_eq!(resend(&mut client, 0).await, ErrorCode::NONE);
    // The one that restarted has forgotten all but the last batch.
    cluster.revive(1).await.unwrap();
    cluster.move_leader("orders", 0, 1).unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(
        resend(&mut client, 0).await,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert_eq!(resend(&mut client, 2).await, ErrorCode::NONE);
    assert_eq!(resend(&mut client, 3).await, ErrorCode::NONE);
    assert_eq!(values(&cluster, "orders", 0).len(), 4);
}

#[tokio::test]
async fn a_broker_that_restarts_forgets_producers_whose_last_records_are_old() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let send = async |client: &mut Client| {
        let batch = stamped_batch(&["of 1970"], stamp(1, 0, 0));
        client.produce("orders", 0, batch).await.base_offset.0
    };
    assert_eq!(send(&mut client).await, 0);
    assert_eq!(send(&mut client).await, 0, "a duplicate");
    cluster.kill(1).await.unwrap();
    cluster.revive(1).await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(send(&mut client).await, 1, "appended twice");
}

#[tokio::test]
async fn a_partition_without_a_living_replica_has_no_leader() {
    let cluster = Cluster::builder()
        .brokers(2)
        .replication_factor(1)
        .topic("orders", 2);
    let cluster = cluster.start().await.unwrap();
    cluster.kill(2).await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    let partition = &metadata.topics[0].partitions[1];
    assert_eq!(partition.error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(partition.leader_id, BrokerId::NONE);
    let cluster_answer = client.request(&DescribeClusterRequest::default(), 0).await;
    assert_eq!(cluster_answer.brokers.len(), 1);
}

#[tokio::test]
async fn steering_what_is_not_there_is_an_error() {
    let cluster = Cluster::builder().start().await.unwrap();
    assert!(matches!(
        cluster.kill(2).await,
        Err(ClusterError::UnknownBroker { .. })
    ));
    assert!(matches!(
        cluster.revive(2).await,
        Err(ClusterError::UnknownBroker { .. })
    ));
    cluster.revive(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    assert!(matches!(
        cluster.kill(1).await,
        Err(ClusterError::BrokerDown { .. })
    ));
    assert!(matches!(
        cluster.records("orders", 0),
        Err(ClusterError::UnknownTopic { .. })
    ));
}

#[tokio::test]
async fn addresses_are_chosen_or_given() {
    let free = Cluster::builder().brokers(3).start().await.unwrap();
    assert_eq!(free.bootstrap().split(',').count(), 3);
    let taken = free.addresses()[&BrokerId(1)];
    let error = Cluster::builder().listen(taken).start().await.unwrap_err();
    assert!(matches!(error, ClusterError::Listen { address, .. } if address == taken));
    let too_many = Cluster::builder()
        .listen("127.0.0.1:65535".parse().unwrap())
        .brokers(2);
    assert!(matches!(
        too_many.start().await,
        Err(ClusterError::Brokers { .. })
    ));
    assert!(matches!(
        Cluster::builder().brokers(0).start().await,
        Err(ClusterError::Brokers { .. })
    ));

    free.advertise(1, "broker.example", 1234).unwrap();
    let mut client = Client::connect(&free, 1).await;
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    assert_eq!(
        (metadata.brokers[0].host.as_str(), metadata.brokers[0].port),
        ("broker.example", 1234)
    );
}

#[tokio::test]
async fn dropping_a_cluster_closes_everything() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.request(&MetadataRequest::default(), 9).await;
    drop(cluster);
    assert!(client.receive().await.is_none());
}
