//! Directories as each version of the format was written: they open for ever, and the newest is what is written today.

use std::path::PathBuf;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Config, ItemId, PopLimits, Queue};

use crate::damage::Sample;
use crate::setup::payload;

fn golden(version: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/queue/golden/{version}"))
}

/// With `REPLAYQ_WRITE_GOLDEN` set, writes them: for a new version of the format, never for an old one.
#[test]
fn the_golden_directory_of_the_newest_version_is_what_is_written_today() {
    let sample = Sample::new();
    let directory = golden(1);
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

#[test]
fn the_golden_directory_of_version_1_opens_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(1)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    let (queue, recovery) = Queue::open(Config::disk(directory.path())).unwrap();
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

#[test]
fn the_simulation_is_the_same_each_time() {
    let files = |sample: &Sample| -> Vec<Option<Vec<u8>>> {
        let vfs: &SimVfs = &sample.vfs;
        vfs.files().iter().map(|file| vfs.read_file(file)).collect()
    };
    assert!(files(&Sample::new()) == files(&Sample::new()));
}
