//! Refusals by the broker: who is at fault decides what happens, and the neighbours of what is
//! refused go on.

use std::time::{Duration, Instant};

use wolff::client::codec::ApiKey;
use wolff::client::codec::messages::{
    BatchIndexAndErrorMessage, InitProducerIdResponse, ProduceResponse,
};
use wolff::client::codec::records::Batches;
use wolff::{ErrorCode, Idempotence};
use wolff_testbroker::{Cluster, Fault};

use crate::support::{End, SOON, TOPIC, World, judge, logged, padded, until, within};

/// A long linger: what is accepted before a flush is one batch.
const LONG: Duration = Duration::from_secs(600);

async fn limited_to(bytes: usize) -> World {
    World::of(Cluster::builder().topic(TOPIC, 1).max_message_bytes(bytes)).await
}

/// Text that a compression makes little of: a tenth of it does not repeat.
fn compressible(number: u32, bytes: usize) -> String {
    let mut state = u64::from(number) + 1;
    let mut text: String = (0..bytes / 10)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
        })
        .collect();
    text.push_str(&"x".repeat(bytes - text.len()));
    text
}

#[tokio::test]
async fn the_halves_of_a_compressed_batch_that_is_too_large_are_compressed_too() {
    let world = limited_to(4_000).await;
    let setup = world.in_memory().gzip().linger(LONG);
    let producer = setup.start().await;
    let mut receipts = Vec::new();
    for number in 0..20 {
        // Each fits when it is compressed, and is too large when it is not.
        let value = compressible(number, 6_000);
        receipts.push(producer.accept_bytes(value).await);
    }
    producer.flushed().await;
    for receipt in receipts {
        let end = receipt.end().await;
        assert!(end.is_acked(), "{end:?}");
    }
    assert_eq!(world.log(0).len(), 20);
    producer.counts().assert_sum();
    producer.stop().await;
}

