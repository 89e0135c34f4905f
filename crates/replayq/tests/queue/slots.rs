//! Lease slots: so many leases can have a tag however full the disk is; a queue gets more of them
//! when it is opened, and never fewer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use replayq::vfs::sim::{Change, Fate, Fault, FaultKind, SimVfs};
use replayq::{Config, Flush, LeaseError, LeaseId, OpenError, PopLimits, Queue, Recovery};

use crate::calls::pop_ids;
use crate::setup::{DIRECTORY, End, Mode, Setup, payload};

const TAG: Bytes = Bytes::from_static(b"tag");

fn setup(mode: Mode, lease_slots: u32) -> Setup {
    Setup {
        lease_slots,
        ..Setup::small(mode)
    }
}

fn control() -> PathBuf {
    Path::new(DIRECTORY).join("control")
}

/// How many slots the control file has.
fn slots(vfs: &SimVfs) -> usize {
    (vfs.read_file(&control()).unwrap().len() - 28_672) / 4096
}

/// Leases the oldest item and tags the lease.
fn tag_one(queue: &Queue) -> Result<LeaseId, LeaseError> {
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap().id;
    queue.tag(lease, TAG).map(|()| lease)
}

/// The first items of the leases that came back, all of which have one item and the tag.
fn tagged(recovery: &Recovery) -> Vec<u64> {
    let mut firsts: Vec<u64> = recovery
        .leases
        .iter()
        .map(|lease| {
            assert_eq!((lease.items.first, &lease.tag), (lease.items.last, &TAG));
            lease.items.first.0
        })
        .collect();
    firsts.sort_unstable();
    firsts
}

#[test]
fn as_many_leases_as_there_are_slots_are_tagged_on_a_full_disk() {
    for mode in [Mode::Os, Mode::Fsync] {
        for count in [1, 16, 33] {
            let (setup, vfs) = (setup(mode, count), SimVfs::new());
            let (queue, _) = setup.open(&vfs).unwrap();
            for serial in 1..=40 {
                queue.append_one(payload(serial, 300)).unwrap();
            }
            vfs.set_capacity(Some(vfs.used_bytes()));
            while queue.append_one(payload(0, 16)).is_ok() {}
            let leases: Vec<LeaseId> = (0..count).map(|_| tag_one(&queue).unwrap()).collect();
            let full = tag_one(&queue);
            assert!(matches!(full, Err(LeaseError::Io(_))), "{full:?}");

            let (_, recovery) = setup.open(&vfs.after_kill()).unwrap();
            let expected: Vec<u64> = (1..=u64::from(count)).collect();
            assert_eq!(tagged(&recovery), expected, "{mode:?}");
            // Again and again, since a slot is free when its lease is over.
            for lease in leases {
                queue.ack(lease).unwrap();
                let next = tag_one(&queue).unwrap();
                queue.release(next).unwrap();
            }
        }
    }
}

#[test]
fn a_queue_gets_more_slots_when_it_is_opened_and_never_fewer() {
    for mode in [Mode::Os, Mode::Fsync] {
        let vfs = SimVfs::new();
        let open = |count| setup(mode, count).open(&vfs).unwrap();
        let (queue, _) = open(2);
        for serial in 1..=9 {
            queue.append_one(payload(serial, 100)).unwrap();
        }
        // The third is written behind the items.
        for _ in 0..3 {
            tag_one(&queue).unwrap();
        }
        drop(queue);
        let (queue, recovery) = open(5);
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        assert_eq!((tagged(&recovery), slots(&vfs)), (vec![1, 2, 3], 5));
        let before = vfs.history().len();
        for _ in 0..3 {
            tag_one(&queue).unwrap();
        }
        let is_control = |change: &Change| match change {
            // It was written under another name.
            Change::Write(path, ..) | Change::Sync(path) => path.file_stem().unwrap() == "control",
            _ => false,
        };
        let history = vfs.history();
        let elsewhere = history[before..].iter().find(|change| !is_control(change));
        assert_eq!(elsewhere, None);
        drop(queue);
        let (_, recovery) = open(1);
        assert_eq!(
            (tagged(&recovery), slots(&vfs)),
            (vec![1, 2, 3, 4, 5, 6], 5)
        );
    }
}

