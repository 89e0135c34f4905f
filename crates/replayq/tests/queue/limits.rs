//! What limits count bounds what is really taken, also by items that have next to no payload.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{
    AppendError, Config, ItemId, ItemRange, Overflow, PopLimits, Queue, SharedLimits, Storage,
};

use crate::calls::{append, ids as ids_of, pop_ids};
use crate::setup::{DIRECTORY, Mode, Setup};

const LIMIT: u64 = 60_000;
const SEGMENT_BYTES: u64 = 8192;

fn config(storage: Storage, vfs: &SimVfs) -> Config {
    Config::new(storage)
        .segment_bytes(SEGMENT_BYTES)
        .spare_segments(0)
        .lease_slots(1)
        .vfs(Arc::new(vfs.clone()))
}

fn on_disk() -> Storage {
    Storage::Disk(DIRECTORY.into())
}

/// Appends until the limit is reached, and looks at what that has come to.
fn fill(queue: &Queue, bytes: usize) {
    let refused = loop {
        if let Err(error) = queue.append_one(Bytes::from(vec![1; bytes])) {
            break error;
        }
        let stats = queue.stats();
        assert!(stats.waiting_items <= LIMIT, "there is no end to it");
    };
    let AppendError::Full { bytes: sum, limit } = refused else {
        panic!("{refused}");
    };
    assert!(limit == LIMIT && sum > LIMIT, "{refused}");
}

#[test]
fn files_take_less_than_three_times_the_limit_however_small_the_items_are() {
    for bytes in [0, 1, 7, 8, 9, 16, 17, 24, 25, 100, 4000] {
        let vfs = SimVfs::new();
        let config = || {
            config(on_disk(), &vfs)
                .max_total_bytes(LIMIT)
                .overflow(Overflow::Reject)
        };
        let (queue, _) = Queue::open(config()).unwrap();
        let control = queue.stats().disk_bytes;
        fill(&queue, bytes);
        let stats = queue.stats();
        assert!(stats.counted_bytes > LIMIT - 4000, "{stats:?}");
        // Each segment has a head.
        let heads = 4096 * stats.segments;
        let entries = stats.disk_bytes - control - heads;
        assert!(entries < 3 * LIMIT, "{bytes} bytes each: {stats:?}");
        assert_eq!(stats.disk_bytes, vfs.used_bytes());
        assert_eq!(
            i128::from(queue.overflow_bytes()),
            i128::from(stats.counted_bytes) - i128::from(LIMIT)
        );

        // What was found counts as what was appended, and what is done no more.
        drop(queue);
        let (queue, _) = Queue::open(config()).unwrap();
        assert_eq!(queue.stats().counted_bytes, stats.counted_bytes);
        while let Some(lease) = queue.pop(PopLimits::items(500)).unwrap() {
            queue.ack(lease.id).unwrap();
        }
        let limit = i64::try_from(LIMIT).unwrap();
        assert_eq!(queue.overflow_bytes(), -limit);
        fill(&queue, bytes);
    }
}

#[test]
fn items_without_payload_count_in_memory_and_towards_the_limit_of_many_queues() {
    let memory = Config::memory()
        .max_total_bytes(LIMIT)
        .overflow(Overflow::Reject);
    fill(&Queue::open(memory).unwrap().0, 0);

    let limits = Arc::new(SharedLimits::new().total_bytes(LIMIT));
    let open = |name: &str| {
        let storage = Storage::Disk(Path::new("/").join(name));
        let config = config(storage, &SimVfs::new())
            .overflow(Overflow::Reject)
            .shared_limits(Arc::clone(&limits));
        Queue::open(config).unwrap().0
    };
    let (one, other) = (open("one"), open("other"));
    fill(&one, 0);
    assert!(matches!(
        other.append_one(Bytes::new()),
        Err(AppendError::Full { .. })
    ));
    assert_eq!(limits.held_bytes(), LIMIT);
}

#[test]
fn the_reserve_of_the_disk_stays_free_of_items_without_payload() {
    const RESERVE: u64 = 50_000;
    let vfs = SimVfs::new();
    let limits = Arc::new(SharedLimits::new().free_disk_bytes(RESERVE));
    let (queue, _) = Queue::open(config(on_disk(), &vfs).shared_limits(limits)).unwrap();
    let capacity = vfs.used_bytes() + 3 * RESERVE;
    vfs.set_capacity(Some(capacity));
    let refused = loop {
        if let Err(error) = queue.append_one(Bytes::new()) {
            break error;
        }
    };
    assert!(
        matches!(refused, AppendError::DiskReserve { .. }),
        "{refused}"
    );
    let free = capacity - vfs.used_bytes();
    assert!((RESERVE / 2..RESERVE + 8192).contains(&free), "{free}");
}

#[test]
fn items_without_payload_fill_the_memory_of_a_queue_that_spills() {
    let storage = Storage::Offload(DIRECTORY.into());
    let (queue, _) = Queue::open(config(storage, &SimVfs::new())).unwrap();
    let mut items = 0;
    while !queue.is_writing_to_disk() {
        queue.append_one(Bytes::new()).unwrap();
        items += 1;
        assert!(items <= SEGMENT_BYTES, "there is no end to it");
    }
    assert!(items > 100, "{items}");
}

#[test]
fn items_that_are_given_up_wait_on_disk_where_memory_has_enough_of_them() {
    const RESIDENT_BYTES: u64 = 10_000;
    const LEASE_BYTES: u64 = 10 * 500;
    for mode in [Mode::Os, Mode::Fsync] {
        for stride in [1, 7, 59] {
            let mut setup = Setup::small(mode);
            setup.resident_bytes = RESIDENT_BYTES;
            let vfs = SimVfs::new();
            let (queue, _) = setup.open(&vfs).unwrap();
            append(&queue, 1..=600, 500);
            let mut leases = Vec::new();
            while let Some(lease) = queue.pop(PopLimits::items(10)).unwrap() {
                leases.push(lease.id);
            }
            assert_eq!(leases.len(), 60);
            // One is half done, and one stays out.
            let half = leases[30];
            let ids = ItemRange::new(ItemId(303), ItemId(306)).unwrap();
            queue.ack_items(half, ids).unwrap();
            for number in 0..60 {
                // In order, mixed, and from the last one to the first.
                let number = number * stride % 60;
                if number == 45 {
                    continue;
                }
                queue.release(leases[number]).unwrap();
                let stats = queue.stats();
                let held = stats.leased_bytes + RESIDENT_BYTES + 4096 + LEASE_BYTES;
                assert!(stats.memory_bytes <= held, "{mode:?} {stride}: {stats:?}");
                assert_eq!(stats.waiting_items + stats.leased_items, 596);
            }
            append(&queue, 601..=610, 500);
            let mut found = Vec::new();
            while let Some(lease) = queue.pop(PopLimits::items(17)).unwrap() {
                found.extend(ids_of(&lease.items));
                queue.ack(lease.id).unwrap();
            }
            let is_there = |id: &u64| !(303..=306).contains(id) && !(451..=460).contains(id);
            let expected: Vec<u64> = (1..=610).filter(is_there).collect();
            assert_eq!(found, expected, "{mode:?} {stride}");
            assert_eq!((queue.count(), queue.bytes()), (0, 0));
            drop(queue);
            let (queue, recovery) = setup.open(&vfs).unwrap();
            assert_eq!((recovery.items, recovery.damage.len()), (10, 0));
            assert_eq!(pop_ids(&queue, 20), (451..=460).collect::<Vec<u64>>());
        }
    }
}
