//! A signal that calls wait for, in threads and in futures: data, or room.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Raised when a waiting call may go on. Costs one load of a counter while no call waits.
#[derive(Default)]
pub(crate) struct Signal {
    /// Calls that wait, or that look whether they must.
    watchers: AtomicUsize,
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Default)]
struct State {
    /// Counts how often it was raised.
    generation: u64,
    sleeping: usize,
    wakers: BTreeMap<u64, Waker>,
    last_key: u64,
}

impl fmt::Debug for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signal").finish_non_exhaustive()
    }
}

impl Signal {
    /// Raises it: so many of those that wait look again. What they look at must have changed
    /// before, under a lock that they take to look.
    #[inline]
    pub(crate) fn raise(&self, count: usize) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.raise_for(count);
        }
    }

    #[cold]
    fn raise_for(&self, count: usize) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            state.generation = state.generation.wrapping_add(1);
            let threads = count.min(state.sleeping);
            if threads == state.sleeping {
                self.raised.notify_all();
            } else {
                (0..threads).for_each(|_| {
                    self.raised.notify_one();
                });
            }
            for _ in threads..count {
                let Some((_, waker)) = state.wakers.pop_first() else {
                    break;
                };
                woken.push(waker);
            }
        }
        wake_all(woken);
    }

    /// Raises it for all.
    #[inline]
    pub(crate) fn raise_for_all(&self) {
        self.raise(usize::MAX);
    }

    /// Begins to watch, before the first look.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        Watch {
            signal: self,
            seen: self.state.lock().generation,
            key: None,
        }
    }
}

/// Wakes all of them, also where waking one panics: the panic goes on when the others are woken.
fn wake_all(woken: Vec<Waker>) {
    let mut first_panic = None;
    for waker in woken {
        let outcome = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        first_panic = first_panic.or(outcome.err());
    }
    if let Some(panic) = first_panic {
        resume_unwind(panic);
    }
}

/// One call that waits.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    signal: &'a Signal,
    seen: u64,
    key: Option<u64>,
}

impl Watch<'_> {
    /// The moment at which a wait of that time is over; `None`: never.
    pub(crate) fn end_of(timeout: Duration) -> Option<Instant> {
        now().checked_add(timeout)
    }

    /// Waits until the signal is raised, or was since the last look. Whether it was, within that
    /// time.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> bool {
        let mut state = self.signal.state.lock();
        state.sleeping = state.sleeping.saturating_add(1);
        while state.generation == self.seen {
            match until {
                None => self.signal.raised.wait(&mut state),
                Some(until) if now() < until => {
                    self.signal.raised.wait_until(&mut state, until);
                }
                Some(_) => break,
            }
        }
        state.sleeping = state.sleeping.saturating_sub(1);
        let is_raised = state.generation != self.seen;
        self.seen = state.generation;
        is_raised
    }

    /// Wakes the task when the signal is raised, once. To be called before the look.
    pub(crate) fn wake(&mut self, waker: &Waker) {
        if self.would_wake(waker) {
            return;
        }
        // Clones and drops of wakers are the caller's code. The last waker of a task may drop the
        // task and the lease in it, whose release raises this signal: never under the lock.
        let waker = waker.clone();
        let replaced = self.register(waker);
        drop(replaced);
    }

    /// Returns whether the task is registered already.
    fn would_wake(&self, waker: &Waker) -> bool {
        let state = self.signal.state.lock();
        let registered = self.key.and_then(|key| state.wakers.get(&key));
        registered.is_some_and(|registered| registered.will_wake(waker))
    }

    /// Registers a waker in the place of the one before, which is returned.
    fn register(&mut self, waker: Waker) -> Option<Waker> {
        let mut state = self.signal.state.lock();
        if let Some(registered) = self.key.and_then(|key| state.wakers.get_mut(&key)) {
            return Some(std::mem::replace(registered, waker));
        }
        state.last_key = state.last_key.wrapping_add(1);
        let key = state.last_key;
        state.wakers.insert(key, waker);
        self.key = Some(key);
        None
    }

    /// Takes the waker out that is registered under the key, to be dropped without the lock.
    fn take_waker(&self, key: u64) -> Option<Waker> {
        self.signal.state.lock().wakers.remove(&key)
    }

    /// The look was successful: being woken was not in vain.
    pub(crate) fn is_content(&mut self) {
        let registered = self.key.take().and_then(|key| self.take_waker(key));
        drop(registered);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "threads of the system wait by its clock"
)]
fn now() -> Instant {
    Instant::now()
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let registered = self.key.map(|key| self.take_waker(key));
        self.signal.watchers.fetch_sub(1, Ordering::SeqCst);
        if matches!(registered, Some(None)) {
            // Woken and dropped before it looked: another one must.
            self.signal.raise(1);
        }
    }
}
