//! Acks far out of order: what is done lies in so many separate ranges that a commit record has
//! to be larger than it is made for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::vfs::sim::{Fate, SimVfs};
use replayq::{AckError, Config, Damage, Flush, LeaseId, PopLimits, Queue};

use crate::setup::{DIRECTORY, Mode, Setup};

const TAG: Bytes = Bytes::from_static(b"tag");

fn setup(mode: Mode) -> Setup {
    Setup {
        segment_bytes: 64 << 10,
        ..Setup::small(mode)
    }
}

fn control() -> PathBuf {
    Path::new(DIRECTORY).join("control")
}

fn append(queue: &Queue, items: usize) {
    let payloads = vec![Bytes::from_static(b"payload"); 100];
    for first in (0..items).step_by(100) {
        let count = (items - first).min(100);
        queue.append(&payloads[..count]).unwrap();
    }
}

/// A lease for each item.
fn lease_all(queue: &Queue) -> Vec<LeaseId> {
    let pop = || queue.pop(PopLimits::items(1)).unwrap();
    std::iter::from_fn(pop).map(|lease| lease.id).collect()
}

/// The ids of all that waits.
fn waiting(queue: &Queue) -> BTreeSet<u64> {
    let pop = || queue.pop(PopLimits::items(1000)).unwrap();
    std::iter::from_fn(pop)
        .flat_map(|lease| lease.items)
        .map(|item| item.id.0)
        .collect()
}

#[test]
fn acks_of_every_second_item_are_durable_however_many_they_are() {
    const ITEMS: usize = 12_000;
    for mode in [Mode::Os, Mode::Fsync] {
        let (setup, vfs) = (setup(mode), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, ITEMS);
        let leases = lease_all(&queue);
        queue.tag(leases[0], TAG).unwrap();
        // In reverse, so that none of them becomes one with another.
        for lease in leases.iter().rev().step_by(2) {
            queue.ack(*lease).unwrap();
        }
        queue.flush(Flush::Disk).unwrap();
        let expected: BTreeSet<u64> = (3..=ITEMS as u64).step_by(2).collect();
        let check = |vfs: &SimVfs, damage: &[Damage]| {
            let (queue, recovery) = setup.open(vfs).unwrap();
            assert_eq!(recovery.damage, damage);
            assert_eq!((recovery.leases.len(), &recovery.leases[0].tag), (1, &TAG));
            assert_eq!(recovery.items, expected.len() as u64 + 1);
            assert_eq!(waiting(&queue), expected);
        };
        check(&vfs.after_kill(), &[]);
        check(
            &vfs.after_power_loss(vfs.pending_names(), |_, _| Fate::Lost),
            &[],
        );
        // Without its header, the file says by what is in it where the slots are.
        let left = vfs.after_kill();
        let mut content = left.read_file(&control()).unwrap();
        content[30] ^= 1;
        left.write_file(&control(), content);
        check(&left, &[Damage::Control]);
        check(&left, &[]);
    }
}

