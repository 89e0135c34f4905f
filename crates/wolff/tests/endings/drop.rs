//! Handles, runtimes and clients that go away, and futures that are dropped half-way: every call
//! ends all the same.

use std::sync::mpsc;
use std::time::Duration;

use wolff::client::Client;
use wolff::client::Registry;

use crate::support::{End, SOON, World, judge, poll_times, until, within};

#[tokio::test]
async fn dropping_the_last_handle_ends_every_call_in_memory() {
    let world = World::new(1).await;
    let producer = world.in_memory().single().start().await;
    let (sent, _hold) = world.in_flight(&producer, &["a"], []).await;
    world.kill_all().await;
    let unsent = producer.accept("b").await;
    drop(producer);
    for receipt in sent {
        assert_eq!(receipt.end().await, End::InDoubt);
    }
    assert_eq!(unsent.end().await, End::Failed("stopped"));
}

#[tokio::test]
async fn dropping_the_last_handle_leaves_every_call_in_the_queue_on_disk() {
    let world = World::new(1).await;
    let producer = world.on_disk().start().await;
    world.kill_all().await;
    let mut receipts = Vec::new();
    for number in 0..10 {
        receipts.push(producer.send(&number.to_string()).await.unwrap());
    }
    drop(producer);
    for receipt in receipts {
        assert_eq!(receipt.end().await, End::LeftInQueue);
    }
    world.revive_all().await;
    let next = world.on_disk().start().await;
    next.flushed().await;
    assert_eq!(world.log(0).len(), 10);
    next.stop().await;
}

#[tokio::test]
async fn dropping_the_last_handle_calls_every_callback() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let producer = world.setup(on_disk).start().await;
        world.kill_all().await;
        let (tell, told) = mpsc::channel();
        for number in 0..5 {
            let tell = tell.clone();
            let callback = move |end: End| tell.send((number, end)).unwrap();
            producer.send_with("a", callback).await.unwrap();
        }
        drop(tell);
        drop(producer);
        let mut ends = Vec::new();
        until("all callbacks", || {
            ends.extend(told.try_iter());
            ends.len() == 5
        })
        .await;
        let left = End::LeftInQueue;
        let expected = if on_disk {
            left
        } else {
            End::Failed("stopped")
        };
        assert!(ends.iter().all(|(_, end)| *end == expected), "{ends:?}");
    }
}

#[tokio::test]
async fn the_end_of_the_runtime_ends_every_call() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let setup = world.setup(on_disk);
        let bootstrap = world.cluster.bootstrap();
        // A thread of its own: a runtime that does not end must not hold up the others.
        let (hand_over, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let client = Client::builder([bootstrap]).client_id("ends").build();
            let setup = setup.client(client.unwrap());
            let (tell, called) = mpsc::channel();
            let receipts = runtime.block_on(async move {
                // Nothing can end before the runtime does.
                let producer = setup.linger(Duration::from_secs(600)).start().await;
                let callback = move |end: End| tell.send(end).unwrap();
                producer.send_with("a", callback).await.unwrap();
                let receipts = [producer.send("b").await.unwrap()];
                // The handle outlives the runtime's tasks.
                (receipts, producer)
            });
            drop(runtime);
            let (receipts, producer) = receipts;
            drop(producer);
            let _timed_out = hand_over.send((receipts, called));
        });
        let (receipts, called) = within("the end of a runtime", ended).await.unwrap();
        let expected = if on_disk {
            End::LeftInQueue
        } else {
            End::Failed("stopped")
        };
        for receipt in receipts {
            assert_eq!(receipt.end().await, expected, "on disk {on_disk}");
        }
        assert_eq!(called.try_recv(), Ok(expected), "on disk {on_disk}");
    }
}

