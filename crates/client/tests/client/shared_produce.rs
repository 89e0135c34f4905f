//! Batches of several partitions in one Produce request, and each one's own part of the answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use wolff_client::codec::messages::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use wolff_client::codec::{ErrorCode, Offset, PartitionId, TopicId};
use wolff_client::{
    Connection, ConnectionFailure, Pending, ProduceAnswer, ProduceBatch, ProtocolViolation,
    RequestCause,
};

use crate::peer::{Asked, Peer, connected};

fn batch(topic: &str, partition: i32) -> ProduceBatch {
    ProduceBatch {
        topic: topic.into(),
        topic_id: TopicId::default(),
        partition: PartitionId(partition),
        records: Bytes::from_static(b"a batch").into(),
        acks: -1,
        timeout_ms: 1_000,
    }
}

fn start(connection: &Connection, batches: &[(&str, i32)]) -> Vec<Pending<ProduceAnswer>> {
    let start = |(topic, partition): &(&str, i32)| {
        connection.start_produce(batch(topic, *partition)).unwrap()
    };
    batches.iter().map(start).collect()
}

/// The topics and partitions of a request, in order.
fn parts(asked: &Asked<ProduceRequest>) -> Vec<(String, i32)> {
    let topics = asked.request.topic_data.iter();
    let parts = topics.flat_map(|topic| {
        let data = topic.partition_data.iter();
        data.map(|data| (topic.name.to_string(), data.index.0))
    });
    parts.collect()
}

/// An answer for these partitions of `t`, each with the offset hundred times its number.
fn answer(partitions: &[i32]) -> ProduceResponse {
    let part = |index: &i32| PartitionProduceResponse {
        index: PartitionId(*index),
        base_offset: Offset(i64::from(*index) * 100),
        ..Default::default()
    };
    ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "t".into(),
            partition_responses: partitions.iter().map(part).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn asked(peer: &mut Peer) -> Asked<ProduceRequest> {
    peer.expect::<ProduceRequest>().await
}

#[tokio::test]
async fn what_waits_together_goes_out_together_and_each_gets_its_own_answer() {
    let (_client, connection, mut peer) = connected().await;
    let pending = start(&connection, &[("t", 2), ("t", 0), ("t", 1)]);
    let request = asked(&mut peer).await;
    let expected = [
        ("t".to_owned(), 2),
        ("t".to_owned(), 0),
        ("t".to_owned(), 1),
    ];
    assert_eq!(parts(&request), expected);
    let mut said = answer(&[0, 1, 2]);
    said.responses[0].partition_responses[1].error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    peer.answer(request.id, request.version, &said).await;
    let mut told = Vec::new();
    for pending in pending {
        let ProduceAnswer { partition, .. } = pending.await.unwrap();
        told.push((partition.base_offset.0, partition.error_code.is_ok()));
    }
    assert_eq!(told, [(200, true), (0, true), (100, false)]);
}

#[tokio::test]
async fn batches_of_one_partition_go_one_after_the_other() {
    let (_client, connection, mut peer) = connected().await;
    let pending = start(&connection, &[("t", 0), ("t", 0), ("t", 1)]);
    let (first, second) = (asked(&mut peer).await, asked(&mut peer).await);
    assert_eq!((parts(&first).len(), parts(&second).len()), (2, 1));
    peer.answer(first.id, first.version, &answer(&[0, 1])).await;
    peer.answer(second.id, second.version, &answer(&[0])).await;
    for pending in pending {
        pending.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_for_other_partitions_ends_the_connection_and_leaves_all_in_doubt() {
    for wrong in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2], &[]] {
        let (_client, connection, mut peer) = connected().await;
        let pending = start(&connection, &[("t", 0), ("t", 1)]);
        let request = asked(&mut peer).await;
        peer.answer(request.id, request.version, &answer(wrong))
            .await;
        for pending in pending {
            let error = pending.await.unwrap_err();
            assert!(error.is_in_doubt());
            assert!(matches!(
                error.cause(),
                RequestCause::Connection(ConnectionFailure::Protocol(
                    ProtocolViolation::Mismatch { .. }
                ))
            ));
        }
        assert_eq!(peer.frame().await, None, "{wrong:?}");
    }
}

#[tokio::test]
async fn whoever_stops_waiting_disturbs_nobody() {
    let (_client, connection, mut peer) = connected().await;
    let mut pending = start(&connection, &[("t", 0), ("t", 1), ("t", 2)]);
    drop(pending.remove(1));
    let request = asked(&mut peer).await;
    drop(pending.remove(0));
    peer.answer(request.id, request.version, &answer(&[0, 1, 2]))
        .await;
    let left = pending.remove(0).await.unwrap();
    assert_eq!(left.partition.base_offset, Offset(200));
}

#[tokio::test]
async fn a_batch_that_no_broker_would_answer_is_refused_before_it_costs_the_connection() {
    let (_client, connection, mut peer) = connected().await;
    let silent = ProduceBatch {
        acks: 0,
        ..batch("t", 0)
    };
    let refused = connection.start_produce(silent).unwrap_err();
    assert_eq!(*refused.cause(), RequestCause::Unacknowledged);
    // The next batch is the first that the broker sees.
    let _next = start(&connection, &[("t", 1)]);
    assert_eq!(parts(&asked(&mut peer).await), [("t".to_owned(), 1)]);
}

#[tokio::test]
async fn when_the_connection_ends_everybody_is_told() {
    let (_client, connection, mut peer) = connected().await;
    let sent = start(&connection, &[("t", 0), ("t", 1)]);
    asked(&mut peer).await;
    drop(peer);
    for pending in sent {
        assert!(pending.await.unwrap_err().is_in_doubt());
    }
    let refused = connection.start_produce(batch("t", 0)).unwrap_err();
    assert!(!refused.is_in_doubt());

    let (_client, connection, _peer) = connected().await;
    let waiting = start(&connection, &[("t", 0), ("t", 1)]);
    // Before the task has had its turn.
    connection.close();
    for pending in waiting {
        assert!(!pending.await.unwrap_err().is_in_doubt());
    }
}

#[tokio::test]
async fn what_cannot_be_written_does_not_hold_up_what_is_behind_it() {
    let (_client, connection, mut peer) = connected().await;
    let endless = "x".repeat(1 << 16);
    let unwritable = connection.start_produce(batch(&endless, 0)).unwrap();
    let mut other = batch("t", 1);
    other.acks = 1;
    let behind = connection.start_produce(other).unwrap();
    let error = unwritable.await.unwrap_err();
    assert!(
        matches!(error.cause(), RequestCause::Encode(_)) && !error.is_in_doubt(),
        "{error}"
    );
    let request = asked(&mut peer).await;
    assert_eq!(parts(&request), [("t".to_owned(), 1)]);
    peer.answer(request.id, request.version, &answer(&[1]))
        .await;
    assert_eq!(behind.await.unwrap().partition.base_offset, Offset(100));
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let configure = |builder: wolff_client::ClientBuilder| {
        let mut config = wolff_client::ClientConfig::default();
        config.max_queued_requests = 3;
        builder.config(config)
    };
    let (_client, connection, mut peer) = crate::peer::connected_with(1 << 16, configure).await;
    let _pending = start(&connection, &[("t", 0), ("t", 1), ("t", 2)]);
    let refused = connection.start_produce(batch("t", 3)).unwrap_err();
    assert!(
        refused.is_queue_full() && !refused.is_in_doubt(),
        "{refused}"
    );
    connection.ready().await;
    assert!(connection.start_produce(batch("t", 3)).is_ok());
    assert_eq!(parts(&asked(&mut peer).await).len(), 3);
}
