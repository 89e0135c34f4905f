//! The disk side of a queue: the writer, the reader and the control file, each under a lock of its own, taken in the order lock, hands, writer, control, departures, reader, ledger.

mod append;

mod close;
mod flush;
mod offload;
mod space;

mod replace_segment;

pub(crate) mod copy;
pub(crate) mod group_commit;
pub(crate) mod reader;
pub(crate) mod writer;

pub(crate) mod call;
pub(crate) mod directory;
mod preallocate;

use std::path::PathBuf;
use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::disk::call::Call;
use crate::disk::directory::Watch;
use crate::disk::group_commit::Turns;
use crate::disk::reader::Reader;
use crate::disk::writer::Writer;
use crate::error::{
    AckError, AppendError, FlushError, IoContext, IoFailure, LeaseError, ReadError,
};
use crate::format::control::lease::LeaseRecord;
use crate::format::control::{CommitWriteError, Control, LeaseSlot};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::ids::{ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::limits::shared::SharedLimits;
use crate::moment::Moment;
use crate::put_aside::{Reason, put_aside};
use crate::state::detach::apart;
use crate::state::leases::{Home, Replaced};
use crate::state::ledger::{Lease, Ledger};
use crate::state::pop::Taker;
use crate::state::segments::Retired;
use crate::state::waiting::Item;
use crate::vfs::{Salvage, Vfs, VfsLock};

/// What an append is answered with.
pub(crate) type Appended = Result<(ItemRange, Option<LeaseId>), AppendError>;

/// The files of a queue.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) directory: PathBuf,
    pub(crate) uuid: QueueUuid,
    /// Where unreadable places are passed over: what knows of them.
    pub(crate) salvage: Option<Arc<Salvage>>,
    pub(crate) settings: Settings,
    /// Limits that it has together with others.
    pub(crate) shared: Option<Arc<SharedLimits>>,
    pub(crate) turns: Turns<Call, Appended>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) control: Mutex<ControlState>,
    /// Held while segments are let go of, which is done without the control file: the directory is given up only then.
    pub(crate) departures: Mutex<()>,
    pub(crate) reader: Mutex<Reader>,
    /// Shared by calls that have the records of a lease in hand; in offload mode by all that have items in hand, which may be in no file, no lease and not in the backlog for a
    /// while. Who writes down what is in memory, or moves records, has it alone.
    pub(crate) hands: RwLock<()>,
    pub(crate) watch: Watch,
    /// Held by who closes or purges, before all other locks.
    pub(crate) lock: Mutex<Option<Box<dyn VfsLock>>>,
}

/// What of the configuration matters here.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) segment_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) spare_segments: usize,
    /// Everything is synced before it counts.
    pub(crate) is_synced: bool,
    pub(crate) max_delay: std::time::Duration,
    /// Items stay in memory while they are few.
    pub(crate) offload: Option<Offload>,
}

/// What becomes of the items in memory when the queue is flushed or closed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Offload {
    Written,
    Lost,
}

/// So many ids are taken by a commit beyond those in use, where items have ids without being in files. A crash leaves them unused for ever.
pub(crate) const RESERVED_IDS: u64 = 1 << 32;

impl Settings {
    fn reserve(&self) -> u64 {
        self.offload.map_or(0, |_| RESERVED_IDS)
    }
}

/// The control file, and which state of the ledger it shows.
#[derive(Debug)]
pub(crate) struct ControlState {
    pub(crate) file: Control,
    pub(crate) written_version: u64,
    /// Slots of leases that are done in a commit which could not be written, with the version that it would have shown: the next one that shows it covers them.
    pub(crate) uncovered: Vec<(u64, LeaseSlot)>,
    /// The directory may be somebody else's by now.
    pub(crate) is_closed: bool,
    /// All files were removed, by this queue or by others.
    pub(crate) is_purged: bool,
}

impl ControlState {
    /// The leases that are done in what was written need their slots no longer.
    fn cover(&mut self) {
        let written = self.written_version;
        for (_, slot) in self
            .uncovered
            .extract_if(.., |(version, _)| *version <= written)
        {
            self.file.cover_lease(slot);
        }
    }
}

impl Disk {
    /// Makes sure, at some of the calls, that the directory is where it was.
    pub(crate) fn glance_at_directory(&self) -> Result<(), IoFailure> {
        self.watch.glance(&*self.vfs, &self.directory)
    }

