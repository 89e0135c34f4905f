//! Exchanges between threads, in every order that a model checker finds: the sources of
//! the crate with the checker's mutexes and atomics in place of their own.

#![expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the crate's sources, of which not all has to do with threads; helpers of tests"
)]

/// The checker's primitives under the names of the crate's own.
mod sync {
    use shuttle::sync::MutexGuard;
    pub(crate) use shuttle::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

mod error {
    pub(crate) use wolff::DeliveryError;
}

mod completion;
mod memory;

mod hand_over;
mod sharing;

/// Schedules that are tried.
const SCHEDULES: usize = 1_000;

/// Runs `body` under random schedules, and as many with few preemptions, which find other faults.
fn check(body: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(body, SCHEDULES);
    shuttle::check_pct(body, SCHEDULES, 3);
}
