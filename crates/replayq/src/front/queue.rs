//! The handle of a queue.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, RwLockReadGuard};
use bytes::Bytes;

use crate::admission::Admission;
use crate::config::{Config, MAX_ITEM_BYTES, Storage};
use crate::damage::Recovery;
use crate::disk::Disk;
use crate::disk::call::LeaseAsk;
use crate::error::{AckError, AppendError, LeaseError, OpenError, ReadError};
use crate::field;
use crate::format::control::FILE_NAME;
use crate::format::control::commit::MAX_COMMIT_TAG_BYTES;
use crate::format::control::lease::MAX_LEASE_TAG_BYTES;
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::moment::Moment;
use crate::recovery;
use crate::signal::Signal;
use crate::state::leases::Lease;
use crate::state::ledger::{Acked, Appended, Ledger, ReleaseStep};
use crate::state::pop::Taker;
use crate::state::waiting::Item;
use crate::store::Store;
use crate::vfs::Vfs;

/// Items that were appended and leased in one go.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Leased {
    /// The new items.
    pub items: ItemRange,
    /// The lease, which may begin before them.
    pub lease: LeaseId,
}

/// A durable FIFO queue. All methods may be called from any thread; those that touch files block.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, PopLimits, Queue};
///
/// let room = tempfile::tempdir()?;
/// let config = || Config::disk(room.path().join("queue"));
/// let (queue, _) = Queue::open(config())?;
/// let items = queue.append(&["one".into(), "two".into(), "three".into()])?;
/// assert_eq!((items.first.0, items.last.0), (1, 3));
///
/// let lease = queue.pop(PopLimits::items(1))?.ok_or("nothing waits")?;
/// queue.ack(lease.id)?;
///
/// // The process is killed here. What was not acked is found again, with its ids.
/// drop(queue);
/// let (queue, recovery) = Queue::open(config())?;
/// assert_eq!(recovery.items, 2);
/// let waiting = queue.peek(PopLimits::default())?;
/// assert_eq!((waiting[0].id.0, &waiting[0].payload[..]), (2, &b"two"[..]));
/// queue.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Queue {
    pub(super) store: Store,
    pub(super) admission: Admission,
    /// Raised when items may be waiting.
    pub(super) data: Signal,
    clock: Arc<dyn Vfs>,
    max_item_bytes: u64,
}

