//! The local queue of a partition: `replayq`, as the driver uses it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::Mutex;
use replayq::{Damage, ItemRef, LeaseId, PopLimits, Queue};
use wolff_core::{LocalLease, LocalQueue, StorageError};

/// The local queue was closed.
#[derive(Debug, thiserror::Error)]
#[error("the local queue is closed")]
struct Closed;

/// A queue in memory or on disk.
#[derive(Debug)]
pub(crate) struct Local {
    /// `None` after it was closed: whatever became of that, its directory is free.
    queue: ArcSwapOption<Queue>,
    /// How many damages were seen.
    seen_damages: Mutex<usize>,
}

impl Local {
    pub(crate) fn new(queue: Queue, seen_damages: usize) -> Self {
        Self {
            queue: ArcSwapOption::from_pointee(queue),
            seen_damages: Mutex::new(seen_damages),
        }
    }

    /// Takes the queue out, to be closed. `None`: it was before.
    pub(crate) fn take(&self) -> Option<Arc<Queue>> {
        self.queue.swap(None)
    }

    fn open(&self) -> Result<Arc<Queue>, StorageError> {
        self.queue
            .load_full()
            .ok_or_else(|| StorageError::new(Closed))
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

impl LocalQueue for Local {
    type Lease = LeaseId;

    fn append(&self, payloads: &[Bytes]) -> Result<u64, StorageError> {
        let range = self.open()?.append(payloads).map_err(StorageError::new)?;
        Ok(range.first.0)
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
