//! Calls becoming items of the local queue: admission, encoding, linger, group commit.

mod appended;

mod admission;

mod group_commit;

mod linger;

mod open_batch;

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{BATCH_HEADER_BYTES, RecordRef};

use self::admission::{Admission, most_bytes};
use self::group_commit::GroupCommit;
use self::linger::Linger;
use self::open_batch::OpenBatch;
use crate::action::{Accepted, QueueWork, Refused};
use crate::backlog::Backlog;
use crate::completed_batch::CompletedBatch;
use crate::config::{Config, Storage};
use crate::counters::Counters;
use crate::queue_item::QueueItemError;

pub(crate) use self::open_batch::CutFragment;
pub use self::open_batch::Opening;

/// Bytes that an encoded record may need beyond its size at the front of a batch: longer varints of
/// its deltas.
const DELTA_SLACK_BYTES: usize = 16;

/// Bytes of fragments that nobody waits for which are appended at once; fewer wait a moment for
/// others. Waking a thread and writing costs more than the copy of a fragment.
const APPEND_AT_BYTES: usize = 4 * 64 * 1024;

/// The part of a fragment that may be stored while the memory that it lies in is still kept: not a
/// piece of memory for each lone record.
const KEPT_PART: usize = 8;

/// The part of a partition that accepts calls.
#[derive(Debug)]
pub(crate) struct Intake<T> {
    open: OpenBatch<T>,
    commit: GroupCommit<T>,
    linger: Linger,
    admission: Admission,
    storage: Storage,
    /// Size at which batches are closed: as configured, or smaller where the broker refuses such,
    /// or the link does not carry them.
    max_batch_bytes: usize,
    configured_batch_bytes: usize,
    fragment_bytes: usize,
    resident_bytes: u64,
}

impl<T: Clone> Intake<T> {
    pub(crate) fn new(config: &Config) -> Self {
        let fragment_bytes = match config.storage {
            // In memory a damaged item is no concern: a batch is one item.
            Storage::Memory => usize::MAX,
            Storage::Disk => config.fragment_bytes,
        };
        // Room for the rest of the item behind the records.
        let piece_bytes = fragment_bytes.saturating_add(fragment_bytes / 8);
        Self {
            open: OpenBatch::new(config.run, piece_bytes),
            commit: GroupCommit::new(),
            linger: Linger::new(config.linger),
            admission: Admission::new(config),
            storage: config.storage,
            max_batch_bytes: config.max_batch_bytes,
            configured_batch_bytes: config.max_batch_bytes,
            resident_bytes: config.resident_bytes,
            fragment_bytes,
        }
    }

