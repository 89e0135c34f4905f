//! A directory that others change: moved, replaced, removed, copied, with files of theirs in it or
//! with files of the queue under wrong names.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use replayq::{
    AckError, AppendError, Config, Damage, Durability, Flush, FlushError, ItemId, LeaseError,
    OpenError, PopLimits, Queue, Recovery, Storage,
};

use crate::setup::payload;

fn config(directory: &Path) -> Config {
    Config::disk(directory)
        .segment_bytes(4096 + 10 * 128)
        .spare_segments(1)
}

/// A queue with some segments of ten items.
fn filled(directory: &Path, items: u64) -> Queue {
    let (queue, _) = Queue::open(config(directory)).unwrap();
    for serial in 1..=items {
        queue.append_one(payload(serial, 104)).unwrap();
    }
    queue
}

/// Names and contents of all files.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let files = contents(directory).into_keys();
    files
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect()
}

/// The serials of all items, which are intact and in order.
fn drain(queue: &Queue) -> Vec<u64> {
    let mut serials = Vec::new();
    while let Some(lease) = queue.pop(PopLimits::items(7)).unwrap() {
        for item in &lease.items {
            let serial = crate::setup::serial(&item.payload);
            assert_eq!(item.payload, payload(serial, 104));
            serials.push(serial);
        }
        queue.ack(lease.id).unwrap();
    }
    assert!(serials.is_sorted());
    serials
}

fn reopen(directory: &Path) -> (Queue, Recovery) {
    Queue::open(config(directory)).unwrap()
}

/// Calls of every kind that touch the directory notice that it is not where it was.
fn notices(queue: &Queue) {
    // The directory is looked for at every 64th call.
    let is_refused = |append: Result<ItemId, AppendError>| matches!(append, Err(AppendError::NotAppended(failure)) if failure.kind() == std::io::ErrorKind::NotFound);
    let refused = (0..80).map(|_| is_refused(queue.append_one(payload(1, 104))));
    let refused: Vec<bool> = refused.collect();
    // Once that was noticed, nothing is taken any more.
    assert!(
        refused[64..].iter().all(|is_refused| *is_refused),
        "{refused:?}"
    );
    let acked = (0..65).map(|_| queue.set_commit_tag(Bytes::from_static(b"tag")));
    let refused: Vec<AckError> = acked.filter_map(Result::err).collect();
    assert!(matches!(refused[..], [AckError::NotDurable(_), ..]));
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let tagged = (0..65).map(|_| queue.tag(lease.id, Bytes::from_static(b"tag")));
    let refused: Vec<LeaseError> = tagged.filter_map(Result::err).collect();
    assert!(matches!(refused[..], [LeaseError::Io(_), ..]));
    for level in [Flush::Os, Flush::Disk] {
        let flushed = queue.flush(level);
        assert!(matches!(flushed, Err(FlushError::Io(_))), "{flushed:?}");
    }
    assert!(matches!(queue.close(), Err(FlushError::Io(_))));
}

#[test]
fn a_directory_that_was_moved_away_is_noticed_and_the_one_in_its_place_is_not_touched() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let old = filled(&directory, 35);
    fs::rename(&directory, room.path().join("queue.old")).unwrap();
    let new = filled(&directory, 25);
    new.close().unwrap();
    let before = contents(&directory);
    assert_eq!(drain(&old), (1..=35).collect::<Vec<_>>());
    for serial in 1..=5 {
        old.append_one(payload(serial, 104)).unwrap();
    }
    notices(&old);
    assert!(contents(&directory) == before);
    drop(old);
    assert_eq!(drain(&reopen(&directory).0), (1..=25).collect::<Vec<_>>());
}

