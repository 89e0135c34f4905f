//! Calls of several threads that meet in the middle of one another.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use bytes::Bytes;
use replayq::vfs::sim::{Change, Fault, FaultKind};
use replayq::{AppendError, Flush, FlushError, Overflow, PopLimits, Queue, ReadError};

use crate::calls::{append, ids, pop_ids};
use crate::hook::{Act, HookVfs};
use crate::setup::{Mode, Setup};

fn open(setup: Setup, vfs: &HookVfs) -> Arc<Queue> {
    let config = setup.config(&vfs.sim).vfs(Arc::new(vfs.clone()));
    Arc::new(Queue::open(config).unwrap().0)
}

/// They were in no lease while the pop that had taken them went on to the disk, so that another
/// one's lease could reach over them, and its ack.
#[test]
fn a_lease_never_reaches_over_items_that_another_pop_has_taken_and_not_yet_leased() {
    let (setup, vfs) = (Setup::small(Mode::Os), HookVfs::new());
    let queue = open(setup, &vfs);
    append(&queue, 1..=5, 100);
    let lease = |items| queue.pop(PopLimits::items(items)).unwrap().unwrap().id;
    let [first, taken, last] = [lease(1), lease(2), lease(2)];
    // More than stays in memory.
    append(&queue, 6..=6, 2000);
    queue.release(taken).unwrap();
    let other = Arc::clone(&queue);
    vfs.before_next(Act::Read, move || {
        // The other pop has 2 and 3 in hand.
        other.release(first).unwrap();
        other.release(last).unwrap();
        let lease = other.pop(PopLimits::items(2)).unwrap().unwrap();
        assert_eq!(ids(&lease.items), [1]);
        other.ack(lease.id).unwrap();
    });
    let lease = queue.pop(PopLimits::items(10)).unwrap().unwrap();
    assert!(!vfs.is_waiting());
    assert_eq!(ids(&lease.items), [2, 3, 4, 5, 6]);
    let (queue, _) = setup.open(&vfs.sim.after_kill()).unwrap();
    assert_eq!(pop_ids(&queue, 9), [2, 3, 4, 5, 6]);
}

/// They were neither waiting nor leased while it went on to the disk, so that as much again was
/// let in.
#[test]
fn limits_and_figures_count_what_a_pop_has_taken_and_not_yet_leased() {
    let (setup, vfs) = (Setup::small(Mode::Os), HookVfs::new());
    let config = setup
        .config(&vfs.sim)
        .vfs(Arc::new(vfs.clone()))
        .max_total_bytes(3000)
        .overflow(Overflow::Reject);
    let queue = Arc::new(Queue::open(config).unwrap().0);
    append(&queue, 1..=5, 100);
    // More than stays in memory.
    append(&queue, 6..=6, 2000);
    let other = Arc::clone(&queue);
    vfs.before_next(Act::Read, move || {
        let stats = other.stats();
        let counts = (stats.waiting_items, stats.waiting_bytes, stats.leased_items);
        assert_eq!(counts, (6, 2500, 0), "{stats:?}");
        let refused = other.append_one(Bytes::from(vec![7; 600]));
        assert!(
            matches!(refused, Err(AppendError::Full { .. })),
            "{refused:?}"
        );
    });
    let lease = queue.pop(PopLimits::items(10)).unwrap().unwrap();
    assert!(!vfs.is_waiting());
    assert_eq!(ids(&lease.items), [1, 2, 3, 4, 5, 6]);
    let stats = queue.stats();
    assert_eq!(
        (stats.waiting_items, stats.leased_bytes),
        (0, 2500),
        "{stats:?}"
    );
}

/// The copy of a segment was put into a directory that might be another's by then.
#[test]
fn a_flush_that_meets_a_close_replaces_no_segment_any_more() {
    let (setup, vfs) = (Setup::small(Mode::Os), HookVfs::new());
    let queue = open(setup, &vfs);
    append(&queue, 1..=3, 100);
    let (other, sim) = (Arc::clone(&queue), vfs.sim.clone());
    let (sender, closing) = std::sync::mpsc::channel();
    vfs.before_next(Act::Sync, move || {
        let closed = Arc::clone(&other);
        sender.send(thread::spawn(move || closed.close())).unwrap();
        while !matches!(other.peek(PopLimits::items(1)), Err(ReadError::Closed)) {
            thread::yield_now();
        }
        sim.inject(Fault {
            call: sim.calls(),
            for_ever: false,
            kind: FaultKind::Error(5),
        });
    });
    let flushed = queue.flush(Flush::Disk);
    assert!(matches!(flushed, Err(FlushError::Closed)), "{flushed:?}");
    closing.recv().unwrap().join().unwrap().unwrap();
    let is_copy =
        |change: &Change| matches!(change, Change::Create(path) if path.ends_with("segment.new"));
    assert!(!vfs.sim.history().iter().any(is_copy));
}

