//! Looking at a directory, and repairing it.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use replayq::{
    Config, Damage, Depth, Inspector, ItemState, Owner, PopLimits, Queue, RepairError,
    SegmentState, Storage, repair,
};

fn config(directory: &Path) -> Config {
    Config::disk(directory)
        .segment_bytes(8192)
        .spare_segments(0)
}

/// Items with payloads that tell them apart.
fn append(queue: &Queue, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let id = queue
            .append_one(Bytes::from(format!("item {number} {}", "x".repeat(500))))
            .unwrap();
        assert_eq!(id.0, number);
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .collect();
    paths.sort();
    paths
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// All bytes of all files: to see that nothing changes.
fn picture(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// A queue of four segments of seven items; 1 to 3 and 9 are done, 4 to 6 leased with a tag.
fn example(directory: &Path) {
    let (queue, _) = Queue::open(config(directory)).unwrap();
    append(&queue, 1..=28);
    let done = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    let leased = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    let middle = queue.pop(PopLimits::items(4)).unwrap().unwrap();
    queue.ack(done.id).unwrap();
    queue
        .tag(leased.id, Bytes::from_static(b"stamp 7"))
        .unwrap();
    let ninth = replayq::ItemRange::one(middle.items[2].id);
    queue.ack_items(middle.id, ninth).unwrap();
    queue.release(middle.id).unwrap();
    queue.close().unwrap();
}

fn open_items(directory: &Path) -> Vec<(u64, Bytes)> {
    let mut items = Vec::new();
    Inspector::new()
        .visit(directory, |item| {
            if item.state != ItemState::Done {
                items.push((item.id.0, item.payload));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    items
}

#[test]
fn an_inspection_says_what_is_waiting_leased_and_done_and_changes_nothing() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    example(&directory);
    let before = picture(&directory);
    for depth in [Depth::Summaries, Depth::EveryByte] {
        let inspection = Inspector::new().inspect(&directory, depth).unwrap();
        assert!(inspection.is_clean(), "{:?}", inspection.damage);
        assert_eq!(inspection.open_items, 24);
        assert_eq!(inspection.done_through.0, 3);
        assert_eq!(inspection.done_beyond.len(), 1);
        assert_eq!(inspection.leases.len(), 1);
        assert_eq!(&inspection.leases[0].tag[..], b"stamp 7");
        assert_eq!(
            (
                inspection.leases[0].items.first.0,
                inspection.leases[0].items.last.0
            ),
            (4, 6)
        );
        assert!(matches!(inspection.owner, Owner::Nobody | Owner::Unknown));
        let states: Vec<SegmentState> = inspection
            .segments
            .iter()
            .map(|segment| segment.state)
            .collect();
        assert_eq!(states.last(), Some(&SegmentState::Filling));
        assert!(
            states
                .iter()
                .rev()
                .skip(1)
                .all(|state| *state == SegmentState::Sealed)
        );
        let counted: u64 = inspection
            .segments
            .iter()
            .map(|segment| segment.open_items)
            .sum();
        assert_eq!(counted, 24);
    }
    assert_eq!(picture(&directory), before);
    let ids: Vec<u64> = open_items(&directory)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, (4..=28).filter(|id| *id != 9).collect::<Vec<_>>());
}

#[test]
fn a_visit_ends_where_its_caller_has_enough() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    example(&directory);
    let mut ids = Vec::new();
    let inspection = Inspector::new().visit(&directory, |item| {
        ids.push(item.id.0);
        if ids.len() < 9 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    let inspection = inspection.unwrap();
    assert_eq!(inspection.segments.len(), 2, "of four");
    assert!(inspection.is_clean(), "{:?}", inspection.damage);
}

#[test]
fn a_queue_in_use_can_be_looked_at_and_its_owner_is_named() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let (queue, _) = Queue::open(config(&directory)).unwrap();
    append(&queue, 1..=20);
    let inspection = Inspector::new()
        .inspect(&directory, Depth::EveryByte)
        .unwrap();
    assert!(inspection.is_clean(), "{:?}", inspection.damage);
    assert_eq!(inspection.open_items, 20);
    assert!(matches!(
        inspection.owner,
        Owner::Process(_) | Owner::Unknown
    ));
    // It still takes items, and cannot be repaired meanwhile.
    append(&queue, 21..=22);
    let error = repair(&directory).unwrap_err();
    assert!(matches!(error, RepairError::Open(_)), "{error}");
    #[cfg(target_os = "linux")]
    {
        let process = std::process::id().to_string();
        assert!(error.to_string().contains(&process), "{error}");
    }
}

#[test]
fn a_queue_can_be_looked_at_while_it_is_filled_and_drained() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let (queue, _) = Queue::open(config(&directory).spare_segments(2)).unwrap();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            for _ in 0..300 {
                queue.append(&vec![Bytes::from(vec![7; 300]); 10]).unwrap();
                let lease = queue.pop(PopLimits::items(10)).unwrap().unwrap();
                queue.ack(lease.id).unwrap();
            }
        });
        while !worker.is_finished() {
            let inspection = Inspector::new()
                .inspect(&directory, Depth::EveryByte)
                .unwrap();
            assert!(inspection.open_items <= 3000);
        }
    });
}

