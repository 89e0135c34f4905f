//! The scheduler's primitives behind the interface of those that are shipped.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

pub(crate) use shuttle::sync::{atomic, mpsc};
pub(crate) use shuttle::thread;

use super::order::Held;

/// A mutex that stays usable after a panic.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// A held mutex. Empty only while a condition variable waits.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T>(Option<(shuttle::sync::MutexGuard<'a, T>, Held)>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = Held::new::<T>("Mutex");
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard(Some((guard, held)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[expect(
        clippy::expect_used,
        reason = "empty only while a condition variable waits"
    )]
    fn deref(&self) -> &T {
        &self.0.as_ref().expect("a guard is held").0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[expect(
        clippy::expect_used,
        reason = "empty only while a condition variable waits"
    )]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.as_mut().expect("a guard is held").0
    }
}

/// A condition variable. Its waits never time out: time does not pass in the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some((guarded, held)) = guard.0.take() {
            drop(held);
            let guarded = self.0.wait(guarded);
            let held = Held::new::<T>("Mutex");
            guard.0 = Some((guarded.unwrap_or_else(PoisonError::into_inner), held));
        }
    }

    pub(crate) fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        _duration: Duration,
    ) {
        self.wait_while(guard, condition);
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _until: Instant) {
        self.wait(guard);
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock that many may share.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

/// A shared lock that is held.
#[derive(Debug)]
pub(crate) struct RwLockReadGuard<'a, T> {
    _guard: shuttle::sync::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// A lock that is held alone.
#[derive(Debug)]
pub(crate) struct RwLockWriteGuard<'a, T> {
    _guard: shuttle::sync::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = Held::new::<T>("RwLock");
        RwLockReadGuard {
            _guard: self.0.read().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = Held::new::<T>("RwLock");
        RwLockWriteGuard {
            _guard: self.0.write().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }
}
