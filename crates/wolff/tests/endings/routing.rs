//! Partitions: not known yet, without a leader, not there at all. One holds up itself only.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use wolff::{KeyHash, Keyless, Strategy};

use crate::support::{End, SOON, World, items_in, logged, replace_oldest_waiting_segment, until};

#[tokio::test]
async fn a_partition_without_a_leader_holds_up_itself_only() {
    for on_disk in [false, true] {
        let world = World::split().await;
        world.kill_all().await;
        let setup = world.setup(on_disk).by_leading_number();
        let producer = setup.start().await;
        let stuck = producer.send("1-a").await.unwrap();
        let first = producer.send("0-a").await.unwrap();
        world.revive_leader_of(0).await;
        assert!(first.end().await.is_acked());
        // Behind the batch that holds a record of the partition without a leader.
        for number in 0..20 {
            let receipt = producer.send(&format!("0-{number}")).await.unwrap();
            let end = receipt.end().await;
            assert!(end.is_acked(), "{number}: {end:?}");
        }
        assert!(stuck.end_so_far().is_none());
        world.revive_all().await;
        assert!(stuck.end().await.is_acked());
        assert_eq!(world.log(0).len(), 21);
        producer.counts().assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_backlog_of_a_partition_without_a_leader_holds_up_itself_only() {
    let world = World::split().await;
    let first = world.on_disk().by_leading_number().start().await;
    world.kill_all().await;
    drop(first.send("1-a").await.unwrap());
    first.stop().await;
    // Started without Kafka: what comes in is not routed, behind an earlier run's records of a
    // partition without a leader.
    let second = world.on_disk().by_leading_number().start().await;
    let receipt = second.send("0-a").await.unwrap();
    world.revive_leader_of(0).await;
    assert!(receipt.end().await.is_acked());
    world.revive_all().await;
    second.flushed().await;
    assert_eq!(world.log(1), ["1-a"]);
    second.stop().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_routed_ends_and_is_counted() {
    for on_disk in [false, true] {
        let world = World::new(2).await;
        world.kill_all().await;
        let setup = world.setup(on_disk).by_leading_number();
        let producer = setup.start().await;
        let bad = producer.send("9-nowhere").await.unwrap();
        let good = producer.send("1-somewhere").await.unwrap();
        world.revive_all().await;
        assert!(good.end().await.is_acked());
        let end = bad.end().await;
        let counts = producer.counts();
        assert_eq!(
            (counts.failed, counts.queued),
            (1, 0),
            "{end:?}, {counts:#?}"
        );
        counts.assert_sum();
        assert_eq!(end, End::Failed("invalid_partition"));
        producer.stop().await;
    }
}

#[tokio::test]
async fn an_earlier_runs_record_that_cannot_be_routed_is_not_counted_as_this_runs() {
    let world = World::new(2).await;
    world.kill_all().await;
    let first = world.on_disk().by_leading_number().start().await;
    drop(first.send("9-nowhere").await.unwrap());
    drop(first.send("0-a").await.unwrap());
    first.stop().await;
    world.revive_all().await;
    let second = world.on_disk().by_leading_number().start().await;
    second.flushed().await;
    let receipt = second.send("1-b").await.unwrap();
    assert!(receipt.end().await.is_acked());
    let counts = second.counts();
    assert_eq!((counts.failed, counts.replay_failed), (0, 1), "{counts:#?}");
    assert_eq!(counts.replayed, 1);
    counts.assert_sum();
    second.stop().await;
}

#[tokio::test]
async fn a_record_for_a_partition_that_is_not_there_ends_when_the_count_is_known() {
    for on_disk in [false, true] {
        let world = World::new(2).await;
        world.kill_all().await;
        let producer = world.setup(on_disk).start().await;
        let bad = producer.send_to(7, "nowhere").await.unwrap();
        let good = producer.send_to(1, "somewhere").await.unwrap();
        world.revive_all().await;
        assert!(good.end().await.is_acked());
        assert_eq!(bad.end().await, End::Failed("invalid_partition"));
        producer.flushed().await;
        producer.counts().assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn refusing_when_full_does_not_refuse_while_the_disk_has_room() {
    let world = World::new(1).await;
    let producer = world.on_disk().reject_when_full().start().await;
    world.kill_all().await;
    let tasks: Vec<_> = (0..80u8)
        .map(|number| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send_bytes(vec![number; 200_000]).await })
        })
        .collect();
    let mut refused = Vec::new();
    for (number, task) in tasks.into_iter().enumerate() {
        if let Err(refusal) = task.await.unwrap() {
            refused.push((number, refusal));
        }
    }
    assert!(refused.is_empty(), "16 MB of a queue of 2 GB: {refused:?}");
    producer.counts().assert_sum();
    producer.stop().await;
}

/// Runs a scenario in a runtime of one thread, with a count of how often that thread went to sleep.
/// A thread that spins does not come back.
fn counting_sleeps<F, S>(scenario: S)
where
    F: Future<Output = ()>,
    S: FnOnce(Arc<AtomicUsize>) -> F + Send + 'static,
{
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let sleeps = Arc::new(AtomicUsize::new(0));
        let count = sleeps.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .unwrap();
        runtime.block_on(scenario(sleeps));
        tell.send(()).unwrap();
    });
    assert_eq!(
        told.recv_timeout(SOON * 2),
        Ok(()),
        "a thread that spins, or failed"
    );
}

