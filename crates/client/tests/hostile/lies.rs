//! Answers that are well-formed and wrong.

use std::time::Duration;

use tokio::time::timeout;
use wolff_client::codec::messages::{
    InitProducerIdRequest, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use wolff_client::codec::{ApiKey, BrokerId, ErrorCode, PartitionId, TopicId};
use wolff_client::{
    Client, ConnectionFailure, LeaderConnection, ProtocolViolation, RequestCause, RequestError,
};
use wolff_testbroker::{Cluster, Fault, Proxy, ProxyFault};

use crate::line::{CountingDialer, PATIENCE, client_of};

const P0: PartitionId = PartitionId(0);

async fn cluster() -> Cluster {
    Cluster::builder()
        .brokers(2)
        .topic("t", 2)
        .start()
        .await
        .unwrap()
}

fn client(bootstrap: String) -> (Client, CountingDialer) {
    let (builder, line) = client_of(bootstrap);
    (builder.build().unwrap(), line)
}

/// Looks for the leader until there is one.
async fn leader(client: &Client) -> LeaderConnection {
    let look = async {
        loop {
            match client.leader_connection("t", P0).await {
                Ok(leader) => return leader,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    timeout(PATIENCE, look).await.unwrap()
}

fn violation(error: &RequestError) -> &ProtocolViolation {
    match error.cause() {
        RequestCause::Connection(ConnectionFailure::Protocol(violation)) => violation,
        other => panic!("no violation: {other}"),
    }
}

#[tokio::test]
async fn another_correlation_id_ends_the_connection_for_all_who_wait() {
    let cluster = cluster().await;
    cluster.inject(Fault::wrong_correlation_id().api(ApiKey::INIT_PRODUCER_ID));
    let (client, _) = client(cluster.bootstrap());
    let connection = client.any_connection().await.unwrap();
    let request = InitProducerIdRequest::default();
    let pending: Vec<_> = (0..3)
        .map(|_| connection.start(&request).unwrap())
        .collect();
    for pending in pending {
        let refused = timeout(PATIENCE, pending).await.unwrap().unwrap_err();
        violation(&refused);
    }
    assert!(connection.is_closed());
    let again = client.any_connection().await.unwrap();
    assert!(again.request(&request).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_comes_twice_ends_the_connection_and_nobody_gets_the_wrong_one() {
    let cluster = cluster().await;
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let twice = ProxyFault::duplicate_response().api(ApiKey::INIT_PRODUCER_ID);
    let twice = proxy.inject(twice);
    let (client, _) = client(proxy.bootstrap());
    let connection = client.any_connection().await.unwrap();
    let request = InitProducerIdRequest::default();
    assert!(connection.request(&request).await.is_ok());
    let failure = timeout(PATIENCE, connection.closed()).await.unwrap();
    assert!(
        matches!(failure, ConnectionFailure::Protocol(_)),
        "{failure}"
    );
    assert_eq!(proxy.stats().hits(twice), 1);
}

/// Produces nothing to partition 0, and takes an answer for exactly that.
async fn produce_checked(leader: &LeaderConnection) -> Result<ProduceResponse, RequestError> {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            topic_id: leader.topic_id,
            partition_data: vec![PartitionProduceData::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let check = |answer: &ProduceResponse| {
        let topics = answer.responses.iter();
        let answered = topics.flat_map(|topic| &topic.partition_responses);
        let answered: Vec<PartitionId> = answered.map(|partition| partition.index).collect();
        if answered == [P0] {
            Ok(())
        } else {
            Err(format!("answers for {answered:?}"))
        }
    };
    let pending = leader.connection.start_checked(&request, check)?;
    timeout(PATIENCE, pending).await.unwrap()
}

#[tokio::test]
async fn answers_for_partitions_that_nobody_asked_for_end_the_connection() {
    let cluster = cluster().await;
    let lies: [fn(&mut ProduceResponse); 4] = [
        // For another one, for two, twice for one, and for none.
        |answer| answer.responses[0].partition_responses[0].index = PartitionId(1),
        |answer| {
            let mut other = answer.responses[0].partition_responses[0].clone();
            other.index = PartitionId(1);
            answer.responses[0].partition_responses.push(other);
        },
        |answer| {
            let same = answer.responses[0].clone();
            answer.responses.push(same);
        },
        |answer| answer.responses.clear(),
    ];
    let (client, _) = client(cluster.bootstrap());
    for lie in lies {
        cluster.inject(Fault::edit_answer(lie));
        let leader = leader(&client).await;
        let refused = produce_checked(&leader).await.unwrap_err();
        assert!(refused.is_in_doubt());
        let violation = violation(&refused);
        assert!(
            matches!(violation, ProtocolViolation::Mismatch { .. }),
            "{violation}"
        );
        assert!(leader.connection.is_closed());
    }
    assert!(produce_checked(&leader(&client).await).await.is_ok());
}

/// The client is told a lie by metadata twice, and must come back to the truth, without haste.
async fn recovers_from(lie: fn(&mut MetadataResponse)) {
    let cluster = cluster().await;
    let lie = cluster.inject(Fault::edit_answer(lie).times(2));
    let (client, line) = client(cluster.bootstrap());
    for _ in 0..2 {
        let _ = timeout(PATIENCE, client.leader_connection("t", P0))
            .await
            .unwrap();
        client.mark_stale("t");
    }
    cluster.remove_fault(lie);
    client.mark_stale("t");
    let leader = leader(&client).await;
    assert_eq!(leader.broker, cluster.leader("t", 0).unwrap().0);
    assert!(line.polls() < 2000, "{} polls", line.polls());
    assert!(line.dials() < 40, "{} dials", line.dials());
}

#[tokio::test]
async fn brokers_at_port_0_are_not_dialled() {
    recovers_from(|answer| {
        for broker in &mut answer.brokers {
            broker.port = 0;
        }
    })
    .await;
}

#[tokio::test]
async fn ports_that_no_port_can_have_are_no_addresses() {
    recovers_from(|answer| {
        for (broker, port) in answer.brokers.iter_mut().zip([65_536, -1]) {
            broker.port = port;
        }
    })
    .await;
    recovers_from(|answer| {
        for (broker, port) in answer.brokers.iter_mut().zip([i32::MAX, i32::MIN]) {
            broker.port = port;
        }
    })
    .await;
}

#[tokio::test]
async fn hosts_that_are_none_are_no_addresses() {
    recovers_from(|answer| {
        for (broker, host) in answer.brokers.iter_mut().zip(["", "a b\0c/../@:"]) {
            broker.host = host.into();
        }
    })
    .await;
}

#[tokio::test]
async fn a_million_brokers_are_only_a_long_answer() {
    recovers_from(|answer| {
        let mut broker = answer.brokers[0].clone();
        answer.brokers.extend((100..1_000_100).map(|id| {
            broker.node_id = BrokerId(id);
            broker.clone()
        }));
    })
    .await;
}

#[tokio::test]
async fn leaders_that_are_no_brokers_lead_nothing() {
    recovers_from(|answer| {
        let topics = answer.topics.iter_mut();
        for partition in topics.flat_map(|topic| &mut topic.partitions) {
            partition.leader_id = BrokerId(77);
        }
    })
    .await;
}

#[tokio::test]
async fn partitions_that_cannot_be_are_not_counted() {
    recovers_from(|answer| {
        for topic in &mut answer.topics {
            for index in [-1, i32::MIN, i32::MAX, 0] {
                topic.partitions.push(MetadataResponsePartition {
                    partition_index: PartitionId(index),
                    ..Default::default()
                });
            }
        }
    })
    .await;
}

#[tokio::test]
async fn topics_that_nobody_asked_for_are_not_taken_for_the_one_that_was() {
    recovers_from(|answer| {
        let mut other = answer.topics[0].clone();
        other.name = Some("other".into());
        let nameless = MetadataResponseTopic {
            name: None,
            topic_id: TopicId::ZERO,
            ..Default::default()
        };
        answer.topics = vec![nameless, other];
    })
    .await;
}

#[tokio::test]
async fn a_topic_that_is_told_twice_is_no_trouble() {
    recovers_from(|answer| {
        let mut again = answer.topics[0].clone();
        again.partitions.clear();
        again.error_code = ErrorCode::UNKNOWN_SERVER_ERROR;
        answer.topics.push(again);
    })
    .await;
}