/// Segments of a few items, some of which are acked, removed and used again while they are visited.
#[test]
fn a_visit_beside_a_live_writer_finds_no_damage_and_whole_items_in_order() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let config = config(&directory).spare_segments(2);
    let (queue, _) = Queue::open(config).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                append(&queue, number..=number);
                if number % 3 != 0 {
                    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
                    queue.ack(lease.id).unwrap();
                }
                if number % 200 == 0 {
                    while let Some(lease) = queue.pop(PopLimits::items(50)).unwrap() {
                        queue.ack(lease.id).unwrap();
                    }
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut visited = 0;
        for _ in 0..300 {
            let mut last = 0;
            let inspection = Inspector::new()
                .visit(&directory, |item| {
                    assert!(item.id.0 > last, "{} after {last}", item.id);
                    last = item.id.0;
                    let text = format!("item {last} {}", "x".repeat(500));
                    assert_eq!(item.payload, text.as_bytes());
                    visited += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert!(inspection.is_clean(), "{:?}", inspection.damage);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(visited > 300, "{visited}");
    });
}

#[test]
fn a_damaged_item_is_found_and_repairing_loses_nothing_else() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    example(&directory);
    let sound = open_items(&directory);
    let second = segments(&directory).remove(1);
    flip(&second, 4096 + 24 + 100);

    let inspection = Inspector::new()
        .inspect(&directory, Depth::EveryByte)
        .unwrap();
    let [Damage::Item { id, .. }] = inspection.damage.as_slice() else {
        panic!("{:?}", inspection.damage);
    };
    let lost = id.0;
    let repaired = repair(&directory).unwrap();
    assert!(repaired.after.is_clean(), "{:?}", repaired.after.damage);
    assert_eq!(repaired.rewritten.len(), 1);
    let left: Vec<(u64, Bytes)> = sound.into_iter().filter(|(id, _)| *id != lost).collect();
    assert_eq!(open_items(&directory), left);
    assert_eq!(repaired.after.leases.len(), 1);
    assert!(fs::read_dir(&directory).unwrap().any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".segment.damaged")
    }));

    let (queue, recovery) = Queue::open(config(&directory)).unwrap();
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    assert_eq!(recovery.leases.len(), 1);
    let mut handed_out = Vec::new();
    while let Some(lease) = queue.pop(PopLimits::items(5)).unwrap() {
        handed_out.extend(
            lease
                .items
                .into_iter()
                .map(|item| (item.id.0, item.payload)),
        );
        queue.ack(lease.id).unwrap();
    }
    let waiting: Vec<_> = left.into_iter().filter(|(id, _)| *id > 6).collect();
    assert_eq!(handed_out, waiting);
    assert!(queue.damage().is_empty(), "{:?}", queue.damage());
}

