//! Numbers and settings from callers, configurations and directories: bounded before they are used.

use std::time::{Duration, Instant};

use wolff::{Client, ErrorCode};
use wolff_testbroker::Fault;

use crate::support::{
    End, Setup, World, add_foreign_queue, partition_directories, resident_bytes, within,
};

/// Most that a partition number may cost: far below what a table up to it takes.
const SLACK: u64 = 64 * 1024 * 1024;

/// Large enough to be noticed, and small enough for the machine that runs the tests.
const FAR: i32 = 30_000_000;

#[tokio::test]
async fn a_partition_number_of_a_caller_sizes_nothing_and_stops_no_later_start() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        world.kill_all().await;
        let before = resident_bytes();
        let producer = world.setup(on_disk).start().await;
        // Refused at once, or when the partitions are known.
        let sent = producer.send_to(FAR, "nowhere").await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < SLACK, "{grown} bytes for one record");
        if on_disk {
            let names = partition_directories(&world.on_disk().directory());
            assert!(!names.contains(&FAR.to_string()), "{names:?}");
        }
        producer.stop().await;
        if let Ok(receipt) = sent {
            assert!(!receipt.end().await.is_acked());
        }
        let producer = world.setup(on_disk).start().await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < SLACK, "{grown} bytes for a start");
        world.revive_all().await;
        assert!(producer.accept("a").await.end().await.is_acked());
        producer.flushed().await;
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_directory_with_the_name_of_a_far_partition_sizes_nothing() {
    let world = World::new(1).await;
    let queue = world.on_disk().directory().join(FAR.to_string());
    add_foreign_queue(&queue, &[]);
    let before = resident_bytes();
    let producer = world.on_disk().start().await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes for a directory");
    assert!(producer.accept("a").await.end().await.is_acked());
    producer.flushed().await;
    producer.stop().await;
}

#[tokio::test]
async fn a_flush_may_wait_as_long_as_a_duration_can_say() {
    let world = World::new(1).await;
    let producer = world.in_memory().start().await;
    drop(producer.accept("a").await);
    assert!(within("a flush", producer.flush(Duration::MAX)).await);
    assert!(producer.send_and_wait("b", Duration::MAX).await.is_ok());
    producer.stop().await;
}

/// A setting, and how it is made.
type Extreme = (&'static str, fn(Setup) -> Setup);

const EXTREMES: [Extreme; 12] = [
    ("max_linger", |setup| setup.linger(Duration::MAX)),
    ("retry_delay base", |setup| {
        setup.retry_delay(Duration::MAX, Duration::MAX)
    }),
    ("retry_delay ceiling", |setup| {
        setup.retry_delay(Duration::from_millis(10), Duration::MAX)
    }),
    ("retry_delay zero", |setup| {
        setup.retry_delay(Duration::ZERO, Duration::ZERO)
    }),
    ("ack_timeout", |setup| setup.ack_timeout(Duration::MAX)),
    ("ack_timeout zero", |setup| {
        setup.ack_timeout(Duration::ZERO)
    }),
    ("start_timeout", |setup| setup.start_timeout(Duration::MAX)),
    ("partition_count_refresh_interval", |setup| {
        setup.count_refresh(Duration::MAX)
    }),
    ("max_batch_bytes", |setup| setup.max_batch_bytes(usize::MAX)),
    ("replayq_seg_bytes", |setup| setup.segment_bytes(u64::MAX)),
    ("replayq_max_total_bytes", |setup| {
        setup.max_queue_bytes(u64::MAX)
    }),
    ("max_send_ahead", |setup| setup.max_send_ahead(usize::MAX)),
];

#[tokio::test]
async fn an_extreme_setting_is_refused_by_name_or_works() {
    for on_disk in [false, true] {
        for (name, set) in EXTREMES {
            let world = World::new(1).await;
            let setup = set(world.setup(on_disk));
            let producer = match setup.try_start().await {
                Ok(producer) => producer,
                Err(error) => {
                    let field = name.split(' ').next().unwrap();
                    assert!(error.contains(field), "{name}: {error}");
                    continue;
                }
            };
            // One refusal, so that delays between attempts are used.
            world.inject_produce(Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS));
            let receipt = producer.send("a").await.unwrap();
            assert!(producer.flush(crate::support::SOON).await, "{name}");
            assert!(receipt.end().await.is_acked(), "{name}");
            producer.stop().await;
            producer.counts().assert_sum();
        }
    }
}

#[tokio::test]
async fn no_setting_makes_attempts_without_a_pause() {
    let world = World::new(1).await;
    let setup = world
        .in_memory()
        .retry_delay(Duration::ZERO, Duration::ZERO);
    let Ok(producer) = setup.try_start().await else {
        return;
    };
    let refusal = world.inject_produce(Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).always());
    let started = Instant::now();
    drop(producer.accept("a").await);
    world.hits(refusal, 50).await;
    assert!(
        started.elapsed() > Duration::from_millis(250),
        "fifty attempts"
    );
    producer.stop().await;
}

#[tokio::test]
async fn a_long_client_id_has_directories_of_its_own() {
    let world = World::new(1).await;
    let id = |last: char| format!("{}{last}", "i".repeat(300));
    let client = |id: String| {
        let builder = Client::builder([world.cluster.bootstrap()]).client_id(id);
        builder.build().unwrap()
    };
    let first = world.on_disk().client(client(id('1'))).start().await;
    let second = world.on_disk().client(client(id('2'))).start().await;
    world.kill_all().await;
    let left = first.send("first").await.unwrap();
    drop(second.send("second").await.unwrap());
    second.stop().await;
    first.stop().await;
    assert_eq!(left.end().await, End::LeftInQueue);
    world.revive_all().await;
    let again = world.on_disk().client(client(id('1'))).start().await;
    again.flushed().await;
    assert_eq!(world.log(0), ["first"]);
    again.stop().await;
}
