//! Randomness for choices that need no secrecy: partitions, and the seeds of jitter.

use std::cell::RefCell;
use std::sync::Arc;

use parking_lot::Mutex;
use wolff_backoff::Random;

thread_local! {
    static OF_THREAD: RefCell<Random> = RefCell::new(Random::from_process());
}

/// Where a producer's random numbers come from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Randomness {
    /// A sequence of each thread, from a seed that differs in every process.
    #[default]
    OfThread,
    /// One sequence, from a seed that was given.
    Seeded(Arc<Mutex<Random>>),
}

impl Randomness {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(Random::from_seed(seed))))
    }

    /// The next number, uniform over all of `u64`.
    #[inline]
    pub(crate) fn next_u64(&self) -> u64 {
        match self {
            Self::OfThread => OF_THREAD.with_borrow_mut(Random::next_u64),
            Self::Seeded(random) => random.lock().next_u64(),
        }
    }
}
