//! Limits that many queues have together.

use std::path::Path;
use std::sync::Arc;

use crate::signal::Signal;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::vfs::Vfs;

/// Limits on what several queues hold together, and on how much of their disk they leave free.
/// Given to each of them with [`crate::Config::shared_limits`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use replayq::{AppendError, Config, Overflow, Queue, SharedLimits};
///
/// let room = tempfile::tempdir()?;
/// let limits = Arc::new(SharedLimits::new().total_bytes(1000));
/// let open = |name: &str| {
///     let config = Config::disk(room.path().join(name))
///         .overflow(Overflow::Reject)
///         .shared_limits(Arc::clone(&limits));
///     Queue::open(config).map(|(queue, _)| queue)
/// };
/// let (one, other) = (open("one")?, open("other")?);
/// one.append_one(vec![0; 600].into())?;
/// assert!(matches!(other.append_one(vec![0; 600].into()), Err(AppendError::Full { .. })));
/// assert_eq!(limits.held_bytes(), 600);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SharedLimits {
    total_bytes: u64,
    free_disk_bytes: u64,
    /// Of all queues, and of appends under way.
    held_bytes: AtomicU64,
    /// So many bytes may be appended before the disk is looked at again.
    unchecked_bytes: AtomicU64,
    /// Raised when one of the queues may have made room.
    room: Signal,
    /// The disk had less than the reserve and what an append needs when it was looked at last.
    is_disk_short: AtomicBool,
}

/// However much space there is, it is looked at again after this many bytes.
const MOST_UNCHECKED_BYTES: u64 = 64 << 20;

impl Default for SharedLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedLimits {
    /// No limits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            total_bytes: u64::MAX,
            free_disk_bytes: 0,
            held_bytes: AtomicU64::new(0),
            unchecked_bytes: AtomicU64::new(0),
            room: Signal::default(),
            is_disk_short: AtomicBool::new(false),
        }
    }

    /// The most that all queues hold together, counted for each as for
    /// [`crate::Config::max_total_bytes`], where it is said how much more their files may take;
    /// what happens at the limit is each queue's [`crate::Overflow`]. Default: no limit.
    #[must_use]
    pub fn total_bytes(mut self, bytes: u64) -> Self {
        self.total_bytes = bytes;
        self
    }

    /// Bytes of the disk that appends leave free: one that finds fewer is answered with
    /// [`crate::AppendError::DiskReserve`], whatever the queue's overflow policy is. Acking and
    /// leasing go on. All that appends write counts. The disk is not asked at every one of them:
    /// when others fill it, the reserve can be used up to half before it is noticed; and each queue
    /// may have filled its newest file with zeros up to 256 KiB ahead. Default: 0.
    #[must_use]
    pub fn free_disk_bytes(mut self, bytes: u64) -> Self {
        self.free_disk_bytes = bytes;
        self
    }

    /// The bytes that the queues hold together now, so counted.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// By how many bytes they are over the limit; negative: so much room is left.
    pub(crate) fn overflow_bytes(&self) -> i128 {
        i128::from(self.held_bytes()).saturating_sub(i128::from(self.total_bytes))
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Checks that the disk has room for so many bytes beside the reserve. Fails with the free
    /// bytes.
    pub(crate) fn check_disk(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        bytes: u64,
    ) -> Result<(), u64> {
        if self.free_disk_bytes == 0 {
            return Ok(());
        }
        let taken =
            self.unchecked_bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |unchecked| {
                    unchecked.checked_sub(bytes)
                });
        if taken.is_ok() {
            return Ok(());
        }
        // Where the system does not say, the write itself will.
        let Ok(free) = vfs.free_bytes(directory) else {
            return Ok(());
        };
        let Some(room) = free.checked_sub(self.free_disk_bytes.saturating_add(bytes)) else {
            self.unchecked_bytes.store(0, Ordering::Relaxed);
            self.is_disk_short.store(true, Ordering::Relaxed);
            return Err(free);
        };
        self.is_disk_short.store(false, Ordering::Relaxed);
        self.unchecked_bytes
            .store((room / 2).min(MOST_UNCHECKED_BYTES), Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn room(&self) -> &Signal {
        &self.room
    }

    /// Returns whether the disk was short of space when it was looked at last: done segments go at
    /// once then.
    pub(crate) fn is_disk_short(&self) -> bool {
        self.is_disk_short.load(Ordering::Relaxed)
    }

    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.free_disk_bytes
    }

    /// Counts bytes that are about to be appended, if they fit. In one order with the looks of
    /// those who wait for room, and of those who raise it.
    fn try_hold(&self, bytes: u64) -> Result<(), u64> {
        self.held_bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |held| {
                let held = held.saturating_add(bytes);
                (held <= self.total_bytes).then_some(held)
            })
            .map(|_| ())
            .map_err(|held| held.saturating_add(bytes))
    }

    fn hold(&self, bytes: u64) {
        self.held_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn let_go(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

/// One queue's part in the limits; it ends with the queue.
#[derive(Debug)]
pub(crate) struct Share {
    limits: Arc<SharedLimits>,
    /// This queue's part of the bytes held together.
    counted_bytes: AtomicU64,
}

/// Bytes of an append under way; they are the queue's own when it has ended.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    share: &'a Share,
    bytes: u64,
}

impl Share {
    pub(crate) fn new(limits: Arc<SharedLimits>) -> Self {
        Self {
            limits,
            counted_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn limits(&self) -> &SharedLimits {
        &self.limits
    }

    /// Makes room for an append; where it does not fit, says what the sum would be.
    pub(crate) fn try_hold(&self, bytes: u64) -> Result<Held<'_>, u64> {
        self.limits.try_hold(bytes)?;
        Ok(Held { share: self, bytes })
    }

    /// The queue holds so many bytes now.
    pub(crate) fn count(&self, bytes: u64) {
        let before = self.counted_bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.limits.hold(bytes.saturating_sub(before));
        } else {
            self.limits.let_go(before.saturating_sub(bytes));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.count(0);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.share.limits.let_go(self.bytes);
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    #[test]
    fn what_all_hold_together_is_the_sum_of_what_each_holds_and_ends_with_it() {
        let limits = Arc::new(SharedLimits::new().total_bytes(100));
        let (one, other) = (
            Share::new(Arc::clone(&limits)),
            Share::new(Arc::clone(&limits)),
        );
        one.count(60);
        other.count(30);
        assert_eq!(other.try_hold(11).map(|_| ()), Err(101));
        let held = other.try_hold(10).unwrap();
        assert_eq!(limits.held_bytes(), 100);
        other.count(40);
        drop(held);
        assert_eq!((limits.held_bytes(), limits.overflow_bytes()), (100, 0));
        drop(one);
        assert_eq!(limits.held_bytes(), 40);
    }
}
