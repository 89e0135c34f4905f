//! Directories as each version of the format was written: the newest is what is written today, and
//! those that were never released are refused untouched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Config, Depth, Inspector, ItemId, OpenError, PopLimits, Queue, Storage};

use crate::damage::Sample;
use crate::setup::payload;

/// The version that is written today.
const NEWEST: u16 = 4;

fn golden(version: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/queue/golden/{version}"))
}

/// With `REPLAYQ_WRITE_GOLDEN` set, writes them: for a new version of the format, never for an old
/// one.
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
fn the_golden_directory_of_the_newest_version_opens_with_all_that_is_in_it() {
    opens_with_all_that_is_in_it(copy(NEWEST).path());
}

/// Names and contents of all files.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_version_that_was_never_released_or_is_newer_is_refused_in_every_mode_and_left_untouched() {
    let mut directories: Vec<_> = (1..NEWEST)
        .map(|version| (version, copy(version)))
        .collect();
    let newer = copy(NEWEST);
    let control = newer.path().join("control");
    let mut content = std::fs::read(&control).unwrap();
    content[8] = 9;
    let sum = crc32c::crc32c(&content[..36]).to_le_bytes();
    content[36..40].copy_from_slice(&sum);
    std::fs::write(&control, content).unwrap();
    directories.push((9, newer));
    for (version, directory) in directories {
        for is_without_control in [false, true] {
            let control = directory.path().join("control");
            if is_without_control && version == 9 {
                continue;
            }
            if is_without_control {
                // The segments say it too, with a number of their own.
                std::fs::remove_file(&control).unwrap();
            }
            let before = contents(directory.path());
            for storage in [Storage::Disk, Storage::Offload, Storage::OffloadVolatile] {
                let refused = Queue::open(Config::new(storage(directory.path().to_owned())));
                match refused.map(|_| ()).unwrap_err() {
                    OpenError::OlderFormat { .. } if version < NEWEST => {}
                    OpenError::NewerFormat { found: 9, .. } if version == 9 => {}
                    other => panic!("version {version}: {other}"),
                }
                assert!(contents(directory.path()) == before, "version {version}");
            }
            Inspector::new()
                .inspect(directory.path(), Depth::EveryByte)
                .unwrap_err();
            replayq::repair(directory.path()).unwrap_err();
            assert!(contents(directory.path()) == before, "version {version}");
        }
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
    let accepted = waiting[2].accepted_at().unwrap();
    let since = accepted.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_700_000_000);
}

#[test]
fn the_simulation_is_the_same_each_time() {
    let files = |sample: &Sample| -> Vec<Option<Vec<u8>>> {
        let vfs: &SimVfs = &sample.vfs;
        vfs.files().iter().map(|file| vfs.read_file(file)).collect()
    };
    assert!(files(&Sample::new()) == files(&Sample::new()));
}
