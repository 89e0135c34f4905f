//! The disk side of a queue: the writer, the reader and the control file, each under a lock of its own, taken in the order writer, control, reader, ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backlog::Item;
use crate::call::Call;
use crate::control::lease::LeaseRecord;
use crate::control::{CommitWriteError, Control};
use crate::error::{
    AckError, AppendError, FlushError, IoContext, IoFailure, LeaseError, ReadError,
};
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::leases::Home;
use crate::ledger::Ledger;
use crate::limits::PopLimits;
use crate::reader::Reader;
use crate::segment::key::SegmentKey;
use crate::segment::walk::Payloads;
use crate::segments::Retired;
use crate::taker::Taker;
use crate::turns::Turns;
use crate::vfs::{self, OpenMode, Vfs, VfsLock};
use crate::writer::Writer;

/// The file whose lock says that a queue is open.
pub(crate) const LOCK_NAME: &str = "LOCK";

/// What an append is answered with.
pub(crate) type Appended = Result<(ItemRange, Option<LeaseId>), AppendError>;

/// The files of a queue.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) directory: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) turns: Turns<Call, Appended>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) control: Mutex<ControlState>,
    pub(crate) reader: Mutex<Reader>,
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
}

/// The control file, and which state of the ledger it shows.
#[derive(Debug)]
pub(crate) struct ControlState {
    pub(crate) file: Control,
    pub(crate) written_version: u64,
}

impl Disk {
    /// Takes from the front, reading where what is in memory does not do. After a failed read it is what there was before, if anything.
    pub(crate) fn take(
        &self,
        ledger: &Mutex<Ledger>,
        taker: &mut Taker<'_>,
    ) -> Result<(), ReadError> {
        let mut reader = self.reader.lock();
        loop {
            {
                let mut ledger = ledger.lock();
                if ledger.is_closed {
                    return Err(ReadError::Closed);
                }
                if ledger.take(taker) {
                    return Ok(());
                }
            }
            match reader.fill(ledger) {
                Ok(()) => {}
                Err(_) if taker.last().is_some() => return Ok(()),
                Err(failure) => return Err(failure.into()),
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
            reader.fill(ledger)?;
        }
    }

    /// Reads the open items of a lease of an earlier life.
    pub(crate) fn read_lease(
        &self,
        ledger: &Mutex<Ledger>,
        items: ItemRange,
    ) -> Result<Vec<Item>, IoFailure> {
        let (spans, acks) = {
            let ledger = ledger.lock();
            (ledger.spans(std::iter::once(items)), ledger.acks.clone())
        };
        let mut found = Vec::new();
        for span in spans {
            self.reader
                .lock()
                .visit(span, Payloads::Verify, |id, payload| {
                    if !acks.contains(id) {
                        found.push(Item {
                            id: ItemId(id),
                            payload,
                        });
                    }
                })?;
        }
        Ok(found)
    }

    /// Brings the control file up to the ledger, unless somebody else just did. Done segments are on their way out then.
    pub(crate) fn commit(
        &self,
        ledger: &Mutex<Ledger>,
        version: u64,
        covered: &[Home],
    ) -> Result<(), AckError> {
        let leaving = {
            let mut control = self.control.lock();
            let mut result = Ok(());
            if control.written_version < version {
                result = self.write_commit(&mut control, ledger);
            }
            if result.is_ok() {
                for home in covered {
                    if let Home::Slot(slot) = home {
                        control.file.cover_lease(*slot);
                    }
                }
                self.settle(&mut control, ledger)
            } else {
                return result;
            }
        };
        self.let_go(ledger, leaving);
        Ok(())
    }

    /// Writes the ledger's state into the next commit slot.
    pub(crate) fn write_commit(
        &self,
        control: &mut ControlState,
        ledger: &Mutex<Ledger>,
    ) -> Result<(), AckError> {
        let (version, done, stretches) = {
            let ledger = ledger.lock();
            control.file.encode_commit(
                &ledger.acks,
                [ledger.next_id, ledger.next_generation],
                &ledger.commit_tag,
            );
            (
                ledger.version,
                if ledger.segments.has_done() {
                    ledger.segments.done()
                } else {
                    Vec::new()
                },
                ledger.acks.beyond().len(),
            )
        };
        control.file.write_commit().map_err(|error| match error {
            CommitWriteError::Io(failure) => AckError::NotDurable(failure),
            CommitWriteError::TooLarge => AckError::TooManyStretches { stretches },
        })?;
        control.written_version = version;
        if !done.is_empty() {
            ledger
                .lock()
                .segments
                .retire(&done, control.file.sequence());
        }
        Ok(())
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
        ledger.lock().segments.settle(
            durable,
            self.settings.spare_segments,
            self.settings.segment_bytes,
        )
    }

    fn let_go(&self, ledger: &Mutex<Ledger>, leaving: Vec<Retired>) {
        for segment in leaving {
            let path = self.directory.join(segment.key.file_name());
            let result = if segment.is_damaged {
                self.vfs.rename(&path, &aside(&path, "damaged"))
            } else {
                self.vfs.remove(&path)
            };
            let mut ledger = ledger.lock();
            match result {
                Ok(()) => ledger.segments.forget(&segment),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    ledger.segments.forget(&segment)
                }
                Err(_) => ledger.segments.keep(segment),
            }
        }
    }

