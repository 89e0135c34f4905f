//! Many queues of one process: their limits, their files, and a few threads for all of them.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::{Arc, Barrier};

use bytes::Bytes;
use replayq::{AppendError, Config, Flush, IoPool, Overflow, PopLimits, Queue, SharedLimits};

fn open(directory: &Path, limits: &Arc<SharedLimits>, overflow: Overflow) -> Queue {
    let config = Config::disk(directory)
        .overflow(overflow)
        .shared_limits(Arc::clone(limits));
    Queue::open(config).unwrap().0
}

fn payload(bytes: usize) -> Bytes {
    Bytes::from(vec![7; bytes])
}

#[test]
fn the_shared_limit_counts_what_all_queues_hold_also_what_they_found_at_open() {
    let room = tempfile::tempdir().unwrap();
    let limits = Arc::new(SharedLimits::new().total_bytes(1000));
    let one = open(&room.path().join("one"), &limits, Overflow::Reject);
    one.append_one(payload(700)).unwrap();
    one.close().unwrap();
    drop(one);
    assert_eq!(limits.held_bytes(), 0);

    let one = open(&room.path().join("one"), &limits, Overflow::Reject);
    let other = open(&room.path().join("other"), &limits, Overflow::Reject);
    assert_eq!(limits.held_bytes(), 700);
    let refused = other.append_one(payload(301)).unwrap_err();
    assert!(
        matches!(
            refused,
            AppendError::Full {
                bytes: 1001,
                limit: 1000
            }
        ),
        "{refused}"
    );
    other.append_one(payload(300)).unwrap();

    // Room is made by acks, not by leases.
    let lease = one.pop(PopLimits::default()).unwrap().unwrap();
    assert!(other.append_one(payload(1)).is_err());
    one.ack(lease.id).unwrap();
    other.append_one(payload(1)).unwrap();
    assert_eq!(limits.held_bytes(), 301);
}

#[test]
fn a_queue_that_reports_tells_by_how_much_all_are_over_the_shared_limit() {
    let room = tempfile::tempdir().unwrap();
    let limits = Arc::new(SharedLimits::new().total_bytes(1000));
    let one = open(&room.path().join("one"), &limits, Overflow::Report);
    let other = open(&room.path().join("other"), &limits, Overflow::Report);
    one.append_one(payload(900)).unwrap();
    assert_eq!(other.overflow_bytes(), -100);
    other.append_one(payload(150)).unwrap();
    assert_eq!((one.overflow_bytes(), other.overflow_bytes()), (50, 50));
}

#[test]
fn an_append_leaves_the_reserve_of_the_disk_alone_and_acks_go_on() {
    let room = tempfile::tempdir().unwrap();
    let roomy = Arc::new(SharedLimits::new().free_disk_bytes(1));
    let queue = open(&room.path().join("queue"), &roomy, Overflow::Report);
    queue.append_one(payload(10)).unwrap();
    drop(queue);
    // No disk has so much.
    let narrow = Arc::new(SharedLimits::new().free_disk_bytes(u64::MAX / 2));
    let queue = open(&room.path().join("queue"), &narrow, Overflow::Report);
    let refused = queue.append_one(payload(10)).unwrap_err();
    assert!(
        matches!(refused, AppendError::DiskReserve { .. }),
        "{refused}"
    );
    let lease = queue.pop(PopLimits::default()).unwrap().unwrap();
    queue.ack(lease.id).unwrap();
    assert!(queue.is_empty());
}

#[test]
fn no_more_than_the_limit_is_held_however_many_append_at_once() {
    let room = tempfile::tempdir().unwrap();
    let limits = Arc::new(SharedLimits::new().total_bytes(10_000));
    let queues: Vec<Queue> = (0..8)
        .map(|number| {
            open(
                &room.path().join(number.to_string()),
                &limits,
                Overflow::Reject,
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for queue in &queues {
            scope.spawn(|| {
                for _ in 0..100 {
                    let _full = queue.append_one(payload(100));
                    assert!(
                        limits.held_bytes() <= 10_800,
                        "an append under way counts twice for a moment"
                    );
                }
            });
        }
    });
    let held: u64 = queues.iter().map(Queue::bytes).sum();
    assert_eq!(held, limits.held_bytes());
    assert!((9_000..=10_000).contains(&held), "{held}");
}

/// What one thread had seen was told after what another saw later, and stayed.
#[test]
fn what_is_held_together_is_right_after_many_have_appended_and_acked_at_once() {
    let room = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let limits = Arc::new(SharedLimits::new());
        let queue = open(
            &room.path().join(round.to_string()),
            &limits,
            Overflow::Report,
        );
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        queue.append_one(payload(100)).unwrap();
                        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
                        queue.ack(lease.id).unwrap();
                    }
                });
            }
        });
        assert_eq!((limits.held_bytes(), queue.stats().counted_bytes), (0, 0));
    }
}

/// Each of them found room, before any of the others had been counted.
#[test]
fn appends_at_the_same_time_do_not_take_the_room_of_one_another() {
    const THREADS: usize = 8;
    let room = tempfile::tempdir().unwrap();
    for round in 0..30 {
        let config = Config::disk(room.path().join(round.to_string()))
            .max_total_bytes(1000)
            .overflow(Overflow::Reject);
        let (queue, _) = Queue::open(config).unwrap();
        let begun = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    begun.wait();
                    let _full = queue.append_one(payload(600));
                });
            }
        });
        assert_eq!(queue.bytes(), 600, "one of them, and one only");
        // Nothing of those that were refused is counted any more.
        queue.append_one(payload(400)).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn three_hundred_queues_take_no_thread_and_three_descriptors_each_at_most() {
    fn descriptors(directory: &Path) -> usize {
        std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter(|path| path.starts_with(directory))
            .count()
    }
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().canonicalize().unwrap();
    let queues: Vec<Arc<Queue>> = (0..300)
        .map(|number| Config::disk(directory.join(number.to_string())))
        .map(|config| Arc::new(Queue::open(config).unwrap().0))
        .collect();
    for queue in &queues {
        queue.append_one(payload(100)).unwrap();
        queue.append_one(payload(100)).unwrap();
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
    }
    let used = descriptors(&directory);
    assert!(used <= 3 * queues.len(), "{used}");

    let pool = IoPool::new(4).unwrap();
    assert!(
        pool.flush_all(&queues, Flush::Disk)
            .iter()
            .all(Result::is_ok)
    );
    for queue in &queues {
        queue.close().unwrap();
    }
    assert!(
        pool.flush_all(&queues, Flush::Disk)
            .iter()
            .all(Result::is_err),
        "closed queues say so"
    );
}