#[test]
fn a_full_disk_takes_as_many_ranges_as_there_was_room_for_and_goes_on_when_they_are_fewer() {
    let (setup, vfs) = (setup(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 10_000);
    let leases = lease_all(&queue);
    let used = vfs.used_bytes();
    vfs.set_capacity(Some(used));
    let acked = leases.iter().skip(1).step_by(2);
    let answers: Vec<_> = acked.map(|lease| queue.ack(*lease)).collect();
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert!((900..1100).contains(&refused), "{refused}");
    let is_too_many = |answer: &Result<(), AckError>| matches!(answer, Err(AckError::TooManyRanges { ranges }) if *ranges > 4000);
    assert!(answers[answers.len() - refused..].iter().all(is_too_many));
    assert_eq!(vfs.used_bytes(), used);
    // Those that were answered are done; and all are, as soon as the record fits again.
    let (left, _) = setup.open(&vfs.after_kill()).unwrap();
    assert_eq!(left.count(), 10_000 - (5000 - refused as u64));
    for lease in leases.iter().step_by(2).take(2500) {
        let _too_many_at_first = queue.ack(*lease);
    }
    let (left, _) = setup.open(&vfs.after_kill()).unwrap();
    assert_eq!(left.count(), 2500);
    // With space it fits at once.
    vfs.set_capacity(None);
    queue.close().unwrap();
}

#[test]
fn a_hundred_thousand_leases_come_and_go_in_any_order() {
    const ITEMS: usize = 100_000;
    let (queue, _) = Queue::open(Config::memory()).unwrap();
    append(&queue, ITEMS);
    let leases = lease_all(&queue);
    assert_eq!(queue.stats().leases, ITEMS as u64);
    let [even, odd]: [Vec<LeaseId>; 2] = [0, 1].map(|first| {
        leases
            .iter()
            .rev()
            .skip(first)
            .step_by(2)
            .copied()
            .collect()
    });
    for lease in odd {
        queue.ack(lease).unwrap();
    }
    for lease in even {
        queue.release(lease).unwrap();
    }
    assert_eq!((queue.count(), queue.stats().leases), (50_000, 0));
    let expected: BTreeSet<u64> = (2..=ITEMS as u64).step_by(2).collect();
    assert_eq!(waiting(&queue), expected);
}

/// Of 8,084 items every second one is done, which is durable: a commit slot has room for two
/// ranges more.
fn nearly_full(mode: Mode) -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = setup(mode).open(&vfs).unwrap();
    append(&queue, 8084);
    for lease in lease_all(&queue).iter().skip(1).step_by(2) {
        queue.ack(*lease).unwrap();
    }
    queue.flush(Flush::Disk).unwrap();
    drop(queue);
    vfs.copy()
}

#[test]
fn no_crash_while_the_commit_gets_more_room_forgets_an_ack_or_loses_an_item() {
    const ACKS: usize = 6;
    for mode in [Mode::Os, Mode::Fsync] {
        let base = nearly_full(mode);
        let mut grown = 0;
        for change in 0..16 {
            let vfs = base.copy();
            let (queue, _) = setup(mode).open(&vfs).unwrap();
            append(&queue, 100);
            queue.flush(Flush::Disk).unwrap();
            let mut open: BTreeSet<u64> = (1..=8084).step_by(2).chain(8085..=8184).collect();
            let leases = lease_all(&queue);
            let new = &leases[leases.len() - 100..];
            vfs.crash_at(vfs.changes() + change, 50);
            let (mut acked, mut last) = (BTreeSet::new(), None);
            for (lease, id) in new.iter().zip(8085..).skip(1).step_by(2).take(ACKS) {
                last = Some(id);
                if queue.ack(*lease).is_err() {
                    break;
                }
                acked.insert(id);
            }
            let file = vfs.read_file(&control()).unwrap();
            grown += usize::from(file.len() > 4096 + 3 * 16_384 + 7 * 4096);

            // Whoever was told that an ack is durable finds it; of the last one nobody was told.
            let (killed, recovery) = setup(mode).open(&vfs.after_kill()).unwrap();
            assert!(recovery.damage.len() <= 1, "{recovery:?}");
            let mut found = waiting(&killed);
            open.retain(|id| !acked.contains(id));
            found.extend(last.filter(|id| open.contains(id)));
            assert!(found == open, "{mode:?}, killed at {change}");

            // A power loss may bring back what was acked since the last sync, and takes nothing.
            open.extend(acked);
            for names in 0..=vfs.pending_names() {
                for fate in [Fate::Lost, Fate::Kept] {
                    let left = vfs.after_power_loss(names, |_, _| fate);
                    let (queue, _) = setup(mode).open(&left).unwrap();
                    let found = waiting(&queue);
                    let new = open.iter().filter(|id| !found.contains(id)).count();
                    assert!(found.is_subset(&open) && new <= ACKS, "{mode:?}, {change}");
                }
            }
        }
        assert!((2..16).contains(&grown), "{grown}");
    }
}
