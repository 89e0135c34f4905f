//! Where callbacks run: in the runtime that the producer was started in, one after the other per
//! partition.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;

use super::batch::Called;
use super::delivery::{Callback, Delivery};

/// Callbacks that run without letting other tasks of the runtime have their turn.
const AT_ONCE: usize = 32;

/// Callbacks of a producer that panicked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics(Arc<AtomicU64>);

impl Panics {
    /// Number of them.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Calls a callback. A panic of the user's code stays there.
    fn contain(&self, callback: Callback, delivery: Delivery) {
        if catch_unwind(AssertUnwindSafe(|| callback(delivery))).is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a delivery callback panicked");
        }
    }
}

/// The callbacks of one partition, in the order in which the ends were reported.
///
/// A task of the runtime calls them, started when there are some. A slow callback delays its own
/// partition only. Where the runtime has ended, the thread that reports the end calls them itself:
/// each is called in every case.
///
/// Reports are numbered. [`reported_through`](Self::reported_through) says up to which of them the
/// ends have reached their observers, so that the queue's items can be acknowledged after that and
/// not before.
pub(crate) struct CallbackLane {
    runtime: Handle,
    panics: Panics,
    state: Mutex<State>,
    /// Notified whenever `reported` moves.
    moved: Notify,
    on_reported: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Report>,
    /// A task calls them.
    is_running: bool,
    /// Reports so far.
    made: u64,
    /// Reports whose callbacks have returned, and those before them.
    reported: u64,
}

/// Callbacks of one report.
struct Report {
    number: u64,
    called: Called,
}

impl CallbackLane {
    /// A lane in that runtime. `on_reported` is called when callbacks have returned and
    /// [`reported_through`](Self::reported_through) has moved, in the task that called them and
    /// without any lock held.
    pub(crate) fn new(
        runtime: Handle,
        panics: Panics,
        on_reported: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            panics,
            state: Mutex::default(),
            moved: Notify::new(),
            on_reported: Box::new(on_reported),
        })
    }

    /// Has these called, after all that was reported before. Returns the number of reports made so
    /// far: the ends are reported when [`reported_through`](Self::reported_through) has reached it,
    /// which is at once where nothing is to be called and nothing waits.
    ///
    /// To be called in the order of ends, and without a lock that a callback may need.
    pub(crate) fn call(self: &Arc<Self>, called: Called) -> u64 {
        let number = {
            let mut state = self.state.lock();
            state.made = state.made.saturating_add(1);
            let number = state.made;
            // Everything before has been reported, whether or not a task is about to end.
            if called.is_empty() && state.reported.saturating_add(1) == number {
                state.reported = number;
                return number;
            }
            state.waiting.push_back(Report { number, called });
            if std::mem::replace(&mut state.is_running, true) {
                return number;
            }
            number
        };
        let calling = Calling {
            lane: self.clone(),
            is_done: false,
        };
        drop(self.runtime.spawn(calling.run()));
        number
    }

    /// All reports up to this number have reached their observers.
    pub(crate) fn reported_through(&self) -> u64 {
        self.state.lock().reported
    }

    /// Waits until every callback reported before has returned.
    pub(crate) async fn idle(&self) {
        let made = self.state.lock().made;
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listen before looking, or a move between the two would be missed.
            moved.as_mut().enable();
            if self.reported_through() >= made {
                return;
            }
            moved.await;
        }
    }

    /// The next report, or `None` and nobody calls any more.
    fn next(&self) -> Option<Report> {
        let mut state = self.state.lock();
        let next = state.waiting.pop_front();
        state.is_running = next.is_some();
        next
    }

    fn reported(&self, number: u64) {
        self.state.lock().reported = number;
        self.moved.notify_waiters();
        (self.on_reported)();
    }
}

/// The task that calls callbacks. If it is dropped with its runtime, it calls the rest where it is
/// dropped.
struct Calling {
    lane: Arc<CallbackLane>,
    is_done: bool,
}

/// Runs the user's code so that it can block this thread without stopping the runtime: a worker
/// that is blocked may be the one that polls sockets and timers for all. A runtime with a single
/// thread has no other.
fn without_the_runtime(run: impl FnOnce()) {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(run),
        _ => run(),
    }
}

