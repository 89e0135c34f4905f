//! A number of bytes that many share: acquired in permits, first come, first served.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicUsize, Mutex};

/// Largest piece, as a fraction of what is free: something is left for the queues that come next.
const FREE_PER_PIECE: usize = 4;

/// A limit on the memory that producers hold for records: what waits to be queued, is kept beside a
/// queue on disk, is compressed or in flight, and what callbacks and receipts take.
///
/// Clones are the same budget: give one to several producers, and they share it. A producer without
/// one of its own has [`DEFAULT_BYTES`](Self::DEFAULT_BYTES) for itself. When it is used up callers
/// wait, first come, first served, for what is acknowledged to be freed; a single call larger than
/// the whole budget waits until it is alone.
///
/// What is leased from a queue on disk can be read again, so it keeps no calls out beyond half of
/// the limit: from there on each queue leases one batch at a time.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

struct Shared {
    limit: usize,
    /// May exceed the limit by what had to be taken, see [`MemoryBudget::take`].
    used: AtomicUsize,
    /// Leased from queues on disk, beside `used`.
    leased: AtomicUsize,
    /// Length of `queue`, changed with its lock held: releasing looks here first.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

struct Waiter {
    bytes: usize,
    state: Mutex<Wait>,
}

#[derive(Default)]
enum Wait {
    #[default]
    New,
    Waiting(Waker),
    Granted,
}

impl MemoryBudget {
    /// Default of a producer: 256 MiB.
    pub const DEFAULT_BYTES: usize = 256 << 20;

    /// A budget of that many bytes. Zero lets one call at a time through.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Shared {
            limit: limit_bytes,
            used: AtomicUsize::new(0),
            leased: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(VecDeque::new()),
        }))
    }

    /// The limit, bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.0.limit
    }

    /// Bytes that are held now. Partitions hold a little more than they use at the moment.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        let used = self.0.used.load(Ordering::Relaxed);
        used.saturating_add(self.leased_bytes())
    }

    /// Bytes of them that are leased from queues on disk, and could be read again.
    #[must_use]
    pub fn leased_bytes(&self) -> usize {
        self.0.leased.load(Ordering::Relaxed)
    }

    /// Returns whether what is leased from queues on disk has to become less: it is more than half
    /// of the limit, or all that is held is more than the limit.
    pub(crate) fn is_short(&self) -> bool {
        self.leased_bytes() > self.0.limit / 2 || self.used_bytes() > self.0.limit
    }

    /// Returns whether somebody waits: what is held in reserve should be released.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.waiting.load(Ordering::SeqCst) > 0
    }

    /// Acquires some bytes if `least` are free and nobody waits: a part of what is free then,
    /// up to `most`. So the last bytes of a budget go in pieces as well, and not call by call.
    pub(crate) fn try_acquire_some(&self, least: usize, most: usize) -> Option<MemoryPermit> {
        if self.is_wanted() {
            return None;
        }
        let bytes = self.0.reserve_some(least, most)?;
        Some(self.permit(bytes))
    }

    /// Acquires these bytes, waiting for those who came before.
    pub(crate) fn acquire(&self, bytes: usize) -> Acquire {
        let waiter = Waiter {
            bytes,
            state: Mutex::new(Wait::New),
        };
        Acquire {
            budget: self.clone(),
            waiter: Arc::new(waiter),
        }
    }

    /// Takes these bytes whatever the limit says: for what frees more than it takes, and must go
    /// on.
    pub(crate) fn take(&self, bytes: usize) -> MemoryPermit {
        self.0.used.fetch_add(bytes, Ordering::SeqCst);
        self.permit(bytes)
    }

    /// Counts the bytes that one queue on disk has leased, none at first.
    pub(crate) fn leased(&self) -> LeasedBytes {
        LeasedBytes {
            budget: self.clone(),
            bytes: 0,
        }
    }

    fn permit(&self, bytes: usize) -> MemoryPermit {
        MemoryPermit {
            budget: self.clone(),
            bytes,
        }
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BYTES)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("limit_bytes", &self.limit_bytes())
            .field("used_bytes", &self.used_bytes())
            .field("leased_bytes", &self.leased_bytes())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Counts the bytes as used if they are free. More than all of it is free when nothing is used.
    fn reserve(&self, bytes: usize) -> bool {
        self.reserve_some(bytes, bytes).is_some()
    }

    /// The same for a part of what is free, within these bounds. Returns how many bytes that is.
    fn reserve_some(&self, least: usize, most: usize) -> Option<usize> {
        let leased = self.leased.load(Ordering::SeqCst).min(self.limit / 2);
        let mut bytes = least;
        let add = |used: usize| {
            let free = self.limit.saturating_sub(used.saturating_add(leased));
            bytes = (free / FREE_PER_PIECE).min(most).max(least);
            let after = used.checked_add(bytes)?;
            (bytes <= free || used == 0).then_some(after)
        };
        let reserved = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        reserved.ok().map(|_| bytes)
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        self.freed();
    }

    fn freed(&self) {
        // A waiter raises `waiting` before it looks at `used`, so one of the two sees the other.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.grant(&mut self.queue.lock());
        }
    }

    /// Grants what those in front can have, in their order.
    fn grant(&self, queue: &mut VecDeque<Arc<Waiter>>) {
        while let Some(first) = queue.front() {
            if !self.reserve(first.bytes) {
                break;
            }
            let granted = std::mem::replace(&mut *first.state.lock(), Wait::Granted);
            queue.pop_front();
            if let Wait::Waiting(waker) = granted {
                waker.wake();
            }
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
    }
}

