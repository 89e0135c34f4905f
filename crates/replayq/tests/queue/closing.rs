//! Flushing, closing and purging, in every mode and at bad moments.

use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use replayq::vfs::sim::{Fate, SimVfs};
use replayq::{
    AckError, AppendError, Flush, FlushError, Item, LeaseError, OpenError, PopLimits, Queue,
    ReadError,
};

use crate::calls::{append, fail_from, ids, pop_ids};
use crate::setup::{Mode, Setup, payload};

#[test]
fn acks_that_were_flushed_survive_a_kill_and_then_a_power_loss() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 20);
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.ack(lease.id).unwrap();
    queue.flush(Flush::Disk).unwrap();
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.ack(lease.id).unwrap();
    drop(queue);
    let (queue, _) = setup.open(&vfs).unwrap();
    for _ in 0..2 {
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
    }
    let lost = vfs.after_power_loss(vfs.pending_names(), |_, write| {
        // Every write of a commit was cut short.
        Fate::Part(0, write.bytes.unwrap_or(0) / 2)
    });
    let (queue, _) = setup.open(&lost).unwrap();
    assert!(!pop_ids(&queue, 9).contains(&1));
}

#[test]
fn a_closed_queue_answers_so_and_leaves_the_files_to_their_next_owner() {
    for mode in Mode::DURABLE {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=5, 1200);
        let lease = || queue.pop(PopLimits::items(1)).unwrap().unwrap().id;
        let [acked, tagged, released] = [lease(), lease(), lease()];
        queue.tag(released, Bytes::from_static(b"tag")).unwrap();
        queue.close().unwrap();
        let changes = vfs.changes();
        let tag = || Bytes::from_static(b"late");
        let late = [payload(9, 100)];
        assert!(matches!(queue.append(&late), Err(AppendError::Closed)));
        let appended = queue.append_leased(&late, None, tag());
        assert!(matches!(appended, Err(AppendError::Closed)));
        assert!(matches!(
            queue.pop(PopLimits::default()),
            Err(ReadError::Closed)
        ));
        assert!(matches!(queue.ack(acked), Err(AckError::Closed)));
        assert!(matches!(
            queue.ack_with_tag(acked, tag()),
            Err(AckError::Closed)
        ));
        assert!(matches!(queue.tag(tagged, tag()), Err(LeaseError::Closed)));
        assert!(matches!(queue.release(released), Err(AckError::Closed)));
        assert!(matches!(queue.set_commit_tag(tag()), Err(AckError::Closed)));
        assert!(matches!(queue.flush(Flush::Disk), Err(FlushError::Closed)));
        queue.close().unwrap();
        assert_eq!(vfs.changes(), changes, "in mode {mode:?}");
        let (next, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(recovery.items, 5, "in mode {mode:?}");
        for _ in ["while the next owner has it", "and later"] {
            let purged = queue.close_and_purge();
            let is_refused = matches!(purged, Err(FlushError::OpenedElsewhere { .. }));
            assert!(is_refused, "{purged:?}");
            next.close().unwrap();
        }
        let (_, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(recovery.items, 5, "in mode {mode:?}");
    }
}

/// Calls that were under way when another thread closed the queue wrote into files that were
/// somebody else's by then.
#[test]
fn calls_that_meet_a_close_write_before_it_or_not_at_all() {
    const THREADS: usize = 4;
    for (round, mode) in Mode::DURABLE.into_iter().cycle().take(150).enumerate() {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        // With all slots taken, leases are entries of segments.
        for serial in 0..[0, 8][round % 2] {
            append(&queue, serial..=serial, 10);
            let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
            queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
        }
        let begun = Barrier::new(THREADS + 1);
        let mut changes = 0;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (queue, begun) = (&queue, &begun);
                scope.spawn(move || {
                    begun.wait();
                    while queue.append_one(payload(thread as u64, 1500)).is_ok() {
                        let Ok(Some(lease)) = queue.pop(PopLimits::items(2)) else {
                            continue;
                        };
                        let _closed = queue.tag(lease.id, Bytes::from_static(b"tag"));
                        let _closed = match thread % 2 {
                            0 => queue.ack(lease.id),
                            _ => queue.release(lease.id),
                        };
                    }
                });
            }
            begun.wait();
            for _ in 0..round {
                thread::yield_now();
            }
            queue.close().unwrap();
            changes = vfs.changes();
        });
        assert_eq!(vfs.changes(), changes, "round {round}, mode {mode:?}");
    }
}

