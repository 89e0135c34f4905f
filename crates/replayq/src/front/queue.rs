//! The handle of a queue.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::sync::{Mutex, RwLockReadGuard};
use bytes::Bytes;

use crate::admission::Admission;
use crate::config::{Config, MAX_ITEM_BYTES, Storage};
use crate::damage::{Damage, Recovery};
use crate::disk::call::LeaseAsk;
use crate::disk::{Appended, Disk};
use crate::error::{AckError, AppendError, LeaseError, OpenError, ReadError};
use crate::field;
use crate::format::control::FILE_NAME;
use crate::format::control::commit::MAX_COMMIT_TAG_BYTES;
use crate::format::control::lease::{LeaseRecord, MAX_LEASE_TAG_BYTES};
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::limits::load::Load;
use crate::moment::Moment;
use crate::recovery;
use crate::signal::Signal;
use crate::state::leases::Home;
use crate::state::ledger::{Lease, Ledger, Released};
use crate::state::pop::Taker;
use crate::state::waiting::Item;
use crate::stats::Stats;
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
/// // The process dies here. What was not acked is found again, with its ids.
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
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) disk: Option<Disk>,
    pub(crate) admission: Admission,
    /// Raised when items may be waiting.
    pub(crate) data: Signal,
    clock: Arc<dyn Vfs>,
    max_item_bytes: u64,
}

impl Queue {
    /// Whether a queue was made in the directory: what a first open that failed has left there is none. No lock is taken.
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
    /// The configuration is wrong, somebody else has the directory open, a newer program wrote it, or a file operation failed. Damage is no error, see [`Recovery::damage`].
    pub fn open(config: Config) -> Result<(Self, Recovery), OpenError> {
        config.check()?;
        let (disk, ledger, recovery) = match &config.storage {
            Storage::Memory => (None, Ledger::new(), Recovery::default()),
            Storage::Disk(path) | Storage::Offload(path) | Storage::OffloadVolatile(path) => {
                let (disk, ledger, recovery) = recovery::open(&config, path)?;
                (Some(disk), ledger, recovery)
            }
        };
        let queue = Self {
            ledger: Mutex::new(ledger),
            disk,
            admission: Admission::new(&config),
            data: Signal::default(),
            clock: Arc::clone(&config.vfs),
            max_item_bytes: config.max_item_bytes.min(MAX_ITEM_BYTES),
        };
        queue.admission.recount(&queue.ledger);
        Ok((queue, recovery))
    }

    /// Appends items, all or none of them, and returns their ids, which follow one another. They are durable at the queue's level then.
    ///
    /// # Errors
    /// See [`AppendError`]: in all cases but [`AppendError::InDoubt`] none of the items is in the queue or will ever be, and the queue goes on working.
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