    /// Writes a lease down: in a slot of the control file, else behind the items.
    pub(crate) fn write_lease(
        &self,
        ledger: &Mutex<Ledger>,
        record: &LeaseRecord,
    ) -> Result<Home, LeaseError> {
        let slot = {
            let mut control = self.control.lock();
            if !control.file.has_free_slot()
                && control.file.has_covered_slot()
                && self.settings.is_synced
            {
                control.file.sync()?;
            }
            let slot = control.file.write_lease(record)?;
            if let (Some(slot), true) = (slot, self.settings.is_synced)
                && let Err(failure) = control.file.sync()
            {
                let _ = control.file.empty_lease(slot);
                return Err(failure.into());
            }
            slot
        };
        match slot {
            Some(slot) => Ok(Home::Slot(slot)),
            None => self.append_lease(ledger, record),
        }
    }

    /// The lease's record says nothing any more from here on.
    pub(crate) fn void_lease(&self, ledger: &Mutex<Ledger>, home: Home) -> Result<(), IoFailure> {
        match home {
            Home::Slot(slot) => {
                let mut control = self.control.lock();
                control.file.empty_lease(slot)?;
                if self.settings.is_synced {
                    control.file.sync()?;
                }
            }
            Home::Entry {
                segment,
                position,
                payload_bytes,
                id,
            } => {
                self.writer
                    .lock()
                    .void_lease(segment, position, payload_bytes, id)?;
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

    /// Syncs the segments that were written since the last time. One that failed to sync is never trusted again: the failure stays.
    fn sync_segments(&self, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let _writer = self.writer.lock();
        let unsynced: Vec<SegmentKey> = ledger
            .lock()
            .segments
            .iter()
            .filter(|(_, segment)| segment.is_unsynced)
            .map(|(key, _)| key)
            .collect();
        for key in unsynced {
            let path = self.directory.join(key.file_name());
            if ledger
                .lock()
                .segments
                .get(key)
                .is_some_and(|segment| segment.is_suspect)
            {
                return Err(IoFailure::new(
                    "sync",
                    &path,
                    std::io::Error::other("an earlier sync of this file failed"),
                ));
            }
            let file = vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Write))
                .context("open", &path)?;
            let result = vfs::uninterrupted(|| file.sync()).context("sync", &path);
            if let Some(segment) = ledger.lock().segments.get_mut(key) {
                segment.is_unsynced = result.is_err();
                segment.is_suspect = result.is_err();
            }
            result?;
        }
        Ok(())
    }

    /// Bytes of the control file.
    pub(crate) fn control_bytes(&self) -> u64 {
        self.control.lock().file.file_bytes()
    }

    /// Writes the last commit, twice, and lets go of the lock.
    pub(crate) fn close(&self, ledger: &Mutex<Ledger>) -> Result<(), AckError> {
        let _writer = self.writer.lock();
        let mut control = self.control.lock();
        let result = self
            .write_commit(&mut control, ledger)
            .and_then(|()| control.file.repeat_commit().map_err(AckError::NotDurable))
            .and_then(|()| {
                if self.settings.is_synced {
                    control.file.sync().map_err(AckError::NotDurable)
                } else {
                    Ok(())
                }
            });
        *self.lock.lock() = None;
        result
    }

    /// Removes all files of the queue, then the directory if nothing else is in it.
    pub(crate) fn purge(&self) -> Result<(), IoFailure> {
        let _writer = self.writer.lock();
        let Some(lock) = self.lock.lock().take() else {
            return Ok(());
        };
        for entry in self
            .vfs
            .list(&self.directory)
            .context("list", &self.directory)?
        {
            let is_own = entry.name.split('.').next().is_some_and(|stem| {
                stem == "control" || SegmentKey::parse(&format!("{stem}.segment")).is_some()
            });
            if is_own {
                let path = self.directory.join(&entry.name);
                self.vfs.remove(&path).context("remove", &path)?;
            }
        }
        let path = self.directory.join(LOCK_NAME);
        self.vfs.remove(&path).context("remove", &path)?;
        drop(lock);
        match self.vfs.remove_directory(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other.context("remove", &self.directory),
        }
    }

    /// Makes everything that was answered so far survive a power loss.
    pub(crate) fn sync(&self, ledger: &Mutex<Ledger>) -> Result<(), FlushError> {
        self.sync_segments(ledger)?;
        let version = ledger.lock().version;
        self.commit(ledger, version, &[]).map_err(into_flush)?;
        self.control.lock().file.sync()?;
        self.vfs
            .sync_directory(&self.directory)
            .context("sync", &self.directory)?;
        Ok(())
    }
}

pub(crate) fn into_flush(error: AckError) -> FlushError {
    match error {
        AckError::NotDurable(failure) => FlushError::Io(failure),
        AckError::TooManyStretches { stretches } => FlushError::TooManyStretches { stretches },
        _ => FlushError::Closed,
    }
}

/// The name under which a file is kept aside.
pub(crate) fn aside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
