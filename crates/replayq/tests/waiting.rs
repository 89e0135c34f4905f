//! Waiting for items and for room, leases that are released when nobody finishes them, and what one
//! sees of them.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use replayq::{
    AppendError, Bytes, Config, LeaseGuard, Overflow, PopLimits, Queue, ReadError, SharedLimits,
};

const ONE: Bytes = Bytes::from_static(b"one");
const FOREVER: Duration = Duration::MAX;

fn memory() -> Arc<Queue> {
    Arc::new(Queue::open(Config::memory()).unwrap().0)
}

fn in_thread<T: Send + 'static>(
    queue: &Arc<Queue>,
    work: impl FnOnce(&Queue) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let queue = Arc::clone(queue);
    thread::spawn(move || work(&queue))
}

#[test]
fn a_pop_that_waits_returns_nothing_when_its_time_is_over_and_items_as_soon_as_there_are_some() {
    let queue = memory();
    let limits = || PopLimits::items(1);
    assert!(queue.pop_wait(limits(), Duration::ZERO).unwrap().is_none());
    let short = Duration::from_millis(1);
    assert!(queue.pop_wait(limits(), short).unwrap().is_none());
    let waiting = in_thread(&queue, move |queue| queue.pop_wait(limits(), FOREVER));
    queue.append_one(ONE).unwrap();
    let lease = waiting.join().unwrap().unwrap().unwrap();
    assert_eq!(lease.items[0].payload, ONE);
    let waiting = in_thread(&queue, move |queue| queue.pop_wait(limits(), FOREVER));
    queue.release(lease.id).unwrap();
    let again = waiting.join().unwrap().unwrap().unwrap();
    assert_eq!(again.items, lease.items);
    let waiting = in_thread(&queue, move |queue| queue.pop_wait(limits(), FOREVER));
    queue.close().unwrap();
    assert!(matches!(waiting.join().unwrap(), Err(ReadError::Closed)));
}

#[test]
fn items_reach_as_many_waiting_consumers_as_there_are_items() {
    let queue = memory();
    let consumers: Vec<_> = (0..4)
        .map(|_| in_thread(&queue, |queue| queue.pop_wait(PopLimits::items(1), FOREVER)))
        .collect();
    queue.append(&[ONE, ONE, ONE, ONE]).unwrap();
    let mut ids: Vec<u64> = consumers
        .into_iter()
        .map(|consumer| consumer.join().unwrap().unwrap().unwrap().items[0].id.0)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_once_there_is_an_item_and_one_that_is_dropped_before_it_looked_passes_it_on() {
    let queue = memory();
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let wakers = counts.clone().map(Waker::from);
    let mut futures = [Box::pin(queue.ready()), Box::pin(queue.ready())];
    for (future, waker) in futures.iter_mut().zip(&wakers) {
        let mut context = Context::from_waker(waker);
        assert!(future.as_mut().poll(&mut context).is_pending());
        // A second look is no second place in line.
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let woken = || {
        counts
            .each_ref()
            .map(|count| count.0.load(Ordering::SeqCst))
    };
    queue.append_one(ONE).unwrap();
    assert_eq!(woken(), [1, 0]);
    let [first, mut second] = futures;
    drop(first);
    assert_eq!(woken(), [1, 1]);
    let mut context = Context::from_waker(&wakers[1]);
    assert!(second.as_mut().poll(&mut context).is_ready());
    queue.close().unwrap();
    let mut ready = Box::pin(queue.ready());
    let ended = ready.as_mut().poll(&mut context);
    assert!(matches!(
        ended,
        std::task::Poll::Ready(Err(ReadError::Closed))
    ));
}

/// A waker of a broken executor.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("a waker panics"));
    }
}

