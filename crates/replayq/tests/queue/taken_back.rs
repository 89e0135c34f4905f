//! Calls that fail half-way and are taken back: what was answered before counts, and what was
//! refused does not.

use bytes::Bytes;
use replayq::vfs::sim::{Fate, Fault, FaultKind, SimVfs};
use replayq::{Flush, LeaseId, PopLimits, Queue};

use crate::calls::{append, fail_from, pop_ids};
use crate::hook::HookVfs;
use crate::setup::{Mode, Setup, payload};

const OTHER: Bytes = Bytes::from_static(b"other");
const FIRST: Bytes = Bytes::from_static(b"first");
const SECOND: Bytes = Bytes::from_static(b"second");

/// A queue with a lease of items 2 and 3, whose record goes into a slot; with one slot, which
/// another lease has, behind the items.
fn leased(setup: &Setup, vfs: &SimVfs) -> (Queue, LeaseId) {
    let (queue, _) = setup.open(vfs).unwrap();
    append(&queue, 1..=5, 100);
    let other = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    if setup.lease_slots == 1 {
        queue.tag(other.id, OTHER).unwrap();
    }
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    (queue, lease.id)
}

/// The tags of the leases that come back, but for the other one.
fn tags(setup: &Setup, vfs: &SimVfs) -> Vec<Bytes> {
    let (_, recovery) = setup.open(vfs).unwrap();
    let tags = recovery.leases.into_iter().map(|lease| lease.tag);
    tags.filter(|tag| *tag != OTHER).collect()
}

fn fail_once(vfs: &SimVfs, call: u64, kind: FaultKind) {
    vfs.inject(Fault {
        call: vfs.calls() + call,
        for_ever: false,
        kind,
    });
}

fn all() -> impl Iterator<Item = (Setup, FaultKind)> {
    [Mode::Os, Mode::Fsync].into_iter().flat_map(|mode| {
        [1, 2].into_iter().flat_map(move |lease_slots| {
            [FaultKind::Error(5), FaultKind::Drop].map(move |kind| {
                let setup = Setup {
                    lease_slots,
                    ..Setup::small(mode)
                };
                (setup, kind)
            })
        })
    })
}

/// It was gone where the sync that should have made its end durable failed.
#[test]
fn a_lease_whose_release_failed_still_has_its_tag() {
    for (setup, kind) in all() {
        for call in 0.. {
            let vfs = SimVfs::new();
            let (queue, lease) = leased(&setup, &vfs);
            queue.tag(lease, FIRST).unwrap();
            fail_once(&vfs, call, kind);
            let released = queue.release(lease);
            vfs.heal();
            let found = tags(&setup, &vfs.after_kill());
            if released.is_ok() {
                assert_eq!(found, Vec::<Bytes>::new());
                assert!(call > 0);
                break;
            }
            assert_eq!(found, [FIRST], "{setup:?}, {kind:?}, call {call}");
            queue.release(lease).unwrap();
            assert_eq!(tags(&setup, &vfs.after_kill()), Vec::<Bytes>::new());
            assert_eq!(pop_ids(&queue, 9), [2, 3, 4, 5]);
        }
    }
}

/// The newer record was voided first, so that the older one counted.
#[test]
fn a_release_that_fails_never_leaves_the_older_of_two_records() {
    for (setup, kind) in all() {
        // The record of the first tag cannot be voided: one call after the other fails.
        for stubborn in 1..6 {
            for call in 0.. {
                let vfs = SimVfs::new();
                let (queue, lease) = leased(&setup, &vfs);
                queue.tag(lease, FIRST).unwrap();
                fail_once(&vfs, stubborn, FaultKind::Error(5));
                let tagged = queue.tag(lease, SECOND);
                vfs.heal();
                let expected = if tagged.is_ok() { SECOND } else { FIRST };
                fail_once(&vfs, call, kind);
                let released = queue.release(lease);
                vfs.heal();
                let found = tags(&setup, &vfs.after_kill());
                if released.is_ok() {
                    assert_eq!(found, Vec::<Bytes>::new(), "{setup:?} {stubborn} {call}");
                    break;
                }
                assert_eq!(found, [expected], "{setup:?} {kind:?} {stubborn} {call}");
            }
        }
    }
}

/// The slot counted as free although the record was still in it: after a release the lease came
/// back, with the tag that had been refused.
#[test]
fn a_tag_that_failed_does_not_outlive_the_lease() {
    for (setup, _) in all() {
        for call in 0..8 {
            for is_for_ever in [false, true] {
                let vfs = SimVfs::new();
                let (queue, lease) = leased(&setup, &vfs);
                vfs.inject(Fault {
                    call: vfs.calls() + call,
                    for_ever: is_for_ever,
                    kind: FaultKind::Error(5),
                });
                let tagged = queue.tag(lease, FIRST);
                vfs.heal();
                if tagged.is_err() && !is_for_ever {
                    let found = tags(&setup, &vfs.after_kill());
                    assert_eq!(found, Vec::<Bytes>::new(), "{setup:?} {call}");
                }
                queue.release(lease).unwrap();
                let found = tags(&setup, &vfs.after_kill());
                assert_eq!(found, Vec::<Bytes>::new(), "{setup:?} {call} {is_for_ever}");
            }
        }
    }
}

