//! What the system must grant: locks between processes, permissions, links, full and read-only disks, limits; and what the queue may cost.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{
    AppendError, Config, Durability, Flush, FlushError, LeaseError, OpenError, PopLimits, Queue,
};

use crate::setup::{Mode, Setup, payload};
use crate::steps::{limited, listen, skip, steps};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_one_process_has_a_directory_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = steps(directory.path(), &["hold"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "open 0\n");
    let result = Queue::open(Config::disk(directory.path()));
    let Err(OpenError::Locked { holder, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(holder, Some(child.id()));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    Queue::open(Config::disk(directory.path())).unwrap();
}

#[test]
fn nobody_else_may_look_into_the_directory_and_its_files() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a").join("b");
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    assert_eq!(
        (mode(&directory), mode(directory.parent().unwrap())),
        (0o700, 0o700)
    );
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path);
    }
    assert_eq!(names.len(), 3, "lock, control and a segment");
}

#[test]
fn no_symbolic_link_is_followed() {
    let parent = tempfile::tempdir().unwrap();
    let real = parent.path().join("real");
    let (queue, _) = Queue::open(Config::disk(&real)).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    queue.close().unwrap();
    let link = parent.path().join("link");
    symlink(&real, &link).unwrap();
    assert!(matches!(
        Queue::open(Config::disk(&link)),
        Err(OpenError::Io(_))
    ));
    for name in ["control", "LOCK"] {
        let moved = parent.path().join(name);
        std::fs::rename(real.join(name), &moved).unwrap();
        symlink(&moved, real.join(name)).unwrap();
        let result = Queue::open(Config::disk(&real));
        assert!(
            matches!(&result, Err(OpenError::Io(failure)) if failure.path().ends_with(name)),
            "{result:?}"
        );
        std::fs::remove_file(real.join(name)).unwrap();
        std::fs::rename(&moved, real.join(name)).unwrap();
    }
    let (queue, _) = Queue::open(Config::disk(&real)).unwrap();
    assert_eq!(queue.count(), 1);
}

#[test]
fn opening_looks_at_segments_and_not_at_items() {
    let calls = |items: usize| {
        let setup = Setup {
            segment_bytes: 100_000,
            ..Setup::small(Mode::Os)
        };
        let vfs = SimVfs::new();
        let (queue, _) = setup.open(&vfs).unwrap();
        for first in (0..items).step_by(100) {
            let some: Vec<Bytes> = (first..first + 100)
                .map(|serial| payload(serial as u64, 50))
                .collect();
            queue.append(&some).unwrap();
        }
        let segments = queue.stats().segments;
        drop(queue);
        let before = vfs.calls();
        let (queue, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(
            (recovery.items, queue.stats().memory_bytes),
            (items as u64, 0)
        );
        (segments, vfs.calls() - before)
    };
    let (few, few_calls) = calls(5_000);
    let (many, many_calls) = calls(50_000);
    assert!(many > few * 8, "{few} and {many} segments");
    let per_segment = (many_calls - few_calls).div_ceil(many - few);
    assert!(per_segment <= 4, "{per_segment} calls for a segment");
}

/// The size of the backlog, in MiB.
fn backlog() -> String {
    std::env::var("REPLAYQ_TEST_BACKLOG_MIB").unwrap_or_else(|_| "48".to_owned())
}

#[test]
fn a_backlog_on_disk_takes_less_than_16_mib_of_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (said, status) = listen(&mut steps(directory.path(), &["backlog", &backlog()]), None);
    assert!(status.success());
    let items: u64 = backlog().parse::<u64>().unwrap() * 16;
    assert_eq!(
        said.lines[..2],
        [format!("open {items}"), format!("read {items}")]
    );
    let kib: u64 = said.lines[2]
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    println!("{} MiB of items took {kib} KiB of memory", backlog());
    assert!(kib < 16 << 10, "{kib} KiB");
}