/// Its record stayed, and came back as a lease of items that had been given up; or it was emptied
/// when it was another's.
#[test]
fn a_lease_that_is_tagged_while_it_is_released_leaves_no_record() {
    let setup = Setup {
        lease_slots: 1,
        ..Setup::small(Mode::Os)
    };
    let vfs = HookVfs::new();
    let queue = open(setup, &vfs);
    append(&queue, 1..=5, 100);
    let tag = Bytes::from_static(b"tag");
    let lease = || {
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap().id;
        queue.tag(lease, tag.clone()).unwrap();
        lease
    };
    // One in the slot, two behind the items.
    let [in_slot, released, _kept] = [lease(), lease(), lease()];
    let other = Arc::clone(&queue);
    let (sender, tagging) = std::sync::mpsc::channel();
    vfs.before_next(Act::Write, move || {
        other.release(in_slot).unwrap();
        let late = Bytes::from_static(b"late");
        let (tagged, tag) = (Arc::clone(&other), late.clone());
        let thread = thread::spawn(move || tagged.tag(released, tag));
        while other.read_lease(released).unwrap().tag.as_ref() != Some(&late) {
            thread::yield_now();
        }
        sender.send(thread).unwrap();
    });
    queue.release(released).unwrap();
    tagging.recv().unwrap().join().unwrap().unwrap();
    assert_eq!(pop_ids(&queue, 2), [1, 2]);
    let (_, recovery) = setup.open(&vfs.sim.after_kill()).unwrap();
    let leases: Vec<_> = recovery
        .leases
        .iter()
        .map(|lease| lease.items.first.0)
        .collect();
    assert_eq!(leases, [3]);
}

/// What the reader found in the file was reported as damage.
#[test]
fn a_segment_that_is_acked_and_used_again_while_it_is_read_has_no_damage() {
    let setup = Setup {
        segment_bytes: 20_000,
        ..Setup::small(Mode::Os)
    };
    let vfs = HookVfs::new();
    let queue = open(setup, &vfs);
    for serial in 1..=20 {
        append(&queue, serial..=serial, 1000);
    }
    let lease = queue.pop(PopLimits::items(15)).unwrap().unwrap();
    queue.tag(lease.id, Bytes::from_static(b"tag")).unwrap();
    drop((lease, queue));
    let config = setup.config(&vfs.sim).vfs(Arc::new(vfs.clone()));
    let (queue, recovery) = Queue::open(config).unwrap();
    let (queue, lease) = (Arc::new(queue), recovery.leases[0].id);
    let other = Arc::clone(&queue);
    vfs.before_next(Act::Read, move || {
        other.ack(lease).unwrap();
        for serial in 21..=36 {
            append(&other, serial..=serial, 1000);
        }
    });
    assert_eq!(pop_ids(&queue, 99), (16..=36).collect::<Vec<_>>());
    assert!(!vfs.is_waiting());
    let is_recycled = |change: &Change| matches!(change, Change::Rename(from, to) if from.extension() == to.extension());
    assert!(vfs.sim.history().iter().any(is_recycled));
    assert_eq!(queue.damage(), []);
}

/// Wakes by setting a flag.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whoever looked while an append was about to lease what waited saw nothing, and was not woken when
/// the append failed.
#[test]
fn whoever_waits_is_woken_when_an_append_that_was_to_lease_what_waits_has_failed() {
    let (setup, vfs) = (Setup::small(Mode::Os), HookVfs::new());
    let queue: &'static Queue = Box::leak(Box::new(
        Queue::open(setup.config(&vfs.sim).vfs(Arc::new(vfs.clone())))
            .unwrap()
            .0,
    ));
    let first = queue.append(&[Bytes::from_static(b"waits")]).unwrap().first;
    let flag = Arc::new(Flag::default());
    let ready = Arc::new(Mutex::new(Box::pin(queue.ready())));
    let (seen, waker, sim) = (
        Arc::clone(&ready),
        Waker::from(Arc::clone(&flag)),
        vfs.sim.clone(),
    );
    vfs.before_next(Act::Write, move || {
        let mut context = Context::from_waker(&waker);
        assert!(
            seen.lock()
                .unwrap()
                .as_mut()
                .poll(&mut context)
                .is_pending()
        );
        sim.inject(Fault {
            call: sim.calls(),
            for_ever: false,
            kind: FaultKind::Error(5),
        });
    });
    let late = [Bytes::from_static(b"late")];
    let appended = queue.append_leased(&late, Some(first), Bytes::from_static(b"tag"));
    assert!(appended.is_err(), "{appended:?}");
    assert!(flag.0.load(Ordering::SeqCst), "not woken");
    let mut context = Context::from_waker(Waker::noop());
    assert!(ready.lock().unwrap().as_mut().poll(&mut context).is_ready());
}
