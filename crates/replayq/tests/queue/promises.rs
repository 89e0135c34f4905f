//! The seven promises, by their numbers: of each the plainest case that shows it. The other modules
//! ask the same of every operation, crash, fault and damaged bit; which of them asks what is said
//! at each.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use replayq::vfs::sim::{Change, Fate, Fault, FaultKind, SimVfs};
use replayq::{
    AckError, AppendError, Config, Damage, Depth, Flush, Inspector, ItemId, ItemRange, OpenError,
    PopLimits, Queue, Recovery,
};

use crate::setup::{DIRECTORY, End, Mode, Setup, payload};
use crate::steps::{limited, listen};

/// All that is in a queue: what waits, in order, and before that what the leases of its earlier
/// life hold. Nothing is there twice.
fn drain(queue: &Queue, recovery: &Recovery) -> BTreeMap<u64, Bytes> {
    let mut found = BTreeMap::new();
    for lease in &recovery.leases {
        for item in queue.read_lease(lease.id).unwrap().items {
            assert_eq!(found.insert(item.id.0, item.payload), None, "{}", item.id);
        }
    }
    let mut last = ItemId(0);
    while let Some(lease) = queue.pop(PopLimits::items(3)).unwrap() {
        for item in lease.items {
            assert!(item.id > last, "{} after {last}", item.id);
            last = item.id;
            assert_eq!(found.insert(item.id.0, item.payload), None, "{}", item.id);
        }
    }
    found
}

fn end(queue: Queue, vfs: &SimVfs, end: End) -> SimVfs {
    match end {
        End::Close => queue.close().unwrap(),
        End::Kill => return vfs.after_kill(),
        End::PowerLoss => {
            // Acks are as durable as everything else behind a flush only.
            queue.flush(Flush::Disk).unwrap();
            return vfs.after_power_loss(0, |_, _| Fate::Lost);
        }
    }
    vfs.clone()
}

/// Also by `model` (any sequence of operations against a plain list), `crash` (every prefix of
/// every short program, thousands of long ones) and `upstream`.
#[test]
fn promise_1_what_was_appended_and_not_acked_is_recovered_once_in_order_and_unaltered() {
    let ends = [
        (Mode::Os, End::Close),
        (Mode::Os, End::Kill),
        (Mode::Fsync, End::Kill),
        (Mode::Fsync, End::PowerLoss),
        (Mode::Offload, End::Close),
    ];
    for (mode, how) in ends {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        let mut open = BTreeMap::new();
        for first in (1..=30).step_by(3) {
            let group: Vec<Bytes> = (first..first + 3)
                .map(|serial| payload(serial, 8 + 30 * usize::try_from(serial).unwrap()))
                .collect();
            let items = queue.append(&group).unwrap();
            open.extend((items.first.0..).zip(group));
        }
        let pop = |items| queue.pop(PopLimits::items(items)).unwrap().unwrap();
        let [partly, tagged, released, dropped] = [pop(5), pop(5), pop(2), pop(3)];
        queue.ack(dropped.id).unwrap();
        queue.tag(tagged.id, Bytes::from_static(b"tag")).unwrap();
        let second = ItemRange::one(partly.items[1].id);
        queue.ack_items(partly.id, second).unwrap();
        queue.release(released.id).unwrap();
        for id in dropped.items.iter().map(|item| item.id.0).chain([2]) {
            open.remove(&id).unwrap();
        }
        let left = end(queue, &vfs, how);
        let (queue, recovery) = setup.open(&left).unwrap();
        assert_eq!(recovery.items, 26, "{mode:?}, {how:?}");
        let leases: Vec<_> = recovery.leases.iter().collect();
        assert_eq!(leases.len(), 1, "{mode:?}, {how:?}");
        assert_eq!(
            (leases[0].items.first, leases[0].items.last),
            (ItemId(6), ItemId(10))
        );
        assert_eq!(drain(&queue, &recovery), open, "{mode:?}, {how:?}");
        let next = queue.append_one(payload(31, 100)).unwrap();
        assert!(next > ItemId(30), "{next} was given to another item");
    }
}