    /// Makes sure that the directory is where it was.
    pub(crate) fn check_directory(&self) -> Result<(), IoFailure> {
        self.vfs
            .check_directory(&self.directory)
            .context("find", &self.directory)
    }

    /// The time of the system's clock.
    pub(crate) fn now(&self) -> Moment {
        Moment::since_epoch(self.vfs.unix_time())
    }

    /// To be held while items or leases are in hand.
    pub(crate) fn take_in_hand(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.settings.offload.map(|_| self.hands.read())
    }

    /// The reader, where there is so much in memory already that items given up are to wait in their files.
    pub(crate) fn reader_where_crowded(
        &self,
        ledger: &Mutex<Ledger>,
    ) -> Option<MutexGuard<'_, Reader>> {
        let is_crowded = self.settings.offload.is_none()
            && ledger.lock().backlog.budget_bytes() > self.settings.resident_bytes;
        is_crowded.then(|| self.reader.lock())
    }

    /// Takes from the front, reading where what is in memory does not do, and leases what was taken. After a failed read it is what there was before, if anything.
    pub(crate) fn take(
        &self,
        ledger: &Mutex<Ledger>,
        mut taker: Taker<'_>,
    ) -> Result<Option<Lease>, ReadError> {
        let mut reader = self.reader.lock();
        loop {
            {
                // Leased under the same lock as taken: who pops at the same time must see where not to reach over.
                let mut ledger = ledger.lock();
                if ledger.is_closed {
                    ledger.put_back_taken(taker.into_items());
                    return Err(ReadError::Closed);
                }
                if ledger.take(&mut taker) {
                    return Ok(ledger.lease_taken(taker.into_items()));
                }
            }
            let filled = reader.fill(ledger);
            self.report_holes(ledger);
            match filled {
                Ok(()) => {}
                Err(failure) => {
                    // All or nothing: to the caller a part would look as if the rest were lost.
                    ledger.lock().put_back_taken(taker.into_items());
                    return Err(failure.into());
                }
            }
        }
    }

    /// Reads until there is enough in memory for a look at the front.
    pub(crate) fn read_ahead(
        &self,
        ledger: &Mutex<Ledger>,
        limits: &PopLimits<'_>,
    ) -> Result<(), ReadError> {
        let mut reader = self.reader.lock();
        loop {
            {
                let ledger = ledger.lock();
                if ledger.is_closed || ledger.has_enough(limits, self.settings.resident_bytes) {
                    return Ok(());
                }
            }
            let filled = reader.fill(ledger);
            self.report_holes(ledger);
            filled?;
        }
    }

    /// Says which places could not be read and were passed over.
    pub(crate) fn report_holes(&self, ledger: &Mutex<Ledger>) {
        let Some(salvage) = &self.salvage else { return };
        for hole in salvage.take_holes() {
            let name = hole.path.file_name().and_then(|name| name.to_str());
            let key = name.and_then(SegmentKey::parse);
            let mut ledger = ledger.lock();
            if let Some(segment) = key.and_then(|key| ledger.segments.get_mut(key)) {
                segment.is_damaged = true;
            }
            ledger.report(hole.into());
        }
    }

    /// Reads the open items of a lease of an earlier life. What is lost of them is reported, and the counts put right.
    pub(crate) fn read_lease(
        &self,
        ledger: &Mutex<Ledger>,
        id: LeaseId,
        items: ItemRange,
    ) -> Result<Vec<Item>, IoFailure> {
        // Held throughout: while it is, no segment is replaced by a copy.
        let reader = self.reader.lock();
        let spans = ledger.lock().spans(std::iter::once(items));
        let mut found = Vec::new();
        for span in spans {
            let read = reader.read_span(span, ledger);
            self.report_holes(ledger);
            found.append(&mut read?);
        }
        let mut ledger = ledger.lock();
        ledger.count_lease(id, &mut found);
        Ok(apart(found))
    }

    /// Brings the control file up to the ledger, unless somebody else just did. Done segments are on their way out then.
    pub(crate) fn commit(
        &self,
        ledger: &Mutex<Ledger>,
        version: u64,
        covered: &[Home],
    ) -> Result<(), AckError> {
        let mut control = self.control.lock();
        if control.is_closed {
            return if control.written_version < version {
                Err(AckError::Closed)
            } else {
                Ok(())
            };
        }
        let slots = covered.iter().filter_map(|home| match home {
            Home::Slot(slot) => Some((version, *slot)),
            Home::Entry { .. } => None,
        });
        control.uncovered.extend(slots);
        if control.written_version < version {
            self.glance_at_directory().map_err(AckError::NotDurable)?;
            self.write_commit(&mut control, ledger, self.settings.reserve())?;
        }
        control.cover();
        let leaving = self.settle(&mut control, ledger);
        if !leaving.is_empty() {
            let _departing = self.departures.lock();
            drop(control);
            self.let_go(ledger, leaving);
        }
        Ok(())
    }

    /// Writes the ledger's state into the next commit slot.
    pub(crate) fn write_commit(
        &self,
        control: &mut ControlState,
        ledger: &Mutex<Ledger>,
        reserve: u64,
    ) -> Result<(), AckError> {
        let (version, reserved_id, done, stretches) = {
            let ledger = ledger.lock();
            let next_id = ledger.next_id.saturating_add(reserve);
            control.file.encode_commit(
                &ledger.acks,
                ledger.segments.partly_done(&ledger.acks),
                next_id,
                &ledger.generations,
                &ledger.commit_tag,
            );
            (
                ledger.version,
                next_id,
                if ledger.segments.has_done() {
                    ledger.segments.done()
                } else {
                    Vec::new()
                },
                ledger.acks.beyond().len(),
            )
        };
        let written = control.file.write_commit();
        let mut ledger = ledger.lock();
        ledger.owes_commit = written.is_err();
        written.map_err(|error| match error {
            CommitWriteError::Io(failure) => AckError::NotDurable(failure),
            CommitWriteError::TooLarge => AckError::TooManyStretches { stretches },
        })?;
        control.written_version = version;
        if self.settings.offload.is_some() {
            ledger.reserved_id = reserved_id;
        }
        if !done.is_empty() {
            ledger.segments.retire(&done, control.file.sequence());
        }
        Ok(())
    }

    /// How many files are kept to be used again: none while the disk is short of space.
    fn most_spares(&self) -> usize {
        let is_short = self
            .shared
            .as_ref()
            .is_some_and(|limits| limits.is_disk_short());
        if is_short {
            0
        } else {
            self.settings.spare_segments
        }
    }

    /// What may be let go of now that commits were written: a segment only when the commit that covers it is durable.
    fn settle(&self, control: &mut ControlState, ledger: &Mutex<Ledger>) -> Vec<Retired> {
        if !self.settings.is_synced {
            control.file.settle();
        }
        if !ledger.lock().segments.has_retired() {
            return Vec::new();
        }
        // Segments leave one by one after many acks, so this sync is rare. If it fails they stay for a while.
        if self.settings.is_synced && control.file.sync().is_err() {
            return Vec::new();
        }
        let durable = if self.settings.is_synced {
            control.file.durable_sequence()
        } else {
            control.file.sequence()
        };
        ledger
            .lock()
            .segments
            .settle(durable, self.most_spares(), self.settings.segment_bytes)
    }

    /// Waits for those who let go of segments, with the control file closed to others who would: a name that they are about to remove may be a new queue's soon.
    pub(crate) fn await_departures(&self) {
        drop(self.departures.lock());
    }

    pub(crate) fn let_go(&self, ledger: &Mutex<Ledger>, leaving: Vec<Retired>) {
        for segment in leaving {
            let path = self.directory.join(segment.key.file_name());
            let result = if segment.is_damaged {
                put_aside(&*self.vfs, &path, Reason::Damaged).map(|_| ())
            } else {
                self.vfs.remove(&path).context("remove", &path)
            };
            let mut ledger = ledger.lock();
            match result {
                Ok(()) => ledger.segments.forget(&segment),
                Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {
                    ledger.segments.forget(&segment)
                }
                Err(_) => ledger.segments.keep(segment),
            }
        }
    }

    /// Gives a lease a tag: writes its new record, then voids the older ones.
    pub(crate) fn tag_lease(
        &self,
        ledger: &Mutex<Ledger>,
        id: LeaseId,
        record: &LeaseRecord,
    ) -> Result<(), LeaseError> {
        match self.write_lease(ledger, id, record)? {
            Replaced::Older(homes) => {
                // The newer record counts in any case. What cannot be voided now is tried again when the lease ends.
                let stubborn = homes
                    .into_iter()
                    .filter(|home| self.void_lease(ledger, *home).is_err())
                    .collect::<Vec<_>>();
                if !stubborn.is_empty() {
                    ledger
                        .lock()
                        .leases
                        .update(id, |lease| lease.homes.extend(stubborn));
                }
                Ok(())
            }
            // Acked or released meanwhile, by another thread.
            Replaced::NoLease(home) => {
                self.void_lease(ledger, home)?;
                Err(LeaseError::UnknownLease(id))
            }
        }
    }

    /// Writes the record of a lease: in a slot of the control file, else after the items.
    fn write_lease(
        &self,
        ledger: &Mutex<Ledger>,
        id: LeaseId,
        record: &LeaseRecord,
    ) -> Result<Replaced, LeaseError> {
        self.glance_at_directory()?;
        {
            let mut control = self.control.lock();
            if control.is_closed {
                return Err(LeaseError::Closed);
            }
            if !control.file.has_free_slot()
                && control.file.has_covered_slot()
                && self.settings.is_synced
            {
                control.file.sync()?;
            }
            if let Some(slot) = control.file.write_lease(record)? {
                if self.settings.is_synced
                    && let Err(failure) = control.file.sync()
                {
                    control.file.drop_lease(slot);
                    return Err(failure.into());
                }
                return Ok(ledger.lock().set_tag(id, record, Home::Slot(slot)));
            }
        }
        self.append_lease(ledger, id, record)
    }

    /// Voids records that were taken out of a lease. Those that could not be are put back.
    pub(crate) fn void_leases(
        &self,
        ledger: &Mutex<Ledger>,
        id: LeaseId,
        homes: Vec<Home>,
    ) -> Result<(), AckError> {
        let mut rest = homes.into_iter();
        while let Some(home) = rest.next() {
            if let Err(error) = self.void_lease(ledger, home) {
                let left = std::iter::once(home).chain(rest);
                ledger
                    .lock()
                    .leases
                    .update(id, |lease| lease.homes.extend(left));
                return Err(match error {
                    LeaseError::Io(failure) => AckError::NotDurable(failure),
                    _ => AckError::Closed,
                });
            }
        }
        if self.settings.is_synced {
            let mut control = self.control.lock();
            if control.is_closed {
                return Err(AckError::Closed);
            }
            control.file.sync().map_err(AckError::NotDurable)?;
        }
        Ok(())
    }

    /// Overwrites a lease record, so that it says nothing any more. In a slot that is not durable before the next sync of the control file.
    pub(crate) fn void_lease(&self, ledger: &Mutex<Ledger>, home: Home) -> Result<(), LeaseError> {
        match home {
            Home::Slot(slot) => {
                let mut control = self.control.lock();
                if control.is_closed {
                    return Err(LeaseError::Closed);
                }
                control.file.empty_lease(slot)?;
            }
            Home::Entry {
                segment,
                position,
                payload_bytes,
                id,
            } => {
                let mut writer = self.writer.lock();
                if ledger.lock().is_closed {
                    return Err(LeaseError::Closed);
                }
                if let Err(failure) = writer.void_lease(segment, position, payload_bytes, id) {
                    if !failure.is_undone {
                        self.give_file_up(&mut writer, ledger, segment);
                    }
                    return Err(failure.cause.into());
                }
                if let Some(segment) = ledger.lock().segments.get_mut(segment) {
                    segment.is_unsynced |= !self.settings.is_synced;
                }
                self.unpin(ledger, segment);
            }
        }
        Ok(())
    }

    /// A lease entry in the segment is not needed any more.
    pub(crate) fn unpin(&self, ledger: &Mutex<Ledger>, key: SegmentKey) {
        let mut ledger = ledger.lock();
        let ledger = &mut *ledger;
        if let Some(segment) = ledger.segments.get_mut(key) {
            segment.lease_pins = segment.lease_pins.saturating_sub(1);
        }
        ledger.segments.note_changed(&ledger.acks, key);
    }

    /// Bytes of the control file.
    pub(crate) fn control_bytes(&self) -> u64 {
        self.control.lock().file.file_bytes()
    }
}

pub(crate) fn into_flush(error: AckError) -> FlushError {
    match error {
        AckError::NotDurable(failure) => FlushError::Io(failure),
        AckError::TooManyStretches { stretches } => FlushError::TooManyStretches { stretches },
        _ => FlushError::Closed,
    }
}
