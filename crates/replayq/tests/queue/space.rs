//! What a queue takes on disk follows what is in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::{Fault, FaultKind, SimVfs};
use replayq::{AppendError, Config, Durability, Overflow, PopLimits, Queue, SharedLimits};

use crate::setup::{DIRECTORY, payload};

const SEGMENT_BYTES: u64 = 1 << 20;
const SYNCED: Durability = Durability::Fsync {
    max_delay: Duration::ZERO,
};

fn config(vfs: &SimVfs) -> Config {
    Config::disk(DIRECTORY)
        .segment_bytes(SEGMENT_BYTES)
        .resident_bytes(1 << 16)
        .vfs(Arc::new(vfs.clone()))
}

fn drain(queue: &Queue) {
    while let Some(lease) = queue.pop(PopLimits::default()).unwrap() {
        queue.ack(lease.id).unwrap();
    }
}

fn control_bytes(vfs: &SimVfs) -> u64 {
    vfs.read_file(&Path::new(DIRECTORY).join("control"))
        .unwrap()
        .len() as u64
}

#[test]
fn a_queue_with_little_traffic_never_takes_more_than_128_kib() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    for serial in 0..3000 {
        // A hundred bytes now and then, for days.
        vfs.set_unix_time(Duration::from_secs(1_700_000_000 + serial * 60));
        queue.append_one(payload(serial, 100)).unwrap();
        drain(&queue);
        let used = vfs.used_bytes();
        assert!(used <= 128 << 10, "{used} bytes after {serial}");
        assert_eq!(used, queue.stats().disk_bytes);
    }
}

#[test]
fn a_drained_queue_keeps_two_segments_at_most_and_none_when_it_is_trimmed_or_opened_again() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let group = vec![payload(1, 1000); 100];
    for _ in 0..100 {
        queue.append(&group).unwrap();
    }
    assert!(vfs.used_bytes() > 8 * SEGMENT_BYTES);
    drain(&queue);
    let used = vfs.used_bytes();
    assert!(used <= 2 * SEGMENT_BYTES + control_bytes(&vfs), "{used}");
    let killed = vfs.after_kill();
    queue.trim().unwrap();
    assert_eq!(vfs.used_bytes(), control_bytes(&vfs));
    assert_eq!(queue.stats().disk_bytes, vfs.used_bytes());
    queue.append_one(payload(2, 100)).unwrap();
    assert!(vfs.used_bytes() <= 128 << 10);
    let (queue, recovery) = Queue::open(config(&killed)).unwrap();
    assert_eq!(recovery.items, 0);
    assert!(killed.used_bytes() <= 128 << 10, "{}", killed.used_bytes());
    queue.append_one(payload(2, 100)).unwrap();
    assert!(killed.used_bytes() <= 128 << 10, "{}", killed.used_bytes());
}

#[test]
fn a_segment_that_was_made_for_a_large_call_goes_when_it_is_done() {
    for durability in [Durability::Os, SYNCED] {
        let vfs = SimVfs::new();
        let (queue, _) = Queue::open(config(&vfs).durability(durability)).unwrap();
        queue.append_one(payload(1, 100)).unwrap();
        for serial in 0..3 {
            queue.append_one(payload(serial, 5 << 20)).unwrap();
            drain(&queue);
            let used = vfs.used_bytes();
            assert!(used <= 2 * SEGMENT_BYTES + control_bytes(&vfs), "{used}");
            assert_eq!(used, queue.stats().disk_bytes);
        }
        // What does not fit beside it in a segment is there after a restart.
        queue.append_one(payload(7, 5 << 20)).unwrap();
        queue.append_one(payload(8, 100)).unwrap();
        drop(queue);
        let (queue, recovery) = Queue::open(config(&vfs).durability(durability)).unwrap();
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        let mut lengths = Vec::new();
        while let Some(lease) = queue.pop(PopLimits::default()).unwrap() {
            lengths.extend(lease.items.iter().map(|item| item.payload.len()));
            queue.ack(lease.id).unwrap();
        }
        assert_eq!(lengths, [5 << 20, 100]);
    }
}

#[test]
fn what_waits_or_is_leased_survives_a_trim() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    for serial in 1..=500 {
        queue.append_one(payload(serial, 1000)).unwrap();
    }
    let lease = queue.pop(PopLimits::items(10)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    queue.trim().unwrap();
    let (again, recovery) = Queue::open(config(&vfs.after_kill())).unwrap();
    assert_eq!((recovery.items, recovery.leases.len()), (500, 1));
    drop(again);
    queue.ack(lease.id).unwrap();
    queue.trim().unwrap();
    drain(&queue);
    queue.trim().unwrap();
    assert_eq!(vfs.used_bytes(), control_bytes(&vfs));
}

