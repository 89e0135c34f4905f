//! Answers that prove nothing: what perhaps is in Kafka is neither given up nor sent again unseen.

use std::time::Duration;

use wolff::{ErrorCode, Idempotence};
use wolff_testbroker::{Cluster, Fault};

use crate::support::{End, TOPIC, World, judge, until, within};

/// The answers after which a batch may be in the log all the same.
const PERHAPS_APPENDED: [ErrorCode; 8] = [
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::NETWORK_EXCEPTION,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode(7_777),
];

#[tokio::test]
async fn batches_appended_and_refused_before_a_restart_are_in_the_log_once() {
    let world = World::new(1).await;
    let pause = Duration::from_secs(2);
    let setup = world.in_memory().single().retry_delay(pause, pause);
    let producer = setup.start().await;
    let refused = Fault::error_after_applying(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    let faults = [refused.times(3)];
    let (receipts, hold) = world.in_flight(&producer, &["a", "b", "c"], faults).await;
    world.cluster.remove_fault(hold);
    until("all three in the log", || world.log(0).len() == 4).await;
    // The broker that comes back knows the last batch of the producer only.
    world.kill_all().await;
    world.revive_all().await;
    let mut ends = Vec::new();
    for (value, receipt) in ["a", "b", "c"].into_iter().zip(receipts) {
        ends.push((value, receipt.end().await));
    }
    assert_eq!(world.log(0), ["first", "a", "b", "c"], "{ends:?}");
    assert!(ends.iter().all(|(_, end)| end.is_acked()), "{ends:?}");
    producer.stop().await;
}

#[tokio::test]
async fn a_batch_appended_and_refused_is_counted_when_it_is_sent_again_without_idempotence() {
    for code in PERHAPS_APPENDED {
        let world = World::new(1).await;
        let setup = world.in_memory().idempotence(Idempotence::Off);
        let producer = setup.start().await;
        world.inject_produce(Fault::error_after_applying(code));
        let end = producer.accept("a").await.end().await;
        let counts = producer.counts();
        judge(&world.log(0), &[("a", end)], counts.possibly_duplicated);
        counts.assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_batch_appended_and_refused_is_in_the_log_once_with_idempotence() {
    for code in PERHAPS_APPENDED {
        let world = World::new(1).await;
        let producer = world.in_memory().start().await;
        world.inject_produce(Fault::error_after_applying(code));
        let end = producer.accept("a").await.end().await;
        assert!(end.is_acked(), "{code}: {end:?}");
        assert_eq!(world.log(0), ["a"], "{code}");
        producer.counts().assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_of_what_is_in_the_log_already_is_no_failure() {
    for (first, second) in [
        (ErrorCode::REQUEST_TIMED_OUT, ErrorCode::INVALID_TIMESTAMP),
        (
            ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ),
        (ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::INVALID_RECORD),
        (ErrorCode::UNKNOWN_SERVER_ERROR, ErrorCode::POLICY_VIOLATION),
    ] {
        for idempotence in [Idempotence::Auto, Idempotence::Off] {
            let world = World::new(1).await;
            let producer = world.in_memory().idempotence(idempotence).start().await;
            world.inject_produce(Fault::error_after_applying(first));
            world.inject_produce(Fault::error(second).skip(1));
            let end = producer.accept("a").await.end().await;
            let counts = producer.counts();
            judge(&world.log(0), &[("a", end)], counts.possibly_duplicated);
            counts.assert_sum();
            producer.stop().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_in_a_window_of_lost_answers_fails_and_repeats_nothing() {
    for code in [
        ErrorCode::INVALID_TIMESTAMP,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_RECORD,
        ErrorCode::MESSAGE_TOO_LARGE,
    ] {
        let world = World::new(1).await;
        let producer = world.in_memory().single().start().await;
        // All three are appended, and no answer but codes that prove nothing comes back.
        let faults = [
            Fault::error_after_applying(ErrorCode::REQUEST_TIMED_OUT).times(2),
            Fault::drop_answer().skip(2),
            Fault::error(code).skip(3),
        ];
        let (receipts, hold) = world.in_flight(&producer, &["a", "b", "c"], faults).await;
        world.cluster.remove_fault(hold);
        let mut ends = Vec::new();
        for (value, receipt) in ["a", "b", "c"].into_iter().zip(receipts) {
            ends.push((value, receipt.end().await));
        }
        let counts = producer.counts();
        judge(&world.log(0), &ends, counts.possibly_duplicated);
        counts.assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_in_doubt_at_a_stop_with_queues_in_memory() {
    let world = World::new(1).await;
    let producer = world.in_memory().single().start().await;
    let (receipts, hold) = world.in_flight(&producer, &["a", "b", "c"], []).await;
    let stopping = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.stopping().await })
    };
    // The broker is silent for good.
    within("the stop", stopping).await.unwrap();
    world.cluster.remove_fault(hold);
    let mut ends = Vec::new();
    for receipt in receipts {
        ends.push(receipt.end().await);
    }
    assert_eq!(ends, vec![End::InDoubt; 3]);
    let mut all = vec![End::Acked {
        partition: 0,
        offset: None,
        possibly_duplicated: false,
    }];
    all.extend(ends);
    producer.counts().assert_ends(&all);
}

#[tokio::test]
async fn what_was_appended_and_refused_is_in_doubt_at_a_stop_with_queues_in_memory() {
    let world = World::new(1).await;
    let pause = Duration::from_secs(60);
    let setup = world.in_memory().retry_delay(pause, pause);
    let producer = setup.start().await;
    let code = ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    world.inject_produce(Fault::error_after_applying(code).always());
    let receipt = producer.accept("a").await;
    until("the record in the log", || world.log(0).len() == 1).await;
    producer.stop().await;
    let end = receipt.end().await;
    judge(
        &world.log(0),
        &[("a", end)],
        producer.counts().possibly_duplicated,
    );
    producer.counts().assert_sum();
}

#[tokio::test]
async fn what_was_never_given_to_the_socket_is_not_counted_as_possibly_duplicated() {
    // More than the sockets' buffers take: of the last ones no broker can have had all bytes.
    let large = 9_000_000;
    let builder = Cluster::builder()
        .topic(TOPIC, 1)
        .max_message_bytes(2 * large);
    let world = World::of(builder).await;
    let setup = world.in_memory().idempotence(Idempotence::Off);
    let producer = setup.single().max_send_ahead(4).start().await;
    assert!(producer.accept("first").await.end().await.is_acked());
    let hold = world.hold_produce();
    let mut receipts = Vec::new();
    for number in 0..5u8 {
        receipts.push(producer.accept_bytes(vec![b'0' + number; large]).await);
    }
    world.hits(hold, 1).await;
    until("five in flight", || producer.counts().in_flight == 5).await;
    world.kill_all().await;
    world.cluster.remove_fault(hold);
    world.revive_all().await;
    for receipt in receipts {
        assert!(receipt.end().await.is_acked());
    }
    let counts = producer.counts();
    counts.assert_sum();
    assert!(counts.possibly_duplicated < 5, "{counts:#?}");
    producer.stop().await;
}