#[tokio::test]
async fn a_limit_is_learned_and_a_large_batch_is_refused_a_few_times_only() {
    let world = limited_to(1_000).await;
    let producer = world.in_memory().linger(LONG).start().await;
    for number in 0..1_000 {
        drop(producer.accept(&format!("{number}")).await);
    }
    producer.flushed().await;
    let refusals = world.cluster.stats().refusals();
    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(world.log(0), expected);
    // Halved until the limit is known: ten times for the largest batch, and once or twice for those
    // that stood behind it.
    assert!(refusals <= 40, "{refusals} refusals");
    producer.counts().assert_sum();
    producer.stop().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_alone_is_named_with_its_size_and_its_neighbours_arrive() {
    let world = limited_to(2_000).await;
    let producer = world.in_memory().linger(LONG).start().await;
    let before = producer.accept("before").await;
    let large = producer.accept_bytes(vec![b'x'; 5_000]).await;
    let after = producer.accept("after").await;
    producer.flushed().await;
    assert_eq!(large.end().await, End::Failed("message_too_large"));
    assert!(before.end().await.is_acked());
    assert!(after.end().await.is_acked());
    assert_eq!(world.log(0), ["before", "after"]);
    producer.counts().assert_sum();
    producer.stop().await;
}

#[tokio::test]
async fn the_first_batches_of_a_new_identity_keep_their_order_when_the_first_is_refused() {
    let world = World::new(1).await;
    let producer = world.in_memory().single().start().await;
    let first = producer.accept("first").await;
    assert!(first.end().await.is_acked());
    let hold = world.hold_produce();
    // The broker does not know the producer any more; and under its new identity the first is
    // refused once again.
    world.inject_produce(Fault::error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    world.inject_produce(Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).skip(3));
    let mut receipts = Vec::new();
    for value in ["a", "b", "c"] {
        receipts.push(producer.accept(value).await);
    }
    until("three in flight", || producer.counts().in_flight == 3).await;
    world.cluster.remove_fault(hold);
    for receipt in receipts {
        assert!(receipt.end().await.is_acked());
    }
    assert_eq!(world.log(0), ["first", "a", "b", "c"]);
    producer.counts().assert_sum();
    producer.stop().await;
}

/// Refusals that an operator can lift: nothing is given up for them.
const MENDABLE: [ErrorCode; 5] = [
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ErrorCode::POLICY_VIOLATION,
    ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
    ErrorCode::INVALID_REQUIRED_ACKS,
];

#[tokio::test]
async fn a_refusal_that_an_operator_can_mend_gives_up_nothing() {
    for code in MENDABLE {
        for on_disk in [false, true] {
            let world = World::new(1).await;
            let quick = Duration::from_millis(10);
            let setup = world.setup(on_disk).retry_delay(quick, quick);
            let producer = setup.start().await;
            let refusal = world.inject_produce(Fault::error(code).always());
            let mut receipts = Vec::new();
            for value in ["a", "b", "c"] {
                receipts.push(producer.accept(value).await);
            }
            world.hits(refusal, 3).await;
            world.cluster.remove_fault(refusal);
            for receipt in receipts {
                let end = receipt.end().await;
                assert!(end.is_acked(), "{code}, on disk {on_disk}: {end:?}");
            }
            assert_eq!(world.log(0), ["a", "b", "c"]);
            producer.counts().assert_sum();
            producer.stop().await;
        }
    }
}

#[tokio::test]
async fn with_on_refused_fail_a_refusal_ends_the_calls_of_its_batch_and_no_others() {
    for code in MENDABLE {
        for on_disk in [false, true] {
            let world = World::new(1).await;
            let producer = world.setup(on_disk).fail_refused().single().start().await;
            assert!(producer.accept("first").await.end().await.is_acked());
            let refusal = world.inject_produce(Fault::error(code).always());
            let reason = match code {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
                    "unauthorized"
                }
                _ => "rejected",
            };
            let mut ends = Vec::new();
            for value in ["a", "b"] {
                ends.push(producer.accept(value).await.end().await);
            }
            assert_eq!(
                ends,
                [(); 2].map(|()| End::Failed(reason)),
                "{code} {on_disk}"
            );
            world.cluster.remove_fault(refusal);
            assert!(producer.accept("c").await.end().await.is_acked());
            assert_eq!(world.log(0), ["first", "c"], "{code} {on_disk}");
            let counts = producer.counts();
            counts.assert_sum();
            assert_eq!((counts.acked, counts.failed), (2, 2), "{code} {on_disk}");
            producer.stop().await;
            let next = world.setup(on_disk).start().await;
            next.flushed().await;
            assert_eq!(world.log(0), ["first", "c"], "{code} {on_disk}");
            next.stop().await;
        }
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_for_a_while_does_not_empty_the_backlog_on_disk() {
    let world = World::new(1).await;
    let first = world.on_disk().start().await;
    world.kill_all().await;
    for number in 0..50 {
        drop(first.send(&number.to_string()).await.unwrap());
    }
    first.stop().await;
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let refusal = world.inject_produce(Fault::error(code).always());
    world.revive_all().await;
    let quick = Duration::from_millis(10);
    let second = world.on_disk().retry_delay(quick, quick).start().await;
    world.hits(refusal, 3).await;
    world.cluster.remove_fault(refusal);
    second.flushed().await;
    assert_eq!(world.log(0).len(), 50);
    let counts = second.counts();
    assert_eq!((counts.replayed, counts.replay_failed), (50, 0));
    second.stop().await;
}

#[tokio::test]
async fn a_cluster_that_forbids_idempotent_writes_is_written_to_without_and_it_is_told() {
    let world = World::new(1).await;
    let producer = world.in_memory().start().await;
    let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
    world.inject_produce(Fault::error(code));
    assert!(producer.accept("a").await.end().await.is_acked());
    assert!(producer.accept("b").await.end().await.is_acked());
    assert_eq!(world.log(0), ["a", "b"]);
    let batches = world.cluster.batches(TOPIC, 0).unwrap();
    for batch in batches {
        let header = *Batches::new(batch).next().unwrap().unwrap().header();
        assert_eq!(header.producer_id.0, -1);
    }
    assert!(!producer.counts().is_idempotent);
    producer.stop().await;
}

/// Refuses a Produce request, and names the record at this place of its batch as the one to blame
/// (KIP-467).
fn blame(code: ErrorCode, record: i32) -> [Fault; 2] {
    let edit = move |answer: &mut ProduceResponse| {
        for topic in &mut answer.responses {
            for partition in &mut topic.partition_responses {
                partition.record_errors = vec![BatchIndexAndErrorMessage {
                    batch_index: record,
                    batch_index_error_message: Some("this one".into()),
                    ..Default::default()
                }];
            }
        }
    };
    [Fault::error(code), Fault::edit_answer(edit)]
}

#[tokio::test]
async fn only_the_record_that_the_broker_names_fails() {
    for code in [ErrorCode::INVALID_RECORD, ErrorCode::INVALID_TIMESTAMP] {
        for on_disk in [false, true] {
            let world = World::new(1).await;
            let producer = world.setup(on_disk).linger(LONG).start().await;
            for fault in blame(code, 3) {
                world.inject_produce(fault);
            }
            let mut receipts = Vec::new();
            for number in 0..8 {
                receipts.push(producer.accept(&number.to_string()).await);
            }
            producer.flushed().await;
            let mut ends = Vec::new();
            for receipt in receipts {
                ends.push(receipt.end().await);
            }
            for (number, end) in ends.iter().enumerate() {
                if number == 3 {
                    assert_eq!(*end, End::Failed("rejected"));
                } else {
                    assert!(end.is_acked(), "{code}, {number}: {end:?}");
                }
            }
            assert_eq!(world.log(0), ["0", "1", "2", "4", "5", "6", "7"]);
            producer.counts().assert_ends(&ends);
            producer.stop().await;
        }
    }
}

#[tokio::test]
async fn a_bad_record_that_the_broker_does_not_name_is_found_by_halving() {
    let world = World::new(1).await;
    let producer = world.in_memory().linger(LONG).start().await;
    // Batches that hold the bad one are refused: the whole, the first half, its second half, and it
    // alone.
    let bad = world.inject_produce(Fault::error(ErrorCode::INVALID_RECORD));
    let mut receipts = Vec::new();
    for number in 0..8 {
        receipts.push(producer.accept(&number.to_string()).await);
    }
    producer.flushed().await;
    let mut failed = 0;
    for receipt in receipts {
        failed += u64::from(!receipt.end().await.is_acked());
    }
    // It was refused once, for no reason that any record has: the smaller batches are taken.
    assert_eq!(failed, 0);
    assert_eq!(world.cluster.stats().hits(bad), 1);
    assert_eq!(world.log(0).len(), 8);
    producer.counts().assert_sum();
    producer.stop().await;
}

#[tokio::test]
async fn a_corrupt_batch_is_sent_again_once_and_then_halved() {
    let world = World::new(1).await;
    let producer = world.in_memory().linger(LONG).start().await;
    world.inject_produce(Fault::error(ErrorCode::CORRUPT_MESSAGE).times(2));
    for number in 0..8 {
        drop(producer.accept(&number.to_string()).await);
    }
    producer.flushed().await;
    assert_eq!(world.log(0).len(), 8);
    let batches = world.cluster.batches(TOPIC, 0).unwrap().len();
    assert!(batches > 1, "{batches} batches");
    producer.stop().await;
}

#[tokio::test]
async fn a_leader_that_a_refusal_names_is_used_without_asking_for_metadata() {
    let builder = Cluster::builder().brokers(2).topic(TOPIC, 1);
    let world = World::of(builder).await;
    let producer = world.in_memory().start().await;
    assert!(producer.accept("a").await.end().await.is_acked());
    let (leader, _) = world.cluster.leader(TOPIC, 0).unwrap();
    let other = *world
        .cluster
        .addresses()
        .keys()
        .find(|id| **id != leader)
        .unwrap();
    // Whoever asks for metadata waits.
    let hold = world
        .cluster
        .inject(Fault::hold().api(ApiKey::METADATA).always());
    world.cluster.move_leader(TOPIC, 0, other).unwrap();
    let end = producer.accept("b").await.end().await;
    assert!(end.is_acked());
    world.cluster.remove_fault(hold);
    assert_eq!(world.log(0), ["a", "b"]);
    producer.stop().await;
}

#[tokio::test]
async fn a_missing_producer_id_is_told_where_idempotence_is_required() {
    let (messages, _guard) = logged();
    let world = World::new(1).await;
    let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
    let lie = move |answer: &mut InitProducerIdResponse| answer.error_code = code;
    let refusal = world.cluster.inject(Fault::edit_answer(lie).always());
    let setup = world.in_memory().idempotence(Idempotence::Required);
    let producer = setup.start().await;
    let receipt = producer.accept("a").await;
    world.hits(refusal, 2).await;
    until("a warning that names the refusal", || {
        let messages = messages.lock().unwrap();
        messages.iter().any(|text| text.contains("producer id"))
    })
    .await;
    assert!(world.log(0).is_empty());
    world.cluster.remove_fault(refusal);
    assert!(receipt.end().await.is_acked());
    producer.stop().await;
}

#[tokio::test]
async fn refusals_that_come_at_once_are_not_answered_at_the_speed_of_the_wire() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNSUPPORTED_VERSION,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode(7_777),
    ] {
        let world = World::new(1).await;
        let producer = world.in_memory().start().await;
        let started = Instant::now();
        let refusal = world.inject_produce(Fault::error(code).always());
        let receipt = producer.accept("a").await;
        world.hits(refusal, 6).await;
        // Six attempts with a back-off of a tenth of a second and more: a lower bound, whatever
        // else the machine does.
        assert!(started.elapsed() > Duration::from_millis(300), "{code}");
        world.cluster.remove_fault(refusal);
        let end = receipt.end().await;
        judge(
            &world.log(0),
            &[("a", end)],
            producer.counts().possibly_duplicated,
        );
        producer.stop().await;
    }
}