#[test]
fn on_a_full_disk_a_queue_goes_on_with_the_slots_that_it_has() {
    for mode in [Mode::Os, Mode::Fsync] {
        let vfs = SimVfs::new();
        let (queue, _) = setup(mode, 2).open(&vfs).unwrap();
        queue.append(&[payload(1, 100), payload(2, 100)]).unwrap();
        tag_one(&queue).unwrap();
        drop(queue);
        let used = vfs.used_bytes();
        for room in [0, 4096, 40_000] {
            vfs.set_capacity(Some(used + room));
            let (queue, recovery) = setup(mode, 9).open(&vfs).unwrap();
            assert_eq!((tagged(&recovery), slots(&vfs)), (vec![1], 2));
            let again = tag_one(&queue).unwrap();
            queue.release(again).unwrap();
            assert_eq!(vfs.used_bytes(), used, "nothing half-made is left");
        }
        vfs.set_capacity(None);
        let (_, recovery) = setup(mode, 9).open(&vfs).unwrap();
        assert_eq!((tagged(&recovery), slots(&vfs)), (vec![1], 9));
    }
}

/// A queue with two leases in slots and one behind the items, and a commit tag.
fn before_growing(mode: Mode) -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = setup(mode, 2).open(&vfs).unwrap();
    for serial in 1..=6 {
        queue.append_one(payload(serial, 100)).unwrap();
    }
    for _ in 0..3 {
        tag_one(&queue).unwrap();
    }
    let done = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.ack_with_tag(done.id, TAG).unwrap();
    queue.flush(Flush::Disk).unwrap();
    drop(queue);
    vfs.copy()
}

