//! A disk that has lost a block: by default its items wait and the caller is told where; who wants
//! to goes on without them, and with all others.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{
    Config, Damage, Flush, FlushError, Inspector, OpenError, PopLimits, Queue, ReadError,
    Unreadable, repair_in,
};

use crate::setup::{DIRECTORY, payload};

const BLOCK_BYTES: u64 = 4096;
const SIZES: [usize; 5] = [30, 700, 1500, 20, 9000];

fn config(vfs: &SimVfs, policy: Unreadable) -> Config {
    Config::disk(DIRECTORY)
        .segment_bytes(20_000)
        .resident_bytes(0)
        .read_bytes(16 << 10)
        .unreadable(policy)
        .vfs(Arc::new(vfs.clone()))
}

/// Three segments, the last of them not full, with items of several sizes and a lease.
fn filled() -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs, Unreadable::Wait)).unwrap();
    for (serial, bytes) in (1..=40).zip(SIZES.into_iter().cycle()) {
        queue.append_one(payload(serial, bytes)).unwrap();
    }
    let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop(queue);
    vfs.after_kill()
}

/// Where the entry of each item lies: file, first byte, end.
fn places(vfs: &SimVfs) -> BTreeMap<u64, (PathBuf, u64, u64)> {
    let mut places = BTreeMap::new();
    let inspector = Inspector::with_vfs(Arc::new(vfs.clone()));
    inspector
        .visit(Path::new(DIRECTORY), |item| {
            let path = Path::new(DIRECTORY).join(&*item.file);
            let end = item.position + 24 + item.payload.len() as u64;
            places.insert(item.id.0, (path, item.position, end));
            ControlFlow::Continue(())
        })
        .unwrap();
    places
}

/// All blocks of all files, each with the ids of the items that lie in it.
fn blocks(vfs: &SimVfs) -> Vec<(PathBuf, u64, Vec<u64>)> {
    let places = places(vfs);
    let mut blocks = Vec::new();
    for path in vfs.files() {
        let length = vfs.read_file(&path).unwrap().len() as u64;
        for start in (0..length.div_ceil(BLOCK_BYTES)).map(|block| block * BLOCK_BYTES) {
            let is_within = |(file, from, end): &(PathBuf, u64, u64)| {
                *file == path && *from < start + BLOCK_BYTES && start < *end
            };
            let ids = places.iter().filter(|(_, place)| is_within(place));
            blocks.push((path.clone(), start, ids.map(|(id, _)| *id).collect()));
        }
    }
    blocks
}

/// All that is left: in leases and waiting.
fn take_all(queue: &Queue, leases: Vec<replayq::LeaseId>) -> Vec<u64> {
    let mut ids = Vec::new();
    for id in leases {
        ids.extend(
            queue
                .read_lease(id)
                .unwrap()
                .items
                .iter()
                .map(|item| item.id.0),
        );
        queue.ack(id).unwrap();
    }
    while let Some(lease) = queue.pop(PopLimits::items(7)).unwrap() {
        ids.extend(lease.items.iter().map(|item| item.id.0));
        queue.ack(lease.id).unwrap();
    }
    ids.sort_unstable();
    ids
}

fn all_but(lost: &[u64]) -> Vec<u64> {
    (1..=40).filter(|id| !lost.contains(id)).collect()
}

#[test]
fn a_block_that_cannot_be_read_costs_only_the_items_in_it_where_they_are_skipped() {
    let whole = filled();
    for (path, start, ids) in blocks(&whole) {
        let vfs = whole.copy();
        vfs.spoil(&path, start + 17, 1);
        let (queue, recovery) = Queue::open(config(&vfs, Unreadable::Skip)).unwrap();
        let leases = recovery.leases.iter().map(|lease| lease.id).collect();
        assert_eq!(take_all(&queue, leases), all_but(&ids), "{path:?} {start}");
        let is_told = queue.damage().iter().any(
            |damage| matches!(damage, Damage::Unreadable { file, .. } if path.ends_with(file)),
        );
        // Nobody needed the head of the full segments again, or what is behind the entries.
        assert!(is_told || ids.is_empty(), "{path:?} {start}");
        queue.append_one(payload(99, 100)).unwrap();
        queue.flush(Flush::Disk).unwrap();
        queue.close().unwrap();
        let is_aside = vfs.files().iter().any(|file| {
            file.extension()
                .is_some_and(|extension| extension == "damaged")
        });
        assert!(is_aside || ids.is_empty(), "{path:?} {start}");
    }
}

