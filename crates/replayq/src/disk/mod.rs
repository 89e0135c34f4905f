//! The disk side of a queue: the ledger, the writer, the reader and the control file, each under a
//! lock of its own.
//!
//! Order of locks: `lock`, `in_transit`, `writer`, `control`, `departures`, `reader`, `ledger`. The
//! package `tests/interleavings` asserts it in all schedules it tries.

mod append;
mod take;

mod close;
mod flush;
mod offload;
mod space;

mod failed_sync;
mod lease_records;

mod commit;
mod reading;
mod segments;

pub(crate) mod copy;
pub(crate) mod group_commit;
pub(crate) mod reader;
pub(crate) mod writer;

pub(crate) mod call;
pub(crate) mod directory;
mod preallocate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::disk::call::Call;
use crate::disk::directory::Watch;
use crate::disk::group_commit::Turns;
use crate::disk::reader::Reader;
use crate::disk::writer::Writer;
use crate::error::{AckError, FlushError, IoContext, IoFailure};
use crate::format::control::{Control, LeaseSlot};
use crate::format::segment::key::QueueUuid;
use crate::limits::shared::SharedLimits;
use crate::moment::Moment;
use crate::state::ledger::{Appended, Ledger};
use crate::vfs::{Salvage, Vfs, VfsLock};

/// The files of a queue, and the ledger that knows what is in them.
#[derive(Debug)]
pub(crate) struct Disk {
    ledger: Mutex<Ledger>,
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    uuid: QueueUuid,
    /// The view of the file system that passes over unreadable places, where it is to.
    salvage: Option<Arc<Salvage>>,
    settings: Settings,
    /// Limits shared with other queues.
    shared: Option<Arc<SharedLimits>>,
    turns: Turns<Call, Appended>,
    writer: Mutex<Writer>,
    control: Mutex<ControlState>,
    /// Held while segments are removed, which is done without the control file: the directory is
    /// given up only afterwards.
    departures: Mutex<()>,
    reader: Mutex<Reader>,
    /// Shared by calls that have the records of a lease in transit; in offload mode by all that
    /// have items in transit, which may be in no file and not in the ledger for a while. Held alone
    /// while what is in memory is written down, or records are moved.
    in_transit: RwLock<()>,
    watch: Watch,
    /// Held while the queue is closed or purged, before all other locks.
    lock: Mutex<Option<Box<dyn VfsLock>>>,
}

/// The parts of a disk when a queue is opened.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) ledger: Ledger,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) directory: PathBuf,
    pub(crate) uuid: QueueUuid,
    pub(crate) salvage: Option<Arc<Salvage>>,
    pub(crate) settings: Settings,
    pub(crate) shared: Option<Arc<SharedLimits>>,
    pub(crate) writer: Writer,
    pub(crate) control: Control,
    pub(crate) read_bytes: usize,
    pub(crate) lock: Box<dyn VfsLock>,
}

/// The part of the configuration that matters here.
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

/// The fate of the items in memory when the queue is flushed or closed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Offload {
    Written,
    Lost,
}

/// So many ids are reserved by a commit beyond those in use, where items have ids without being in
/// files. A crash leaves them unused for ever.
pub(crate) const RESERVED_IDS: u64 = 1 << 32;

impl Settings {
    fn reserve(&self) -> u64 {
        self.offload.map_or(0, |_| RESERVED_IDS)
    }
}

/// The control file, and which state of the ledger it shows.
#[derive(Debug)]
struct ControlState {
    file: Control,
    written_version: u64,
    /// Slots of leases that are done in a commit which could not be written, with the version that
    /// it would have shown: the next one that shows it covers them.
    uncovered: Vec<(u64, LeaseSlot)>,
    /// The directory may be another queue's by now.
    is_closed: bool,
    /// All files were removed, by this queue or by others.
    is_purged: bool,
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
    /// A disk of these parts, whose control file shows no version of the ledger yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let reader = Reader::new(
            Arc::clone(&parts.vfs),
            parts.directory.clone(),
            parts.uuid,
            parts.read_bytes,
        );
        Self {
            ledger: Mutex::new(parts.ledger),
            vfs: parts.vfs,
            directory: parts.directory,
            uuid: parts.uuid,
            salvage: parts.salvage,
            settings: parts.settings,
            shared: parts.shared,
            turns: Turns::new(),
            writer: Mutex::new(parts.writer),
            control: Mutex::new(ControlState {
                file: parts.control,
                written_version: 0,
                uncovered: Vec::new(),
                is_closed: false,
                is_purged: false,
            }),
            departures: Mutex::new(()),
            reader: Mutex::new(reader),
            in_transit: RwLock::new(()),
            watch: Watch::default(),
            lock: Mutex::new(Some(parts.lock)),
        }
    }

    /// The ledger, for moments: no file operation, and no other lock of the disk, while it is held.
    #[inline]
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// The directory, as the file system knows it.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn vfs(&self) -> &dyn Vfs {
        &*self.vfs
    }

    /// Returns whether items stay in memory while they are few.
    pub(crate) fn is_offloading(&self) -> bool {
        self.settings.offload.is_some()
    }

    /// To be held while items or leases are in transit, where nothing but memory has the items.
    pub(crate) fn enter_transit(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.settings.offload.map(|_| self.in_transit.read())
    }

    /// To be held while records of leases are in transit.
    pub(crate) fn enter_lease_transit(&self) -> RwLockReadGuard<'_, ()> {
        self.in_transit.read()
    }

    /// Syncs the control file.
    pub(crate) fn sync_control(&self) -> Result<(), IoFailure> {
        self.control.lock().file.sync()
    }

    /// Makes sure that the directory is where it was: at each call beside a sync, else at some of
    /// them, since a look takes 1.6 µs where a write takes one.
    fn glance_at_directory(&self) -> Result<(), IoFailure> {
        if self.settings.is_synced {
            self.check_directory()
        } else {
            self.watch.glance(&*self.vfs, &self.directory)
        }
    }

    /// Makes sure that the directory is where it was.
    fn check_directory(&self) -> Result<(), IoFailure> {
        self.vfs
            .check_directory(&self.directory)
            .context("find", &self.directory)
    }

    /// The time of the system's clock.
    fn now(&self) -> Moment {
        Moment::since_epoch(self.vfs.unix_time())
    }

    /// Bytes of the control file.
    pub(crate) fn control_bytes(&self) -> u64 {
        self.control.lock().file.file_bytes()
    }
}

fn into_flush(error: AckError) -> FlushError {
    match error {
        AckError::NotDurable(failure) => FlushError::Io(failure),
        AckError::TooManyRanges { ranges } => FlushError::TooManyRanges { ranges },
        _ => FlushError::Closed,
    }
}
