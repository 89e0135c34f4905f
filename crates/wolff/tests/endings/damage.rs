//! Damage on disk: small, counted in records, told where a caller waits, and nobody else's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::{
    End, World, add_foreign_item, add_foreign_queue, damage_items, damage_middle, damage_segment,
    end_of_segment, items_in, logged, remove_segments, swap_segment, until,
};

/// More than stays in memory beside the files.
const MANY: u32 = 40_000;

#[tokio::test]
async fn items_that_no_producer_has_written_are_left_as_they_are() {
    let world = World::new(2).await;
    let queue = world.on_disk().directory().join("0");
    let foreign: [&[u8]; 2] = [
        b"somebody else's",
        b"and more of it, long enough to be anything at all in a queue",
    ];
    add_foreign_queue(&queue, &foreign);
    // The other partition's records flow.
    if let Ok(producer) = world.on_disk().try_start().await {
        let receipt = producer.send_to(1, "a").await.unwrap();
        assert!(receipt.end().await.is_acked());
        producer.flush(Duration::from_secs(2)).await;
        producer.stop().await;
    }
    let left = items_in(&queue);
    for item in foreign {
        assert!(left.iter().any(|other| other == item), "{left:?}");
    }
}

#[tokio::test]
async fn damage_of_an_earlier_runs_records_is_counted_in_records_and_small() {
    let world = World::new(1).await;
    let setup = world.on_disk();
    let queue = setup.directory().join("0");
    let first = setup.start().await;
    world.kill_all().await;
    for number in 0..MANY {
        drop(first.accept(&number.to_string()).await);
    }
    first.queued().await;
    first.stop().await;
    damage_items(&queue, 300_000);
    world.revive_all().await;
    let second = world.on_disk().start().await;
    second.flushed().await;
    let arrived = u64::try_from(world.log(0).len()).unwrap();
    let lost = u64::from(MANY) - arrived;
    let counts = second.counts();
    assert!(lost > 0, "nothing was damaged");
    assert_eq!(counts.damaged_records, lost, "{counts:#?}");
    assert_eq!(counts.replayed, arrived);
    // A fragment of 64 KiB, of records of 130 bytes and more.
    assert!(lost <= 64 * 1024 / 130, "{lost} records for eight bytes");
    second.stop().await;
}

/// Has records accepted that no broker takes for now, does something to the files of their queue,
/// and expects that each call ends as the log says. Returns how many were lost.
async fn damaged_while_they_wait(damage: impl FnOnce(&Path)) -> u64 {
    let world = World::new(1).await;
    let setup = world.on_disk().segment_bytes(1024 * 1024);
    let queue = setup.directory().join("0");
    let producer = setup.start().await;
    world.kill_all().await;
    let mut receipts = Vec::new();
    for number in 0..MANY {
        receipts.push(producer.accept(&number.to_string()).await);
    }
    producer.queued().await;
    damage(&queue);
    world.revive_all().await;
    let mut ends = Vec::new();
    for receipt in receipts {
        ends.push(receipt.end().await);
    }
    let log = world.log(0);
    let arrived: BTreeSet<&str> = log.iter().map(String::as_str).collect();
    assert_eq!(arrived.len(), log.len(), "nothing twice");
    let mut lost = 0;
    for (number, end) in ends.iter().enumerate() {
        let is_there = arrived.contains(number.to_string().as_str());
        match end {
            End::Acked { .. } => assert!(is_there, "{number} is acked"),
            End::Failed("queue_damaged") if !is_there => lost += 1,
            other => panic!("{number}: {other:?}, in the log: {is_there}"),
        }
    }
    let counts = producer.counts();
    counts.assert_ends(&ends);
    assert_eq!(counts.damaged_records, lost, "{counts:#?}");
    producer.stop().await;
    lost
}

#[tokio::test]
async fn callers_of_damaged_records_are_told_and_all_others_are_delivered() {
    let lost = damaged_while_they_wait(|queue| damage_segment(queue, 3, 300_000)).await;
    // A fragment of 64 KiB, of records of 130 bytes and more.
    assert!((1..=64 * 1024 / 130).contains(&lost), "{lost}");
}

#[tokio::test]
async fn a_segment_that_is_replaced_under_a_running_producer_costs_its_own_records_at_most() {
    let lost = damaged_while_they_wait(|queue| swap_segment(queue, 3)).await;
    // A segment ends with the append that goes beyond its size.
    assert!(lost <= 2 * 1024 * 1024 / 130, "{lost}");
}

