//! State of one queue's work on the I/O threads: it is done by one thread at a time, and
//! no request for it is lost.

use std::sync::atomic::Ordering;

use crate::sync::AtomicU8;

/// There is nothing to do.
const IDLE: u8 = 0;
/// A small fragment waits for others: the work begins in a moment.
const DEFERRED: u8 = 1;
/// A thread is about to begin.
const SCHEDULED: u8 = 2;
/// A thread works.
const RUNNING: u8 = 3;
/// A thread works, and there is more to do by now.
const RUNNING_AGAIN: u8 = 4;

/// The state of a lane.
#[derive(Debug)]
pub(crate) struct Lane(AtomicU8);

/// Duty of the caller of [`Lane::request`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Handover {
    /// Nothing: it is being done.
    None,
    /// Schedule the job on a thread.
    Now,
    /// Schedule the job on a thread after a moment.
    Later,
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(IDLE))
    }

    /// There is something to do, at once or in a moment.
    #[inline]
    pub(crate) fn request(&self, at_once: bool) -> Handover {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let (next, handover) = match (seen, at_once) {
                (IDLE, true) | (DEFERRED, true) => (SCHEDULED, Handover::Now),
                (IDLE, false) => (DEFERRED, Handover::Later),
                (RUNNING, _) => (RUNNING_AGAIN, Handover::None),
                _ => return Handover::None,
            };
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return handover,
                Err(now) => seen = now,
            }
        }
    }

    /// A thread begins. `None`: another one has done or does it, as with a deferred job that was
    /// hurried. `Some(true)`: the moment of a deferred fragment has come.
    pub(crate) fn begin(&self) -> Option<bool> {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            if seen != DEFERRED && seen != SCHEDULED {
                return None;
            }
            match self
                .0
                .compare_exchange_weak(seen, RUNNING, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(seen == DEFERRED),
                Err(now) => seen = now,
            }
        }
    }

    /// The thread has done what there was. Returns whether it has to look again.
    pub(crate) fn finish(&self) -> bool {
        let finished = self
            .0
            .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if finished.is_ok() {
            return false;
        }
        self.0.store(RUNNING, Ordering::Release);
        true
    }

    /// Watches the work that has begun: when it panics, the lane is idle again, so that nobody
    /// waits for its end.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch(self)
    }

    /// Returns whether nothing is scheduled or done.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) == IDLE
    }
}

/// Work that is watched; see [`Lane::watch`].
pub(crate) struct Watch<'a>(&'a Lane);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.store(IDLE, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn nobody_waits_for_work_that_panicked() {
        let lane = Lane::new();
        assert_eq!(lane.request(true), Handover::Now);
        assert_eq!(lane.begin(), Some(false));
        assert_eq!(lane.request(true), Handover::None);
        let work = AssertUnwindSafe(|| {
            let _watch = lane.watch();
            std::panic::resume_unwind(Box::new("forced"));
        });
        assert!(catch_unwind(work).is_err());
        assert!(lane.is_idle());
    }

    #[test]
    fn work_is_handed_over_once_and_hurried_once() {
        let lane = Lane::new();
        assert_eq!(lane.request(false), Handover::Later);
        assert_eq!(lane.request(false), Handover::None);
        assert_eq!(lane.request(true), Handover::Now);
        assert_eq!(lane.request(true), Handover::None);
        assert_eq!(lane.begin(), Some(false));
        // The job that had been deferred comes too late.
        assert_eq!(lane.begin(), None);
        assert!(!lane.finish() && lane.is_idle());
    }

    #[test]
    fn a_request_during_the_work_makes_it_look_again() {
        let lane = Lane::new();
        assert_eq!(lane.request(false), Handover::Later);
        assert_eq!(lane.begin(), Some(true));
        assert_eq!(lane.request(false), Handover::None);
        assert!(lane.finish());
        assert!(!lane.finish() && lane.is_idle());
    }
}