/// The others were never woken, although there were items for them.
#[test]
fn a_waker_that_panics_keeps_no_other_from_being_woken() {
    let queue = memory();
    let count = Arc::new(Count::default());
    let wakers = [
        Waker::from(Arc::new(Broken)),
        Waker::from(Arc::clone(&count)),
    ];
    let mut futures = [Box::pin(queue.ready()), Box::pin(queue.ready())];
    for (future, waker) in futures.iter_mut().zip(&wakers) {
        let polled = future.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    let append = || queue.append(&[ONE, ONE]);
    let appended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(append));
    assert!(appended.is_err(), "its panic is not swallowed");
    assert_eq!((count.0.load(Ordering::SeqCst), queue.count()), (1, 2));
}

/// A task that lives in its wakers, as in many executors, and has a lease.
struct Holder(#[expect(dead_code, reason = "dropped with the task")] LeaseGuard<Arc<Queue>>);

impl Wake for Holder {
    fn wake(self: Arc<Self>) {}
}

/// Leases the only item to a task of which nothing is left but its waker.
fn holder(queue: &Arc<Queue>) -> Waker {
    let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    Waker::from(Arc::new(Holder(LeaseGuard::new(Arc::clone(queue), lease))))
}

/// It was under a lock that the release takes as well, and the thread waited for itself.
#[test]
fn a_waker_whose_drop_releases_a_lease_is_dropped_without_a_lock() {
    let queue = memory();
    queue.append_one(ONE).unwrap();
    let count = Arc::new(Count::default());
    let counting = Waker::from(Arc::clone(&count));
    let waiting = || {
        let mut ready = Box::pin(queue.ready());
        let holder = holder(&queue);
        let polled = ready.as_mut().poll(&mut Context::from_waker(&holder));
        assert!(polled.is_pending());
        ready
    };

    // Replaced by the waker of another task: the item waits before this one looks.
    let mut ready = waiting();
    let polled = ready.as_mut().poll(&mut Context::from_waker(&counting));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(()))));
    assert_eq!((queue.count(), queue.open_leases()), (1, Vec::new()));

    // Dropped with the future: the release wakes the other one, which looked before.
    let ready = waiting();
    let mut other = Box::pin(queue.ready());
    let mut context = Context::from_waker(&counting);
    assert!(other.as_mut().poll(&mut context).is_pending());
    let woken_before = count.0.load(Ordering::SeqCst);
    drop(ready);
    assert_eq!(count.0.load(Ordering::SeqCst), woken_before + 1);
    assert!(other.as_mut().poll(&mut context).is_ready());
    assert_eq!((queue.count(), queue.open_leases()), (1, Vec::new()));
}

#[test]
fn an_append_that_blocks_goes_on_when_an_ack_makes_room_and_ends_with_the_queue() {
    let config = || {
        Config::memory()
            .overflow(Overflow::Block)
            .max_total_bytes(100)
    };
    let queue = Arc::new(Queue::open(config()).unwrap().0);
    let large = Bytes::from_static(&[7; 60]);
    let never = queue.append(&[large.clone(), large.clone()]);
    assert!(
        matches!(never, Err(AppendError::Full { limit: 100, .. })),
        "{never:?}"
    );
    queue.append_one(large.clone()).unwrap();
    let next = large.clone();
    let blocked = in_thread(&queue, move |queue| queue.append_one(next));
    let lease = queue.pop(PopLimits::default()).unwrap().unwrap();
    queue.ack(lease.id).unwrap();
    assert_eq!(blocked.join().unwrap().unwrap().0, 2);
    let blocked = in_thread(&queue, move |queue| queue.append_one(large));
    queue.close().unwrap();
    assert!(matches!(blocked.join().unwrap(), Err(AppendError::Closed)));
}

#[test]
fn an_append_that_blocks_at_a_shared_limit_goes_on_when_another_queue_makes_room() {
    let limits = Arc::new(SharedLimits::new().total_bytes(100));
    let open = || {
        let config = Config::memory().overflow(Overflow::Block);
        Arc::new(
            Queue::open(config.shared_limits(Arc::clone(&limits)))
                .unwrap()
                .0,
        )
    };
    let [one, other] = [open(), open()];
    let large = Bytes::from_static(&[7; 60]);
    one.append_one(large.clone()).unwrap();
    let blocked = in_thread(&other, move |queue| queue.append_one(large));
    let lease = one.pop(PopLimits::default()).unwrap().unwrap();
    one.ack(lease.id).unwrap();
    assert_eq!(blocked.join().unwrap().unwrap().0, 1);
}

