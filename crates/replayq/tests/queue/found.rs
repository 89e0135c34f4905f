//! Bugs that were found, each as the shortest program that shows it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::{Fate, Fault, FaultKind, SimVfs};
use replayq::{
    AckError, AppendError, Flush, FlushError, Item, ItemId, LeaseError, OpenError, PopLimits,
    Queue, ReadError,
};

use crate::setup::{DIRECTORY, Mode, Setup, payload};

fn ids(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.id.0).collect()
}

fn pop_ids(queue: &Queue, items: usize) -> Vec<u64> {
    let lease = queue.pop(PopLimits::items(items)).unwrap();
    lease.map_or_else(Vec::new, |lease| ids(&lease.items))
}

/// The only segment there is.
fn segment(vfs: &SimVfs) -> PathBuf {
    let mut files = vfs.files().into_iter();
    files.find(|file| file.extension().is_some()).unwrap()
}

fn append(queue: &Queue, serials: std::ops::RangeInclusive<u64>, bytes: usize) {
    let payloads: Vec<Bytes> = serials.map(|serial| payload(serial, bytes)).collect();
    queue.append(&payloads).unwrap();
}

#[test]
fn a_full_segment_longer_than_one_read_is_read_to_its_end() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 1400);
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!(pop_ids(&queue, 9), [1, 2, 3, 4]);
    assert!(queue.damage().is_empty());
}

#[test]
fn a_released_lease_of_an_earlier_life_waits_once_and_in_its_place() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=2, 20);
    let first = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    append(&queue, 3..=6, 20);
    let second = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(second.id, Bytes::from_static(b"tag")).unwrap();
    queue.release(first.id).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    queue.release(recovery.leases[0].id).unwrap();
    assert_eq!(pop_ids(&queue, 9), [1, 2, 3, 4, 5, 6]);
    assert_eq!((pop_ids(&queue, 9), queue.count()), (vec![], 0));
}

#[test]
fn no_lease_made_with_an_append_reaches_over_another() {
    let (queue, _) = Setup::small(Mode::Memory).open(&SimVfs::new()).unwrap();
    append(&queue, 1..=3, 20);
    let first = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let _second = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.release(first.id).unwrap();
    let result = queue.append_leased(&[payload(4, 20)], Some(ItemId(1)), Bytes::new());
    assert!(matches!(
        result,
        Err(AppendError::Lease(LeaseError::NotAtFront))
    ));
}

#[test]
fn reading_goes_on_behind_a_segment_whose_leases_were_acked_unread() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=2, 2000);
    append(&queue, 3..=4, 2000);
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    queue.ack(recovery.leases[0].id).unwrap();
    assert_eq!(pop_ids(&queue, 9), [3, 4]);
}

#[test]
fn who_pops_at_the_same_time_never_gets_a_lease_over_the_items_of_another() {
    let setup = Setup {
        resident_bytes: 0,
        ..Setup::small(Mode::Os)
    };
    let (queue, _) = setup.open(&SimVfs::new()).unwrap();
    let queue = Arc::new(queue);
    for round in 0..20 {
        append(&queue, round * 20 + 1..=round * 20 + 20, 300);
        let poppers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.pop(PopLimits::items(5)).unwrap())
            })
            .collect();
        let mut leases: Vec<_> = poppers
            .into_iter()
            .filter_map(|popper| popper.join().unwrap())
            .collect();
        leases.sort_by_key(|lease| lease.items[0].id);
        let mut popped: Vec<u64> = Vec::new();
        for lease in &leases {
            let ids = ids(&lease.items);
            assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{ids:?}");
            popped.extend(ids);
            queue.ack(lease.id).unwrap();
        }
        popped.extend(pop_ids(&queue, 20));
        popped.sort_unstable();
        let expected: Vec<u64> = (round * 20 + 1..=round * 20 + 20).collect();
        assert_eq!(popped, expected);
    }
}

#[test]
fn some_items_of_a_lease_of_an_earlier_life_count_as_done_when_they_are() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=3, 20);
    let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    let middle = replayq::ItemRange::one(ItemId(2));
    queue.ack_items(recovery.leases[0].id, middle).unwrap();
    assert_eq!(queue.stats().leased_items, 2);
}

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
fn a_file_named_with_the_highest_id_is_no_panic_and_no_id_is_given_twice() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let name = format!("{DIRECTORY}/{0:020}-{0:020}.segment", u64::MAX);
    vfs.write_file(Path::new(&name), b"forged".to_vec());
    let (queue, _) = setup.open(&vfs).unwrap();
    let result = queue.append_one(payload(1, 20));
    assert!(matches!(result, Err(AppendError::NoMoreIds)), "{result:?}");
    queue.close().unwrap();
    setup.open(&vfs).unwrap();
}

