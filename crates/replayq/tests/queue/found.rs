//! Bugs that were found, each as the shortest program that shows it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{
    AckError, AppendError, Durability, Flush, ItemId, ItemRef, LeaseError, PopLimits, Queue,
};

use crate::calls::{append, fail_from, ids, pop_ids, segment};
use crate::setup::{DIRECTORY, Mode, Setup, payload};

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

/// Two hundred open leases of one item each once held two hundred reads in memory.
#[test]
fn few_items_held_for_long_hold_nothing_else_of_what_was_read_with_them() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=9, 20);
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    let earlier = queue.read_lease(recovery.leases[0].id).unwrap();
    let later = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    assert_eq!(later.items[0].payload, payload(3, 20));
    queue.ack(earlier.id).unwrap();
    queue.ack(later.id).unwrap();
    for lease in [earlier, later] {
        // The other items of the lease, if any, are let go here: nobody else has this memory.
        let first = lease.items.into_iter().next().unwrap().payload;
        assert!(first.is_unique());
    }
}

/// What is left among much that is done waits in memory, by thousands of reads where it lies far
/// apart.
#[test]
fn what_waits_in_memory_holds_nothing_of_what_is_done() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=9, 20);
    let first = queue.pop(PopLimits::items(4)).unwrap().unwrap();
    let left = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    let last = queue.pop(PopLimits::items(4)).unwrap().unwrap();
    queue.ack(first.id).unwrap();
    queue.ack(last.id).unwrap();
    drop((queue, left));
    let (queue, _) = setup.open(&vfs).unwrap();
    // A peek takes nothing out: what it shows is what waits.
    let peeked = queue.peek(PopLimits::items(9)).unwrap();
    queue.close().unwrap();
    drop(queue);
    let payload = peeked.into_iter().next().unwrap().payload;
    let memory = payload.try_into_mut().unwrap();
    assert_eq!(memory.capacity(), 20, "all that it keeps in memory");
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

/// The reader waited for items of which it knew that they had been written, and which could not be
/// made out any more.
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

/// After a failed sync the control file is written anew. Where the sync of its name failed too,
/// what followed went into the file that had lost its name.
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

/// A release that had emptied a slot and failed then believed the slot its own still, when it was
/// another's.
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

/// The slot of a lease whose ack met an error was never free again, and after eight of them a full
/// disk took no more tags.
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
    // The slots are taken by eight of them: the calls of another tag for the last one are the write
    // of an entry, and the opening of the file to void the one before.
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

#[test]
fn a_release_that_cannot_read_the_items_leaves_the_lease_and_its_tag_on_disk() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 20);
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    // The reader comes by the items of the lease, which stay on disk.
    assert_eq!(pop_ids(&queue, 1), [3]);
    fail_from(&vfs, 0);
    let refused = queue.release(recovery.leases[0].id);
    assert!(matches!(refused, Err(AckError::NotRead(_))), "{refused:?}");
    vfs.heal();
    drop(queue);
    let (queue, again) = setup.open(&vfs).unwrap();
    assert_eq!(again.leases.len(), 1);
    assert_eq!(&again.leases[0].tag[..], b"tag");
    queue.release(again.leases[0].id).unwrap();
    assert_eq!(pop_ids(&queue, 9), [1, 2, 3, 4]);
}

#[test]
fn a_function_that_panics_in_a_pop_takes_nothing() {
    for mode in [Mode::Memory, Mode::Os, Mode::Offload] {
        let mut setup = Setup::small(mode);
        setup.resident_bytes = 100;
        let (queue, _) = setup.open(&SimVfs::new()).unwrap();
        append(&queue, 1..=9, 40);
        // On disk the last ones are read in the middle of the pop.
        for last in [1, 3, 9] {
            let mut panics = |item: &ItemRef<'_>| {
                assert!(item.id.0 < last, "the caller's own");
                false
            };
            let limits = PopLimits::default().stop_before(&mut panics);
            let popped = catch_unwind(AssertUnwindSafe(|| queue.pop(limits)));
            assert!(popped.is_err());
            assert_eq!((queue.count(), queue.bytes()), (9, 360), "{mode:?} {last}");
        }
        assert_eq!(pop_ids(&queue, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((queue.count(), queue.stats().leased_items), (0, 9));
    }
}

#[test]
fn a_delay_that_would_never_end_is_refused() {
    for max_delay in [Duration::from_secs(61), Duration::MAX] {
        let setup = Setup::small(Mode::Fsync);
        let config = setup.config(&SimVfs::new());
        let error = Queue::open(config.durability(Durability::Fsync { max_delay })).unwrap_err();
        assert!(error.to_string().contains("the most is 60s"), "{error}");
    }
}
