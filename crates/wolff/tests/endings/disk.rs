//! Queues that cannot store or cannot be opened: what is accepted is a prefix, and the other
//! partitions flow.

use std::fs;

use wolff::MemoryBudget;

use crate::support::{End, Receipt, Refusal, World, hide, until, within};

#[tokio::test]
async fn what_is_accepted_while_the_disk_refuses_is_a_prefix_of_what_was_offered() {
    let world = World::new(1).await;
    let setup = world.on_disk().segment_bytes(64 * 1024);
    let queue = setup.directory().join("0");
    let producer = setup.start().await;
    world.kill_all().await;
    let mut receipts = Vec::new();
    let mut refused = None;
    let mut hidden = None;
    for number in 0..10_000u32 {
        if number == 10 {
            hidden = Some(hide(&queue));
        }
        // Large ones and small ones: what a small one finds room for must not overtake.
        let bytes = if number % 3 == 0 { 20_000 } else { 100 };
        match producer
            .send_bytes(format!("{number:0>bytes$}").into_bytes())
            .await
        {
            Ok(receipt) => {
                assert!(refused.is_none(), "{number} accepted behind {refused:?}");
                receipts.push(receipt);
            }
            Err(Refusal::Queue(_)) => refused = refused.or(Some(number)),
            Err(other) => panic!("{other:?}"),
        }
        if refused.is_some_and(|at| number > at + 20) {
            break;
        }
    }
    assert!(refused.is_some(), "nothing was refused");
    producer.stop().await;
    let mut ends = Vec::new();
    for receipt in receipts {
        ends.push(receipt.end().await);
    }
    let left = ends
        .iter()
        .take_while(|end| **end == End::LeftInQueue)
        .count();
    assert_eq!(left, ends.len(), "a hole: {:?}", ends.get(left));
    let counts = producer.counts();
    counts.assert_sum();
    assert_eq!(counts.left + counts.queued, u64::try_from(left).unwrap());
    fs::rename(hidden.unwrap(), &queue).unwrap();
    world.revive_all().await;
    let next = world.on_disk().start().await;
    next.flushed().await;
    let arrived: Vec<u64> = world
        .log(0)
        .iter()
        .map(|value| value.parse().unwrap())
        .collect();
    let expected: Vec<u64> = (0..u64::try_from(left).unwrap()).collect();
    assert_eq!(arrived, expected);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_told_that_a_call_is_queued_that_the_disk_has_refused() {
    let world = World::new(1).await;
    let setup = world.on_disk().segment_bytes(64 * 1024);
    let queue = setup.directory().join("0");
    let producer = setup.start().await;
    world.kill_all().await;
    drop(producer.send("stored").await.unwrap());
    hide(&queue);
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let producer = producer.clone();
            tokio::spawn(async move {
                let mut queued = Vec::new();
                let mut refused = 0;
                while refused < 200 {
                    match producer.send_bytes(vec![0; 20_000]).await {
                        Ok(receipt) => queued.push(receipt),
                        Err(Refusal::Queue(_)) => refused += 1,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                queued
            })
        })
        .collect();
    let mut queued = Vec::new();
    for sender in senders {
        queued.extend(within("refusals", sender).await.unwrap());
    }
    let failed = queued.iter().filter_map(Receipt::end_so_far).count();
    assert_eq!(failed, 0, "of {} that were queued", queued.len());
    producer.stop().await;
    for receipt in queued {
        assert_eq!(receipt.end().await, End::LeftInQueue);
    }
}

#[tokio::test]
async fn calls_with_callbacks_that_the_disk_refuses_hold_no_memory_afterwards() {
    let world = World::new(1).await;
    let budget = MemoryBudget::default();
    let setup = world.on_disk().segment_bytes(64 * 1024).budget(&budget);
    let queue = setup.directory().join("0");
    let producer = setup.start().await;
    assert!(
        producer
            .send("stored")
            .await
            .unwrap()
            .end()
            .await
            .is_acked()
    );
    let hidden = hide(&queue);
    let large = "x".repeat(20_000);
    let mut refused = 0;
    while refused < 10 {
        match producer.send_with(&large, |_| ()).await {
            Ok(()) => assert_eq!(refused, 0),
            Err(Refusal::Queue(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    // One that was stored before may wait for its stamp, which cannot be written until then.
    fs::rename(hidden, &queue).unwrap();
    let after = producer.send("after").await.unwrap();
    assert!(after.end().await.is_acked());
    until("nothing is held", || budget.used_bytes() == 0).await;
    producer.stop().await;
}

#[tokio::test]
async fn a_call_that_the_disk_refuses_later_is_told_so_and_no_other_end() {
    let world = World::new(1).await;
    let setup = world.on_disk().segment_bytes(64 * 1024);
    let queue = setup.directory().join("0");
    let producer = setup.start().await;
    world.kill_all().await;
    let first = producer.send("stored").await.unwrap();
    let hidden = hide(&queue);
    let mut receipts = vec![first];
    // Nobody waits, so that many are offered before the first refusal is known.
    let is_refused =
        |receipt: &Receipt| receipt.end_so_far() == Some(End::Failed("queue_unavailable"));
    let mut offered = receipts.len();
    while !receipts.iter().any(is_refused) {
        // No refusal was known when these were accepted; during the next ones it may become known.
        offered = receipts.len();
        for _ in 0..50 {
            match producer.try_send("a") {
                Ok(receipt) => receipts.push(receipt),
                Err(Refusal::Full | Refusal::Queue(_)) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        tokio::task::yield_now().await;
    }
    fs::rename(hidden, &queue).unwrap();
    until("a queue that stores again", || {
        producer.try_send("b").is_ok_and(|receipt| {
            receipts.push(receipt);
            true
        })
    })
    .await;
    producer.queued().await;
    producer.stop().await;
    let mut ends = Vec::new();
    for receipt in receipts {
        ends.push(receipt.end().await);
    }
    let stored = ends
        .iter()
        .take_while(|end| **end == End::LeftInQueue)
        .count();
    assert!(stored > 0, "{stored} of {offered}");
    assert_eq!(ends[stored], End::Failed("queue_unavailable"));
    for (number, end) in ends[..offered].iter().enumerate().skip(stored) {
        // None of them is taken behind the hole before the refusal is known.
        assert_eq!(
            *end,
            End::Failed("queue_unavailable"),
            "{number} of {offered}"
        );
    }
    producer.counts().assert_ends(&ends);
}

#[tokio::test]
async fn a_queue_that_cannot_be_opened_closes_its_partition_only() {
    let world = World::new(3).await;
    let directory = world.on_disk().directory();
    fs::create_dir_all(&directory).unwrap();
    // A file where the directory of the queue should be.
    fs::write(directory.join("1"), "in the way").unwrap();
    let producer = world.on_disk().try_start().await.unwrap();
    for partition in [0, 2] {
        let receipt = producer.send_to(partition, "a").await.unwrap();
        assert!(receipt.end().await.is_acked());
    }
    let refused = producer.send_to(1, "a").await.map(drop);
    assert!(
        matches!(&refused, Err(Refusal::Queue(why)) if why.contains('1')),
        "{refused:?}"
    );
    producer.counts().assert_sum();
    producer.stop().await;
}

#[tokio::test]
async fn a_damaged_control_file_closes_its_partition_only() {
    let world = World::new(3).await;
    let first = world.on_disk().start().await;
    world.kill_all().await;
    for partition in 0..3 {
        drop(first.send_to(partition, "left").await.unwrap());
    }
    first.stop().await;
    let control = world.on_disk().directory().join("1").join("control");
    fs::remove_file(&control).unwrap();
    fs::create_dir(&control).unwrap();
    world.revive_all().await;
    let second = world.on_disk().try_start().await.unwrap();
    for partition in [0, 2] {
        let receipt = second.send_to(partition, "new").await.unwrap();
        assert!(receipt.end().await.is_acked());
        assert_eq!(world.log(partition), ["left", "new"]);
    }
    let refused = second.send_to(1, "new").await.map(drop);
    assert!(matches!(refused, Err(Refusal::Queue(_))), "{refused:?}");
    second.stop().await;
}
