//! Outages: the counts add up at every step.

use std::time::Duration;

use wolff::ErrorCode;
use wolff_testbroker::Fault;

use crate::support::{End, Handle, World, until};

#[tokio::test]
async fn the_counts_add_up_at_every_step_of_an_outage() {
    for on_disk in [false, true] {
        for started_offline in [false, true] {
            let world = World::new(2).await;
            if started_offline {
                world.kill_all().await;
            }
            let setup = world.setup(on_disk).by_leading_number();
            let producer = setup.start().await;
            let mut receipts = Vec::new();
            for number in 0..20 {
                let value = format!("{}-{number}", number % 2);
                receipts.push(producer.send(&value).await.unwrap());
                producer.counts().assert_sum();
            }
            if !started_offline {
                world.kill_all().await;
            }
            for number in 20..40 {
                let value = format!("{}-{number}", number % 2);
                receipts.push(producer.send(&value).await.unwrap());
                producer.counts().assert_sum();
            }
            world.revive_all().await;
            until("all of them", || {
                let counts = producer.counts();
                counts.assert_sum();
                counts.acked == 40
            })
            .await;
            let mut ends = Vec::new();
            for receipt in receipts {
                ends.push(receipt.end().await);
            }
            producer.counts().assert_ends(&ends);
            producer.stop().await;
            producer.counts().assert_ends(&ends);
        }
    }
}

#[tokio::test]
async fn what_an_outage_leaves_is_counted_once_at_the_stop() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        world.kill_all().await;
        let producer = world.setup(on_disk).start().await;
        let mut receipts = Vec::new();
        for number in 0..20 {
            receipts.push(producer.send(&number.to_string()).await.unwrap());
        }
        producer.stop().await;
        let mut ends = Vec::new();
        for receipt in receipts {
            ends.push(receipt.end().await);
        }
        let expected = if on_disk {
            End::LeftInQueue
        } else {
            End::Failed("stopped")
        };
        assert_eq!(ends, vec![expected; 20]);
        producer.counts().assert_ends(&ends);
    }
}

#[tokio::test]
async fn a_call_for_a_partition_that_is_named_without_a_broker_needs_no_second_attempt_in_memory() {
    let world = World::new(2).await;
    world.kill_all().await;
    let producer = world.in_memory().start().await;
    let first = producer.try_send_to(1, "a").unwrap();
    let second = producer.try_send_to(1, "b").unwrap();
    world.revive_all().await;
    assert!(first.end().await.is_acked());
    assert!(second.end().await.is_acked());
    assert_eq!(world.log(1), ["a", "b"]);
    producer.stop().await;
}

#[tokio::test]
async fn a_call_for_a_partition_whose_queue_on_disk_is_not_open_is_told_so_and_not_that_it_is_full()
{
    let world = World::new(2).await;
    world.kill_all().await;
    let producer = world.on_disk().start().await;
    let refused = producer.try_send_to(1, "a").map(drop).unwrap_err();
    assert!(refused.contains("partition 1 is being opened"), "{refused}");
    let mut sent = None;
    until("an open queue", || {
        sent = producer.try_send_to(1, "a").ok();
        sent.is_some()
    })
    .await;
    world.revive_all().await;
    assert!(sent.unwrap().end().await.is_acked());
    assert_eq!(world.log(1), ["a"]);
    producer.stop().await;
}

#[tokio::test]
async fn a_wait_for_an_acknowledgement_that_is_over_says_what_held_it_up() {
    let limit = Duration::from_millis(300);
    // Unknown partitions, an unreachable leader, and a leader that refuses.
    let world = World::new(1).await;
    world.kill_all().await;
    let producer = world.in_memory().start().await;
    let late = retried(&producer, limit, "the topic's partitions are not known").await;
    assert!(late.contains("refused"), "{late}");
    world.revive_all().await;
    producer.flushed().await;
    world.kill_all().await;
    retried(&producer, limit, "no connection to the partition's leader").await;
    world.revive_all().await;
    producer.flushed().await;
    let refusing = world.inject_produce(Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).always());
    retried(&producer, limit, "NOT_ENOUGH_REPLICAS").await;
    world.cluster.remove_fault(refusing);
    producer.flushed().await;
    producer.stop().await;
}

/// Sends until an error of a wait holds these words, and returns it.
async fn retried(producer: &Handle, limit: Duration, words: &str) -> String {
    let mut last = String::new();
    for _ in 0..20 {
        match producer.send_and_wait("late", limit).await {
            Err(error) if error.contains(words) => return error,
            other => last = format!("{other:?}"),
        }
    }
    panic!("{words:?} is not in {last}");
}