/// Waits until the thread has gone to sleep a few times more.
async fn sleeping(sleeps: &AtomicUsize) {
    let before = sleeps.load(Ordering::Relaxed);
    until("a runtime that sleeps", || {
        sleeps.load(Ordering::Relaxed) > before + 5
    })
    .await;
}

#[test]
fn routing_that_waits_for_a_leader_lets_the_runtime_sleep() {
    counting_sleeps(|sleeps| async move {
        let world = World::split().await;
        world.kill_all().await;
        let producer = world.on_disk().by_leading_number().start().await;
        drop(producer.send("1-a").await.unwrap());
        let receipt = producer.send("0-a").await.unwrap();
        world.revive_leader_of(0).await;
        assert!(receipt.end().await.is_acked());
        sleeping(&sleeps).await;
        world.revive_all().await;
        producer.flushed().await;
        producer.stop().await;
    });
}

#[test]
fn routing_that_waits_for_a_file_to_be_readable_lets_the_runtime_sleep() {
    counting_sleeps(|sleeps| async move {
        let world = World::new(1).await;
        world.kill_all().await;
        let setup = world.on_disk().segment_bytes(1024 * 1024);
        let unrouted = setup.directory().join("unrouted");
        let producer = setup.start().await;
        for number in 0..40_000u32 {
            drop(producer.accept(&number.to_string()).await);
        }
        producer.queued().await;
        replace_oldest_waiting_segment(&unrouted, 2);
        world.revive_all().await;
        until("records of the first files", || world.log(0).len() > 5_000).await;
        sleeping(&sleeps).await;
        producer.stop().await;
    });
}

