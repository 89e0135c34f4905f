//! The cases of the suite of Erlang's replayq, each under its name there. The suite runs them with
//! each of its ways to keep items in memory, of which there is one here.
//!
//! | there | why it is not here |
//! |---|---|
//! | `t_reopen_v0` | its format version 0; our versions are read in `golden` |
//! | `t_comitter_crash` | a process that writes commits |
//! | `owner_down_cause_purge` | tables of a process that outlive it; what is in memory goes with the queue: `a_queue_in_memory_is_gone_with_its_owner` |
//! | `t_append_pop_…_my_marshaller` | a function that makes bytes of items: they are bytes here |
//! | `t_run_persistent`, `t_run_offload` | random programs: `model`, offload with reopening too |
//! | `benchmark_tests` | the benches |

use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Config, Damage, Item, ItemId, ItemRange, ItemRef, OpenError, PopLimits, Queue};

use crate::setup::{DIRECTORY, Mode, Setup};

fn bytes(texts: &[&'static str]) -> Vec<Bytes> {
    texts
        .iter()
        .map(|text| Bytes::from_static(text.as_bytes()))
        .collect()
}

fn texts(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .map(|item| String::from_utf8(item.payload.to_vec()).unwrap())
        .collect()
}

fn pop(queue: &Queue, limits: PopLimits<'_>) -> Vec<String> {
    queue
        .pop(limits)
        .unwrap()
        .map_or_else(Vec::new, |lease| texts(&lease.items))
}

fn segments(vfs: &SimVfs) -> Vec<PathBuf> {
    let files = vfs.files().into_iter();
    files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .collect()
}

/// Memory and disk.
fn both(test: impl Fn(&Queue)) {
    for mode in [Mode::Memory, Mode::Os] {
        let (queue, _) = Setup::small(mode).open(&SimVfs::new()).unwrap();
        test(&queue);
    }
}

#[test]
fn init_an_empty_queue_opens_and_closes_and_opens() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    for _ in 0..3 {
        let (queue, recovery) = setup.open(&vfs).unwrap();
        assert_eq!(
            (
                recovery.items,
                queue.count(),
                queue.bytes(),
                queue.is_empty()
            ),
            (0, 0, 0, true)
        );
        queue.close().unwrap();
    }
}

#[test]
fn reopen_two_items_survive_and_closing_twice_is_fine() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item1", "item2"])).unwrap();
    queue.close().unwrap();
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!((queue.count(), queue.bytes()), (2, 10));
    assert_eq!(pop(&queue, PopLimits::default()), ["item1", "item2"]);
}

#[test]
fn volatile_opening_wipes_what_was_there() {
    let vfs = SimVfs::new();
    let (queue, _) = Setup::small(Mode::Os).open(&vfs).unwrap();
    queue.append(&bytes(&["item1"])).unwrap();
    queue.close().unwrap();
    let (queue, recovery) = Setup::small(Mode::OffloadVolatile).open(&vfs).unwrap();
    assert_eq!(
        (recovery.items, queue.is_empty(), segments(&vfs).len()),
        (0, true, 0)
    );
}

#[test]
fn offload_in_memory_writes_no_segment_while_items_are_popped_in_time() {
    let vfs = SimVfs::new();
    let (queue, _) = Setup::small(Mode::Offload).open(&vfs).unwrap();
    for _ in 0..50 {
        queue.append_one(Bytes::from(vec![0; 1000])).unwrap();
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
        assert!(!queue.is_writing_to_disk() && !queue.is_memory_only());
    }
    assert_eq!(segments(&vfs), Vec::<PathBuf>::new());
}

#[test]
fn offload_file_spills_and_comes_back_to_memory_when_the_reader_has_caught_up() {
    let vfs = SimVfs::new();
    let (queue, _) = Setup::small(Mode::Offload).open(&vfs).unwrap();
    queue.append_one(Bytes::from(vec![1; 4000])).unwrap();
    assert!(!queue.is_writing_to_disk());
    queue.append_one(Bytes::from(vec![2; 4000])).unwrap();
    queue.append_one(Bytes::from(vec![3; 10])).unwrap();
    assert!(queue.is_writing_to_disk());
    let mut files = vec![segments(&vfs).len()];
    for first in [1, 2, 3] {
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        assert_eq!(lease.items[0].payload[0], first);
        queue.ack(lease.id).unwrap();
        files.push(segments(&vfs).len());
    }
    // Of those that are done one is kept to be written again, besides the one that was written
    // last.
    assert_eq!(files, [2, 2, 2, 2]);
    assert!(!queue.is_writing_to_disk());
    queue.append_one(Bytes::from(vec![4; 10])).unwrap();
    assert!(!queue.is_writing_to_disk());
}

