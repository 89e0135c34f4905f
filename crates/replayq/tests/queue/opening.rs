//! What opening reads: of a full segment its head, also where items of it are done; and that what
//! it counts is right all the same.

use std::path::Path;
use std::sync::Arc;

use replayq::vfs::sim::{Fate, SimVfs};
use replayq::{Depth, Flush, Inspector, ItemId, ItemRange, PopLimits, Queue, Recovery};

use crate::setup::{DIRECTORY, End, Mode, Setup, payload};

const HEAD_BYTES: u64 = 4096;

fn setup(mode: Mode, segment_bytes: u64) -> Setup {
    Setup {
        segment_bytes,
        ..Setup::small(mode)
    }
}

/// Appends items of that size, the first with the serial number 1.
fn append(queue: &Queue, items: u64, bytes: usize) {
    for serial in 1..=items {
        queue.append_one(payload(serial, bytes)).unwrap();
    }
}

/// Acks every second of the items that wait, one by one.
fn ack_every_second(queue: &Queue) {
    let mut is_done = false;
    while let Some(lease) = queue.pop(PopLimits::items(1)).unwrap() {
        if is_done {
            queue.ack(lease.id).unwrap();
        }
        is_done = !is_done;
    }
}

/// Opens, and compares what opening says with what is there. Returns that, and the bytes that
/// opening read.
fn open(setup: Setup, vfs: &SimVfs) -> (Queue, Recovery, u64) {
    let (queue, recovery) = setup.open(vfs).unwrap();
    let read_bytes = vfs.read_bytes();
    let (mut items, mut bytes, mut ids) = (0, 0, Vec::new());
    while let Some(lease) = queue.pop(PopLimits::items(100)).unwrap() {
        for item in &lease.items {
            items += 1;
            bytes += item.payload.len() as u64;
            ids.push(item.id);
        }
    }
    assert_eq!((recovery.items, recovery.bytes), (items, bytes));
    let ends = ids.first().copied().zip(ids.last().copied());
    assert_eq!(
        recovery.ids,
        ends.and_then(|(first, last)| ItemRange::new(first, last))
    );
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    drop(queue);
    let (queue, again) = setup.open(vfs).unwrap();
    assert_eq!((again.items, again.bytes), (items, bytes));
    (queue, recovery, read_bytes)
}

fn end(queue: Queue, vfs: &SimVfs, how: End) -> SimVfs {
    match how {
        End::Close => {
            queue.close().unwrap();
            drop(queue);
            vfs.copy()
        }
        End::Kill => vfs.after_kill(),
        End::PowerLoss => {
            queue.flush(Flush::Disk).unwrap();
            vfs.after_power_loss(0, |_, _| Fate::Lost)
        }
    }
}

