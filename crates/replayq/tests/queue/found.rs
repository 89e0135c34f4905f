//! Bugs that were found, each as the shortest program that shows it.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use replayq::vfs::sim::{Fate, SimVfs};
use replayq::{AppendError, Item, ItemId, LeaseError, PopLimits, Queue};

use crate::setup::{DIRECTORY, Mode, Setup, payload};

fn ids(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.id.0).collect()
}

fn pop_ids(queue: &Queue, items: usize) -> Vec<u64> {
    let lease = queue.pop(PopLimits::items(items)).unwrap();
    lease.map_or_else(Vec::new, |lease| ids(&lease.items))
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
    queue.flush().unwrap();
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
    let mut files = vfs.files().into_iter();
    let segment = files.find(|file| file.extension().is_some()).unwrap();
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