#[test]
fn wherever_a_byte_is_flipped_repairing_makes_the_queue_clean_and_loses_one_item_at_most() {
    let room = tempfile::tempdir().unwrap();
    let original = room.path().join("original");
    example(&original);
    let sound = open_items(&original);
    let files: Vec<PathBuf> = fs::read_dir(&original)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in files {
        let bytes = fs::read(&file).unwrap().len();
        for position in (0..bytes).step_by(1009) {
            let directory = room.path().join("copy");
            fs::create_dir(&directory).unwrap();
            for (path, content) in picture(&original) {
                fs::write(directory.join(path.file_name().unwrap()), content).unwrap();
            }
            flip(&directory.join(file.file_name().unwrap()), position);
            let place = format!("byte {position} of {}", file.display());
            let repaired = repair(&directory).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(
                repaired.after.is_clean(),
                "{place}: {:?}",
                repaired.after.damage
            );
            let left = open_items(&directory);
            let lost = sound.iter().filter(|item| !left.contains(item)).count();
            assert!(lost <= 1, "{place}: {lost} lost");
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}

#[test]
fn a_directory_without_a_queue_is_refused_and_left_alone() {
    let room = tempfile::tempdir().unwrap();
    let error = Inspector::new()
        .inspect(room.path(), Depth::Summaries)
        .unwrap_err();
    assert!(error.to_string().contains("is no queue"), "{error}");
    assert!(repair(room.path()).is_err());
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}

/// Flips, cuts and removals: an inspection says of a closed queue what opening it says, also of its
/// end, where nothing follows that would show a gap.
#[test]
fn looking_misses_the_same_items_as_opening_does_also_the_last_ones() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let (queue, _) = Queue::open(config(&directory)).unwrap();
    append(&queue, 1..=20);
    queue.close().unwrap();
    drop(queue);
    let last = segments(&directory).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let mut spoilt: Vec<Option<Vec<u8>>> = vec![None];
    spoilt.extend([0, 60, 4096, 4300, whole.len() - 8].map(|end| Some(whole[..end].to_vec())));
    let end = whole.iter().rposition(|byte| *byte == b'x').unwrap();
    spoilt.extend([end, end - 515].map(|position| {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        Some(bytes)
    }));
    for content in spoilt {
        match &content {
            Some(content) => fs::write(&last, content).unwrap(),
            None => fs::remove_file(&last).unwrap(),
        }
        let seen = Inspector::new()
            .inspect(&directory, Depth::EveryByte)
            .unwrap();
        let copy = room.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for (path, bytes) in picture(&directory) {
            fs::write(copy.join(path.file_name().unwrap()), bytes).unwrap();
        }
        let repaired = repair(&copy).unwrap();
        assert!(
            !seen.is_clean(),
            "{:?}",
            content.map(|content| content.len())
        );
        assert_eq!(repaired.before.damage, seen.damage);
        assert_eq!(repaired.recovery.damage, seen.damage);
        assert_eq!(repaired.recovery.items, seen.open_items);
        assert!(repaired.after.is_clean());
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn items_that_a_queue_in_offload_mode_has_in_memory_are_not_missed() {
    let room = tempfile::tempdir().unwrap();
    let config = || Config::new(Storage::Offload(room.path().into())).segment_bytes(4096);
    let is_clean = || {
        let seen = Inspector::new().inspect(room.path(), Depth::EveryByte);
        assert_eq!(seen.unwrap().damage, []);
    };
    let (queue, _) = Queue::open(config()).unwrap();
    append(&queue, 1..=20);
    assert!(queue.is_writing_to_disk());
    is_clean();
    while let Some(lease) = queue.pop(PopLimits::items(3)).unwrap() {
        queue.ack(lease.id).unwrap();
    }
    append(&queue, 21..=40);
    is_clean();
    // The process dies, and leaves a gap where the items in memory were.
    drop(queue);
    is_clean();
    let (queue, recovery) = Queue::open(config()).unwrap();
    assert!(recovery.items > 0 && recovery.damage.is_empty());
    queue.close().unwrap();
    is_clean();
}
