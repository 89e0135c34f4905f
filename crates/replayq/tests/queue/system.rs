//! What the system must grant: locks between processes, permissions, links, full and read-only
//! disks, limits; and what the queue may cost.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{
    AppendError, Config, Depth, Durability, Flush, FlushError, Inspector, LeaseError, OpenError,
    PopLimits, Queue,
};

use crate::namespace::{is_inside, mount, remount};
use crate::setup::{Mode, Setup, payload};
use crate::steps::{Said, limited, listen, steps};

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
    assert_eq!(names.len(), 2, "control and a segment");
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
    for end in ["", "/", "/.", "//./"] {
        let mut path = link.clone().into_os_string();
        path.push(end);
        let opened = Queue::open(Config::disk(path));
        assert!(matches!(opened, Err(OpenError::Io(_))), "{end}: {opened:?}");
    }
    for name in [
        "control",
        "00000000000000000001-00000000000000000001.segment",
    ] {
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

/// A pipe in the place of a file would be waited for until somebody writes into it, and a directory
/// be read without end.
#[test]
fn what_has_the_name_of_a_file_and_is_none_is_refused_and_left_alone() {
    let room = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(Config::disk(room.path())).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    queue.close().unwrap();
    for name in [
        "control",
        "00000000000000000001-00000000000000000001.segment",
    ] {
        let (path, moved) = (room.path().join(name), room.path().join("moved"));
        std::fs::rename(&path, &moved).unwrap();
        for is_pipe in [true, false] {
            if is_pipe {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            } else {
                std::fs::create_dir(&path).unwrap();
            }
            let opened = Queue::open(Config::disk(room.path())).unwrap_err();
            let repaired = replayq::repair(room.path()).unwrap_err();
            let mut told = vec![opened.to_string(), repaired.to_string()];
            if name == "control" {
                let looked = Inspector::new().inspect(room.path(), Depth::EveryByte);
                told.push(looked.unwrap_err().to_string());
            }
            for error in told {
                assert!(error.contains(name), "{error}");
                assert!(error.contains("something else has the name"), "{error}");
            }
            if is_pipe {
                std::fs::remove_file(&path).unwrap();
            } else {
                std::fs::remove_dir(&path).unwrap();
            }
        }
        std::fs::rename(&moved, &path).unwrap();
    }
    let (queue, recovery) = Queue::open(Config::disk(room.path())).unwrap();
    assert_eq!((queue.count(), recovery.damage), (1, vec![]));
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
    assert!(many > few * 6, "{few} and {many} segments");
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

#[test]
fn a_file_system_of_1_mib_is_filled_and_emptied_and_filled() {
    if !is_inside("system::a_file_system_of_1_mib_is_filled_and_emptied_and_filled") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    mount("1m", directory.path());
    let config = || {
        Config::disk(directory.path().join("queue"))
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
    if !is_inside("system::a_full_file_system_takes_as_many_leases_with_tags_as_there_are_slots") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    mount("1m", directory.path());
    let config = || {
        Config::disk(directory.path().join("queue"))
            .segment_bytes(64 << 10)
            .lease_slots(SLOTS)
    };
    let (queue, _) = Queue::open(config()).unwrap();
    // To the last byte: the space of the larger ones that did not fit any more is there for smaller
    // ones.
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
    if !is_inside("system::a_read_only_file_system_is_an_error_with_advice") {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    mount("1m", room.path());
    let directory = room.path().join("queue");
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    queue.close().unwrap();
    drop(queue);
    remount("ro", room.path());
    for directory in [&directory, &room.path().join("another")] {
        let error = Queue::open(Config::disk(directory)).unwrap_err();
        let advice = "remount the file system writable";
        assert!(error.to_string().contains(advice), "{error}");
    }
    remount("rw", room.path());
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    assert_eq!(queue.count(), 1);
}

/// Somebody whom permissions stop: this process, or if it is root a child that is not.
#[test]
fn a_directory_that_may_not_be_written_is_an_error_with_advice_and_stays_as_it_is() {
    const NOBODY: u32 = 65_534;
    let room = tempfile::tempdir().unwrap();
    std::fs::set_permissions(room.path(), Permissions::from_mode(0o755)).unwrap();
    let directory = room.path().join("queue");
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    queue.close().unwrap();
    drop(queue);
    // Where anybody may run it.
    let program = room.path().join("steps");
    std::fs::copy(crate::steps::program(), &program).unwrap();
    let files = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&directory).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let is_root = std::fs::metadata(room.path()).unwrap().uid() == 0;
    if is_root {
        for path in files().iter().chain([&directory]) {
            chown(path, Some(NOBODY), None).unwrap();
        }
    }
    let content = || -> Vec<Vec<u8>> {
        let files = files().into_iter();
        files.map(|file| std::fs::read(file).unwrap()).collect()
    };
    let before = content();
    for file in files() {
        std::fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap();
    }
    std::fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    for path in [&directory, &directory.join("below")] {
        let mut command = Command::new(&program);
        command.arg(path).args(["run", "1"]).current_dir("/");
        if is_root {
            command.uid(NOBODY);
        }
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        for what in ["Permission denied", "give the user of this process access"] {
            assert!(said.contains(what), "{said}");
        }
    }
    assert_eq!(content(), before);
}

#[test]
fn a_process_without_file_descriptors_loses_nothing_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    let (mut worked, mut refused) = (0, 0);
    for limit in 3..14 {
        let path = directory.path().join(limit.to_string());
        let (said, status) = listen(
            limited(&format!("ulimit -n {limit}"), &path, &["run", "10"]).stderr(Stdio::null()),
            None,
        );
        // With the last two not even the program can be loaded.
        assert!(
            matches!(status.code(), Some(0 | 1 | 126 | 127)),
            "{limit} descriptors: {status:?}"
        );
        worked += usize::from(status.success() && said.refused == 0);
        refused += said.refused;
        said.check(&path);
    }
    assert!(refused > 0, "no append met the limit");
    assert!(worked > 3, "a few descriptors are enough");
}

/// Without a handler the signal would end the process, as it would any.
fn with_file_sizes_of(blocks: u32, directory: &Path) -> (Said, ExitStatus, String) {
    let limits = format!("trap '' XFSZ; ulimit -f {blocks}");
    let errors = directory.with_extension("errors");
    let mut command = limited(&limits, directory, &["run", "200"]);
    command
        .env("STEPS_SEGMENT_BYTES", "1000000")
        .stderr(std::fs::File::create(&errors).unwrap());
    let (said, status) = listen(&mut command, None);
    (said, status, std::fs::read_to_string(errors).unwrap())
}

#[test]
fn a_process_with_a_limit_of_file_sizes_loses_nothing_it_answered() {
    const ADVICE: &str = "raise the limit of file sizes (ulimit -f)";
    let directory = tempfile::tempdir().unwrap();
    // Blocks are of 512 or 1024 bytes. No control file fits in so few.
    for blocks in [8, 56] {
        let path = directory.path().join(blocks.to_string());
        let (_, status, errors) = with_file_sizes_of(blocks, &path);
        assert_eq!(status.code(), Some(1), "{blocks} blocks: {errors}");
        assert!(errors.contains(ADVICE), "{blocks} blocks: {errors}");
    }
    // It does, and after a while the segment ends.
    for blocks in [200, 300] {
        let path = directory.path().join(blocks.to_string());
        let (said, status, errors) = with_file_sizes_of(blocks, &path);
        assert_eq!(status.code(), Some(0), "{blocks} blocks: {errors}");
        let refused = said.lines.iter().find(|line| line.starts_with("refused"));
        assert!(refused.unwrap().contains(ADVICE), "{refused:?}");
        assert!(said.counts().0 > 10, "{blocks} blocks: {said:?}");
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
            assert!(failure.to_string().contains("it was removed"), "{failure}");
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

/// Where a program, or a file system that was repaired, has made a file longer than the disk. Read
/// byte by byte it would take days.
#[test]
fn a_hole_of_gigabytes_behind_the_items_is_passed_at_once() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let open = || Queue::open(Config::disk(&directory));
    let (queue, _) = open().unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    drop(queue);
    let segment = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "segment"))
        .unwrap();
    let file = std::fs::File::options().write(true).open(segment).unwrap();
    file.set_len(64 << 30).unwrap();
    // Something that is no entry, in the middle of nothing.
    std::os::unix::fs::FileExt::write_all_at(&file, b"garbage", 32 << 30).unwrap();
    let inspection = Inspector::new().inspect(&directory, Depth::EveryByte);
    assert_eq!(inspection.unwrap().open_items, 1);
    let (queue, recovery) = open().unwrap();
    assert_eq!((recovery.items, recovery.damage.len()), (1, 0));
    queue.append_one(payload(2, 100)).unwrap();
    let items = queue.pop(PopLimits::default()).unwrap().unwrap().items;
    assert_eq!(items[1].payload, payload(2, 100));
    assert!(file.metadata().unwrap().len() < 1 << 20, "it was cut");
}