#[test]
fn no_crash_while_a_queue_gets_more_slots_takes_a_lease_or_an_ack() {
    for mode in [Mode::Os, Mode::Fsync] {
        let check = |vfs: &SimVfs, what: &str| {
            let (queue, recovery) = setup(mode, 2).open(vfs).unwrap();
            assert_eq!(tagged(&recovery), [1, 2, 3], "{mode:?}, {what}");
            assert_eq!(recovery.commit_tag, TAG);
            let waiting = queue.pop(PopLimits::items(9)).unwrap().unwrap();
            let ids: Vec<u64> = waiting.items.iter().map(|item| item.id.0).collect();
            assert_eq!(ids, [5, 6], "{mode:?}, {what}");
        };
        for change in 0.. {
            let vfs = before_growing(mode);
            vfs.crash_at(change, 100);
            let is_over = setup(mode, 9).open(&vfs).is_ok() && !vfs.is_crashed();
            check(&vfs.after_kill(), &format!("killed at {change}"));
            for names in 0..=vfs.pending_names() {
                for fate in [Fate::Lost, Fate::Kept] {
                    let what = format!("power lost at {change}, {names} names, {fate:?}");
                    check(&vfs.after_power_loss(names, |_, _| fate), &what);
                }
            }
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn leases_beyond_the_usual_slots_are_found_without_the_control_files_header() {
    let (setup, vfs) = (setup(Mode::Os, 20), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    for serial in 1..=30 {
        queue.append_one(payload(serial, 50)).unwrap();
    }
    for _ in 0..20 {
        tag_one(&queue).unwrap();
    }
    queue.close().unwrap();
    drop(queue);
    let mut content = vfs.read_file(&control()).unwrap();
    content[30] ^= 1;
    vfs.write_file(&control(), content);
    let few = Setup {
        lease_slots: 3,
        ..setup
    };
    for _ in 0..2 {
        let (queue, recovery) = few.open(&vfs).unwrap();
        assert_eq!(tagged(&recovery), (1..=20).collect::<Vec<_>>());
        queue.close().unwrap();
    }
}

#[test]
fn a_number_of_slots_that_cannot_be_is_refused_with_those_that_can() {
    for count in [0, 4097, u32::MAX] {
        let error = Queue::open(Config::memory().lease_slots(count)).unwrap_err();
        assert!(matches!(error, OpenError::Config(_)));
        assert!(error.to_string().contains("from 1 to 4096"), "{error}");
    }
}

/// The segment that held it ended, for who reads it, where the items in memory began.
#[test]
fn leases_behind_the_items_come_back_although_items_in_memory_are_written_behind_them() {
    let (setup, vfs) = (setup(Mode::Offload, 1), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    for serial in 1..=6 {
        queue.append_one(payload(serial, 100)).unwrap();
        tag_one(&queue).unwrap();
    }
    queue.flush(Flush::Os).unwrap();
    let after_kill = vfs.after_kill();
    queue.close().unwrap();
    for disk in [after_kill, vfs] {
        let (_, recovery) = setup.open(&disk).unwrap();
        let leases = tagged(&recovery);
        assert_eq!((leases, recovery.damage), ((1..=6).collect(), vec![]));
    }
}

/// The copy hid the items that were written behind it, which begin with the same id.
#[test]
fn a_segment_of_leases_only_whose_sync_failed_is_replaced_and_no_item_is_lost() {
    for call in 0..40 {
        let (setup, vfs) = (setup(Mode::Offload, 1), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        queue.append(&[payload(1, 100), payload(2, 100)]).unwrap();
        tag_one(&queue).unwrap();
        tag_one(&queue).unwrap();
        queue.append(&[payload(3, 100), payload(4, 100)]).unwrap();
        queue.flush(Flush::Os).unwrap();
        vfs.inject(Fault {
            call: vfs.calls() + call,
            for_ever: false,
            kind: FaultKind::Error(5),
        });
        if queue.flush(Flush::Disk).is_err() {
            queue.flush(Flush::Disk).unwrap();
        }
        let lost = vfs.after_power_loss(0, |_, _| Fate::Lost);
        for disk in [vfs.after_kill(), lost] {
            let (again, recovery) = setup.open(&disk).unwrap();
            let leases = tagged(&recovery);
            assert_eq!(
                (leases, recovery.damage),
                (vec![1, 2], vec![]),
                "call {call}"
            );
            assert_eq!(pop_ids(&again, 9), [3, 4], "call {call}");
        }
        assert_eq!(pop_ids(&queue, 9), [3, 4], "call {call}");
    }
}

/// A segment in which no item was left was not kept, and what it said of others was gone. A segment
/// that holds leases of items of other segments only, before ids that were never used, was on its
/// way out before its leases were found: one open returned them, the next did not.
#[test]
fn tagged_leases_come_back_at_each_open_however_the_one_before_ended() {
    for mode in Mode::DURABLE {
        for items in 1..=12 {
            for ends in [[End::Kill; 9], [End::PowerLoss; 9], [End::Close; 9]] {
                let (setup, mut vfs) = (setup(mode, 1), SimVfs::new());
                let (mut queue, _) = setup.open(&vfs).unwrap();
                for serial in 1..=items {
                    queue.append_one(payload(serial, 200)).unwrap();
                }
                for _ in 1..=items {
                    tag_one(&queue).unwrap();
                }
                let expected: Vec<u64> = (1..=items).collect();
                for (number, end) in ends.into_iter().enumerate() {
                    queue.flush(Flush::Disk).unwrap();
                    if end == End::Close {
                        queue.close().unwrap();
                    }
                    vfs = match end {
                        End::PowerLoss => vfs.after_power_loss(0, |_, _| Fate::Lost),
                        End::Kill | End::Close => vfs.after_kill(),
                    };
                    let (next, recovery) = setup.open(&vfs).unwrap();
                    let case = (mode, items, end, number);
                    assert_eq!(tagged(&recovery), expected, "{case:?}");
                    assert_eq!(next.damage(), [], "{case:?}");
                    queue = next;
                    for serial in 0..number % 5 {
                        queue.append_one(payload(99, 100 * serial + 8)).unwrap();
                        let lease = queue.pop(PopLimits::items(9)).unwrap().unwrap();
                        queue.ack(lease.id).unwrap();
                    }
                }
            }
        }
    }
}

#[test]
fn a_repair_keeps_the_leases_of_a_segment_that_has_no_items() {
    for mode in [Mode::Os, Mode::Offload] {
        let (setup, vfs) = (setup(mode, 1), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        for serial in 1..=3 {
            queue.append_one(payload(serial, 270)).unwrap();
        }
        for _ in 1..=3 {
            tag_one(&queue).unwrap();
        }
        let is_offload = mode == Mode::Offload;
        if is_offload {
            // Written down behind the leases.
            queue.append_one(payload(4, 10)).unwrap();
        }
        queue.close().unwrap();
        drop(queue);
        let segments = vfs.files().into_iter();
        let leases = segments
            .filter(|file| file.to_string_lossy().contains("0004-"))
            .min()
            .unwrap();
        let mut content = vfs.read_file(&leases).unwrap();
        content[4096 + 8] ^= 1;
        vfs.write_file(&leases, content);
        let repaired = replayq::repair_in(Arc::new(vfs.clone()), Path::new(DIRECTORY)).unwrap();
        assert_eq!(repaired.rewritten.len(), 1, "{repaired:?}");
        let (queue, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(
            (tagged(&recovery), recovery.damage),
            (vec![1, 3], vec![]),
            "{mode:?}"
        );
        assert_eq!(queue.count(), 1 + u64::from(is_offload), "{mode:?}");
        assert_eq!(pop_ids(&queue, 9), [2], "{mode:?}");
        assert_eq!(
            pop_ids(&queue, 9),
            [4][..usize::from(is_offload)],
            "{mode:?}"
        );
    }
}
