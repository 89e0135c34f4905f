//! Stops: nobody is left waiting, nothing is sent twice after a clean one, and what is left is
//! told.

use std::time::Duration;

use wolff::Strategy;
use wolff_testbroker::Fault;

use crate::support::{End, Handle, Refusal, SOON, World, hide, judge, poll_times, until, within};

#[tokio::test]
async fn a_stop_wakes_senders_that_wait_for_room_behind_an_earlier_runs_backlog() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let limit = 20_000;
        if on_disk {
            let first = world.on_disk().start().await;
            world.kill_all().await;
            for number in 0..200 {
                drop(first.send(&number.to_string()).await.unwrap());
            }
            first.stop().await;
        } else {
            world.kill_all().await;
        }
        let mut setup = world.setup(on_disk);
        if on_disk {
            // Named, so that it is the queue with the backlog that is full.
            setup = setup.partitioner(Strategy::Fixed(0));
        }
        let second = setup.max_queue_bytes(limit).start().await;
        if !on_disk {
            while second.try_send("fill").is_ok() {}
        }
        let waiting: Vec<_> = (0..3)
            .map(|number| {
                let second = second.clone();
                tokio::spawn(async move { second.send(&format!("waiting {number}")).await })
            })
            .collect();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        second.stop().await;
        for waiting in waiting {
            let refused = within("a sender that was waiting", waiting).await.unwrap();
            assert!(
                matches!(refused, Err(Refusal::Stopped)),
                "on disk {on_disk}: {refused:?}"
            );
        }
        second.counts().assert_sum();
    }
}

/// The log without what was accepted in the moment before a stop, by the calls that wait for its
/// beginning.
fn without_late(world: &World) -> Vec<String> {
    let mut log = world.log(0);
    log.retain(|value| value != "late");
    log
}

/// Stops a producer while its answers are held, and lets them go when it has begun to.
async fn stop_under_load(world: &World, on_disk: bool) {
    let producer = world.setup(on_disk).single().start().await;
    let values = ["a", "b", "c", "d", "e"];
    let (receipts, hold) = world.in_flight(&producer, &values, []).await;
    let stopping = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.stop_within(SOON / 2).await })
    };
    until("the stop", || {
        matches!(producer.try_send("late"), Err(Refusal::Stopped))
    })
    .await;
    world.cluster.remove_fault(hold);
    within("the stop", stopping).await.unwrap();
    let mut ends = Vec::new();
    for (value, receipt) in values.into_iter().zip(receipts) {
        ends.push((value, receipt.end().await));
    }
    let counts = producer.counts();
    judge(&world.log(0), &ends, counts.possibly_duplicated);
    counts.assert_sum();
    assert!(ends.iter().all(|(_, end)| end.is_acked()), "{ends:?}");
}

#[tokio::test]
async fn a_clean_stop_under_load_awaits_the_answers_in_flight() {
    let world = World::new(1).await;
    stop_under_load(&world, false).await;
    assert_eq!(without_late(&world), ["first", "a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_clean_stop_under_load_duplicates_nothing_at_the_next_start() {
    let world = World::new(1).await;
    stop_under_load(&world, true).await;
    let next = world.on_disk().start().await;
    next.flushed().await;
    assert_eq!(without_late(&world), ["first", "a", "b", "c", "d", "e"]);
    next.stop().await;
}

#[tokio::test]
async fn a_stop_sends_nothing_that_was_not_sent_when_it_came_and_leaves_it_on_disk() {
    let world = World::new(1).await;
    let producer = world.on_disk().single().max_send_ahead(0).start().await;
    let (sent, hold) = world.in_flight(&producer, &["a"], []).await;
    let waiting = producer.send("b").await.unwrap();
    let stopping = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.stop_within(SOON / 2).await })
    };
    until("the stop", || {
        matches!(producer.try_send("late"), Err(Refusal::Stopped))
    })
    .await;
    world.cluster.remove_fault(hold);
    within("the stop", stopping).await.unwrap();
    for receipt in sent {
        assert!(receipt.end().await.is_acked());
    }
    assert_eq!(waiting.end().await, End::LeftInQueue);
    assert_eq!(without_late(&world), ["first", "a"]);
    let next = world.on_disk().start().await;
    next.flushed().await;
    assert_eq!(without_late(&world), ["first", "a", "b"]);
    next.stop().await;
}