#[test]
fn offload_reopen_brings_back_what_was_popped_and_not_acked() {
    let (setup, vfs) = (Setup::small(Mode::Offload), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item1", "item2"])).unwrap();
    queue.pop(PopLimits::items(1)).unwrap();
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!(pop(&queue, PopLimits::default()), ["item1", "item2"]);
}

#[test]
fn append_pop_disk_what_is_popped_without_an_ack_is_replayed_with_the_same_ids() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue
        .append(&bytes(&["item1", "item2", "item3", "item4", "item5"]))
        .unwrap();
    let first = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    let again = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    assert_eq!(again.items, first.items);
    queue.ack(again.id).unwrap();
    for _ in 0..100 {
        assert!(
            queue.ack(again.id).is_err(),
            "a second ack is refused and harmless"
        );
    }
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    let rest = queue.pop(PopLimits::default()).unwrap().unwrap();
    assert_eq!(texts(&rest.items), ["item3", "item4", "item5"]);
    queue.ack(rest.id).unwrap();
    queue.close().unwrap();
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert_eq!((recovery.items, queue.is_empty()), (0, true));
}

#[test]
fn append_pop_mem_items_come_in_order_and_are_gone_after_the_ack() {
    let (queue, _) = Setup::small(Mode::Memory).open(&SimVfs::new()).unwrap();
    queue.append(&bytes(&["item1", "item2", "item3"])).unwrap();
    let lease = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    assert_eq!(texts(&lease.items), ["item1", "item2"]);
    queue.ack(lease.id).unwrap();
    assert_eq!(
        (queue.count(), pop(&queue, PopLimits::default())),
        (1, vec!["item3".to_owned()])
    );
    assert!(queue.pop(PopLimits::default()).unwrap().is_none());
}

#[test]
fn append_max_total_bytes_the_overflow_counts_from_below_zero() {
    for config in [Config::memory(), Config::disk(DIRECTORY)] {
        let config = config
            .vfs(std::sync::Arc::new(SimVfs::new()))
            .max_total_bytes(20);
        let (queue, _) = Queue::open(config).unwrap();
        assert_eq!(queue.overflow_bytes(), -20);
        queue
            .append(&bytes(&["01234567890123456789", "01234567890123456789"]))
            .unwrap();
        assert_eq!(queue.overflow_bytes(), 20);
        for left in [0, -20] {
            let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
            queue.ack(lease.id).unwrap();
            assert_eq!(queue.overflow_bytes(), left);
        }
    }
}

#[test]
fn a_queue_in_memory_is_gone_with_its_owner() {
    let vfs = SimVfs::new();
    let setup = Setup::small(Mode::Memory);
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item1"])).unwrap();
    drop(queue);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert_eq!((recovery.items, queue.count()), (0, 0));
    assert_eq!(vfs.files(), Vec::<PathBuf>::new());
}

#[test]
fn pop_limit_counts_items_and_bytes_but_gives_at_least_one() {
    both(|queue| {
        queue.append(&bytes(&["item1", "item2"])).unwrap();
        assert_eq!(pop(queue, PopLimits::at_most_bytes(1)), ["item1"]);
        assert_eq!(pop(queue, PopLimits::items(0)), ["item2"]);
    });
}

#[test]
fn commit_in_the_middle_a_partial_ack_is_honoured_after_reopening() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item1", "item2", "item3"])).unwrap();
    let lease = queue.pop(PopLimits::default()).unwrap().unwrap();
    let first = ItemRange::one(ItemId(1));
    queue.ack_items(lease.id, first).unwrap();
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!(pop(&queue, PopLimits::default()), ["item2", "item3"]);
}

/// Three segments of one item each, of which one is nothing but garbage.
fn with_corrupted_segment(which: usize) -> Vec<String> {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    for item in ["item1", "item2", "item3"] {
        let (queue, _) = setup.open(&vfs).unwrap();
        queue
            .append(&[Bytes::from(format!("{item:<5000}"))])
            .unwrap();
        queue.close().unwrap();
    }
    let path = segments(&vfs).swap_remove(which);
    vfs.write_file(&path, b"some corrupted data".to_vec());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item4"])).unwrap();
    let popped = pop(&queue, PopLimits::items(9));
    assert!(!queue.damage().is_empty());
    popped.iter().map(|text| text.trim().to_owned()).collect()
}

#[test]
fn first_segment_corrupted_the_others_are_read() {
    assert_eq!(with_corrupted_segment(0), ["item2", "item3", "item4"]);
}

#[test]
fn second_segment_corrupted_the_others_are_read() {
    assert_eq!(with_corrupted_segment(1), ["item1", "item3", "item4"]);
}

#[test]
fn last_segment_corrupted_the_others_are_read_and_new_items_follow() {
    assert_eq!(with_corrupted_segment(2), ["item1", "item2", "item4"]);
}

#[test]
fn corrupted_segment_items_before_and_behind_the_damage_are_kept() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue
        .append(&bytes(&["item1", "", "item3", "item4"]))
        .unwrap();
    drop(queue);
    let path = segments(&vfs).swap_remove(0);
    let mut content = vfs.read_file(&path).unwrap();
    let at = content
        .windows(5)
        .position(|window| window == b"item3")
        .unwrap();
    content[at] ^= 1;
    vfs.write_file(&path, content);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert!(
        matches!(recovery.damage[..], [Damage::Item { id: ItemId(3), .. }]),
        "{recovery:?}"
    );
    assert_eq!(pop(&queue, PopLimits::default()), ["item1", "", "item4"]);
}