#[test]
fn a_worker_that_panics_gives_its_items_back_at_once_and_what_it_keeps_stays_leased() {
    let queue = memory();
    queue.append(&[ONE, ONE, ONE]).unwrap();
    let worker = in_thread(&queue, |queue| {
        let mut lease = queue.lease(PopLimits::items(2)).unwrap().unwrap();
        lease.tag("half".into()).unwrap();
        panic!("in the middle of {} items", lease.items.len());
    });
    assert!(worker.join().is_err());
    assert_eq!((queue.count(), queue.open_leases()), (3, Vec::new()));

    let lease = queue.lease(PopLimits::items(1)).unwrap().unwrap();
    let kept = lease.keep();
    let shared = LeaseGuard::new(
        Arc::clone(&queue),
        queue.pop(PopLimits::items(1)).unwrap().unwrap(),
    );
    let moved = thread::spawn(move || shared.ack());
    moved.join().unwrap().unwrap();
    let open = queue.open_leases();
    assert_eq!(
        (open.len(), open[0].id, open[0].open_items),
        (1, kept.id, 1)
    );
    assert_eq!(queue.count(), 1);
    let given_up = queue.lease(PopLimits::items(1)).unwrap().unwrap();
    given_up.release().unwrap();
    assert_eq!(queue.count(), 1);
}

#[test]
fn all_open_leases_are_listed_and_released_those_of_an_earlier_run_too() {
    let room = tempfile::tempdir().unwrap();
    let config = || Config::disk(room.path().join("queue"));
    let (queue, _) = Queue::open(config()).unwrap();
    queue.append(&[ONE, ONE, ONE]).unwrap();
    let tagged = queue.pop(PopLimits::items(2)).unwrap().unwrap();
    queue.tag(tagged.id, "batch".into()).unwrap();
    drop(queue);
    let (queue, _) = Queue::open(config()).unwrap();
    let _plain = queue.pop(PopLimits::items(9)).unwrap().unwrap();
    let open = queue.open_leases();
    let of_list: Vec<_> = open
        .iter()
        .map(|lease| (lease.items.first.0, lease.open_items, lease.open_bytes))
        .collect();
    assert_eq!(of_list, [(1, 2, 6), (3, 1, 3)]);
    assert_eq!(open[0].tag, Some(Bytes::from_static(b"batch")));
    assert_eq!(queue.release_all().unwrap(), 2);
    assert_eq!((queue.count(), queue.open_leases()), (3, Vec::new()));
    let all = queue.pop(PopLimits::default()).unwrap().unwrap();
    assert_eq!(all.items.len(), 3);
}

#[test]
fn an_iteration_over_leases_ends_with_the_waiting_items_and_a_dropped_one_begins_again() {
    let queue = memory();
    queue.append(&[ONE, ONE, ONE]).unwrap();
    for lease in queue.leases(1).take(2) {
        drop(lease.unwrap());
    }
    assert_eq!(queue.count(), 3);
    let items: usize = queue
        .leases(2)
        .map(|lease| {
            let lease = lease.unwrap();
            let items = lease.items.len();
            lease.ack().unwrap();
            items
        })
        .sum();
    assert_eq!((items, queue.count()), (3, 0));
}

#[test]
fn a_panic_in_a_pop_that_waits_takes_nothing() {
    let queue = memory();
    queue.append_one(ONE).unwrap();
    let mut stop = |_: &replayq::ItemRef<'_>| panic!("in the caller's function");
    let limits = PopLimits::default().stop_before(&mut stop);
    let popped = catch_unwind(AssertUnwindSafe(|| queue.pop_wait(limits, FOREVER)));
    assert!(popped.is_err());
    assert_eq!(queue.count(), 1);
}