#[tokio::test]
async fn a_stop_while_records_are_being_routed_counts_each_of_them_once() {
    for on_disk in [false, true] {
        let world = World::split().await;
        world.kill_all().await;
        let setup = world.setup(on_disk).by_leading_number();
        let producer = setup.start().await;
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for number in 0..10 {
            near.push(producer.send(&format!("0-{number}")).await.unwrap());
            far.push(producer.send(&format!("1-{number}")).await.unwrap());
        }
        world.revive_leader_of(0).await;
        for receipt in near.iter().cloned() {
            assert!(receipt.end().await.is_acked());
        }
        assert!(far.iter().all(|receipt| receipt.end_so_far().is_none()));
        let bytes = producer.counts().queued_bytes;
        assert!(bytes < 10 * 400, "{bytes} bytes of ten small records");
        producer.stop().await;
        let mut ends = Vec::new();
        for receipt in near.into_iter().chain(far) {
            ends.push(receipt.end().await);
        }
        producer.counts().assert_ends(&ends);
    }
}

/// Ten records for each of two partitions, accepted before these were known; those for the first
/// are acked, and the other has no leader.
async fn half_delivered(world: &World) -> Handle {
    world.kill_all().await;
    let producer = world.on_disk().by_leading_number().start().await;
    let mut near = Vec::new();
    for number in 0..10 {
        near.push(producer.send(&format!("0-{number}")).await.unwrap());
        drop(producer.send(&format!("1-{number}")).await.unwrap());
    }
    world.revive_leader_of(0).await;
    for receipt in near {
        assert!(receipt.end().await.is_acked());
    }
    producer
}

fn ten(partition: i32) -> Vec<String> {
    (0..10)
        .map(|number| format!("{partition}-{number}"))
        .collect()
}

#[tokio::test]
async fn what_was_acked_before_a_stop_while_records_are_being_routed_is_not_sent_again() {
    for deadline in [Duration::ZERO, Duration::from_millis(50)] {
        let world = World::split().await;
        let producer = half_delivered(&world).await;
        producer.stop_within(deadline).await;
        let counts = producer.counts();
        assert_eq!((counts.acked, counts.left), (10, 10), "{counts:#?}");
        assert_eq!(world.on_disk().records_left(), 10);
        world.revive_all().await;
        let next = world.on_disk().by_leading_number().start().await;
        next.flushed().await;
        let counts = next.counts();
        assert_eq!(world.log(0), ten(0));
        assert_eq!(world.log(1), ten(1));
        assert_eq!((counts.replayed, counts.possibly_duplicated), (10, 0));
        assert_eq!((counts.damaged_records, counts.queued_bytes), (0, 0));
        next.stop().await;
    }
}

#[tokio::test]
async fn what_is_sent_again_after_a_drop_while_records_are_being_routed_is_counted() {
    let world = World::split().await;
    drop(half_delivered(&world).await);
    world.revive_all().await;
    let next = world.on_disk().by_leading_number().start().await;
    next.flushed().await;
    let counts = next.counts();
    assert_eq!(world.log(1), ten(1));
    let again = u64::try_from(world.log(0).len()).unwrap() - 10;
    assert!(counts.possibly_duplicated >= again, "{again}: {counts:#?}");
    next.stop().await;
}

#[tokio::test]
async fn a_stop_tells_that_the_queue_directories_have_vanished() {
    let world = World::new(1).await;
    let setup = world.on_disk();
    let directory = setup.directory();
    let producer = setup.start().await;
    world.kill_all().await;
    let receipt = producer.send("a").await.unwrap();
    hide(&directory);
    let stopped = producer.stop().await;
    let end = receipt.end().await;
    assert!(
        !stopped.errors.is_empty() || end != End::LeftInQueue,
        "{stopped:?}, {end:?}"
    );
    producer.counts().assert_sum();
    let next = world.on_disk().start().await;
    next.stop().await;
}

#[tokio::test]
async fn a_stop_of_a_silent_brokers_producer_ends_and_frees_the_directories() {
    let world = World::new(1).await;
    let producer = world.on_disk().single().start().await;
    let (receipts, hold) = world.in_flight(&producer, &["a", "b"], []).await;
    within("a stop", producer.stopping()).await;
    for receipt in receipts {
        assert_eq!(receipt.end().await, End::LeftInQueue);
    }
    let next = world.on_disk().start().await;
    world.cluster.remove_fault(hold);
    next.flushed().await;
    assert!(world.times(0, "a") > 0 && world.times(0, "b") > 0);
    next.stop().await;
}