#[test]
fn a_purge_that_failed_can_be_tried_again_until_nothing_is_left() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    for calls in 0..8 {
        let (queue, _) = setup.open(&vfs).unwrap();
        for serial in 1..=4 {
            append(&queue, serial..=serial, 3000);
        }
        fail_from(&vfs, calls);
        queue.close_and_purge().unwrap_err();
        vfs.heal();
        queue.close_and_purge().unwrap();
        queue.close_and_purge().unwrap();
        assert_eq!(vfs.files(), Vec::<PathBuf>::new(), "{calls} calls");
    }
}

/// It was refused, and the files of a queue that was closed a moment too early stayed for ever.
#[test]
fn a_queue_that_was_closed_can_still_be_purged_while_nobody_else_has_opened_it() {
    for mode in Mode::DURABLE {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        for calls in 0..16 {
            let (queue, _) = setup.open(&vfs).unwrap();
            append(&queue, 1..=4, 3000);
            queue.close().unwrap();
            fail_from(&vfs, calls);
            let purged = queue.close_and_purge();
            vfs.heal();
            if purged.is_err() {
                queue.close_and_purge().unwrap();
            }
            queue.close_and_purge().unwrap();
            assert_eq!(vfs.files(), Vec::<PathBuf>::new(), "{calls} calls");
        }
    }
}

/// It was answered with an error the first time, and the second time with Ok although the acks were
/// in no file.
#[test]
fn a_close_that_failed_leaves_the_queue_open_and_can_be_tried_again() {
    for mode in Mode::DURABLE {
        for call in 0.. {
            let (setup, vfs) = (Setup::small(mode), SimVfs::new());
            let (queue, _) = setup.open(&vfs).unwrap();
            append(&queue, 1..=3, 100);
            let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
            fail_from(&vfs, 0);
            let _not_durable = queue.ack(lease.id);
            vfs.heal();
            fail_from(&vfs, call);
            let closed = queue.close();
            vfs.heal();
            if closed.is_ok() {
                assert!(call > 1, "a close makes {call} calls in mode {mode:?}");
                break;
            }
            let opened = setup.open(&vfs);
            assert!(
                matches!(opened, Err(OpenError::Locked { .. })),
                "{opened:?}"
            );
            append(&queue, 4..=4, 100);
            queue.close().unwrap();
            let (queue, _) = setup.open(&vfs).unwrap();
            assert_eq!(
                pop_ids(&queue, 9),
                [2, 3, 4],
                "call {call} of mode {mode:?}"
            );
        }
    }
}

/// The control file, which says what is done, was removed before the items.
#[test]
fn of_a_purge_that_a_kill_cut_short_nothing_comes_back_that_was_acked() {
    for change in 0.. {
        let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=4, 1000);
        append(&queue, 5..=6, 1000);
        let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
        vfs.crash_at(vfs.changes() + change, 0);
        let purged = queue.close_and_purge();
        drop(queue);
        let (queue, _) = setup.open(&vfs.after_kill()).unwrap();
        let left = pop_ids(&queue, 9);
        assert!(
            [vec![4, 5, 6], vec![4], vec![5, 6], vec![]].contains(&left),
            "change {change}: {left:?}"
        );
        if purged.is_ok() {
            break;
        }
    }
}

/// It answered with an error and was closed all the same, and what was in memory was gone.
#[test]
fn a_queue_that_a_full_disk_keeps_from_being_written_down_stays_open_and_closes_later() {
    let setup = Setup {
        segment_bytes: 50_000,
        ..Setup::small(Mode::Offload)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=400, 50);
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    // Room for the head of a segment and some of the items: the rest is what the next close writes.
    vfs.set_capacity(Some(vfs.used_bytes() + 30_000));
    for _ in 0..2 {
        let closed = queue.close();
        assert!(matches!(closed, Err(FlushError::Io(_))), "{closed:?}");
    }
    queue.ack(lease.id).unwrap();
    queue.append_one(payload(401, 50)).unwrap();
    vfs.set_capacity(None);
    queue.close().unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert_eq!((recovery.items, recovery.damage), (399, vec![]));
    let items = queue.pop(PopLimits::items(999)).unwrap().unwrap().items;
    assert_eq!(ids(&items), (3..=401).collect::<Vec<_>>());
    let is_sound = |item: &Item| item.payload == payload(item.id.0, 50);
    assert!(items.iter().all(is_sound));
}