/// All orders of these numbers.
fn orders(numbers: &[usize]) -> Vec<Vec<usize>> {
    if numbers.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in numbers.iter().enumerate() {
        let mut rest = numbers.to_vec();
        rest.remove(at);
        for mut order in orders(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

/// Also by `model` and `crash`.
#[test]
fn promise_2_the_commit_point_moves_forward_only_and_never_past_an_open_item() {
    const LEASES: usize = 4;
    for order in orders(&[0, 1, 2, 3]) {
        for mode in [Mode::Os, Mode::Fsync] {
            let (setup, vfs) = (Setup::small(mode), SimVfs::new());
            let (queue, _) = setup.open(&vfs).unwrap();
            let payloads: Vec<Bytes> = (1..=8).map(|serial| payload(serial, 900)).collect();
            queue.append(&payloads[..5]).unwrap();
            queue.append(&payloads[5..]).unwrap();
            let leases: Vec<_> = (0..LEASES)
                .map(|_| queue.pop(PopLimits::items(2)).unwrap().unwrap().id)
                .collect();
            let mut open: BTreeMap<u64, Bytes> = (1..).zip(payloads).collect();
            let mut through = 0;
            for lease in &order {
                queue.ack(leases[*lease]).unwrap();
                let first = u64::try_from(lease * 2 + 1).unwrap();
                open.retain(|id, _| !(first..first + 2).contains(id));
                let disk = vfs.after_kill();
                let inspection = Inspector::with_vfs(Arc::new(disk.clone()))
                    .inspect(Path::new(DIRECTORY), Depth::EveryByte)
                    .unwrap();
                let lowest = open.keys().next().copied().unwrap_or(9);
                assert!(through <= inspection.done_through.0, "{order:?}");
                through = inspection.done_through.0;
                assert_eq!(through, lowest - 1, "{order:?}");
                let (queue, recovery) = setup.open(&disk).unwrap();
                assert_eq!(drain(&queue, &recovery), open, "{order:?}");
            }
        }
    }
}

/// Also by `system` (a real file system of 1 MiB) and `order` (what is durable before a segment
/// goes).
#[test]
fn promise_3_leasing_acking_and_deleting_work_on_a_full_disk_in_fixed_slots() {
    let setup = Setup {
        segment_bytes: 8192,
        ..Setup::small(Mode::Fsync)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    vfs.set_capacity(Some(vfs.used_bytes() + 60_000));
    let mut appended = 0;
    while queue.append_one(payload(appended, 700)).is_ok() {
        appended += 1;
    }
    assert!(appended > 20);
    vfs.set_capacity(Some(vfs.used_bytes()));
    let (before, used) = (vfs.history().len(), vfs.used_bytes());
    let mut acked = 0;
    while acked + 10 < appended {
        let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
        queue.tag(lease.id, Bytes::from_static(b"stamp")).unwrap();
        queue.ack(lease.id).unwrap();
        acked += 2;
    }
    assert!(vfs.used_bytes() < used, "segments were deleted");

    let (mut written, mut durable) = (0, None);
    for change in &vfs.history()[before..] {
        match change {
            Change::Write(path, position, bytes) => {
                assert!(path.file_stem().unwrap() == "control", "{change:?}");
                assert!(position % 4096 == 0 && *bytes <= 4096, "{change:?}");
                if [4096, 12_288, 20_480].contains(position) {
                    assert_ne!(Some(*position), durable, "the durable commit is spared");
                    written = *position;
                }
            }
            Change::Sync(_) if written > 0 => durable = Some(written),
            Change::Sync(_) | Change::SyncDirectory(_) | Change::Remove(_) => {}
            Change::Create(_) | Change::Rename(..) | Change::SetLength(..) => {
                panic!("{change:?} takes space, or a name")
            }
        }
    }

    let (queue, recovery) = setup.open(&vfs.after_kill()).unwrap();
    let found: Vec<u64> = drain(&queue, &recovery).into_keys().collect();
    assert_eq!(found, (acked + 1..=appended).collect::<Vec<_>>());
    // Power loss: at most the acks of the last moments are forgotten.
    let lost = vfs.after_power_loss(vfs.pending_names(), |_, _| Fate::Lost);
    let (queue, recovery) = setup.open(&lost).unwrap();
    let found: Vec<u64> = drain(&queue, &recovery).into_keys().collect();
    assert!(found.ends_with(&(acked + 1..=appended).collect::<Vec<_>>()));
}

/// Where the entry of an item begins whose neighbours are as large as it.
fn entry(number: usize, bytes: usize) -> usize {
    4096 + number * (24 + bytes)
}

/// Also by `damage` (every bit, every truncation, every sector of zeros) and the fuzz targets.
#[test]
fn promise_4_a_damaged_byte_costs_the_item_it_is_in_and_is_reported_and_kept_aside() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    let payloads: Vec<Bytes> = (1..=9).map(|serial| payload(serial, 104)).collect();
    queue.append(&payloads).unwrap();
    queue.append_one(payload(10, 4000)).unwrap();
    queue.close().unwrap();
    let segment = Path::new(DIRECTORY).join(format!("{0:020}-{0:020}.segment", 1));
    let mut content = vfs.read_file(&segment).unwrap();
    content[entry(2, 104) + 24 + 50] ^= 4; // in the payload of item 3
    content[entry(4, 104) + 9] ^= 4; // in the header of item 5
    vfs.write_file(&segment, content.clone());

    let (queue, recovery) = setup.open(&vfs).unwrap();
    let found: Vec<u64> = drain(&queue, &recovery).into_keys().collect();
    assert_eq!(found, [1, 2, 4, 6, 7, 8, 9, 10]);
    let file = segment.file_name().unwrap().to_str().unwrap().to_owned();
    let item_3 = Damage::Item {
        file: file.clone(),
        position: entry(2, 104) as u64,
        id: ItemId(3),
    };
    let item_5 = Damage::Bytes {
        file,
        position: entry(4, 104) as u64,
        bytes: 24 + 104,
        ids: Some(ItemRange::one(ItemId(5))),
    };
    assert_eq!(queue.damage(), [item_3, item_5]);
    assert_eq!(queue.stats().damage, 2);
    drop(queue);

    let (queue, _) = setup.open(&vfs).unwrap();
    while let Some(lease) = queue.pop(PopLimits::items(9)).unwrap() {
        queue.ack(lease.id).unwrap();
    }
    let aside = segment.with_extension("segment.damaged");
    assert_eq!(vfs.read_file(&aside), Some(content));
}

/// The other half of promise 4.
#[test]
fn promise_4_what_is_left_of_earlier_uses_and_lives_never_validates() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    for round in 0..4 {
        let payloads: Vec<Bytes> = (1..=9)
            .map(|serial| payload(round * 9 + serial, 104))
            .collect();
        queue.append(&payloads).unwrap();
        queue.append_one(payload(0, 3000)).unwrap();
        while let Some(lease) = queue.pop(PopLimits::items(99)).unwrap() {
            queue.ack(lease.id).unwrap();
        }
    }
    // Into a file in which whole entries of the same size stand.
    queue.append_one(payload(100, 4000)).unwrap();
    let new = queue.append_one(payload(101, 104)).unwrap();
    let renamed = vfs.history().into_iter().filter(|change| {
        matches!(change, Change::Rename(from, _) if from.extension().is_some_and(|name| name == "segment"))
    });
    assert!(renamed.count() >= 3, "segments are used again");
    let control = Path::new(DIRECTORY).join("control");
    let old_control = vfs.read_file(&control).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs.after_kill()).unwrap();
    assert_eq!(recovery.damage, []);
    let found = drain(&queue, &recovery);
    assert_eq!(found.keys().next_back(), Some(&new.0));
    assert_eq!(found.len(), 2);
    drop(queue);

    // The commits of that life say that forty items and more are done; another queue does not
    // believe them.
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.close_and_purge().unwrap();
    drop(queue);
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&[payload(1, 20), payload(2, 20)]).unwrap();
    drop(queue);
    for slot in [4096, 12_288, 20_480, 28_672] {
        let vfs = vfs.after_kill();
        let mut content = vfs.read_file(&control).unwrap();
        content[slot..slot + 4096].copy_from_slice(&old_control[slot..slot + 4096]);
        vfs.write_file(&control, content);
        let (queue, recovery) = setup.open(&vfs).unwrap();
        let found: Vec<u64> = drain(&queue, &recovery).into_keys().collect();
        assert_eq!(found, [1, 2]);
    }
}