/// Waits for bytes. Dropped, it gives up its place, or what it was granted.
pub(crate) struct Acquire {
    budget: MemoryBudget,
    waiter: Arc<Waiter>,
}

impl Future for Acquire {
    type Output = MemoryPermit;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MemoryPermit> {
        let shared = &self.budget.0;
        let mut queue = shared.queue.lock();
        if self.waiter.waits_with(context.waker()) {
            queue.push_back(self.waiter.clone());
            shared.waiting.store(queue.len(), Ordering::SeqCst);
            shared.grant(&mut queue);
        }
        if self.waiter.take_granted() {
            Poll::Ready(self.budget.permit(self.waiter.bytes))
        } else {
            Poll::Pending
        }
    }
}

impl Waiter {
    /// Sets the waker of one that is not granted yet. Returns whether it has to be put into the
    /// queue.
    fn waits_with(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        match &mut *state {
            Wait::Granted => false,
            Wait::Waiting(waiting) => {
                waiting.clone_from(waker);
                false
            }
            Wait::New => {
                *state = Wait::Waiting(waker.clone());
                true
            }
        }
    }

    /// Takes what was granted.
    fn take_granted(&self) -> bool {
        let mut state = self.state.lock();
        let is_granted = matches!(*state, Wait::Granted);
        if is_granted {
            *state = Wait::New;
        }
        is_granted
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let shared = &self.budget.0;
        // With the queue's lock held nobody grants it anything any more.
        let mut queue = shared.queue.lock();
        let state = std::mem::take(&mut *self.waiter.state.lock());
        match state {
            Wait::New => {}
            Wait::Granted => {
                drop(queue);
                shared.release(self.waiter.bytes);
            }
            Wait::Waiting(_) => {
                queue.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
                // Those after it may need less.
                shared.grant(&mut queue);
            }
        }
    }
}

/// Bytes that are leased from one queue on disk, given back when it is dropped.
pub(crate) struct LeasedBytes {
    budget: MemoryBudget,
    bytes: usize,
}

impl LeasedBytes {
    /// So many it is now, whatever the limit says.
    pub(crate) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let shared = &self.budget.0;
        if bytes > before {
            shared.leased.fetch_add(bytes - before, Ordering::SeqCst);
        } else if bytes < before {
            shared.leased.fetch_sub(before - bytes, Ordering::SeqCst);
            shared.freed();
        }
    }
}

impl Drop for LeasedBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for LeasedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedBytes")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Bytes of a budget, given back when it is dropped.
#[must_use = "the bytes are given back when the permit is dropped"]
pub(crate) struct MemoryPermit {
    budget: MemoryBudget,
    bytes: usize,
}

impl MemoryPermit {
    /// Its size, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the bytes of another permit of the same budget.
    pub(crate) fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget.0, &other.budget.0));
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
    }

    /// Takes bytes out of it, as many as there are at most, as a permit of their own.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.budget.permit(bytes)
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.0.release(self.bytes);
        }
    }
}

impl fmt::Debug for MemoryPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPermit")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