/// A file system of its own, taken down in the end.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(name: &str, options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        skip(name, "no file system can be mounted");
        None
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", options])
            .arg(self.0.path())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_file_system_of_1_mib_is_filled_and_emptied_and_filled() {
    let Some(mount) = Mount::new(
        "a_file_system_of_1_mib_is_filled_and_emptied_and_filled",
        "size=1m",
    ) else {
        return;
    };
    let config = || {
        Config::disk(mount.0.path().join("queue"))
            .segment_bytes(64 << 10)
            .resident_bytes(0)
    };
    let (queue, _) = Queue::open(config()).unwrap();
    let mut serial = 0;
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..4 {
        loop {
            match queue.append_one(payload(serial, 3000)) {
                Ok(_) => waiting.push_back(serial),
                Err(AppendError::NotAppended(failure)) => {
                    assert_eq!(failure.kind(), std::io::ErrorKind::StorageFull);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
            serial += 1;
        }
        assert!(waiting.len() > 250, "{} items of 3 kB", waiting.len());
        // Most of them: leasing with a tag, acking and deleting work on the full disk.
        while waiting.len() > 20 {
            let lease = queue.pop(PopLimits::items(10)).unwrap().unwrap();
            queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
            for item in &lease.items {
                assert_eq!(item.payload, payload(waiting.pop_front().unwrap(), 3000));
            }
            queue.ack(lease.id).unwrap();
        }
    }
    drop(queue);
    let (queue, recovery) = Queue::open(config()).unwrap();
    assert_eq!(
        (recovery.items, recovery.damage.len()),
        (waiting.len() as u64, 0)
    );
    let left = queue.pop(PopLimits::items(99)).unwrap().unwrap();
    assert!(
        left.items
            .iter()
            .zip(waiting)
            .all(|(item, serial)| item.payload == payload(serial, 3000))
    );
}

#[test]
fn a_full_file_system_takes_as_many_leases_with_tags_as_there_are_slots() {
    const SLOTS: u32 = 24;
    let Some(mount) = Mount::new(
        "a_full_file_system_takes_as_many_leases_with_tags_as_there_are_slots",
        "size=1m",
    ) else {
        return;
    };
    let config = || {
        Config::disk(mount.0.path().join("queue"))
            .segment_bytes(64 << 10)
            .lease_slots(SLOTS)
    };
    let (queue, _) = Queue::open(config()).unwrap();
    // To the last byte: the space of the larger ones that did not fit any more is there for smaller ones.
    for bytes in [3000, 300, 8] {
        while queue.append_one(payload(1, bytes)).is_ok() {}
    }
    let tag = |_| {
        let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap().id;
        queue.tag(lease, Bytes::from_static(b"tag")).map(|()| lease)
    };
    let tagged: Vec<_> = (0..SLOTS).map(|slot| tag(slot).unwrap()).collect();
    let one_more = tag(SLOTS);
    assert!(matches!(one_more, Err(LeaseError::Io(_))), "{one_more:?}");
    queue.ack(tagged[0]).unwrap();
    tag(0).unwrap();
    drop(queue);
    let (_, recovery) = Queue::open(config()).unwrap();
    assert_eq!(recovery.leases.len(), tagged.len());
    assert_eq!(recovery.damage, []);
}

#[test]
fn a_read_only_file_system_is_an_error_with_advice() {
    let Some(mount) = Mount::new("a_read_only_file_system_is_an_error_with_advice", "size=1m")
    else {
        return;
    };
    let directory = mount.0.path().join("queue");
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    queue.close().unwrap();
    drop(queue);
    mount.remount("remount,ro");
    let error = Queue::open(Config::disk(&directory)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("remount the file system writable"),
        "{error}"
    );
    mount.remount("remount,rw");
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    assert_eq!(queue.count(), 1);
}

#[test]
fn a_process_without_file_descriptors_loses_nothing_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    let mut worked = 0;
    for limit in 3..14 {
        let path = directory.path().join(limit.to_string());
        let (said, status) = listen(
            limited(&format!("ulimit -n {limit}"), &path, &["run", "10"]).stderr(Stdio::null()),
            None,
        );
        assert!(
            matches!(status.code(), Some(0 | 1 | 126 | 127)),
            "{limit} descriptors: {status:?}"
        );
        worked += usize::from(status.success());
        said.check(&path);
    }
    assert!(worked > 3, "a few descriptors are enough");
}

#[test]
fn a_process_with_a_limit_of_file_sizes_loses_nothing_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    for blocks in [8, 64, 121, 128] {
        let path = directory.path().join(blocks.to_string());
        // Without the handler the signal would end the process, as it would any.
        let limits = format!("trap '' XFSZ; ulimit -f {blocks}");
        let (said, status) = listen(
            limited(&limits, &path, &["run", "10"]).stderr(Stdio::null()),
            None,
        );
        assert!(
            matches!(status.code(), Some(0 | 1)),
            "{blocks} blocks: {status:?}"
        );
        said.check(&path);
    }
}

#[test]
fn a_backlog_of_more_segments_than_there_are_descriptors_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(Config::disk(directory.path()).segment_bytes(4096)).unwrap();
    for serial in 0..60 {
        queue.append_one(payload(serial, 700)).unwrap();
    }
    queue.close().unwrap();
    drop(queue);
    let (said, status) = listen(
        &mut limited("ulimit -n 20", directory.path(), &["hold"]),
        None,
    );
    assert!(status.success(), "{status:?}");
    assert_eq!(said.lines, ["open 60"]);
}

/// Its files can be written as before, and all of it is gone when they are closed.
#[test]
fn a_directory_that_is_removed_under_an_open_queue_is_no_place_where_anything_is_durable() {
    for is_synced in [false, true] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("queue");
        let durability = if is_synced {
            Durability::Fsync {
                max_delay: Duration::ZERO,
            }
        } else {
            Durability::Os
        };
        let config = || Config::disk(&directory).durability(durability);
        let (queue, _) = Queue::open(config()).unwrap();
        queue.append_one(payload(1, 100)).unwrap();
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let appended = queue.append_one(payload(2, 100));
        assert_eq!(appended.is_err(), is_synced, "{appended:?}");
        let flushed = [queue.flush(Flush::Os), queue.flush(Flush::Disk)];
        for result in flushed.into_iter().chain([queue.close()]) {
            let Err(FlushError::Io(failure)) = result else {
                panic!("{result:?}")
            };
            assert!(
                failure.to_string().contains("somebody removed"),
                "{failure}"
            );
        }
        // What is in memory goes on as long as this lives.
        assert_eq!(queue.read_lease(lease.id).unwrap().items, lease.items);
        queue.close_and_purge().unwrap();
        let (queue, recovery) = Queue::open(config()).unwrap();
        assert_eq!(recovery.items, 0);
        queue.close_and_purge().unwrap();
        assert!(!directory.exists());
    }
}
