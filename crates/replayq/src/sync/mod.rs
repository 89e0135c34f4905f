//! Locks, condition variables, atomics and threads: the only door through which the queue takes
//! them.
//!
//! Compiled with `cfg(shuttle)`, as the package `tests/interleavings` does with these very sources,
//! they belong to a scheduler that decides at each of them which thread goes on.

#[cfg(not(shuttle))]
mod real {
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
    pub(crate) use std::sync::{atomic, mpsc};
    pub(crate) use std::thread;
}

#[cfg(shuttle)]
mod scheduled;

#[cfg(shuttle)]
mod order;

#[cfg(not(shuttle))]
pub(crate) use real::*;
#[cfg(shuttle)]
pub(crate) use scheduled::*;