#[test]
fn what_follows_an_item_whose_padding_was_cut_is_not_lost() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=1, 73);
    drop(queue);
    let segment = segment(&vfs);
    let mut content = vfs.read_file(&segment).unwrap();
    content.truncate(content.len() - 5);
    vfs.write_file(&segment, content);
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 2..=3, 73);
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(pop_ids(&queue, 9), [1, 2, 3]);
}

/// The call with that number, the first being 0, fails from now on.
fn fail_from(vfs: &SimVfs, call: u64) {
    vfs.inject(Fault {
        call: vfs.calls() + call,
        for_ever: true,
        kind: FaultKind::Error(5),
    });
}

/// The reader waited for items of which it knew that they had been written, and which could not be made out any more.
#[test]
fn damage_at_the_end_of_the_segment_being_filled_is_passed_and_not_waited_for() {
    const FIRST_ENTRY: usize = 4096;
    let setup = Setup {
        resident_bytes: 0,
        ..Setup::small(Mode::Os)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=3, 104);
    let segment = segment(&vfs);
    let mut content = vfs.read_file(&segment).unwrap();
    content[FIRST_ENTRY + 2 * (24 + 104)] ^= 1;
    vfs.write_file(&segment, content);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let popped = (pop_ids(&queue, 9), pop_ids(&queue, 9));
        sender.send((popped, queue.count(), queue.damage().len()))
    });
    // Only a reader that hangs takes so long.
    let answer = receiver.recv_timeout(Duration::from_secs(60));
    assert_eq!(answer, Ok(((vec![1, 2], vec![]), 0, 1)));
}

/// A control file with a damaged header is written anew, and the leases in it were left out.
#[test]
fn leases_in_slots_survive_damage_in_the_header_of_the_control_file() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=3, 100);
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"stamp")).unwrap();
    drop(queue);
    let control = Path::new(DIRECTORY).join("control");
    let mut content = vfs.read_file(&control).unwrap();
    content[13] ^= 1;
    vfs.write_file(&control, content);
    for life in ["that finds the damage", "after it"] {
        let (queue, recovery) = setup.open(&vfs).unwrap();
        let leases: Vec<_> = recovery.leases.iter().collect();
        assert_eq!(leases.len(), 1, "in the life {life}");
        let (items, tag) = (leases[0].items, &leases[0].tag[..]);
        assert_eq!((items.first.0, items.last.0, tag), (1, 2, &b"stamp"[..]));
        assert_eq!(pop_ids(&queue, 9), [3]);
    }
}

/// After a failed sync the control file is written anew. Where the sync of its name failed too, what followed went into the file that had lost its name.
#[test]
fn acks_after_a_failed_sync_of_the_directory_go_to_the_file_that_has_the_name() {
    let mut failed = 0;
    for call in 0.. {
        let (setup, vfs) = (Setup::small(Mode::Fsync), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=3, 100);
        let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
        queue.set_commit_tag(Bytes::from_static(b"any")).unwrap();
        // The first call of a flush of which all segments are synced.
        fail_from(&vfs, 0);
        queue.flush(Flush::Disk).unwrap_err();
        vfs.heal();
        fail_from(&vfs, call);
        let flushed = queue.flush(Flush::Disk);
        vfs.heal();
        queue.ack(lease.id).unwrap();
        let (queue, _) = setup.open(&vfs.after_kill()).unwrap();
        assert_eq!(pop_ids(&queue, 9), [3], "call {call} of the flush failed");
        if flushed.is_ok() {
            break;
        }
        failed += 1;
    }
    assert!(failed >= 5, "{failed} calls make a new control file");
}

/// A release that had emptied a slot and failed then believed the slot its own still, when it was another's.
#[test]
fn a_release_that_failed_half_way_and_is_tried_again_leaves_the_slot_to_its_new_lease() {
    let (setup, vfs) = (Setup::small(Mode::Fsync), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 100);
    let first = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    let second = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(first.id, Bytes::from_static(b"first")).unwrap();
    // The calls of a release: write zeros over the slot, sync.
    fail_from(&vfs, 1);
    let released = queue.release(first.id);
    assert!(
        matches!(released, Err(AckError::NotDurable(_))),
        "{released:?}"
    );
    vfs.heal();
    queue.tag(second.id, Bytes::from_static(b"second")).unwrap();
    queue.release(first.id).unwrap();
    let (queue, recovery) = setup.open(&vfs.after_kill()).unwrap();
    let tags: Vec<_> = recovery.leases.iter().map(|lease| &lease.tag[..]).collect();
    assert_eq!(tags, [b"second"]);
    assert_eq!(pop_ids(&queue, 9), [1, 2]);
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
            let is_refused = matches!(purged, Err(FlushError::InOtherHands { .. }));
            assert!(is_refused, "{purged:?}");
            next.close().unwrap();
        }
        let (_, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(recovery.items, 5, "in mode {mode:?}");
    }
}

