//! When frames are cut.

use std::time::Duration;

use tempfile::{TempDir, tempdir};
use wolff_codec::records::RecordRef;
use wolff_core::{Config, Durability};

use super::*;

const SOON: Duration = Duration::from_secs(30);

fn queue_on_disk() -> (Arc<PartitionQueue>, TempDir) {
    let directory = tempdir().unwrap();
    let (local, _) =
        replayq::Queue::open(replayq::Config::disk(directory.path().join("queue"))).unwrap();
    let config = Config {
        durability: Durability::Queue,
        ..Config::default()
    };
    let queue = PartitionQueue::new(QueueParts {
        partition: Some(PartitionId(0)),
        machine: Partition::new(config, 0, 0),
        local,
        on_disk: true,
        lingers: false,
        compression: Compression::None,
        level: CompressionLevel::default(),
        failures: Arc::default(),
        lane: CallbackLane::new(tokio::runtime::Handle::current(), Default::default(), || {}),
    });
    (queue, directory)
}

fn accept(queue: &Arc<PartitionQueue>, value: &[u8]) -> Taken {
    let record = RecordRef {
        value: Some(value),
        ..RecordRef::default()
    };
    queue.accept(&record, &mut None).unwrap()
}

/// Waits without being one of those who wait.
async fn look_until(queue: &Arc<PartitionQueue>, queued_calls: u64) {
    loop {
        let mut moved = std::pin::pin!(queue.progress.notified());
        moved.as_mut().enable();
        if queue.snapshot().queued_calls >= queued_calls {
            return;
        }
        tokio::time::timeout(SOON, moved).await.unwrap();
    }
}

#[tokio::test]
async fn calls_that_nobody_waits_for_are_queued_in_a_moment_all_the_same() {
    let (queue, _directory) = queue_on_disk();
    for number in 1..=5 {
        accept(&queue, b"first of a batch, or one more");
        look_until(&queue, number).await;
    }
}

#[tokio::test]
async fn who_waits_finds_what_was_put_off_done() {
    let (queue, _directory) = queue_on_disk();
    for _ in 0..200 {
        accept(&queue, b"nobody waits for this one");
        let taken = accept(&queue, b"for this one somebody does");
        tokio::time::timeout(SOON, queue.wait_queued(taken.call_no))
            .await
            .unwrap();
        assert!(queue.snapshot().queued_calls > taken.call_no);
    }
    queue.until_idle().await;
    assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn many_calls_that_nobody_waits_for_make_few_frames() {
    let (queue, _directory) = queue_on_disk();
    for _ in 0..10_000 {
        accept(&queue, &[7; 100]);
    }
    look_until(&queue, 10_000).await;
    let frames = queue.local.count();
    assert!(frames < 5_000, "{frames} frames for 10,000 calls");
}