#[tokio::test]
async fn unrouted_records_of_an_earlier_run_that_are_damaged_between_two_calls_are_counted() {
    let world = World::new(1).await;
    let setup = world.on_disk().max_batch_bytes(100);
    let queue = setup.directory().join("unrouted");
    world.kill_all().await;
    let first = setup.start().await;
    for number in 0..9 {
        // Each is a batch of its own, and so one item and one lease.
        drop(first.send(&number.to_string()).await.unwrap());
    }
    first.stop().await;
    let before = items_in(&queue).len();
    assert_eq!(before, 9, "one item each");
    damage_middle(&queue);
    world.revive_all().await;
    let second = world.on_disk().start().await;
    second.flushed().await;
    let arrived = world.log(0).len();
    assert_eq!(arrived, 8, "{:?}", world.log(0));
    let counts = second.counts();
    assert_eq!(counts.damaged_records, 1, "{counts:#?}");
    second.stop().await;
}

#[tokio::test]
async fn the_last_item_of_a_run_that_is_damaged_is_counted_although_another_run_follows() {
    let world = World::split().await;
    let setup = world.on_disk().max_batch_bytes(100);
    let queue = setup.directory().join("0");
    let first = setup.start().await;
    world.kill_all().await;
    world.revive_leader_of(1).await;
    let mut last_item_at = 0;
    for number in 0..3 {
        // Each is a batch of its own, and so one item.
        last_item_at = end_of_segment(&queue);
        drop(first.send_to(0, &number.to_string()).await.unwrap());
    }
    let end = end_of_segment(&queue);
    first.stop().await;
    let second = world.on_disk().max_batch_bytes(100).start().await;
    for number in 3..6 {
        drop(second.send_to(0, &number.to_string()).await.unwrap());
    }
    second.stop().await;
    assert_eq!(items_in(&queue).len(), 6, "one item each");
    damage_segment(&queue, 0, u64::midpoint(last_item_at, end));
    world.revive_all().await;
    let third = world.on_disk().start().await;
    third.flushed().await;
    assert_eq!(world.log(0), ["0", "1", "3", "4", "5"]);
    let counts = third.counts();
    assert_eq!(counts.damaged_records, 1, "{counts:#?}");
    third.stop().await;
}

#[tokio::test]
async fn an_earlier_runs_records_whose_files_are_all_gone_are_counted() {
    let world = World::new(1).await;
    let setup = world.on_disk();
    let queue = setup.directory().join("0");
    let first = setup.start().await;
    world.kill_all().await;
    for number in 0..100 {
        drop(first.send(&number.to_string()).await.unwrap());
    }
    first.stop().await;
    let items = u64::try_from(items_in(&queue).len()).unwrap();
    remove_segments(&queue);
    world.revive_all().await;
    let second = world.on_disk().start().await;
    second.flushed().await;
    let counts = second.counts();
    // With the items their counts of records are gone: one each, at least.
    assert_eq!(counts.damaged_records, items, "{counts:#?}");
    assert!(counts.damages > 0);
    let receipt = second.send("new").await.unwrap();
    assert!(receipt.end().await.is_acked());
    assert_eq!(world.log(0), ["new"]);
    second.stop().await;
}

#[tokio::test]
async fn an_item_that_no_producer_has_written_is_named_at_the_start_also_behind_others() {
    let world = World::new(1).await;
    let setup = world.on_disk();
    let queue = setup.directory().join("0");
    let first = setup.start().await;
    world.kill_all().await;
    for number in 0..10 {
        drop(first.send(&number.to_string()).await.unwrap());
    }
    first.stop().await;
    let before = items_in(&queue);
    let foreign = b"written by a later version\x00\x00\x01\x07";
    add_foreign_item(&queue, foreign);
    let (messages, guard) = logged();
    // No broker: nothing is read on its way to one.
    let second = world.on_disk().start().await;
    until("the name of the item", || {
        let messages = messages.lock().unwrap();
        messages
            .iter()
            .any(|message| message.contains("another version") && message.contains("items=1"))
    })
    .await;
    drop(guard);
    assert_eq!(second.counts().unknown_items, 1);
    world.revive_all().await;
    until("those before it", || world.log(0).len() == 10).await;
    second.stop().await;
    let after = items_in(&queue);
    assert!(after.iter().any(|item| item == &foreign[..]), "{before:?}");
}