#[tokio::test]
async fn records_without_a_key_avoid_a_partition_without_a_leader_where_the_choice_sticks() {
    for keyless in [
        Keyless::Adaptive(NonZeroU32::MIN),
        Keyless::Sticky(NonZeroU32::MIN),
    ] {
        let world = World::split().await;
        let hash = KeyHash::Murmur2;
        let strategy = Strategy::Keyed { hash, keyless };
        let producer = world.in_memory().partitioner(strategy).start().await;
        world.kill_all().await;
        world.revive_leader_of(0).await;
        let mut receipts = Vec::new();
        let mut in_a_row = 0;
        // One of them finds out, and those behind it go round it.
        while in_a_row < 64 {
            let receipt = producer.accept_bytes("a").await;
            in_a_row = match receipt.partition() {
                Some(0) => in_a_row + 1,
                _ => 0,
            };
            receipts.push(receipt);
            tokio::task::yield_now().await;
        }
        world.revive_all().await;
        for receipt in receipts {
            assert!(receipt.end().await.is_acked(), "{keyless:?}");
        }
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_function_of_the_caller_sees_values_also_of_calls_that_waited_to_be_routed() {
    let by_value = Strategy::custom(|call, topic| {
        assert_eq!(topic.partition_count(), 2);
        let mut ones = 0;
        call.for_each_record(&mut |record| {
            ones += i32::from(record.value.is_some_and(|value| value.starts_with(b"1")));
        });
        ones
    });
    let world = World::new(2).await;
    world.kill_all().await;
    let producer = world.on_disk().partitioner(by_value).start().await;
    let unrouted = [
        producer.accept_bytes("1").await,
        producer.accept_bytes("0").await,
    ];
    world.revive_all().await;
    for receipt in unrouted {
        assert!(receipt.end().await.is_acked());
    }
    let routed = producer.accept_bytes("1").await;
    assert_eq!(routed.partition(), Some(1));
    assert!(routed.end().await.is_acked());
    assert_eq!((world.log(0).len(), world.log(1).len()), (1, 2));
    producer.stop().await;
}

/// A value that goes to this partition, and is so large that a few hundred are more than is on its
/// way at once.
fn large(partition: u32, number: u32) -> Vec<u8> {
    format!("{partition}-{number}-{}", ".".repeat(100_000)).into_bytes()
}

#[tokio::test]
async fn more_than_is_on_its_way_at_once_for_a_partition_without_a_leader_holds_up_itself_only() {
    for on_disk in [false, true] {
        let world = World::split().await;
        world.kill_all().await;
        let setup = world.setup(on_disk).by_leading_number();
        let producer = setup.start().await;
        let mut stuck = Vec::new();
        for number in 0..450 {
            stuck.push(producer.accept_keyed("1", large(1, number)).await);
        }
        let behind = producer.send("0-a").await.unwrap();
        world.revive_leader_of(0).await;
        assert!(behind.end().await.is_acked(), "behind 45 MB");
        // What is new does not wait either, and what is new for the other partition waits behind
        // the old.
        let new = producer.send("0-b").await.unwrap();
        assert!(new.end().await.is_acked());
        let last = producer.send("1-last").await.unwrap();
        assert!(last.end_so_far().is_none());
        assert!(stuck.iter().all(|receipt| receipt.end_so_far().is_none()));
        producer.counts().assert_sum();
        world.revive_all().await;
        assert!(last.end().await.is_acked());
        for receipt in stuck {
            assert!(receipt.end().await.is_acked());
        }
        producer.flushed().await;
        let counts = producer.counts();
        counts.assert_sum();
        assert_eq!((counts.acked, counts.queued_bytes), (453, 0), "{counts:#?}");
        assert_eq!(world.log(0), ["0-a", "0-b"]);
        let numbers: Vec<_> = world
            .log(1)
            .iter()
            .map(|value| value.split('-').nth(1).unwrap().to_owned())
            .collect();
        let expected: Vec<_> = (0..450).map(|number| number.to_string()).collect();
        assert_eq!(numbers.split_last().unwrap().1, expected);
        producer.stop().await;
    }
}

#[tokio::test]
async fn an_earlier_runs_record_for_a_partition_that_is_not_there_is_kept_and_no_flush_waits_for_it()
 {
    let world = World::new(2).await;
    world.kill_all().await;
    let first = world.on_disk().start().await;
    drop(first.send_to(7, "nowhere").await.unwrap());
    first.stop().await;
    for starts_offline in [false, true] {
        if !starts_offline {
            world.revive_all().await;
        }
        let (messages, guard) = logged();
        let second = world.on_disk().start().await;
        let receipt = second.send("somewhere").await.unwrap();
        world.revive_all().await;
        assert!(receipt.end().await.is_acked());
        second.flushed().await;
        let named = messages.lock().unwrap().clone();
        let names =
            |message: &String| message.contains("partition=7") && message.contains("does not have");
        assert!(named.iter().any(names), "{named:#?}");
        drop(guard);
        assert_eq!(second.left_by_stop().await, 1, "the item is told");
        world.kill_all().await;
    }
    let queue = world.on_disk().directory().join("7");
    assert_eq!(items_in(&queue).len(), 1);
}