    /// Accepts one call. See [`Partition::accept`](crate::Partition::accept).
    #[inline]
    pub(crate) fn accept<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<T>,
        memory: impl FnOnce(usize) -> BytesMut,
        (counters, recovered_bytes): (&mut Counters, u64),
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        // An upper bound follows from the lengths alone; only where that is too much is it
        // measured.
        let most = most_bytes(records.clone());
        let held = counters.held_bytes().saturating_add(recovered_bytes);
        let is_simple = self.admit(most, held).is_ok()
            && self.batch_has_room(most)
            && self.fragment_has_room(most)
            && self.open.spare_bytes() >= most;
        if is_simple {
            return self.append(records, is_awaited, false, counters);
        }
        self.accept_measured(records, is_awaited, opening, memory, (counters, held))
    }

    /// Accepts a call that finds no room in the open batch or fragment, or perhaps in the queue.
    #[inline(never)]
    fn accept_measured<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<T>,
        memory: impl FnOnce(usize) -> BytesMut,
        (counters, held): (&mut Counters, u64),
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        let (base_timestamp_ms, bytes) = self.measure(records.clone())?;
        self.admit(bytes, held)?;
        if self.batch_has_room(bytes) && self.open.spare_bytes() < bytes {
            // What was encoded moves, and its memory is of no use to the next ones.
            self.admission
                .admit_memory(bytes.saturating_add(self.open.uncut_bytes()))?;
        }
        let mut wakes = false;
        if self.open.is_open() && !self.batch_has_room(bytes) {
            self.close_batch();
            wakes = true;
        }
        if !self.open.is_open() {
            let first_call = counters.accepted_calls();
            self.open
                .open(base_timestamp_ms, first_call, opening(), memory);
            wakes = true;
        } else if !self.fragment_has_room(bytes) {
            self.commit.push(self.open.cut(false));
        }
        self.admission.spend(self.open.make_room(bytes));
        self.append(records, is_awaited, wakes, counters)
    }

    /// Encodes the records of one call into the open batch.
    #[inline]
    fn append<'a>(
        &mut self,
        records: impl Iterator<Item = RecordRef<'a>>,
        is_awaited: bool,
        mut wakes: bool,
        counters: &mut Counters,
    ) -> Result<Accepted<T>, Refused> {
        let Some(token) = self.open.token().cloned() else {
            return Err(Refused::Stopping);
        };
        let first_record = self.open.record_count();
        let mut bytes = 0usize;
        let mut count = 0u32;
        let mut call = self.open.begin_call();
        for record in records {
            // A call is known to be far below the most that a batch can hold.
            let appended = call.append(&record).map_err(|error| Refused::TooLarge {
                bytes: usize::try_from(error.record_bytes).unwrap_or(usize::MAX),
                limit: self.admission.max_call_bytes(),
            })?;
            bytes = bytes.saturating_add(appended);
            count = count.saturating_add(1);
        }
        if count == 0 {
            return Err(Refused::Empty);
        }
        call.commit(count);
        let call_no = counters.accepted_calls();
        counters.accept(count, bytes);
        self.admission.spend(bytes);
        if !self.batch_has_room(bytes) {
            // No room for another one like it: full, as far as linger is concerned.
            self.close_batch();
            wakes = true;
        }
        Ok(Accepted {
            call_no,
            first_record,
            token,
            work: self.work_after(is_awaited, wakes),
            wakes,
        })
    }

    /// Time until the local queue has to be looked at after a call.
    #[inline]
    fn work_after(&mut self, is_awaited: bool, wakes: bool) -> QueueWork {
        match self.storage {
            Storage::Memory if wakes => QueueWork::Now,
            Storage::Memory => QueueWork::None,
            Storage::Disk => {
                if is_awaited {
                    self.commit.request();
                }
                if is_awaited || wakes || self.commit.bytes() >= APPEND_AT_BYTES {
                    QueueWork::Now
                } else {
                    QueueWork::Soon
                }
            }
        }
    }

    /// Returns whether there is an open batch with room for so many bytes.
    #[inline]
    fn batch_has_room(&self, bytes: usize) -> bool {
        self.open.is_open() && self.open.batch_bytes().saturating_add(bytes) <= self.max_batch_bytes
    }

    /// Returns whether so many bytes can join the fragment that is growing.
    #[inline]
    fn fragment_has_room(&self, bytes: usize) -> bool {
        let uncut = self.open.uncut_bytes();
        uncut == 0 || uncut.saturating_add(bytes) <= self.fragment_bytes
    }

    #[inline]
    fn admit(&self, bytes: usize, held_bytes: u64) -> Result<(), Refused> {
        let unqueued = match self.storage {
            Storage::Memory => 0,
            Storage::Disk => self.unqueued_bytes(),
        };
        self.admission.admit(bytes, held_bytes, unqueued)
    }

    /// The first record's timestamp, and the call's size: exact for a single record, else an upper
    /// bound.
    fn measure<'a>(
        &self,
        mut records: impl Iterator<Item = RecordRef<'a>>,
    ) -> Result<(i64, usize), Refused> {
        let first = records.next().ok_or(Refused::Empty)?;
        let mut bytes = self.open.encoded_size(&first);
        for record in records {
            bytes = bytes
                .saturating_add(self.open.encoded_size(&record))
                .saturating_add(DELTA_SLACK_BYTES);
        }
        Ok((first.timestamp_ms, bytes))
    }

    /// Bytes that the local queue has not taken yet.
    #[inline]
    pub(crate) fn unqueued_bytes(&self) -> usize {
        self.commit.bytes().saturating_add(self.open.uncut_bytes())
    }

    /// Closes the open batch: the rest of it is cut, and no record follows in it. Where all of it
    /// is in the queue already, the first fragment of the next batch ends it there.
    fn close_batch(&mut self) {
        match self.open.cut(true) {
            Some(fragment) => self.commit.push(Some(fragment)),
            None => drop(self.commit.close_last()),
        }
    }

    /// New batches are closed at so many bytes, if that is less than what is configured.
    pub(crate) fn limit_batches(&mut self, bytes: usize) {
        let least = BATCH_HEADER_BYTES.saturating_add(1);
        self.max_batch_bytes = self.configured_batch_bytes.min(bytes.max(least));
    }

    /// Returns whether anything was accepted that the local queue does not have.
    pub(crate) fn is_empty(&self) -> bool {
        !self.open.is_open() && self.commit.is_empty()
    }

    /// Returns whether a batch is open.
    pub(crate) fn has_open(&self) -> bool {
        self.open.is_open()
    }

    /// Returns whether a part of it is not on its way to the local queue.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.storage == Storage::Disk && self.open.uncut_bytes() > 0
    }

    /// Everything accepted so far is stored at the next look.
    pub(crate) fn request_commit(&mut self) {
        self.commit.request();
    }

    /// Returns whether the local queue is storing something right now.
    pub(crate) fn is_appending(&self) -> bool {
        self.commit.is_appending()
    }

    /// Returns whether [`poll_append`](Self::poll_append) has something.
    pub(crate) fn wants_append(&self, closes: bool) -> bool {
        !self.commit.is_appending()
            && (self.commit.has_cut()
                || closes
                || (self.commit.is_requested() && self.has_uncommitted()))
    }

    /// The items to append next. `closes`: it is the open batch's turn to be sent.
    pub(crate) fn poll_append(
        &mut self,
        closes: bool,
        backlog: &mut Backlog<T>,
    ) -> Option<Vec<Bytes>> {
        if !self.cut_due(closes, backlog) {
            return None;
        }
        self.commit.start_append()
    }

    /// Cuts what is to be appended next. Returns whether it can be appended now.
    pub(crate) fn cut_due(&mut self, closes: bool, backlog: &mut Backlog<T>) -> bool {
        if self.commit.is_appending() {
            return false;
        }
        if closes {
            self.close_batch_or_entry(backlog);
        }
        if self.commit.take_request() && self.storage == Storage::Disk {
            self.commit.push(self.open.cut(false));
        }
        true
    }

    /// The batch that the next append completes: all its fragments are cut, or wait in the local
    /// queue as the only ones there.
    pub(crate) fn completed_batch(&self, backlog: &Backlog<T>) -> Option<CompletedBatch> {
        self.commit.completed_batch(backlog.growing())
    }

    /// The items of the next append: as many fragments as complete a batch.
    pub(crate) fn start_append_of(&mut self, batch: &CompletedBatch) -> Option<Vec<Bytes>> {
        self.commit.start_append_of(batch.fragments())
    }

    /// The items of the next append: all that are cut.
    pub(crate) fn start_append(&mut self) -> Option<Vec<Bytes>> {
        self.commit.start_append()
    }

    /// Closes the open batch, also where all its fragments are in the queue already.
    fn close_batch_or_entry(&mut self, backlog: &mut Backlog<T>) {
        match self.open.cut(true) {
            Some(fragment) => self.commit.push(Some(fragment)),
            None => {
                if !self.commit.close_last()
                    && let Some(entry) = backlog.open_entry()
                {
                    entry.is_closed = true;
                }
            }
        }
    }

    /// Bytes in memory for what is accepted and not finished, of which so many are leased and not
    /// counted here where the local queue is on disk.
    pub(crate) fn memory_bytes(&self, counters: &Counters, leased_bytes: u64) -> u64 {
        let held = counters.held_bytes();
        let records = match self.storage {
            Storage::Memory => held,
            Storage::Disk => {
                let unqueued = self.unqueued_bytes();
                let not_stored = unqueued.saturating_sub(self.open.uncut_bytes());
                let kept = self.open.kept_cut_bytes().saturating_sub(not_stored);
                let [unqueued, kept] =
                    [unqueued, kept].map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
                let stored = held.saturating_sub(unqueued).saturating_sub(leased_bytes);
                // In the local queue's memory, and in that of the open batch.
                let resident = self.resident_bytes.saturating_add(kept);
                unqueued.saturating_add(stored.min(resident))
            }
        };
        let moved = u64::try_from(self.open.moved_bytes()).unwrap_or(u64::MAX);
        records
            .saturating_add(moved)
            .saturating_add(counters.beside_bytes())
    }

    /// Bytes that may be accepted before more memory has to be granted.
    pub(crate) fn memory_room(&self) -> u64 {
        self.admission.room_bytes()
    }

    /// Grants more memory.
    pub(crate) fn grow_memory_room(&mut self, bytes: u64) {
        let room = self.admission.room_bytes();
        self.admission.set_room(room.saturating_add(bytes));
    }

    /// Grants so much memory.
    pub(crate) fn set_memory_room(&mut self, bytes: u64) {
        self.admission.set_room(bytes);
    }

    /// So many bytes are held beside the records of a call.
    #[inline]
    pub(crate) fn spend_memory(&mut self, bytes: usize) {
        self.admission.spend(bytes);
    }

    /// Returns whether the open batch has waited long enough for more records.
    pub(crate) fn has_lingered(&self, now: Instant) -> bool {
        self.open.is_open() && self.linger_ends().is_none_or(|at| at <= now)
    }

    /// Time at which the open batch has waited long enough for more records.
    pub(crate) fn linger_ends(&self) -> Option<Instant> {
        self.linger
            .ends(self.open.opened_at()?, self.open.first_call()?)
    }

    /// Calls below this number do not linger, and are stored at the next look.
    pub(crate) fn flush(&mut self, calls: u64) {
        self.linger.flush(calls);
        self.commit.request();
    }

    /// No call is accepted any more, and nothing lingers.
    pub(crate) fn stop(&mut self) {
        self.admission.stop();
        self.linger.stop();
        self.commit.request();
    }

    /// No call is accepted any more: the local queue holds what this version cannot read.
    pub(crate) fn refuse(&mut self, error: QueueItemError) {
        self.admission.refuse(error);
    }
}