/// A pop had taken items from memory and went on to those on disk; the close in between wrote down
/// all others.
#[test]
fn a_pop_that_meets_the_close_of_a_queue_that_spills_loses_no_item() {
    for round in 0..200 {
        let (setup, vfs) = (Setup::small(Mode::Offload), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        for serial in 1..=40 {
            append(&queue, serial..=serial, 400);
        }
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                // Leased or refused: without a tag all of it waits again.
                let _popped = queue.pop(PopLimits::items(40));
            });
            begun.wait();
            for _ in 0..round {
                std::hint::spin_loop();
            }
            queue.close().unwrap();
        });
        drop(queue);
        let (queue, _) = setup.open(&vfs).unwrap();
        assert_eq!(pop_ids(&queue, 99).len(), 40, "round {round}");
    }
}

/// The items of a pop under way are in no file and no lease: a flush that did not wait for it would
/// miss them.
#[test]
fn flushes_go_along_with_appends_pops_acks_and_releases_of_other_threads() {
    const ITEMS: u64 = 600;
    let setup = Setup {
        segment_bytes: 20_000,
        ..Setup::small(Mode::Offload)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    let (mut acked, mut kept, mut round) = (Vec::new(), Vec::new(), 0);
    thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for serial in 1..=ITEMS {
                queue.append_one(payload(serial, 100)).unwrap();
            }
        });
        let queue = &queue;
        let flushing = scope.spawn(move || {
            while !appending.is_finished() {
                queue.flush(Flush::Os).unwrap();
                queue.flush(Flush::Disk).unwrap();
            }
        });
        while !flushing.is_finished() {
            let Some(lease) = queue.pop(PopLimits::items(3)).unwrap() else {
                thread::yield_now();
                continue;
            };
            let taken = ids(&lease.items);
            round += 1;
            if round % 3 == 0 {
                queue.release(lease.id).unwrap();
            } else if round % 40 == 1 {
                queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
                kept.push(taken);
            } else {
                queue.ack(lease.id).unwrap();
                acked.extend(taken);
            }
        }
    });
    queue.flush(Flush::Disk).unwrap();
    kept.sort_unstable();
    let lost = vfs.after_power_loss(0, |_, _| Fate::Lost);
    for disk in [vfs.after_kill(), lost] {
        let (queue, recovery) = setup.open(&disk).unwrap();
        let leases: Vec<_> = recovery
            .leases
            .iter()
            .map(|lease| ids(&queue.read_lease(lease.id).unwrap().items))
            .collect();
        assert_eq!(leases, kept);
        let mut found: Vec<u64> = leases.into_iter().flatten().collect();
        found.extend(pop_all(&queue));
        found.extend(&acked);
        found.sort_unstable();
        assert_eq!(found, (1..=ITEMS).collect::<Vec<_>>());
    }
}

fn pop_all(queue: &Queue) -> Vec<u64> {
    std::iter::from_fn(|| queue.pop(PopLimits::items(50)).unwrap())
        .flat_map(|lease| ids(&lease.items))
        .collect()
}

/// The ack of an item that is in memory only needs no commit; its answer said that a tag before it
/// was written, which it was not.
#[test]
fn an_ack_in_memory_writes_what_a_failed_call_before_it_could_not() {
    let (setup, vfs) = (Setup::small(Mode::Offload), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=2, 100);
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    fail_from(&vfs, 0);
    queue
        .set_commit_tag(Bytes::from_static(b"tag"))
        .unwrap_err();
    vfs.heal();
    queue.ack(lease.id).unwrap();
    let (_, recovery) = setup.open(&vfs.after_kill()).unwrap();
    assert_eq!(&recovery.commit_tag[..], b"tag");
}