#[test]
fn by_default_a_block_that_cannot_be_read_is_waited_for_and_told_with_the_way_out() {
    let whole = filled();
    for (path, start, _) in blocks(&whole) {
        let vfs = whole.copy();
        vfs.spoil(&path, start, BLOCK_BYTES);
        let says_where = |failure: &replayq::IoFailure| {
            assert_eq!(failure.path(), path);
            let text = failure.to_string();
            assert!(text.contains("Unreadable::Skip"), "{text}");
        };
        match Queue::open(config(&vfs, Unreadable::Wait)) {
            Err(OpenError::Io(failure)) => says_where(&failure),
            Err(error) => panic!("{error}"),
            Ok((queue, recovery)) => {
                let mut has_failed = false;
                for lease in &recovery.leases {
                    if let Err(ReadError::Io(failure)) = queue.read_lease(lease.id) {
                        says_where(&failure);
                        has_failed = true;
                    }
                }
                let failure = loop {
                    match queue.pop(PopLimits::items(1)) {
                        Ok(Some(_)) => {}
                        Ok(None) => break None,
                        Err(ReadError::Io(failure)) => break Some(failure),
                        Err(error) => panic!("{error}"),
                    }
                };
                let Some(failure) = failure else {
                    assert!(has_failed || start == 0, "{path:?} {start} was not needed");
                    continue;
                };
                says_where(&failure);
                assert!(failure.position().is_some());
                queue.pop(PopLimits::default()).unwrap_err();
            }
        }
        assert_eq!(vfs.files(), whole.files());
        // The cable was loose.
        let content = whole.read_file(&path).unwrap();
        vfs.write_file(&path, content);
        let (queue, recovery) = Queue::open(config(&vfs, Unreadable::Wait)).unwrap();
        let leases = recovery.leases.iter().map(|lease| lease.id).collect();
        assert_eq!(take_all(&queue, leases), all_but(&[]), "{path:?} {start}");
    }
}

#[test]
fn a_queue_with_a_block_that_cannot_be_read_can_be_repaired() {
    let whole = filled();
    for (path, start, ids) in blocks(&whole) {
        let vfs = whole.copy();
        vfs.spoil(&path, start, BLOCK_BYTES);
        let repaired = repair_in(Arc::new(vfs.clone()), Path::new(DIRECTORY)).unwrap();
        assert!(!repaired.before.is_clean(), "{path:?} {start}");
        assert!(repaired.after.is_clean(), "{:?}", repaired.after.damage);
        let (queue, recovery) = Queue::open(config(&vfs, Unreadable::Wait)).unwrap();
        let leases = recovery.leases.iter().map(|lease| lease.id).collect();
        assert_eq!(take_all(&queue, leases), all_but(&ids), "{path:?} {start}");
        assert_eq!(queue.damage(), [], "{path:?} {start}");
    }
}

/// The bad block comes while the queue is open.
#[test]
fn a_block_that_goes_bad_under_an_open_queue_is_skipped_by_the_next_pops() {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs, Unreadable::Skip)).unwrap();
    for serial in 1..=40 {
        queue.append_one(payload(serial, 1000)).unwrap();
    }
    let places = places(&vfs);
    let (path, position, _) = places[&25].clone();
    let lost: Vec<u64> = places
        .iter()
        .filter(|(_, (file, from, end))| {
            let block = position / BLOCK_BYTES;
            *file == path && from / BLOCK_BYTES <= block && block <= (end - 1) / BLOCK_BYTES
        })
        .map(|(id, _)| *id)
        .collect();
    assert!(lost.contains(&25) && lost.len() < 8, "{lost:?}");
    vfs.spoil(&path, position, 1);
    assert_eq!(take_all(&queue, Vec::new()), all_but(&lost));
    let ids = queue
        .damage()
        .iter()
        .filter_map(Damage::ids)
        .fold(0, |sum, ids| sum + ids.span());
    assert_eq!(ids, lost.len() as u64, "{:?}", queue.damage());
}

/// A flush that has to read back what its sync did not write meets a bad block.
#[test]
fn a_flush_that_cannot_read_back_answers_so_until_it_can_or_is_to_skip() {
    use replayq::vfs::sim::{Fault, FaultKind};

    for policy in [Unreadable::Wait, Unreadable::Skip] {
        let vfs = SimVfs::new();
        let (queue, _) = Queue::open(config(&vfs, policy)).unwrap();
        for serial in 1..=8 {
            queue.append_one(payload(serial, 1000)).unwrap();
        }
        let (path, position, _) = places(&vfs)[&5].clone();
        vfs.spoil(&path, position, 1);
        vfs.inject(Fault {
            call: vfs.calls() + 1,
            for_ever: false,
            kind: FaultKind::Error(5),
        });
        let flushed = queue.flush(Flush::Disk);
        if policy == Unreadable::Wait {
            let is_told =
                matches!(&flushed, Err(FlushError::Io(failure)) if failure.path() == path);
            assert!(is_told, "{flushed:?}");
            queue.flush(Flush::Disk).unwrap_err();
            let content = vfs.read_file(&path).unwrap();
            vfs.write_file(&path, content);
            queue.flush(Flush::Disk).unwrap();
            assert_eq!(take_all(&queue, Vec::new()), (1..=8).collect::<Vec<_>>());
        } else {
            let Err(FlushError::Lost { items }) = flushed else {
                panic!("{flushed:?}")
            };
            queue.flush(Flush::Disk).unwrap();
            assert_eq!(take_all(&queue, Vec::new()).len() as u64, 8 - items);
            assert!(!queue.damage().is_empty());
        }
    }
}