/// Calls that were under way when another thread closed the queue wrote into files that were somebody else's by then.
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

/// The slot of a lease whose ack met an error was never free again, and after eight of them a full disk took no more tags.
#[test]
fn slots_of_leases_whose_acks_could_not_be_written_are_free_after_the_next_commit() {
    for mode in [Mode::Os, Mode::Fsync] {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=20, 10);
        let lease = || {
            let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
            queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
            lease.id
        };
        for _ in 0..8 {
            let lease = lease();
            fail_from(&vfs, 0);
            let acked = queue.ack(lease);
            assert!(matches!(acked, Err(AckError::NotDurable(_))), "{acked:?}");
            vfs.heal();
        }
        queue.flush(Flush::Disk).unwrap();
        vfs.set_capacity(Some(vfs.used_bytes()));
        lease();
        drop(queue);
        let (queue, recovery) = setup.open(&vfs.after_kill()).unwrap();
        assert_eq!(recovery.leases.len(), 1, "in mode {mode:?}");
        assert_eq!(queue.count(), 11, "in mode {mode:?}");
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

/// It was answered with an error the first time, and the second time with Ok although the acks were in no file.
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

/// A pop had taken items from memory and went on to those on disk; the close in between wrote down all others.
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

/// Voiding the earlier record at open let go of the segment in which the later one lay too.
#[test]
fn a_lease_outlives_the_earlier_record_of_it_that_could_not_be_voided() {
    let setup = Setup {
        spare_segments: 0,
        ..Setup::small(Mode::Os)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=9, 10);
    let leases: Vec<_> = (1..=9)
        .map(|_| queue.pop(PopLimits::items(1)).unwrap().unwrap().id)
        .collect();
    // In another segment than the leased items.
    append(&queue, 10..=10, 3000);
    for lease in &leases {
        queue.tag(*lease, Bytes::from_static(b"first")).unwrap();
    }
    // The slots are taken by eight of them: the calls of another tag for the last one are the write of an entry, and the opening of the file to void the one before.
    fail_from(&vfs, 1);
    queue.tag(leases[8], Bytes::from_static(b"second")).unwrap();
    vfs.heal();
    drop(queue);
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 11..=11, 3000);
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    assert_eq!(ids(&lease.items), [10]);
    queue.ack(lease.id).unwrap();
    drop(queue);
    let (_, recovery) = setup.open(&vfs).unwrap();
    let last = recovery.leases.last().unwrap();
    assert_eq!((recovery.leases.len(), &last.tag[..]), (9, &b"second"[..]));
}

/// The lease was read without the item, and without a word.
#[test]
fn reading_a_lease_of_an_earlier_life_says_what_of_it_is_lost() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 100);
    let lease = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    queue.close().unwrap();
    let file = segment(&vfs);
    let mut bytes = vfs.read_file(&file).unwrap();
    // Of the second item's payload; a full segment is not looked into at open.
    bytes[4096 + 128 + 24] ^= 1;
    vfs.write_file(&file, bytes);
    let seal_it = Setup {
        segment_bytes: 4096,
        ..setup
    };
    let (queue, recovery) = seal_it.open(&vfs).unwrap();
    for _ in ["at first", "again"] {
        let read = queue.read_lease(recovery.leases[0].id).unwrap();
        assert_eq!(ids(&read.items), [1, 3]);
        assert_eq!(queue.damage().len(), 1, "{:?}", queue.damage());
        assert_eq!(queue.stats().leased_items, 2);
    }
    queue.ack(recovery.leases[0].id).unwrap();
    assert_eq!(pop_ids(&queue, 9), [4]);
    assert_eq!(queue.damage().len(), 1, "{:?}", queue.damage());
}

/// The items of a pop under way are in no file and no lease: a flush that did not wait for it would miss them.
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

/// The ack of an item that is in memory only needs no commit; its answer said that a tag before it was written, which it was not.
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