#[tokio::test]
async fn one_version_that_is_refused_is_not_the_end_of_the_records() {
    let world = World::new(1).await;
    let producer = world.in_memory().start().await;
    world.inject_produce(Fault::error(ErrorCode::UNSUPPORTED_VERSION).times(2));
    let end = within("an ack", producer.accept("a").await.ended()).await;
    assert!(end.is_acked());
    assert!(producer.flush(SOON).await);
    assert_eq!(world.log(0), [padded("a").trim_end_matches('.')]);
    producer.stop().await;
}

#[tokio::test]
async fn what_is_no_producer_id_is_requested_again_and_named() {
    for (id, epoch) in [(-1, 0), (7, -1)] {
        let world = World::new(1).await;
        let lie = move |answer: &mut InitProducerIdResponse| {
            answer.producer_id = wolff::client::codec::ProducerId(id);
            answer.producer_epoch = wolff::client::codec::ProducerEpoch(epoch);
        };
        let lie = world.cluster.inject(Fault::edit_answer(lie).times(2));
        let (messages, guard) = logged();
        let setup = world.in_memory().idempotence(Idempotence::Required);
        let producer = setup.start().await;
        assert!(producer.accept("a").await.end().await.is_acked());
        assert_eq!(world.cluster.stats().hits(lie), 2);
        let named = messages.lock().unwrap().clone();
        let names = |message: &String| message.contains("malformed InitProducerId response");
        assert!(named.iter().any(names), "{named:#?}");
        drop(guard);
        assert_eq!(world.log(0), ["a"]);
        producer.stop().await;
    }
}
