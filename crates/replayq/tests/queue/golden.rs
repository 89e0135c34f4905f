//! Directories as each version of the format was written: they open for ever, and the newest is what is written today.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Config, Depth, Inspector, ItemId, PopLimits, Queue};

use crate::damage::Sample;
use crate::setup::payload;

/// The version that is written today.
const NEWEST: u16 = 3;

fn golden(version: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/queue/golden/{version}"))
}

/// With `REPLAYQ_WRITE_GOLDEN` set, writes them: for a new version of the format, never for an old one.
#[test]
fn the_golden_directory_of_the_newest_version_is_what_is_written_today() {
    let sample = Sample::new();
    let directory = golden(NEWEST);
    for file in sample.queue_files() {
        let content = sample.vfs.read_file(&file).unwrap();
        let path = directory.join(file.file_name().unwrap());
        if std::env::var_os("REPLAYQ_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(&path, &content).unwrap();
        }
        let kept = std::fs::read(&path).unwrap();
        assert!(
            kept == content,
            "{} is written differently now",
            path.display()
        );
    }
}

/// A copy that may be changed.
fn copy(version: u16) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(version)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    directory
}

#[test]
fn the_golden_directory_of_every_version_opens_with_all_that_is_in_it() {
    for version in 1..=NEWEST {
        opens_with_all_that_is_in_it(copy(version).path());
    }
}

fn opens_with_all_that_is_in_it(directory: &Path) {
    let (queue, recovery) = Queue::open(Config::disk(directory)).unwrap();
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(recovery.commit_tag, Bytes::from_static(b"commit"));
    let leases: Vec<(u64, u64, &[u8])> = recovery
        .leases
        .iter()
        .map(|lease| (lease.items.first.0, lease.items.last.0, &lease.tag[..]))
        .collect();
    assert_eq!(leases, [(1, 2, &b"in a slot"[..]), (4, 9, b"in a segment")]);
    let lease = queue.read_lease(recovery.leases[0].id).unwrap();
    assert_eq!(lease.items[1].payload, payload(2, 80));
    let waiting = queue.pop(PopLimits::items(9)).unwrap().unwrap().items;
    assert_eq!(
        waiting.iter().map(|item| item.id).collect::<Vec<_>>(),
        [ItemId(10), ItemId(11), ItemId(12)]
    );
    assert_eq!(waiting[2].payload, payload(12, 80));
}

/// It was written by a program that knows of no slots but zeros for empty ones, and stays readable to it.
#[test]
fn a_directory_of_version_1_stays_one_while_leases_come_and_go_in_it() {
    let directory = copy(1);
    for _ in 0..3 {
        // As many slots as it has: for more it would be written anew.
        let config = Config::disk(directory.path()).lease_slots(8);
        let (queue, recovery) = Queue::open(config).unwrap();
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        let first = recovery.leases[0].id;
        queue.release(first).unwrap();
        let again = queue.pop(PopLimits::items(2)).unwrap().unwrap();
        queue
            .tag(again.id, Bytes::from_static(b"in a slot"))
            .unwrap();
        queue.close().unwrap();
        let inspection = Inspector::new()
            .inspect(directory.path(), Depth::EveryByte)
            .unwrap();
        assert_eq!(
            (inspection.format_version, inspection.is_clean()),
            (1, true)
        );
    }
    opens_with_all_that_is_in_it(directory.path());
}

/// The version of a segment file, from its header.
fn segment_version(file: &Path) -> u16 {
    let head = std::fs::read(file).unwrap();
    u16::from_le_bytes([head[8], head[9]])
}

/// A program that knows no newer entries must never find one where it expects its own.
#[test]
fn a_segment_of_an_older_version_gets_no_newer_entries() {
    for version in 1..NEWEST {
        let directory = copy(version);
        let segments = || {
            let files = std::fs::read_dir(directory.path()).unwrap();
            let mut segments: Vec<PathBuf> = files
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|end| end == "segment"))
                .collect();
            segments.sort();
            segments
        };
        let old = segments();
        let config = || Config::disk(directory.path()).spare_segments(0);
        let (queue, _) = Queue::open(config()).unwrap();
        queue.append_one(payload(13, 80)).unwrap();
        queue.close().unwrap();
        let (new, kept): (Vec<PathBuf>, Vec<PathBuf>) = segments()
            .into_iter()
            .partition(|segment| !old.contains(segment));
        assert_eq!((new.len(), kept.len()), (1, old.len()));
        assert_eq!(segment_version(&new[0]), 2);
        assert!(kept.iter().all(|segment| segment_version(segment) == 1));
        let (queue, recovery) = Queue::open(config()).unwrap();
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        let waiting = queue.pop(PopLimits::items(9)).unwrap().unwrap().items;
        assert_eq!(waiting[3].payload, payload(13, 80));
    }
}

#[test]
fn the_simulation_is_the_same_each_time() {
    let files = |sample: &Sample| -> Vec<Option<Vec<u8>>> {
        let vfs: &SimVfs = &sample.vfs;
        vfs.files().iter().map(|file| vfs.read_file(file)).collect()
    };
    assert!(files(&Sample::new()) == files(&Sample::new()));
}