/// Beside a sync a look costs nothing: no item is answered as durable where it is lost.
#[test]
fn at_level_fsync_the_next_append_and_ack_notice_that_the_directory_is_gone() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let durability = Durability::Fsync {
        max_delay: Duration::ZERO,
    };
    let (queue, _) = Queue::open(config(&directory).durability(durability)).unwrap();
    for serial in 1..=3 {
        queue.append_one(payload(serial, 104)).unwrap();
    }
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let moved = room.path().join("queue.old");
    fs::rename(&directory, &moved).unwrap();
    let appended = queue.append_one(payload(4, 104));
    assert!(
        matches!(appended, Err(AppendError::NotAppended(_))),
        "{appended:?}"
    );
    assert!(queue.ack(lease.id).is_err());
    fs::rename(&moved, &directory).unwrap();
    queue.append_one(payload(4, 104)).unwrap();
}

#[test]
fn a_directory_that_was_removed_is_noticed() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let queue = filled(&directory, 3);
    fs::remove_dir_all(&directory).unwrap();
    notices(&queue);
    queue.close_and_purge().unwrap();
    assert!(!directory.exists());
}

#[test]
fn a_queue_that_was_closed_does_not_purge_the_one_in_its_place() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let old = filled(&directory, 3);
    old.close().unwrap();
    fs::rename(&directory, room.path().join("queue.old")).unwrap();
    drop(filled(&directory, 5));
    let before = contents(&directory);
    let purged = old.close_and_purge();
    assert!(
        matches!(purged, Err(FlushError::OpenedElsewhere { .. })),
        "{purged:?}"
    );
    assert!(contents(&directory) == before);
}

#[test]
fn no_file_can_be_removed_to_get_around_the_lock() {
    let room = tempfile::tempdir().unwrap();
    let queue = filled(room.path(), 3);
    let names = contents(room.path());
    for path in names.keys().filter(|path| !path.ends_with("control")) {
        let moved = room.path().join("moved");
        fs::rename(path, &moved).unwrap();
        let second = Queue::open(config(room.path()));
        assert!(
            matches!(&second, Err(OpenError::Locked { holder: Some(process), .. }) if *process == std::process::id()),
            "{second:?}"
        );
        fs::rename(&moved, path).unwrap();
    }
    drop(queue);
    assert_eq!(drain(&reopen(room.path()).0), [1, 2, 3]);
}

/// As earlier versions had one: nobody's file is emptied because of its name.
#[test]
fn a_file_called_lock_is_left_alone() {
    let room = tempfile::tempdir().unwrap();
    let precious = room.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let directory = room.path().join("queue");
    fs::create_dir(&directory).unwrap();
    fs::hard_link(&precious, directory.join("LOCK")).unwrap();
    filled(&directory, 3).close_and_purge().unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(directory.join("LOCK").exists());
}

#[test]
fn segments_whose_names_were_swapped_get_them_back() {
    let room = tempfile::tempdir().unwrap();
    filled(room.path(), 45).close().unwrap();
    let names = segments(room.path());
    assert_eq!(names.len(), 5);
    for (one, other) in [(0, 1), (1, 3), (0, 4)] {
        let spare = room.path().join("spare");
        fs::rename(&names[one], &spare).unwrap();
        fs::rename(&names[other], &names[one]).unwrap();
        fs::rename(&spare, &names[other]).unwrap();
        let (queue, recovery) = reopen(room.path());
        let misnamed = recovery.damage.iter();
        let misnamed = misnamed.filter(|damage| matches!(damage, Damage::Misnamed { .. }));
        assert_eq!(misnamed.count(), 2, "{recovery:?}");
        assert_eq!((recovery.items, recovery.damage.len()), (45, 2));
        queue.close().unwrap();
        assert_eq!(segments(room.path()), names);
    }
    assert_eq!(drain(&reopen(room.path()).0), (1..=45).collect::<Vec<_>>());
}