#[test]
fn a_full_disk_with_an_empty_queue_on_it_takes_new_items_at_once() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs).spare_segments(5)).unwrap();
    let group = vec![payload(1, 1000); 100];
    for _ in 0..80 {
        queue.append(&group).unwrap();
    }
    drain(&queue);
    assert!(vfs.used_bytes() > 4 * SEGMENT_BYTES);
    // Others have taken all the rest.
    vfs.set_capacity(Some(vfs.used_bytes()));
    for _ in 0..80 {
        queue.append(&group).unwrap();
        drain(&queue);
    }
    let large = vec![0; 3 << 20];
    queue.append_one(large.into()).unwrap();
}

#[test]
fn done_segments_go_at_once_where_the_reserve_of_the_disk_is_reached() {
    let vfs = SimVfs::new();
    vfs.set_capacity(Some(12 << 20));
    let limits = Arc::new(SharedLimits::new().free_disk_bytes(2 << 20));
    let config = config(&vfs)
        .spare_segments(5)
        .overflow(Overflow::Reject)
        .shared_limits(limits);
    let (queue, _) = Queue::open(config).unwrap();
    let group = vec![payload(1, 1000); 100];
    let refused = loop {
        match queue.append(&group) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, AppendError::DiskReserve { .. }),
        "{refused}"
    );
    drain(&queue);
    let used = vfs.used_bytes();
    assert!(used <= 2 * SEGMENT_BYTES + control_bytes(&vfs), "{used}");
    queue.append(&group).unwrap();
}

#[test]
fn a_file_system_without_room_for_another_file_says_so() {
    const ENOSPC: i32 = 28;
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let before = vfs.calls();
    let failed = (0..8).find_map(|call| {
        let vfs = vfs.clone();
        vfs.heal();
        vfs.inject(Fault {
            call: before + call,
            for_ever: false,
            kind: FaultKind::Error(ENOSPC),
        });
        queue.append_one(payload(1, 100)).err()
    });
    let text = failed.unwrap().to_string();
    assert!(
        text.contains("no room for another file") && text.contains("df -i"),
        "{text}"
    );
}

#[test]
fn items_may_be_limited_one_by_one() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs).max_item_bytes(1000)).unwrap();
    queue.append_one(payload(1, 1000)).unwrap();
    let refused = queue.append(&[payload(2, 10), payload(3, 1001)]);
    assert!(matches!(
        refused,
        Err(AppendError::TooLarge {
            bytes: 1001,
            limit: 1000
        })
    ));
    assert_eq!(queue.count(), 1);
}

#[test]
fn counting_what_waits_reads_nothing() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let group = vec![payload(1, 1000); 100];
    for _ in 0..100 {
        queue.append(&group).unwrap();
    }
    queue.close().unwrap();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    let before = vfs.read_bytes();
    assert_eq!((queue.count(), queue.bytes()), (10_000, 10_000_000));
    assert_eq!(vfs.read_bytes(), before);
    assert!(queue.stats().memory_bytes == 0);
}

#[test]
fn on_a_disk_that_fills_up_again_and_again_exactly_what_was_answered_comes_out() {
    const THREADS: u64 = 3;
    for round in 0..6_u64 {
        let vfs = SimVfs::new();
        let (queue, _) = Queue::open(config(&vfs).spare_segments(2)).unwrap();
        vfs.set_capacity(Some(150_000 + round * 9973));
        let mut answered: Vec<u64> = Vec::new();
        let mut drained: Vec<u64> = Vec::new();
        for turn in 0..6 {
            let queue = &queue;
            let append = move |thread: u64| {
                let mut taken = Vec::new();
                for call in 0..30 {
                    let serial = (((round * 10 + turn) * THREADS + thread) * 100 + call) * 10;
                    let bytes = usize::try_from(serial.wrapping_mul(7919) % 30_000).unwrap() + 8;
                    let items = [payload(serial, bytes), payload(serial + 1, bytes / 3 + 8)];
                    match queue.append(&items) {
                        Ok(_) => taken.extend([serial, serial + 1]),
                        Err(AppendError::NotAppended(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                taken
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|thread| scope.spawn(move || append(thread)))
                    .collect();
                for thread in threads {
                    answered.extend(thread.join().unwrap());
                }
            });
            if turn % 2 == 1 {
                while let Some(lease) = queue.pop(PopLimits::items(5)).unwrap() {
                    let serials = lease
                        .items
                        .iter()
                        .map(|item| crate::setup::serial(&item.payload));
                    drained.extend(serials);
                    queue.ack(lease.id).unwrap();
                }
            }
        }
        drop(queue);
        let left = vfs.after_kill();
        left.set_capacity(None);
        let (queue, recovery) = Queue::open(config(&left)).unwrap();
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        while let Some(lease) = queue.pop(PopLimits::items(5)).unwrap() {
            let serials = lease
                .items
                .iter()
                .map(|item| crate::setup::serial(&item.payload));
            drained.extend(serials);
            queue.ack(lease.id).unwrap();
        }
        answered.sort_unstable();
        drained.sort_unstable();
        assert_eq!(answered, drained, "round {round}");
    }
}