impl Calling {
    async fn run(mut self) {
        while let Some(mut rest) = self.next() {
            while rest.called.len() > 0 {
                without_the_runtime(|| {
                    for (callback, delivery) in rest.called.by_ref().take(AT_ONCE) {
                        self.lane.panics.contain(callback, delivery);
                    }
                });
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next report. Its callbacks are called in every case, also when the task is dropped in
    /// between.
    fn next(&mut self) -> Option<Turn> {
        let next = self.lane.next();
        self.is_done = next.is_none();
        next.map(|report| Turn {
            lane: self.lane.clone(),
            number: report.number,
            called: report.called.into_iter(),
        })
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        // The task that has found nothing more has no successor to get in the way of.
        while !self.is_done {
            drop(self.next());
        }
    }
}

/// One report in the course of being called.
struct Turn {
    lane: Arc<CallbackLane>,
    number: u64,
    called: std::vec::IntoIter<(Callback, Delivery)>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        for (callback, delivery) in self.called.by_ref() {
            self.lane.panics.contain(callback, delivery);
        }
        self.lane.reported(self.number);
    }
}

impl fmt::Debug for CallbackLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("CallbackLane")
            .field("made", &state.made)
            .field("reported", &state.reported)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use wolff_core::DoubtReason;

    use super::*;
    use crate::error::DeliveryError;

    const SOON: Duration = Duration::from_secs(30);

    fn runtime() -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap()
    }

    fn lane(runtime: &Runtime) -> Arc<CallbackLane> {
        CallbackLane::new(runtime.handle().clone(), Panics::default(), || {})
    }

    fn one(call: impl FnOnce() + Send + 'static) -> Called {
        let in_doubt = Err(DeliveryError::InDoubt(DoubtReason::Dropped));
        vec![(Box::new(move |_| call()) as Callback, in_doubt)]
    }

    #[test]
    fn callbacks_run_in_the_runtime_once_and_in_order() {
        let runtime = runtime();
        let (lane, (sender, receiver)) = (lane(&runtime), mpsc::channel());
        for number in 0..1_000 {
            let sender = sender.clone();
            lane.call(one(move || {
                let in_runtime = Handle::try_current().is_ok();
                sender.send((number, in_runtime)).unwrap();
            }));
        }
        runtime.block_on(lane.idle());
        let seen: Vec<_> = receiver.try_iter().collect();
        assert_eq!(
            seen,
            (0..1_000).map(|number| (number, true)).collect::<Vec<_>>()
        );
        assert_eq!(lane.reported_through(), 1_000);
    }

    #[test]
    fn a_slow_callback_delays_its_own_lane_only_and_what_follows_is_not_reported() {
        let runtime = runtime();
        let (slow, other) = (lane(&runtime), lane(&runtime));
        let (go_on, wait) = mpsc::channel::<()>();
        let first = slow.call(one(move || wait.recv_timeout(SOON).unwrap()));
        let second = slow.call(Called::new());
        assert_eq!((first, second), (1, 2));
        let (sender, receiver) = mpsc::channel();
        other.call(one(move || sender.send(()).unwrap()));
        receiver.recv_timeout(SOON).unwrap();
        assert_eq!(slow.reported_through(), 0);
        go_on.send(()).unwrap();
        runtime.block_on(slow.idle());
        assert_eq!(slow.reported_through(), 2);
        assert_eq!(slow.call(Called::new()), 3);
        assert_eq!(slow.reported_through(), 3, "nothing waits");
    }

    #[test]
    fn a_panic_is_counted_and_the_next_callback_runs() {
        let runtime = runtime();
        let panics = Panics::default();
        let lane = CallbackLane::new(runtime.handle().clone(), panics.clone(), || {});
        let (sender, receiver) = mpsc::channel();
        lane.call(one(|| panic!("the application's")));
        lane.call(one(move || sender.send(()).unwrap()));
        receiver.recv_timeout(SOON).unwrap();
        assert_eq!(panics.count(), 1);
    }

    #[test]
    fn callbacks_that_outlive_their_runtime_are_called_all_the_same() {
        let runtime = runtime();
        let lane = lane(&runtime);
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            lane.call(one(move || sender.send(number).unwrap()));
        }
        drop(runtime);
        let after = sender.clone();
        lane.call(one(move || after.send(100).unwrap()));
        let seen: Vec<_> = receiver.try_iter().collect();
        assert_eq!(seen, (0..=100).collect::<Vec<_>>());
        assert_eq!(lane.reported_through(), 101);
    }
}