#[test]
fn a_copy_of_a_segment_under_another_name_is_put_aside_and_hides_nothing() {
    for repairs in [false, true] {
        let room = tempfile::tempdir().unwrap();
        filled(room.path(), 45).close().unwrap();
        let names = segments(room.path());
        // Named like an id inside of another segment.
        let copy = room
            .path()
            .join("00000000000000000015-00000000000000000002.segment");
        fs::copy(&names[2], &copy).unwrap();
        let content = fs::read(&copy).unwrap();
        if repairs {
            let repair = replayq::repair(room.path()).unwrap();
            assert!(repair.after.is_clean(), "{repair:?}");
        }
        let (queue, _) = reopen(room.path());
        assert_eq!(drain(&queue), (1..=45).collect::<Vec<_>>());
        queue.close().unwrap();
        let kept = contents(room.path());
        let kept = kept
            .iter()
            .find(|(path, _)| path.extension().is_some_and(|end| end == "misnamed"));
        assert!(kept.unwrap().1 == &content);
    }
}

#[test]
fn names_near_the_end_of_all_numbers_harm_nothing() {
    let most = u64::MAX;
    let forged = [
        (most, 1, Vec::new()),
        (most - 1, most, vec![0; 5000]),
        (most, most, vec![0xab; 9000]),
        (1 << 63, 1 << 62, vec![7; 100]),
        (15, most, vec![0x5a; 6000]),
        (3, most >> 30, vec![0xd1; 6000]),
    ];
    for repairs in [false, true] {
        let room = tempfile::tempdir().unwrap();
        filled(room.path(), 45).close().unwrap();
        for (first, generation, content) in &forged {
            let name = format!("{first:020}-{generation:020}.segment");
            fs::write(room.path().join(name), content).unwrap();
        }
        if repairs {
            replayq::repair(room.path()).unwrap();
        }
        let (queue, recovery) = reopen(room.path());
        assert_eq!(recovery.items, 45, "{recovery:?}");
        let id = queue.append_one(payload(46, 104)).unwrap();
        assert!(id < ItemId(1 << 34), "{id}");
        assert_eq!(drain(&queue), (1..=46).collect::<Vec<_>>());
        queue.close().unwrap();
        let (queue, recovery) = reopen(room.path());
        assert_eq!(
            (recovery.items, recovery.damage.len()),
            (0, 0),
            "{recovery:?}"
        );
        queue.append_one(payload(47, 104)).unwrap();
        assert_eq!(drain(&queue), [47]);
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (path, content) in contents(from) {
        fs::write(to.join(path.file_name().unwrap()), content).unwrap();
    }
}

#[test]
fn segments_that_a_copy_of_the_directory_made_are_not_taken_for_the_originals() {
    let room = tempfile::tempdir().unwrap();
    let (original, copy) = (room.path().join("original"), room.path().join("copy"));
    filled(&original, 25).close().unwrap();
    copy_directory(&original, &copy);
    for is_killed in [false, true] {
        // The copy is a queue like any other.
        let (queue, recovery) = reopen(&copy);
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        for serial in 1001..=1030 {
            queue.append_one(payload(serial, 104)).unwrap();
        }
        if !is_killed {
            queue.close().unwrap();
        }
        drop(queue);
    }
    let (queue, _) = reopen(&original);
    for serial in 26..=45 {
        queue.append_one(payload(serial, 104)).unwrap();
    }
    queue.close().unwrap();
    let own = segments(&original);
    let mut foreign = 0;
    for (path, content) in contents(&copy) {
        let there = original.join(path.file_name().unwrap());
        if path.extension().is_some_and(|end| end == "segment") && !there.exists() {
            fs::write(there, content).unwrap();
            foreign += 1;
        }
    }
    assert!(foreign > 3);
    let inspection = replayq::Inspector::new()
        .inspect(&original, replayq::Depth::EveryByte)
        .unwrap();
    assert_eq!(
        (inspection.open_items, inspection.damage.len()),
        (45, foreign)
    );
    let (queue, recovery) = reopen(&original);
    let named = recovery.damage.iter();
    let named = named.filter(|damage| matches!(damage, Damage::Foreign { .. }));
    assert_eq!((named.count(), recovery.damage.len()), (foreign, foreign));
    assert_eq!(segments(&original), own);
    assert_eq!(drain(&queue), (1..=45).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_is_a_link_or_a_directory_is_named_and_nothing_is_given_up() {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    filled(&directory, 45).close().unwrap();
    let name = segments(&directory).remove(1);
    let moved = room.path().join("moved");
    fs::rename(&name, &moved).unwrap();
    for is_link in [true, false] {
        if is_link {
            symlink(&moved, &name).unwrap();
        } else {
            fs::create_dir(&name).unwrap();
        }
        let before = contents(&directory);
        let error = Queue::open(config(&directory)).unwrap_err().to_string();
        assert!(error.contains(name.to_str().unwrap()), "{error}");
        assert!(error.contains("something else has the name"), "{error}");
        let inspection = replayq::Inspector::new()
            .inspect(&directory, replayq::Depth::EveryByte)
            .unwrap();
        let file = name.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(inspection.damage.contains(&Damage::NoFile { file }));
        assert!(replayq::repair(&directory).is_err());
        assert!(contents(&directory) == before);
        if is_link {
            fs::remove_file(&name).unwrap();
        } else {
            fs::remove_dir(&name).unwrap();
        }
    }
    fs::rename(&moved, &name).unwrap();
    assert_eq!(drain(&reopen(&directory).0), (1..=45).collect::<Vec<_>>());
}

#[test]
fn files_of_others_and_what_was_put_aside_survive_a_purge() {
    let room = tempfile::tempdir().unwrap();
    let (directory, other) = (room.path().join("queue"), room.path().join("other"));
    let queue = filled(&directory, 15);
    filled(&other, 5).close().unwrap();
    let segment = segments(&directory).remove(0);
    let segment = segment.file_name().unwrap().to_str().unwrap();
    let strangers = [
        "1-1.segment.bak".to_owned(),
        format!("{segment}.bak"),
        format!("{segment}.foreign"),
        format!("{segment}.damaged"),
        "control.new.saved".to_owned(),
        "control.foreign".to_owned(),
        "control.damaged.1".to_owned(),
        "segment.new.saved".to_owned(),
        "notes.txt".to_owned(),
    ];
    for name in &strangers {
        fs::write(directory.join(name), "precious").unwrap();
    }
    // Of another queue, under a name that this one might give.
    let foreign = directory.join("00000000000000000900-00000000000000000009.segment");
    fs::copy(&segments(&other)[0], &foreign).unwrap();
    queue.close_and_purge().unwrap();
    let mut left: Vec<_> = contents(&directory).into_keys().collect();
    left.sort();
    let mut expected: Vec<_> = strangers.iter().map(|name| directory.join(name)).collect();
    expected.push(foreign);
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn a_control_file_that_is_a_strangers_or_damaged_is_kept_aside() {
    let room = tempfile::tempdir().unwrap();
    filled(room.path(), 15).close().unwrap();
    let control = room.path().join("control");
    let sound = fs::read(&control).unwrap();
    let mut damaged = sound;
    damaged[20] ^= 1;
    for (content, suffix) in [(b"precious".to_vec(), "foreign"), (damaged, "damaged")] {
        fs::write(&control, &content).unwrap();
        let (queue, recovery) = reopen(room.path());
        assert!(recovery.damage.contains(&Damage::Control));
        assert_eq!(recovery.items, 15);
        queue.close().unwrap();
        let kept = room.path().join(format!("control.{suffix}"));
        assert!(fs::read(kept).unwrap() == content);
        let (queue, recovery) = reopen(room.path());
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        queue.close().unwrap();
    }
}

/// Where nothing is to survive, all files of the queue go at the next open: only the queue's.
#[test]
fn a_strangers_control_file_is_kept_aside_also_where_nothing_else_survives() {
    let room = tempfile::tempdir().unwrap();
    let control = room.path().join("control");
    fs::write(&control, b"precious").unwrap();
    let storage = Storage::OffloadVolatile(room.path().into());
    for _ in 0..2 {
        let (queue, recovery) = Queue::open(Config::new(storage.clone())).unwrap();
        assert_eq!(recovery.items, 0);
        drop(queue);
        let kept = fs::read(room.path().join("control.foreign")).unwrap();
        assert_eq!(kept, b"precious");
        assert!(!room.path().join("control.foreign.1").exists());
    }
}