/// What stands behind the last item of a segment, or in its place.
fn with_bad_tail(spoil: impl Fn(&mut Vec<u8>, usize)) -> Vec<String> {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item1", "", "item3"])).unwrap();
    let end = vfs.read_file(&segments(&vfs)[0]).unwrap().len();
    queue.append(&bytes(&["item4"])).unwrap();
    // Without a close: there is no commit that knows of the last items.
    drop(queue);
    let path = segments(&vfs).swap_remove(0);
    let mut content = vfs.read_file(&path).unwrap();
    spoil(&mut content, end);
    vfs.write_file(&path, content);
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append(&bytes(&["item5"])).unwrap();
    pop(&queue, PopLimits::default())
}

#[test]
fn corrupted_segment_a_bad_tail_costs_the_item_in_it_and_no_earlier_one() {
    type Spoil = fn(&mut Vec<u8>, usize);
    let spoils: [(&str, Spoil); 5] = [
        ("another kind of entry", |content, end| content[end] ^= 1),
        ("another checksum", |content, end| content[end + 16] ^= 1),
        ("another length", |content, end| content[end + 4] = 200),
        ("a header that is cut", |content, end| {
            content.truncate(end + 10)
        }),
        ("a payload that is cut", |content, end| {
            content.truncate(end + 26)
        }),
    ];
    for (name, spoil) in spoils {
        assert_eq!(
            with_bad_tail(spoil),
            ["item1", "", "item3", "item5"],
            "{name}"
        );
    }
    let garbage = with_bad_tail(|content, _| content.extend(b"some corrupted data"));
    assert_eq!(garbage, ["item1", "", "item3", "item4", "item5"]);
}

#[test]
fn huge_filepath_a_directory_name_of_255_bytes_works() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("d".repeat(255));
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    queue.append(&bytes(&["item1"])).unwrap();
    queue.close().unwrap();
    let (queue, _) = Queue::open(Config::disk(&directory)).unwrap();
    assert_eq!(queue.count(), 1);
}

#[test]
fn same_directory_a_second_handle_is_refused_until_the_first_is_closed() {
    let parent = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(Config::disk(parent.path())).unwrap();
    let again = parent
        .path()
        .join("..")
        .join(parent.path().file_name().unwrap());
    let result = Queue::open(Config::disk(&again));
    assert!(
        matches!(&result, Err(OpenError::Locked { holder: Some(holder), .. }) if *holder == std::process::id()),
        "{result:?}"
    );
    queue.close().unwrap();
    Queue::open(Config::disk(again)).unwrap();
}

#[test]
fn is_mem_only_and_is_writing_to_disk_say_what_the_mode_does() {
    let figures = |mode| {
        let (queue, _) = Setup::small(mode).open(&SimVfs::new()).unwrap();
        (queue.is_memory_only(), queue.is_writing_to_disk())
    };
    assert_eq!(figures(Mode::Memory), (true, false));
    assert_eq!(figures(Mode::Os), (false, true));
    assert_eq!(figures(Mode::Offload), (false, false));
}

#[test]
fn stop_before_ends_a_pop_but_never_before_the_first_item() {
    both(|queue| {
        queue.append(&bytes(&["1", "2", "3", "4"])).unwrap();
        let mut is_large = |item: &ItemRef<'_>| item.payload >= b"3".as_slice();
        assert_eq!(
            pop(queue, PopLimits::default().stop_before(&mut is_large)),
            ["1", "2"]
        );
        assert_eq!(
            pop(queue, PopLimits::default().stop_before(&mut is_large)),
            ["3"]
        );
        assert_eq!(
            pop(queue, PopLimits::default().stop_before(&mut is_large)),
            ["4"]
        );
    });
}

#[test]
fn corrupted_commit_is_no_obstacle() {
    for garbage in [&b""[..], b"bad-erlang-term", &[0xff; 70_000]] {
        let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
        let (queue, _) = setup.open(&vfs).unwrap();
        queue.append(&bytes(&["item1", "item2"])).unwrap();
        queue.close().unwrap();
        vfs.write_file(&Path::new(DIRECTORY).join("control"), garbage.to_vec());
        let (queue, recovery) = setup.open(&vfs).unwrap();
        assert!(recovery.damage.contains(&Damage::Control), "{recovery:?}");
        assert_eq!(pop(&queue, PopLimits::default()), ["item1", "item2"]);
    }
}

#[test]
fn pop_bytes_at_most_and_at_least() {
    both(|queue| {
        queue
            .append(&bytes(&["aa", "bb", "cc", "dd", "ee", "ff"]))
            .unwrap();
        assert_eq!(pop(queue, PopLimits::at_most_bytes(5)), ["aa", "bb"]);
        assert_eq!(pop(queue, PopLimits::at_least_bytes(3)), ["cc", "dd"]);
        assert_eq!(pop(queue, PopLimits::default()), ["ee", "ff"]);
    });
}
