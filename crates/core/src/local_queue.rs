//! The local queue that a driver works on: on disk, in memory, or simulated.

use bytes::Bytes;

use crate::outcome::StorageError;

/// A durable or volatile FIFO of items, as a driver uses it.
pub trait LocalQueue: Send + Sync {
    /// Names an open lease.
    type Lease: Copy + Send;

    /// Appends items, all or none, and returns the id of the first; the others follow it.
    ///
    /// # Errors
    /// None of them is in the queue.
    fn append(&self, payloads: &[Bytes]) -> Result<u64, StorageError>;

    /// Appends items, all or none, and leases them, and those that are not leased from `from` on,
    /// under a tag: all in one write, durable together. `from` is the oldest item that is not
    /// leased; `None`: there is none.
    ///
    /// `None`: it cannot be done in one, and nothing of it was done or written. A queue that never
    /// can leaves this method as it is.
    ///
    /// # Errors
    /// None of the items is in the queue.
    fn append_leased(
        &self,
        _payloads: &[Bytes],
        _from: Option<u64>,
        _tag: &Bytes,
    ) -> Result<Option<AppendedLease<Self::Lease>>, StorageError> {
        Ok(None)
    }

    /// Leases the oldest items that are not leased, at least one and at most so many, up to one for
    /// which `stop_before` is true. `None`: there is none.
    ///
    /// # Errors
    /// They cannot be read; nothing was leased.
    fn lease(
        &self,
        max_items: usize,
        stop_before: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<LocalLease<Self::Lease>>, StorageError>;

    /// Items with ids between these two that are known to be lost to damage. A queue that never has
    /// damage leaves this method as it is.
    fn lost_between(&self, _after: u64, _before: u64) -> u64 {
        0
    }

    /// Reads the items of a lease that is open.
    ///
    /// # Errors
    /// They cannot be read.
    fn reload(&self, lease: Self::Lease) -> Result<LocalLease<Self::Lease>, StorageError>;

    /// Releases a lease: its items are leased again later.
    ///
    /// # Errors
    /// It stays open until the queue is opened again.
    fn release(&self, lease: Self::Lease) -> Result<(), StorageError>;

    /// Writes a tag to a lease, durable at the queue's level.
    ///
    /// # Errors
    /// It is unknown whether it was written.
    fn tag(&self, lease: Self::Lease, tag: Bytes) -> Result<(), StorageError>;

    /// Takes the items of a lease out of the queue.
    ///
    /// # Errors
    /// They may come back when the queue is opened again.
    fn ack(&self, lease: Self::Lease, commit_tag: Option<Bytes>) -> Result<(), StorageError>;
}

/// Items of a local queue that were leased.
#[derive(Debug)]
pub struct LocalLease<L> {
    /// The lease.
    pub id: L,
    /// The items with their ids, oldest first.
    pub items: Vec<(u64, Bytes)>,
}

/// Items that were appended to a local queue and leased in one go.
#[derive(Debug)]
pub struct AppendedLease<L> {
    /// Id of the first new item; the others follow it.
    pub first_item: u64,
    /// The lease, which may begin before it.
    pub lease: L,
    /// The items of the lease with their ids, oldest first; an error: they cannot be read.
    pub items: Result<Vec<(u64, Bytes)>, StorageError>,
}
