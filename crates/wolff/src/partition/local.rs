//! The local queue of a partition: `replayq`, as the driver uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::Mutex;
use replayq::{AppendError, Damage, ItemId, ItemRef, LeaseId, Metrics, PopLimits, Queue, Recovery};
use wolff_core::{AppendedLease, LocalLease, LocalQueue, StorageError};

/// The local queue was closed.
#[derive(Debug, thiserror::Error)]
#[error("the local queue is closed")]
struct Closed;

/// A queue in memory or on disk.
#[derive(Debug)]
pub(crate) struct Local {
    /// `None` after it was closed: whatever became of that, its directory is free.
    queue: ArcSwapOption<Queue>,
    metrics: Arc<Metrics>,
    /// The oldest item that opening found.
    first_item: u64,
    /// Number of damages that were seen.
    seen_damages: Mutex<usize>,
    /// It was not closed: who served it is gone.
    is_given_up: AtomicBool,
}

impl Local {
    /// A queue that was opened, and what opening found in it.
    pub(crate) fn new(queue: Queue, recovery: &Recovery) -> Self {
        Self {
            metrics: queue.metrics(),
            queue: ArcSwapOption::from_pointee(queue),
            first_item: recovery.ids.map_or(u64::MAX, |ids| ids.first.0),
            seen_damages: Mutex::new(recovery.damage.len()),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Takes the queue out, to be closed. `None`: it was before.
    pub(crate) fn take(&self) -> Option<Arc<Queue>> {
        self.queue.swap(None)
    }

    /// Drops the queue without closing it: its directory is free for whoever comes next.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        drop(self.take());
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<Arc<Queue>, StorageError> {
        self.queue
            .load_full()
            .ok_or_else(|| StorageError::new(Closed))
    }

    /// Closes the files of a queue in which nothing waits. Failing changes nothing.
    pub(crate) fn trim(&self) {
        if let Ok(queue) = self.open()
            && let Err(error) = queue.trim()
        {
            tracing::debug!(%error, "a drained queue keeps its files");
        }
    }

    /// Damages found so far.
    pub(crate) fn damages(&self) -> usize {
        *self.seen_damages.lock()
    }

    /// Damages found since the last call.
    pub(crate) fn new_damages(&self) -> Vec<Damage> {
        let Ok(queue) = self.open() else {
            return Vec::new();
        };
        let all = queue.damage();
        let mut seen = self.seen_damages.lock();
        let new = all.get(*seen..).unwrap_or_default().to_vec();
        *seen = all.len();
        new
    }
}

fn items_of(lease: replayq::Lease) -> LocalLease<LeaseId> {
    LocalLease {
        id: lease.id,
        items: lease
            .items
            .into_iter()
            .map(|item| (item.id.0, item.payload))
            .collect(),
    }
}

/// The error of an append.
fn not_appended(error: AppendError) -> StorageError {
    match error {
        AppendError::InDoubt(_) => StorageError::in_doubt(error),
        error => StorageError::new(error),
    }
}

impl LocalQueue for Local {
    type Lease = LeaseId;

    fn append(&self, payloads: &[Bytes]) -> Result<u64, StorageError> {
        let range = self.open()?.append(payloads).map_err(not_appended)?;
        Ok(range.first.0)
    }

    fn append_leased(
        &self,
        payloads: &[Bytes],
        from: Option<u64>,
        tag: &Bytes,
    ) -> Result<Option<AppendedLease<LeaseId>>, StorageError> {
        let queue = self.open()?;
        let leased = match queue.append_leased(payloads, from.map(ItemId), tag.clone()) {
            Ok(leased) => leased,
            // Not possible at this place: nothing was written.
            Err(AppendError::Lease(_)) => return Ok(None),
            Err(error) => return Err(not_appended(error)),
        };
        let first_item = leased.items.first.0;
        let items = if from.is_some() {
            // They are in memory as a rule.
            let read = queue.read_lease(leased.lease).map_err(StorageError::new);
            read.map(|lease| items_of(lease).items)
        } else {
            Ok((first_item..).zip(payloads.iter().cloned()).collect())
        };
        Ok(Some(AppendedLease {
            first_item,
            lease: leased.lease,
            items,
        }))
    }

    fn lease(
        &self,
        max_items: usize,
        stop_before: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<LocalLease<LeaseId>>, StorageError> {
        let mut stop_before = |item: &ItemRef<'_>| stop_before(item.payload);
        let limits = PopLimits::items(max_items).stop_before(&mut stop_before);
        let lease = self.open()?.pop(limits).map_err(StorageError::new)?;
        Ok(lease.map(items_of))
    }

    fn lost_between(&self, after: u64, before: u64) -> u64 {
        let Ok(queue) = self.open() else {
            return 0;
        };
        if self.metrics.damaged_places() == 0 {
            return 0;
        }
        let (first, end) = (after.saturating_add(1).max(self.first_item), before);
        let lost = queue.damage();
        lost.iter()
            .filter_map(Damage::ids)
            .map(|ids| {
                let last = ids.last.0.min(end.saturating_sub(1));
                last.saturating_add(1)
                    .saturating_sub(ids.first.0.max(first))
            })
            .sum()
    }

    fn reload(&self, lease: LeaseId) -> Result<LocalLease<LeaseId>, StorageError> {
        let lease = self.open()?.read_lease(lease).map_err(StorageError::new)?;
        Ok(items_of(lease))
    }

    fn release(&self, lease: LeaseId) -> Result<(), StorageError> {
        self.open()?.release(lease).map_err(StorageError::new)
    }

    fn tag(&self, lease: LeaseId, tag: Bytes) -> Result<(), StorageError> {
        self.open()?.tag(lease, tag).map_err(StorageError::new)
    }

    fn ack(&self, lease: LeaseId, commit_tag: Option<Bytes>) -> Result<(), StorageError> {
        let queue = self.open()?;
        match commit_tag {
            Some(tag) => queue.ack_with_tag(lease, tag),
            None => queue.ack(lease),
        }
        .map_err(StorageError::new)
    }
}
