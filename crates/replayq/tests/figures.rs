//! Ages and counters.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use replayq::vfs::sim::SimVfs;
use replayq::{Bytes, Config, ItemRange, PopLimits, Queue};

const ONE: Bytes = Bytes::from_static(b"one");

fn config(vfs: &SimVfs) -> Config {
    Config::disk(Path::new("/queue"))
        .segment_bytes(8192)
        .resident_bytes(100)
        .vfs(Arc::new(vfs.clone()))
}

fn milliseconds(age: Option<Duration>) -> Option<u128> {
    age.map(|age| age.as_millis())
}

#[test]
fn the_oldest_item_is_the_one_that_is_longest_not_done_whether_it_waits_or_is_leased() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let age = |queue: &Queue| milliseconds(queue.oldest_age().unwrap());
    assert_eq!(age(&queue), None);
    let mut now = Duration::from_secs(1_700_000_000);
    vfs.set_unix_time(now);
    for _ in 0..30 {
        // More than stays in memory, over several segments.
        queue.append_one(vec![7; 1000].into()).unwrap();
        now += Duration::from_millis(10);
        vfs.set_unix_time(now);
    }
    assert_eq!(age(&queue), Some(300));
    let first = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let second = queue.pop(PopLimits::items(20)).unwrap().unwrap();
    assert_eq!(age(&queue), Some(300));
    queue.ack(first.id).unwrap();
    assert_eq!(age(&queue), Some(290));
    queue
        .ack_items(
            second.id,
            ItemRange::new(second.items[0].id, second.items[4].id).unwrap(),
        )
        .unwrap();
    assert_eq!(age(&queue), Some(240));
    queue.release(second.id).unwrap();
    assert_eq!(age(&queue), Some(240));
    let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.tag(lease.id, ONE).unwrap();
    queue.close().unwrap();
    drop(queue);

    // Of a lease that came back the age of its segment.
    let (queue, recovery) = Queue::open(config(&vfs)).unwrap();
    let rounded = age(&queue).unwrap();
    assert!((240..=300).contains(&rounded), "{rounded}");
    queue.ack(recovery.leases[0].id).unwrap();
    assert_eq!(age(&queue), Some(210));
    while let Some(lease) = queue.pop(PopLimits::default()).unwrap() {
        queue.ack(lease.id).unwrap();
    }
    assert_eq!(age(&queue), None);
    queue.close().unwrap();
    assert!(queue.oldest_age().is_err());
}

/// It was missing where the segment with the first items of the lease was gone.
#[test]
fn the_oldest_item_is_known_where_the_first_ones_of_its_lease_are_done() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let mut now = Duration::from_secs(1_700_000_000);
    for _ in 0..12 {
        vfs.set_unix_time(now);
        queue.append_one(vec![7; 3000].into()).unwrap();
        now += Duration::from_millis(10);
    }
    let lease = queue.pop(PopLimits::items(12)).unwrap().unwrap();
    queue.tag(lease.id, ONE).unwrap();
    let files = vfs.files().len();
    let done = ItemRange::new(lease.items[0].id, lease.items[7].id).unwrap();
    queue.ack_items(lease.id, done).unwrap();
    queue.close().unwrap();
    drop(queue);
    assert!(vfs.files().len() < files, "a segment is gone");
    vfs.set_unix_time(now);
    let (queue, recovery) = Queue::open(config(&vfs)).unwrap();
    assert_eq!((recovery.leases.len(), queue.count()), (1, 0));
    let age = milliseconds(queue.oldest_age().unwrap()).unwrap();
    assert!((30..=50).contains(&age), "{age}");
}

#[test]
fn counters_grow_with_what_is_done_in_every_mode_and_outlive_the_queue() {
    let vfs = SimVfs::new();
    for config in [Config::memory(), config(&vfs)] {
        let (queue, _) = Queue::open(config).unwrap();
        let metrics = queue.metrics();
        queue.append(&[ONE, ONE, ONE, ONE]).unwrap();
        queue.append_leased(&[ONE], None, ONE).unwrap_err();
        let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
        let first = lease.items[0].id;
        queue.ack_items(lease.id, ItemRange::one(first)).unwrap();
        queue.release(lease.id).unwrap();
        let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
        drop(queue);
        let counters: Vec<(&str, u64)> = metrics.counters().collect();
        let expected = [
            ("appended_items", 4),
            ("appended_bytes", 12),
            ("leased_items", 6),
            ("acked_items", 4),
            ("acked_bytes", 12),
            ("released_items", 2),
            ("damaged_places", 0),
            ("lost_items", 0),
        ];
        assert_eq!(counters, expected);
    }
}

/// As a thread that answers scrapes does.
#[test]
fn counters_are_read_while_another_thread_is_in_the_middle_of_a_call() {
    let (queue, _) = Queue::open(Config::memory()).unwrap();
    queue.append(&[ONE, ONE]).unwrap();
    let metrics = queue.metrics();
    let mut seen = 0;
    // Called under the queue's lock.
    let mut look = |_: &replayq::ItemRef<'_>| {
        let metrics = Arc::clone(&metrics);
        seen = thread::spawn(move || metrics.appended_items())
            .join()
            .unwrap();
        false
    };
    queue
        .pop(PopLimits::items(2).stop_before(&mut look))
        .unwrap();
    assert_eq!(seen, 2);
}