/// Also by `faults` (every call fails, in every way, once and for ever; failed syncs) and `system`
/// (descriptors, file sizes, a disk that cannot be written).
#[test]
fn promise_5_errors_are_values_and_the_queue_recovers_by_itself_when_space_returns() {
    for mode in Mode::DURABLE {
        let (mut setup, vfs) = (Setup::small(mode), SimVfs::new());
        setup.resident_bytes = 0;
        let (queue, _) = setup.open(&vfs).unwrap();
        queue.append_one(payload(1, 3000)).unwrap();
        queue.append_one(payload(2, 3000)).unwrap();
        vfs.set_capacity(Some(vfs.used_bytes()));
        let refused = queue.append_one(payload(3, 3000)).unwrap_err();
        let AppendError::NotAppended(failure) = &refused else {
            panic!("{refused}");
        };
        assert_eq!(failure.kind(), std::io::ErrorKind::StorageFull);
        assert!(failure.path().starts_with(DIRECTORY), "{failure}");
        for words in [failure.operation(), DIRECTORY, "free some space"] {
            assert!(refused.to_string().contains(words), "{words} in {refused}");
        }
        assert_eq!((queue.count(), queue.bytes()), (2, 6000), "what it holds");

        // Somebody else made room: nothing has to be called, opened or waited for.
        vfs.set_capacity(None);
        queue.append_one(payload(3, 3000)).unwrap();
        let first = queue.pop(PopLimits::items(1)).unwrap().unwrap();

        // An ack that could not be written counts, and the next one makes it durable.
        vfs.inject(Fault {
            call: vfs.calls(),
            for_ever: true,
            kind: FaultKind::Error(5),
        });
        let acked = queue.ack(first.id);
        vfs.heal();
        if mode != Mode::Offload {
            let Err(AckError::NotDurable(failure)) = acked else {
                panic!("{acked:?}");
            };
            assert!(failure.path().ends_with("control"), "{failure}");
        }
        let second = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        queue.ack(second.id).unwrap();
        queue.close().unwrap();
        drop(queue);
        let (queue, recovery) = setup.open(&vfs).unwrap();
        let found = drain(&queue, &recovery);
        assert_eq!(found, BTreeMap::from([(3, payload(3, 3000))]), "{mode:?}");
    }
}