impl Queue {
    /// Returns whether a queue was made in the directory; the remains of a first open that failed
    /// are none. No lock is taken.
    ///
    /// # Errors
    /// The directory cannot be read; that it is not there is no error.
    #[expect(
        clippy::disallowed_methods,
        reason = "a look at the real directory before there is a queue"
    )]
    pub fn is_in(directory: &Path) -> io::Result<bool> {
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let is_its_own = |name: &str| name == FILE_NAME || SegmentKey::parse(name).is_some();
            if entry.file_name().to_str().is_some_and(is_its_own) && !entry.file_type()?.is_dir() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens a queue, making it where there is none, and says what was found.
    ///
    /// # Errors
    /// The configuration is wrong, the directory is open elsewhere, a newer program wrote it, or a
    /// file operation failed. Damage is no error, see [`Recovery::damage`].
    pub fn open(config: Config) -> Result<(Self, Recovery), OpenError> {
        config.check()?;
        let (store, recovery) = match &config.storage {
            Storage::Memory => (
                Store::Memory(Box::new(Mutex::new(Ledger::new()))),
                Recovery::default(),
            ),
            Storage::Disk(path) | Storage::Offload(path) | Storage::OffloadVolatile(path) => {
                let (disk, recovery) = recovery::open(&config, path)?;
                (Store::Disk(Box::new(disk)), recovery)
            }
        };
        let queue = Self {
            store,
            admission: Admission::new(&config),
            data: Signal::default(),
            clock: Arc::clone(&config.vfs),
            max_item_bytes: config.max_item_bytes.min(MAX_ITEM_BYTES),
        };
        queue.admission.recount(&queue.store);
        Ok((queue, recovery))
    }

    /// Appends items, all or none of them, and returns their ids, which follow one another. They
    /// are durable at the queue's level then.
    ///
    /// # Errors
    /// See [`AppendError`]: in all cases but [`AppendError::InDoubt`] none of the items is in the
    /// queue or will ever be, and the queue goes on working.
    pub fn append(&self, payloads: &[Bytes]) -> Result<ItemRange, AppendError> {
        self.append_any(payloads, None).map(|(items, _)| items)
    }

    /// Appends one item.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_one(&self, payload: Bytes) -> Result<ItemId, AppendError> {
        self.append(std::slice::from_ref(&payload))
            .map(|items| items.first)
    }

    /// Appends items and leases them, together with those waiting from `from` on, with a tag: all
    /// in one write. `from` must be the oldest item that is not leased, and all that wait behind it
    /// must be in memory; none: nothing is waiting.
    ///
    /// # Errors
    /// As [`Self::append`], and [`AppendError::Lease`].
    pub fn append_leased(
        &self,
        payloads: &[Bytes],
        from: Option<ItemId>,
        tag: Bytes,
    ) -> Result<Leased, AppendError> {
        check_tag(&tag)?;
        let (items, lease) = self.append_any(payloads, Some(&LeaseAsk { from, tag }))?;
        match lease {
            Some(lease) => Ok(Leased { items, lease }),
            None => Err(AppendError::Lease(LeaseError::NotAtFront)),
        }
    }

    fn append_any(&self, payloads: &[Bytes], lease: Option<&LeaseAsk>) -> Appended {
        if payloads.is_empty() {
            return Err(AppendError::Empty);
        }
        let limit = self.max_item_bytes;
        if let Some(payload) = payloads
            .iter()
            .find(|payload| field::wide(payload.len()) > limit)
        {
            return Err(AppendError::TooLarge {
                bytes: field::wide(payload.len()),
                limit,
            });
        }
        let held = self.admission.admit(&self.store, payloads)?;
        let appended = match &self.store {
            Store::Disk(disk) => disk.append(payloads, lease),
            Store::Memory(ledger) => ledger.lock().append_in_memory(
                payloads,
                self.now(),
                lease.map(|ask| (ask.from, &ask.tag)),
            ),
        };
        self.admission.recount(&self.store);
        drop(held);
        // While it was held, it was counted twice for a moment.
        self.admission.raise_room();
        match (&appended, lease) {
            (Ok(_), None) => self.data.raise(payloads.len()),
            // What it was to lease with them waits again: whoever came meanwhile saw nothing.
            (Err(_), Some(_)) => self.data.raise_for_all(),
            _ => {}
        }
        appended
    }

    /// Takes items from the front, the oldest first, until they are acked or released; none if
    /// nothing is waiting. At least one item is taken, whatever the limits say.
    ///
    /// # Errors
    /// Reading from disk failed: nothing was taken, another call tries again.
    pub fn pop(&self, limits: PopLimits<'_>) -> Result<Option<Lease>, ReadError> {
        let mut taker = Taker::new(limits);
        let _transit = self.enter_transit();
        let mut ledger = self.ledger();
        if ledger.is_closed() {
            return Err(ReadError::Closed);
        }
        if ledger.take(&mut taker) {
            return Ok(ledger.lease_taken(taker));
        }
        drop(ledger);
        match self.disk() {
            // What it had taken waits again where it fails, and another pop may succeed.
            Some(disk) => disk.take(taker).inspect_err(|_| self.data.raise_for_all()),
            None => Ok(None),
        }
    }

    /// The time of the system's clock.
    pub(super) fn now(&self) -> Moment {
        Moment::since_epoch(self.clock.unix_time())
    }

    #[inline]
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.store.ledger()
    }

    #[inline]
    pub(super) fn disk(&self) -> Option<&Disk> {
        self.store.disk()
    }

    /// To be held while items are in transit, see [`Disk::enter_transit`].
    fn enter_transit(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.disk().and_then(Disk::enter_transit)
    }

    /// Copies of the items that a pop would take, as far as the resident budget allows.
    ///
    /// # Errors
    /// As [`Self::pop`].
    pub fn peek(&self, limits: PopLimits<'_>) -> Result<Vec<Item>, ReadError> {
        if let Some(disk) = self.disk() {
            disk.read_ahead(&limits)?;
        }
        let ledger = self.ledger();
        if ledger.is_closed() {
            Err(ReadError::Closed)
        } else {
            Ok(ledger.peek(limits))
        }
    }

    /// Writes a tag to a lease. When this has returned, the lease comes back with its exact
    /// boundaries and the tag whenever the queue is opened again, until it is acked or released. A
    /// lease that has a tag gets the new one.
    ///
    /// # Errors
    /// No such lease, a tag that is too long, or it could not be written: then the lease is as
    /// before.
    pub fn tag(&self, lease: LeaseId, tag: Bytes) -> Result<(), LeaseError> {
        check_tag(&tag)?;
        let _transit = self.disk().map(Disk::enter_lease_transit);
        let record = self.ledger().record_for(lease, tag.clone())?;
        match self.disk() {
            Some(disk) => disk.tag_lease(lease, &record),
            None => self.ledger().set_tag_in_memory(lease, tag),
        }
    }

    /// The open items of a lease: also of one of a previous run, which are read from disk.
    ///
    /// # Errors
    /// No such lease, or reading failed.
    pub fn read_lease(&self, id: LeaseId) -> Result<Lease, ReadError> {
        let (items, held, tag) = {
            let ledger = self.ledger();
            if ledger.is_closed() {
                return Err(ReadError::Closed);
            }
            let lease = ledger.leases().get(id).ok_or(ReadError::UnknownLease(id))?;
            (lease.items, lease.held.clone(), lease.tag.clone())
        };
        let items = match (held, self.disk()) {
            (Some(held), _) => held,
            (None, Some(disk)) => disk.read_lease(id, items)?,
            (None, None) => Vec::new(),
        };
        Ok(Lease { id, items, tag })
    }

    /// The items of the lease are done and leave the queue. When this has returned they never come
    /// back, whatever happens to the process; at level `Fsync` a power loss may bring those of the
    /// last moments back. It writes down all separate ranges of items that are done after the
    /// oldest open one, and takes the longer the more of them there are.
    ///
    /// # Errors
    /// No such lease; or the ack is not durable, see [`AckError`].
    pub fn ack(&self, lease: LeaseId) -> Result<(), AckError> {
        self.ack_any(lease, None, None)
    }

    /// As [`Self::ack`], and writes a tag of the caller's into the same commit record, in place of
    /// the one before.
    ///
    /// # Errors
    /// As [`Self::ack`], or the tag is too long.
    pub fn ack_with_tag(&self, lease: LeaseId, tag: Bytes) -> Result<(), AckError> {
        self.ack_any(lease, None, Some(tag))
    }

    /// Some items of the lease are done; with the last of them the lease is.
    ///
    /// # Errors
    /// No such lease, items that are not in it or were acked before; or the ack is not durable.
    pub fn ack_items(&self, lease: LeaseId, items: ItemRange) -> Result<(), AckError> {
        self.ack_any(lease, Some(items), None)
    }

    fn ack_any(
        &self,
        lease: LeaseId,
        items: Option<ItemRange>,
        tag: Option<Bytes>,
    ) -> Result<(), AckError> {
        let transit = self.enter_transit();
        let result = self.mark_done(lease, items, tag);
        drop(transit);
        self.admission.recount(&self.store);
        self.admission.raise_room();
        result
    }

    fn mark_done(
        &self,
        lease: LeaseId,
        items: Option<ItemRange>,
        tag: Option<Bytes>,
    ) -> Result<(), AckError> {
        check_commit_tag(tag.as_ref())?;
        if items.is_some() {
            self.hold_items(lease)?;
        }
        let acked = self.ledger().mark_done(lease, items, tag)?;
        let (Some(Acked { version, homes }), Some(disk)) = (acked, self.disk()) else {
            return Ok(());
        };
        disk.commit(version, &homes)
    }

    /// Brings the items of a lease of a previous run into memory.
    fn hold_items(&self, id: LeaseId) -> Result<(), AckError> {
        let items = self.ledger().items_to_read(id)?;
        if let (Some(items), Some(disk)) = (items, self.disk()) {
            let read = disk.read_lease(id, items).map_err(AckError::NotRead)?;
            self.ledger().hold(id, read);
        }
        Ok(())
    }

    /// Releases the lease: its items wait again, before all later ones, and its tag is gone.
    ///
    /// # Errors
    /// No such lease; or its items could not be read, or its record not be taken back: then the
    /// lease is still open.
    pub fn release(&self, id: LeaseId) -> Result<(), AckError> {
        let released = self.release_once(id);
        self.data.raise_for_all();
        released
    }

    #[inline]
    fn release_once(&self, id: LeaseId) -> Result<(), AckError> {
        let disk = self.disk();
        let _transit = disk.map(Disk::enter_lease_transit);
        let mut is_voided = false;
        loop {
            let reader = disk.and_then(Disk::reader_where_crowded);
            let step = self.ledger().release(id, is_voided, reader.is_some())?;
            drop(reader);
            match (step, disk) {
                (ReleaseStep::Done, _) => return Ok(()),
                (ReleaseStep::Void(homes), Some(disk)) => disk.void_leases(id, homes)?,
                (ReleaseStep::Void(_), None) => {}
                (ReleaseStep::Read, _) => self.hold_items(id)?,
            }
            is_voided = true;
        }
    }

    /// Writes a tag of the caller's into the commit record, in place of the one before. It comes
    /// back as [`Recovery::commit_tag`].
    ///
    /// # Errors
    /// The tag is too long, or it is not durable.
    pub fn set_commit_tag(&self, tag: Bytes) -> Result<(), AckError> {
        check_commit_tag(Some(&tag))?;
        let version = self.ledger().set_commit_tag(tag)?;
        match self.disk() {
            Some(disk) => disk.commit(version, &[]),
            None => Ok(()),
        }
    }
}

fn check_tag(tag: &Bytes) -> Result<(), LeaseError> {
    if tag.len() > MAX_LEASE_TAG_BYTES {
        Err(LeaseError::TagTooLarge {
            bytes: tag.len(),
            limit: MAX_LEASE_TAG_BYTES,
        })
    } else {
        Ok(())
    }
}

fn check_commit_tag(tag: Option<&Bytes>) -> Result<(), AckError> {
    match tag {
        Some(tag) if tag.len() > MAX_COMMIT_TAG_BYTES => Err(AckError::TagTooLarge {
            bytes: tag.len(),
            limit: MAX_COMMIT_TAG_BYTES,
        }),
        _ => Ok(()),
    }
}