#[tokio::test]
async fn a_client_that_is_closed_ends_the_calls_of_its_producers() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let client = world.client();
        let setup = world.setup(on_disk).client(client.clone());
        let producer = setup.start().await;
        assert!(producer.accept("first").await.end().await.is_acked());
        let hold = world.hold_produce();
        let receipt = producer.accept("a").await;
        producer.queued().await;
        within("the client's close", client.close()).await;
        world.cluster.remove_fault(hold);
        let end = receipt.end().await;
        let counts = producer.counts();
        judge(
            &world.log(0),
            &[("a", end.clone())],
            counts.possibly_duplicated,
        );
        assert!(!end.is_acked(), "{end:?}");
        producer.stop().await;
        counts.assert_sum();
    }
}

#[tokio::test]
async fn a_client_that_the_registry_stops_ends_the_calls_of_its_producers() {
    let world = World::new(1).await;
    let registry = Registry::new();
    let builder = Client::builder([world.cluster.bootstrap()]).client_id("ends");
    let client = registry.start("orders", builder).unwrap();
    let producer = world.in_memory().client(client).start().await;
    world.kill_all().await;
    let receipt = producer.accept("a").await;
    within("the registry", registry.stop_and_delete("orders")).await;
    let end = receipt.end().await;
    assert!(matches!(end, End::Failed(_) | End::InDoubt), "{end:?}");
    producer.stop().await;
}

#[tokio::test]
async fn a_producer_dropped_before_it_knew_its_partitions_frees_its_directories() {
    let world = World::new(2).await;
    world.kill_all().await;
    let producer = world.on_disk().start().await;
    let receipt = producer.send("a").await.unwrap();
    assert_eq!(producer.partition_count(), None);
    drop(producer);
    assert_eq!(receipt.end().await, End::LeftInQueue);
    let next = world.on_disk().try_start().await;
    let next = next.unwrap();
    world.revive_all().await;
    next.flushed().await;
    assert_eq!(world.log(0).len() + world.log(1).len(), 1);
    next.stop().await;
}

#[tokio::test]
async fn sends_that_are_dropped_at_any_point_are_sent_once_or_not_at_all() {
    for on_disk in [false, true] {
        for waits_for_ack in [false, true] {
            let world = World::new(1).await;
            let producer = world.setup(on_disk).start().await;
            for polls in 0..6 {
                let value = polls.to_string();
                if waits_for_ack {
                    poll_times(producer.send_and_wait(&value, SOON), polls).await;
                } else {
                    poll_times(producer.send(&value), polls).await;
                }
            }
            producer.flushed().await;
            let counts = producer.counts();
            counts.assert_sum();
            let log = world.log(0);
            assert_eq!(counts.acked, u64::try_from(log.len()).unwrap());
            for value in &log {
                assert_eq!(world.times(0, value), 1, "{log:?}");
            }
            producer.stop().await;
        }
    }
}

#[tokio::test]
async fn sends_that_are_dropped_while_they_wait_for_room_leave_nothing_behind() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let setup = world.setup(on_disk).max_queue_bytes(1_000);
        let producer = setup.start().await;
        world.kill_all().await;
        while producer.try_send("fill").is_ok() {}
        let full = producer.counts();
        for polls in 0..5 {
            let sent = poll_times(producer.send("waiting"), polls).await;
            assert!(sent.is_none(), "{sent:?}");
        }
        assert_eq!(producer.counts().accepted, full.accepted);
        world.revive_all().await;
        producer.flushed().await;
        assert_eq!(world.times(0, "waiting"), 0);
        producer.counts().assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn flushes_and_stops_that_are_dropped_half_way_can_be_had_again() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let producer = world.setup(on_disk).start().await;
        let hold = world.hold_produce();
        let receipt = producer.accept("a").await;
        for polls in 0..4 {
            poll_times(producer.flush(SOON), polls).await;
            poll_times(producer.queued(), polls).await;
        }
        world.cluster.remove_fault(hold);
        producer.flushed().await;
        assert!(receipt.end().await.is_acked());
        for polls in 0..4 {
            poll_times(producer.stopping(), polls).await;
        }
        producer.stop().await;
        producer.counts().assert_sum();
        // The directories are free.
        let next = world.setup(on_disk).start().await;
        next.stop().await;
    }
}