#[tokio::test]
async fn two_stops_at_once_both_return() {
    let world = World::new(1).await;
    let producer = world.on_disk().start().await;
    drop(producer.accept("a").await);
    tokio::join!(producer.stop(), producer.stop());
    producer.counts().assert_sum();
}

#[tokio::test]
async fn a_flush_covers_the_calls_before_it_and_none_after_it() {
    let world = World::new(1).await;
    let producer = world.in_memory().single().max_send_ahead(0).start().await;
    let (receipts, hold) = world.in_flight(&producer, &["a"], []).await;
    let flushing = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.flush(SOON).await })
    };
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let hold_later = world.inject_produce(Fault::hold().skip(0).always());
    let later = producer.accept("b").await;
    world.cluster.remove_fault(hold);
    assert!(within("the flush", flushing).await.unwrap());
    assert!(receipts[0].end_so_far().is_some());
    assert!(later.end_so_far().is_none());
    world.cluster.remove_fault(hold_later);
    assert!(later.end().await.is_acked());
    assert!(
        poll_times(producer.flush(Duration::ZERO), 2)
            .await
            .is_some()
    );
    producer.stop().await;
}

/// A record for a partition without a leader was accepted before the partitions were known, and
/// another one after it, when all the others were routed.
async fn old_and_new(world: &World) -> Handle {
    world.kill_all().await;
    let producer = world.on_disk().by_leading_number().start().await;
    drop(producer.send("1-old").await.unwrap());
    world.revive_leader_of(0).await;
    for number in 0..20 {
        let receipt = producer.send(&format!("0-{number}")).await.unwrap();
        assert!(receipt.end().await.is_acked());
    }
    for number in 0..20 {
        drop(producer.send(&format!("1-new-{number}")).await.unwrap());
    }
    producer
}

#[tokio::test]
async fn what_was_accepted_before_the_partitions_were_known_stays_in_front_at_the_next_start() {
    for is_dropped in [false, true] {
        let world = World::split().await;
        let producer = old_and_new(&world).await;
        if !is_dropped {
            producer.stop_within(Duration::ZERO).await;
        }
        drop(producer);
        world.revive_all().await;
        let next = world.on_disk().by_leading_number().start().await;
        next.flushed().await;
        let news = (0..20).map(|number| format!("1-new-{number}"));
        let expected: Vec<String> = std::iter::once("1-old".to_owned()).chain(news).collect();
        assert_eq!(world.log(1), expected, "dropped: {is_dropped}");
        next.stop().await;
    }
}

#[tokio::test]
async fn a_partition_that_gets_its_leader_back_takes_its_own_calls_again() {
    let world = World::split().await;
    let producer = old_and_new(&world).await;
    world.revive_all().await;
    producer.flushed().await;
    let last = producer.send("1-last").await.unwrap();
    assert!(last.end().await.is_acked());
    let log = world.log(1);
    assert_eq!((log[0].as_str(), log[21].as_str()), ("1-old", "1-last"));
    assert_eq!(log.len(), 22);
    // The queue of unrouted records is gone once nothing is left in it.
    let unrouted = world.on_disk().directory().join("unrouted");
    until("a queue that is removed", || !unrouted.exists()).await;
    producer.stop().await;
}

#[tokio::test]
async fn partitions_take_their_own_calls_also_while_callers_never_pause() {
    let world = World::new(2).await;
    world.kill_all().await;
    let producer = world.on_disk().by_leading_number().start().await;
    let unrouted = world.on_disk().directory().join("unrouted");
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (producer, unrouted) = (producer.clone(), unrouted.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while unrouted.exists() {
                    let value = format!("{}-{caller}-{sent}", caller % 2);
                    drop(producer.send(&value).await.unwrap());
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    until("some calls", || producer.counts().accepted > 100).await;
    world.revive_all().await;
    let mut expected = Vec::new();
    for (caller, task) in callers.into_iter().enumerate() {
        let sent = within("a queue that is removed under load", task).await;
        let values = (0..sent.unwrap()).map(|number| format!("{}-{caller}-{number}", caller % 2));
        expected.push((caller, values.collect::<Vec<_>>()));
    }
    producer.flushed().await;
    let logs = [world.log(0), world.log(1)];
    for (caller, values) in expected {
        let prefix = format!("{}-{caller}-", caller % 2);
        let log = logs[caller % 2].iter();
        let arrived: Vec<_> = log.filter(|value| value.starts_with(&prefix)).collect();
        assert_eq!(arrived, values.iter().collect::<Vec<_>>());
    }
    producer.stop().await;
}