#[test]
fn of_200_segments_in_which_every_second_item_is_done_opening_reads_the_heads() {
    const SEGMENTS: u64 = 200;
    const SEGMENT_BYTES: u64 = 32 << 10;
    for (mode, how) in [
        (Mode::Os, End::Close),
        (Mode::Os, End::Kill),
        (Mode::Fsync, End::PowerLoss),
    ] {
        let (setup, vfs) = (setup(mode, SEGMENT_BYTES), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        // Eight in each segment, and a few in the last.
        append(&queue, SEGMENTS * 8 + 3, 3500);
        ack_every_second(&queue);
        assert_eq!(queue.stats().segments, SEGMENTS + 1);
        let left = end(queue, &vfs, how);
        let control = left.read_file(&Path::new(DIRECTORY).join("control"));
        let heads = (SEGMENTS + 1) * HEAD_BYTES;
        let most = heads + SEGMENT_BYTES + control.unwrap().len() as u64;
        let inspection = Inspector::with_vfs(Arc::new(left.clone()))
            .inspect(Path::new(DIRECTORY), Depth::Summaries)
            .unwrap();
        let looked = left.read_bytes();
        // The last one is read for its leases, and for its items.
        assert!(
            looked <= most + SEGMENT_BYTES,
            "{mode:?}, {how:?}: {looked}"
        );

        let left = left.copy();
        let (_, recovery, read_bytes) = open(setup, &left);
        assert!(read_bytes <= most, "{mode:?}, {how:?}: {read_bytes}");
        assert_eq!(recovery.items, SEGMENTS * 4 + 2);
        assert_eq!(
            (inspection.open_items, inspection.open_bytes),
            (recovery.items, recovery.bytes)
        );
    }
}

#[test]
fn a_segment_that_was_sealed_behind_the_last_commit_is_counted() {
    let (setup, vfs) = (setup(Mode::Os, 8192), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 3, 1000);
    ack_every_second(&queue);
    append(&queue, 9, 1000);
    assert_eq!(queue.stats().segments, 3);
    let (_, recovery, _) = open(setup, &vfs.after_kill());
    assert_eq!(recovery.items, 11);
}

#[test]
fn acks_over_the_ends_of_segments_and_in_parts_are_counted_where_they_are() {
    let (setup, vfs) = (setup(Mode::Os, 8192), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 40, 1000);
    let pop = |queue: &Queue, items| queue.pop(PopLimits::items(items)).unwrap().unwrap();
    let (kept, over, parts) = (pop(&queue, 2), pop(&queue, 3), pop(&queue, 9));
    queue.ack(over.id).unwrap();
    for ids in [(9, 9), (11, 13)] {
        let ids = ItemRange::new(ItemId(ids.0), ItemId(ids.1)).unwrap();
        queue.ack_items(parts.id, ids).unwrap();
    }
    let tagged = pop(&queue, 12);
    queue.tag(tagged.id, "tag".into()).unwrap();
    drop((queue, kept));
    // A lease of the life before, over several segments: what of it lies where was not counted.
    let (queue, recovery) = setup.open(&vfs.after_kill()).unwrap();
    assert_eq!((recovery.items, recovery.leases.len()), (33, 1));
    queue.ack(recovery.leases[0].id).unwrap();
    drop(queue);
    let (queue, _) = setup.open(&vfs).unwrap();
    let lease = queue.read_lease(recovery.leases[0].id).unwrap();
    queue.ack(lease.id).unwrap();
    drop(queue);
    let (_, recovery, _) = open(setup, &vfs);
    assert_eq!(recovery.items, 21);
}

#[test]
fn an_older_commit_says_what_was_left_when_it_was_written() {
    let (setup, vfs) = (setup(Mode::Os, 8192), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 60, 1000);
    ack_every_second(&queue);
    let control = Path::new(DIRECTORY).join("control");
    let mut found = Vec::new();
    for lost in [
        vec![],
        vec![0],
        vec![1],
        vec![2],
        vec![0, 1],
        vec![0, 2],
        vec![1, 2],
    ] {
        let left = vfs.after_kill();
        let mut content = left.read_file(&control).unwrap();
        for slot in lost {
            content[4096 + slot * 8192 + 20] ^= 1;
        }
        left.write_file(&control, content);
        let (queue, recovery) = setup.open(&left).unwrap();
        let mut items = 0;
        while let Some(lease) = queue.pop(PopLimits::items(100)).unwrap() {
            items += lease.items.len() as u64;
        }
        assert_eq!(recovery.items, items);
        assert_eq!(recovery.bytes, 1000 * items);
        found.push(items);
    }
    found.sort_unstable();
    found.dedup();
    // The slot that was synced last is not written until another one is.
    assert_eq!(found, [30, 31, 60]);
}

#[test]
fn segments_that_the_commit_has_no_room_for_are_walked() {
    let (setup, vfs) = (setup(Mode::Os, 8192), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    let payloads: Vec<_> = (1..=64).map(|serial| payload(serial, 40)).collect();
    for _ in 0..108 {
        queue.append(&payloads).unwrap();
    }
    assert_eq!(queue.stats().segments, 108);
    ack_every_second(&queue);
    let left = vfs.after_kill();
    let (_, recovery, read_bytes) = open(setup, &left);
    assert_eq!(recovery.items, 108 * 32);
    let all: u64 = left
        .files()
        .iter()
        .map(|file| left.read_file(file).unwrap().len() as u64)
        .sum();
    assert!(read_bytes < all, "{read_bytes} of {all}");
}