/// Opening could not void it, and forgot it: it counted after the newer one's end.
#[test]
fn an_older_record_that_opening_cannot_void_ends_with_its_lease() {
    for lease_slots in [1, 2] {
        let setup = Setup {
            lease_slots,
            ..Setup::small(Mode::Os)
        };
        for call in 0..60 {
            let vfs = SimVfs::new();
            let (queue, lease) = leased(&setup, &vfs);
            queue.tag(lease, FIRST).unwrap();
            // The calls of a tag: the write of its record, then those that void the one before.
            fail_once(&vfs, 1, FaultKind::Error(5));
            queue.tag(lease, SECOND).unwrap();
            vfs.heal();
            drop(queue);
            let vfs = vfs.after_kill();
            fail_once(&vfs, call, FaultKind::Error(5));
            let opened = setup.open(&vfs);
            vfs.heal();
            let Ok((queue, recovery)) = opened else {
                continue;
            };
            let mut leases = recovery.leases.iter();
            let lease = leases.find(|lease| lease.tag == SECOND).unwrap();
            queue.release(lease.id).unwrap();
            drop(queue);
            let found = tags(&setup, &vfs.after_kill());
            assert_eq!(
                found,
                Vec::<Bytes>::new(),
                "{lease_slots} slots, call {call}"
            );
        }
    }
}

/// An ack that needs no commit of its own was answered, and the one before it, whose commit had not
/// been tried since the directory was away, was forgotten.
#[test]
fn an_ack_that_failed_since_the_directory_was_away_is_made_up_for_by_the_next() {
    let (setup, vfs) = (Setup::small(Mode::Offload), HookVfs::new());
    let config = setup.config(&vfs.sim).vfs(std::sync::Arc::new(vfs.clone()));
    let (queue, _) = Queue::open(config).unwrap();
    append(&queue, 1..=1, 100);
    append(&queue, 2..=2, 6000);
    let in_memory = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let on_disk = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    vfs.set_away(true);
    while queue.set_commit_tag(FIRST).is_ok() {}
    queue.ack(on_disk.id).unwrap_err();
    vfs.set_away(false);
    queue.ack(in_memory.id).unwrap();
    let (queue, _) = setup.open(&vfs.sim.after_kill()).unwrap();
    assert!(pop_ids(&queue, 9).is_empty());
}

/// The segment whose write had failed in the middle of others stayed open for ever, with its file.
#[test]
fn what_a_failed_flush_has_begun_between_other_segments_leaves_when_all_is_done() {
    let setup = Setup::small(Mode::Offload);
    for call in 0.. {
        let vfs = SimVfs::new();
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=2, 1500);
        append(&queue, 3..=4, 3000);
        queue.append_one(payload(5, 100)).unwrap();
        fail_from(&vfs, call);
        let flushed = queue.flush(Flush::Os);
        vfs.heal();
        queue.flush(Flush::Os).unwrap();
        while let Some(lease) = queue.pop(PopLimits::items(9)).unwrap() {
            queue.ack(lease.id).unwrap();
        }
        queue.trim().unwrap();
        queue.flush(Flush::Os).unwrap();
        assert_eq!(queue.stats().segments, 0, "call {call}");
        if flushed.is_ok() {
            assert!(call > 5);
            break;
        }
    }
}

/// The seal of a segment did not name the records of what was acked when it was closed.
#[test]
fn what_a_power_loss_brings_back_has_its_tag_although_its_segment_was_closed() {
    let setup = Setup::small(Mode::Fsync);
    let mut came_back = 0;
    for count in 1..=60 {
        let vfs = SimVfs::new();
        let (queue, _) = setup.open(&vfs).unwrap();
        for serial in 1..=count {
            let content = [payload(serial, 1_500)];
            let leased = queue.append_leased(&content, None, FIRST).unwrap();
            // The last one fills the next segment, and the one before it is closed.
            if serial < count {
                queue.ack(leased.lease).unwrap();
            }
        }
        let after = vfs.after_power_loss(0, |_, _| Fate::Lost);
        let (queue, recovery) = setup.open(&after).unwrap();
        came_back += recovery.leases.len();
        assert_eq!(pop_ids(&queue, 99), Vec::<u64>::new(), "{count} items");
    }
    assert!(came_back > 0);
}