    /// Appends items and leases them, together with those waiting from `from` on, with a tag: all in one write. `from` must be the oldest item that is not leased, and all
    /// that wait behind it must be in memory; none: nothing is waiting.
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
        let held = self
            .admission
            .admit(&self.ledger, self.disk.as_ref(), payloads)?;
        let appended = match &self.disk {
            Some(disk) => disk.append(&self.ledger, payloads, lease),
            None => self.ledger.lock().append_in_memory(
                payloads,
                Moment::since_epoch(self.clock.unix_time()),
                lease.map(|ask| (ask.from, &ask.tag)),
            ),
        };
        self.admission.recount(&self.ledger);
        drop(held);
        // While it was held, it was counted twice for a moment.
        self.admission.raise_room();
        if appended.is_ok() && lease.is_none() {
            self.data.raise(payloads.len());
        }
        appended
    }

    /// Takes items from the front, the oldest first, until they are acked or released; none if nothing is waiting. At least one item is taken, whatever the limits say.
    ///
    /// # Errors
    /// Reading from disk failed: nothing was taken, another call tries again.
    pub fn pop(&self, limits: PopLimits<'_>) -> Result<Option<Lease>, ReadError> {
        let mut taker = Taker::new(limits);
        let _in_hand = self.take_in_hand();
        let mut ledger = self.ledger.lock();
        if ledger.is_closed {
            return Err(ReadError::Closed);
        }
        match &self.disk {
            Some(disk) if !ledger.take(&mut taker) => {
                drop(ledger);
                // What it had taken waits again where it fails, and another one may be more lucky.
                disk.take(&self.ledger, taker)
                    .inspect_err(|_| self.data.raise_for_all())
            }
            Some(_) => Ok(ledger.lease_taken(taker.into_items())),
            None => {
                ledger.take(&mut taker);
                Ok(ledger.lease_taken(taker.into_items()))
            }
        }
    }

    /// To be held while items or leases are in hand, see [`Disk::hands`].
    fn take_in_hand(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.disk.as_ref().and_then(Disk::take_in_hand)
    }

    /// Copies of the items that a pop would take, as far as the resident budget allows.
    ///
    /// # Errors
    /// As [`Self::pop`].
    pub fn peek(&self, limits: PopLimits<'_>) -> Result<Vec<Item>, ReadError> {
        if let Some(disk) = &self.disk {
            disk.read_ahead(&self.ledger, &limits)?;
        }
        let ledger = self.ledger.lock();
        if ledger.is_closed {
            Err(ReadError::Closed)
        } else {
            Ok(ledger.peek(limits))
        }
    }

    /// Writes a tag to a lease. When this has returned, the lease comes back with its exact boundaries and the tag whenever the queue is opened again, until it is acked or
    /// released. A lease that has a tag gets the new one.
    ///
    /// # Errors
    /// No such lease, a tag that is too long, or it could not be written: then the lease is as before.
    pub fn tag(&self, lease: LeaseId, tag: Bytes) -> Result<(), LeaseError> {
        check_tag(&tag)?;
        let _in_hand = self.disk.as_ref().map(|disk| disk.hands.read());
        let record = {
            let mut ledger = self.ledger.lock();
            if ledger.is_closed {
                return Err(LeaseError::Closed);
            }
            let items = ledger
                .leases
                .get(lease)
                .ok_or(LeaseError::UnknownLease(lease))?
                .items;
            LeaseRecord {
                sequence: ledger.next_lease_sequence(),
                items,
                tag: tag.clone(),
            }
        };
        match &self.disk {
            Some(disk) => disk.tag_lease(&self.ledger, lease, &record),
            None => self.ledger.lock().set_tag_in_memory(lease, tag),
        }
    }

    /// The open items of a lease: also of one of an earlier life, which are read from disk.
    ///
    /// # Errors
    /// No such lease, or reading failed.
    pub fn read_lease(&self, id: LeaseId) -> Result<Lease, ReadError> {
        let (items, held, tag) = {
            let ledger = self.ledger.lock();
            if ledger.is_closed {
                return Err(ReadError::Closed);
            }
            let lease = ledger.leases.get(id).ok_or(ReadError::UnknownLease(id))?;
            (lease.items, lease.held.clone(), lease.tag.clone())
        };
        let items = match (held, &self.disk) {
            (Some(held), _) => held,
            (None, Some(disk)) => disk.read_lease(&self.ledger, id, items)?,
            (None, None) => Vec::new(),
        };
        Ok(Lease { id, items, tag })
    }

    /// The items of the lease are done and leave the queue. When this has returned they never come back, whatever happens to the process; at level `Fsync` a power loss may
    /// bring those of the last moments back. It writes down all separate stretches of items that are done behind the oldest open one, and takes the longer the more of
    /// them there are.
    ///
    /// # Errors
    /// No such lease; or the ack is not durable, see [`AckError`].
    pub fn ack(&self, lease: LeaseId) -> Result<(), AckError> {
        self.ack_any(lease, None, None)
    }

    /// As [`Self::ack`], and writes a tag of the caller's into the same commit record, in place of the one before.
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
        let in_hand = self.take_in_hand();
        let result = self.mark_done(lease, items, tag);
        drop(in_hand);
        self.admission.recount(&self.ledger);
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
        let (version, homes) = {
            let mut ledger = self.ledger.lock();
            if ledger.is_closed {
                return Err(AckError::Closed);
            }
            let was_in_file = ledger.is_in_file(lease, items);
            let homes = match items {
                None => ledger.ack(lease)?,
                Some(items) => ledger.ack_items(lease, items)?,
            };
            if !was_in_file && homes.is_empty() && tag.is_none() && !ledger.owes_commit {
                // No file says anything of these items, so none needs to say that they are done.
                return Ok(());
            }
            if let Some(tag) = tag {
                ledger.commit_tag = tag;
            }
            (ledger.version, homes)
        };
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        for home in &homes {
            if let Home::Entry { segment, .. } = home {
                disk.unpin(&self.ledger, *segment);
            }
        }
        disk.commit(&self.ledger, version, &homes)
    }

    /// Brings the items of a lease of an earlier life into memory.
    fn hold_items(&self, id: LeaseId) -> Result<(), AckError> {
        let items = {
            let ledger = self.ledger.lock();
            let lease = ledger.leases.get(id).ok_or(AckError::UnknownLease(id))?;
            match lease.held {
                Some(_) => return Ok(()),
                None => lease.items,
            }
        };
        if let Some(disk) = &self.disk {
            let read = disk
                .read_lease(&self.ledger, id, items)
                .map_err(AckError::NotRead)?;
            self.ledger.lock().hold(id, read);
        }
        Ok(())
    }

    /// Gives the lease up: its items are the next to be handed out, and its tag is gone.
    ///
    /// # Errors
    /// No such lease; or its items could not be read, or its record not be taken back: then the lease is still open.
    pub fn release(&self, id: LeaseId) -> Result<(), AckError> {
        let released = self.release_once(id);
        self.data.raise_for_all();
        released
    }

    #[inline]
    fn release_once(&self, id: LeaseId) -> Result<(), AckError> {
        let _in_hand = self.disk.as_ref().map(|disk| disk.hands.read());
        let mut is_voided = false;
        loop {
            let disk = self.disk.as_ref();
            let reader = disk.and_then(|disk| disk.reader_where_crowded(&self.ledger));
            let homes = {
                let mut ledger = self.ledger.lock();
                if ledger.is_closed {
                    return Err(AckError::Closed);
                }
                let lease = ledger.leases.get(id).ok_or(AckError::UnknownLease(id))?;
                let has_record = !is_voided && lease.tag.is_some() || !lease.homes.is_empty();
                if ledger.must_read(lease) {
                    // First of all: where this fails nothing has changed.
                    None
                } else if has_record {
                    // Taken along: whoever tags the lease at the same time has nothing to void then, and a place that was emptied may be another lease's at once.
                    ledger
                        .leases
                        .update(id, |lease| std::mem::take(&mut lease.homes))
                } else {
                    match ledger.release(id, reader.is_some()) {
                        Released::Done => return Ok(()),
                        Released::Unknown => return Err(AckError::UnknownLease(id)),
                        Released::NeedsItems => None,
                    }
                }
            };
            drop(reader);
            match (homes, &self.disk) {
                (Some(homes), Some(disk)) => disk.void_leases(&self.ledger, id, homes)?,
                (Some(_), None) => {}
                (None, _) => self.hold_items(id)?,
            }
            is_voided = true;
        }
    }

    /// Writes a tag of the caller's into the commit record, in place of the one before. It comes back as [`Recovery::commit_tag`].
    ///
    /// # Errors
    /// The tag is too long, or it is not durable.
    pub fn set_commit_tag(&self, tag: Bytes) -> Result<(), AckError> {
        check_commit_tag(Some(&tag))?;
        let version = {
            let mut ledger = self.ledger.lock();
            if ledger.is_closed {
                return Err(AckError::Closed);
            }
            ledger.commit_tag = tag;
            ledger.version = ledger.version.saturating_add(1);
            ledger.version
        };
        match &self.disk {
            Some(disk) => disk.commit(&self.ledger, version, &[]),
            None => Ok(()),
        }
    }

    /// Whether the queue is closed, and how many items are waiting.
    pub(crate) fn waiting(&self) -> (bool, u64) {
        let ledger = self.ledger.lock();
        (ledger.is_closed, ledger.backlog.items())
    }

    /// The open leases: name, items, what of them is open, tag.
    pub(crate) fn open_lease_list(&self) -> Vec<(LeaseId, ItemRange, Load, Option<Bytes>)> {
        let ledger = self.ledger.lock();
        let leases = ledger.leases.iter();
        leases
            .map(|(id, lease)| {
                let load = Load {
                    items: lease.open_items,
                    bytes: lease.open_bytes,
                };
                (id, lease.items, load, lease.tag.clone())
            })
            .collect()
    }

    /// Items that nobody has taken.
    pub fn count(&self) -> u64 {
        self.ledger.lock().backlog.items()
    }

    /// Their payloads' bytes.
    pub fn bytes(&self) -> u64 {
        self.ledger.lock().backlog.bytes()
    }

    /// Whether nobody's items are waiting; leased ones do not count.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// All figures.
    pub fn stats(&self) -> Stats {
        let files = self.disk.as_ref().map_or(0, Disk::control_bytes);
        let ledger = self.ledger.lock();
        Stats {
            waiting_items: ledger.backlog.items(),
            waiting_bytes: ledger.backlog.bytes(),
            leased_items: ledger.leases.items(),
            leased_bytes: ledger.leases.bytes(),
            leases: field::wide(ledger.leases.len()),
            counted_bytes: ledger.load().counted_bytes(),
            memory_bytes: ledger
                .backlog
                .resident_bytes()
                .saturating_add(ledger.leases.held_bytes()),
            disk_bytes: ledger.segments.file_bytes().saturating_add(files),
            segments: field::wide(ledger.segments.iter().count()),
            damage: ledger.damage.places(),
            lost_items: ledger.damage.lost_items(),
        }
    }

    /// The places that were found damaged since open, at open included: the latest thousand.
    pub fn damage(&self) -> Vec<Damage> {
        self.damage_since(0)
    }

    /// The places that were found damaged since [`Stats::damage`] was `seen`, at most the latest thousand. Opening finds damage, and so do pops and reads of leases: whoever owns
    /// the queue calls this when that figure has grown, and passes each place on to somebody who can do something about it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let room = tempfile::tempdir()?;
    /// let (queue, _) = Queue::open(Config::disk(room.path().join("queue")))?;
    /// let mut seen = 0;
    /// while let Some(lease) = queue.pop(PopLimits::default())? {
    ///     queue.ack(lease.id)?;
    ///     let stats = queue.stats();
    ///     if stats.damage > seen {
    ///         for damage in queue.damage_since(seen) {
    ///             eprintln!("error: {damage}");
    ///         }
    ///         eprintln!("error: {} items are lost", stats.lost_items);
    ///         seen = stats.damage;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn damage_since(&self, seen: u64) -> Vec<Damage> {
        self.ledger.lock().damage.since(seen)
    }

    /// By how many bytes the queue is over its limit, or over the one that it shares with others, whichever is more; negative: so much room is left. What counts is
    /// said at [`Config::max_total_bytes`].
    pub fn overflow_bytes(&self) -> i64 {
        let load = self.ledger.lock().load();
        self.admission.overflow_bytes(load)
    }

    /// Whether the queue has no files.
    pub fn is_memory_only(&self) -> bool {
        self.disk.is_none()
    }

    /// Whether appended items go to files at the moment.
    pub fn is_writing_to_disk(&self) -> bool {
        self.disk
            .as_ref()
            .is_some_and(|disk| disk.settings.offload.is_none() || self.ledger.lock().has_spilled())
    }

    /// The directory of the queue, as the file system knows it.
    pub fn directory(&self) -> Option<&Path> {
        self.disk.as_ref().map(|disk| disk.directory.as_path())
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