/// Also by `system`: between processes, the modes of directories and files, links inside the
/// directory.
#[test]
fn promise_6_a_directory_is_open_once_by_whatever_path_it_is_reached() {
    let room = tempfile::tempdir().unwrap();
    let real = room.path().join("parent").join("queue");
    let (queue, _) = Queue::open(Config::disk(&real)).unwrap();
    symlink(room.path().join("parent"), room.path().join("link")).unwrap();
    let paths = [
        real.clone(),
        real.join("../queue/."),
        room.path().join("link").join("queue"),
    ];
    for path in &paths {
        let again = Queue::open(Config::disk(path));
        assert!(
            matches!(again, Err(OpenError::Locked { .. })),
            "{}: {again:?}",
            path.display()
        );
    }
    queue.append_one(payload(1, 10)).unwrap();
    queue.close().unwrap();
    for path in paths {
        let (queue, _) = Queue::open(Config::disk(path)).unwrap();
        assert_eq!(queue.count(), 1);
        queue.close().unwrap();
    }
}

/// Also by `system`: a backlog beside the memory of a whole process, and what opening reads.
#[test]
fn promise_7_memory_is_what_the_configuration_allows_whatever_waits_on_disk() {
    const RESIDENT_BYTES: u64 = 64 << 10;
    const READ_BYTES: u32 = 16 << 10;
    const ITEMS: u64 = 8_000;
    let vfs = SimVfs::new();
    let config = || {
        Config::disk(DIRECTORY)
            .segment_bytes(1 << 20)
            .resident_bytes(RESIDENT_BYTES)
            .read_bytes(usize::try_from(READ_BYTES).unwrap())
            .vfs(Arc::new(vfs.clone()))
    };
    let (queue, _) = Queue::open(config()).unwrap();
    for serial in 0..ITEMS {
        queue.append_one(payload(serial, 1000)).unwrap();
        assert!(queue.stats().memory_bytes <= RESIDENT_BYTES);
    }
    drop(queue);
    let (queue, recovery) = Queue::open(config()).unwrap();
    assert_eq!(recovery.items, ITEMS);
    let mut drained = 0;
    while let Some(lease) = queue.pop(PopLimits::at_most_bytes(20_000)).unwrap() {
        // What was read ahead, and what the caller has.
        let most = RESIDENT_BYTES + 2 * u64::from(READ_BYTES) + 20_000;
        assert!(queue.stats().memory_bytes <= most, "{:?}", queue.stats());
        drained += lease.items.len() as u64;
        queue.ack(lease.id).unwrap();
    }
    assert_eq!(drained, ITEMS);
}

/// Two thousand are open and in use at once.
#[cfg(target_os = "linux")]
#[test]
fn promise_7_thousands_of_queues_take_no_thread_and_four_descriptors_each_at_most() {
    const QUEUES: usize = 2000;
    let room = tempfile::tempdir().unwrap();
    let limits = "ulimit -n 8192 || exit 99";
    let (said, status) = listen(
        &mut limited(limits, room.path(), &["many", &QUEUES.to_string()]),
        None,
    );
    if status.code() == Some(99) {
        return crate::steps::skip(
            "promise_7_thousands_of_queues_take_no_thread_and_four_descriptors_each_at_most",
            "so many files may not be open",
        );
    }
    assert!(status.success(), "{status:?}");
    let number = |name: &str| -> usize {
        let line = said.lines.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    assert_eq!((number("queues"), number("threads")), (QUEUES, 1));
    let descriptors = number("descriptors");
    // The lock, the control file, the segment being filled, and the one being read, which is one of
    // its own here.
    assert!(descriptors <= 4 * QUEUES + 10, "{descriptors} descriptors");
}
