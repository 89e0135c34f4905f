//! Configuration of a queue.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::OpenError;
use crate::limits::shared::SharedLimits;
use crate::vfs::{OsVfs, Vfs};

/// The largest item, in bytes.
pub const MAX_ITEM_BYTES: u64 = 1 << 30;
/// The longest that an append can be configured to wait for others.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// The most lease slots that a queue may have.
pub(crate) const MOST_LEASE_SLOTS: u32 = 4096;

/// Where items are kept.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Storage {
    /// In memory only: nothing survives the process.
    Memory,
    /// In files of this directory, which is made where missing. Its parent must be there or
    /// creatable.
    Disk(PathBuf),
    /// In memory until more than [`Config::segment_bytes`] are waiting or leased, counted as for
    /// [`Config::max_total_bytes`], then on disk until the reader has caught up. Closing and
    /// flushing write everything down, a crash loses what came into memory after that.
    Offload(PathBuf),
    /// As offload, but nothing is kept after the queue is closed or dropped: what is in the
    /// directory at open is removed.
    OffloadVolatile(PathBuf),
}

/// The failures that an answered append survives.
///
/// | answered | at level `Os` survives | at level `Fsync` survives |
/// |---|---|---|
/// | `append`, `append_leased`: items, lease and tag | the end of the process | a power loss |
/// | `tag`, `release` | the end of the process | a power loss |
/// | `ack`, `set_commit_tag` | the end of the process | the end of the process; after a power loss the items acked in the last moments may come back |
/// | `flush(Flush::Os)`: all of the above, acks that had failed too | the end of the process | as each of them |
/// | `flush(Flush::Disk)`: all of the above, acks too | a power loss | a power loss |
/// | `close` | the end of the process | a power loss |
///
/// In memory nothing survives. [`Storage::Offload`] keeps what stood in memory when `flush` or
/// `close` was answered, as far as that reaches, and of an unclean end without them only that
/// nothing acked comes back; [`Storage::OffloadVolatile`] keeps nothing.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process: the bytes reached the operating system before append answers.
    Os,
    /// Power loss: the bytes reached the disk before append answers. Concurrent appends share one
    /// sync.
    Fsync {
        /// The longest that an append waits for others to share its sync; zero: only as long as a
        /// sync is under way anyway. At most a minute.
        max_delay: Duration,
    },
}

/// The failures that what was answered survives after [`crate::Queue::flush`].
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Flush {
    /// All that was answered so far survives the end of the process.
    Os,
    /// All that was answered so far survives a power loss.
    Disk,
}

/// The policy for an append that finds the queue at [`Config::max_total_bytes`].
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is accepted all the same; the owner calls [`crate::Queue::overflow_bytes`] and acks what
    /// is least needed.
    #[default]
    Report,
    /// It fails with [`crate::AppendError::Full`].
    Reject,
    /// It waits until acks have made room, or the queue is closed. One that is larger than the
    /// limit itself fails with [`crate::AppendError::Full`] at once. The reserve of
    /// [`SharedLimits::free_disk_bytes`] and a full disk are not waited for: they are errors as
    /// ever.
    Block,
}

/// The policy for items that the disk cannot read any more.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum Unreadable {
    /// They wait, and with them all later ones, until the disk can read them again: the calls that
    /// want to read them, and opening, answer with an error that says where.
    #[default]
    Wait,
    /// A block that cannot be read, after a few tries, is damage: the items in it are lost, the
    /// others go on, the file is kept aside in the end, and all is reported as [`crate::Damage`].
    /// Meant for disks with bad places: of one that does not answer at all nothing can be read.
    Skip,
}

/// The configuration of one queue. Start with [`Config::memory`] or [`Config::disk`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use replayq::{AppendError, Config, Durability, Overflow, Queue};
///
/// let room = tempfile::tempdir()?;
/// let config = Config::disk(room.path().join("queue"))
///     .durability(Durability::Fsync { max_delay: Duration::from_millis(2) })
///     .segment_bytes(1 << 20)
///     .max_total_bytes(1000)
///     .overflow(Overflow::Reject);
/// let (queue, _) = Queue::open(config)?;
/// queue.append_one(vec![0; 900].into())?;
/// let refused = queue.append_one(vec![0; 200].into());
/// assert!(matches!(refused, Err(AppendError::Full { bytes: 1100, limit: 1000 })));
/// assert_eq!(queue.overflow_bytes(), -100);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where items are kept.
    pub storage: Storage,
    /// The failures that an answered append survives, where items are on disk. Default:
    /// [`Durability::Os`].
    pub durability: Durability,
    /// Bytes of the largest segment files. The first one has 32 KiB, and each that is filled within
    /// a minute is followed by one four times as large, up to this: a queue with little in it is
    /// small. The files of a queue are removed or used again one by one as their items are acked.
    /// An append is never split over two segments, so a file may become larger. Default: 10 MiB. At
    /// least 4 KiB.
    pub segment_bytes: u64,
    /// Bytes of appended items that are kept in memory besides being on disk, so that they need not
    /// be read back. An item counts with 64 bytes at least. Default: 4 MiB.
    pub resident_bytes: u64,
    /// Bytes of one read from disk. Default: 1 MiB. At least 4 KiB.
    pub read_bytes: usize,
    /// Bytes of the largest item that an append takes. Default: [`MAX_ITEM_BYTES`], which is also
    /// the most.
    pub max_item_bytes: u64,
    /// The limit of what the queue holds: the payload bytes of all items that are not done, waiting
    /// or leased; or 16 for each of them, where that is more, so that items without payload are
    /// bounded too. [`crate::Stats::counted_bytes`] is what is compared.
    ///
    /// On disk, what is counted takes less than three times as much: 24 bytes for each item beside
    /// its payload, and up to 7 to align it. Beside that there are in the files of a queue: items
    /// that are done, in segments with others that are not, since only whole segments leave; the
    /// rest of the segment that is being filled, and [`Self::spare_segments`] more; and the control
    /// file, of 28 KiB and 4 KiB for each of [`Self::lease_slots`]. So a queue whose items are
    /// acked about in order takes less than three times the limit, (2 + `spare_segments`) ×
    /// `segment_bytes`, and the control file; [`crate::Stats::disk_bytes`] is what it really takes,
    /// and [`SharedLimits::free_disk_bytes`] looks at the disk itself. In memory an item takes
    /// about 100 bytes beside its payload. Default: 2,000,000,000.
    pub max_total_bytes: u64,
    /// The policy at that limit. Default: [`Overflow::Report`].
    pub overflow: Overflow,
    /// Segment files that are kept to be written again: overwriting is faster than growing a new
    /// file. None is kept while the disk is short of space. Default: 1.
    pub spare_segments: usize,
    /// Leases that can have a tag at a time without taking space: each has a place of its own, of 4
    /// KiB, in a file that is written once. With more of them open tags are written behind the
    /// items, which a full disk does not allow. A lease that gets another tag needs a second place
    /// for the moment. A queue that is opened with a larger number than before gets the places if
    /// there is space; it never loses any. Default: 16. From 1 to 4096.
    pub lease_slots: u32,
    /// The policy for items that the disk cannot read any more. Default: [`Unreadable::Wait`].
    pub unreadable: Unreadable,
    /// Limits that this queue has together with others. Default: none.
    pub shared_limits: Option<Arc<SharedLimits>>,
    /// The file system, for tests. Default: the operating system's.
    pub vfs: Arc<dyn Vfs>,
}

impl Config {
    /// A queue in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Storage::Memory)
    }

    /// A queue on disk that survives the end of the process.
    #[must_use]
    pub fn disk(directory: impl Into<PathBuf>) -> Self {
        Self::new(Storage::Disk(directory.into()))
    }

    /// A queue kept so.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            durability: Durability::Os,
            segment_bytes: 10 << 20,
            resident_bytes: 4 << 20,
            read_bytes: 1 << 20,
            max_item_bytes: MAX_ITEM_BYTES,
            max_total_bytes: 2_000_000_000,
            overflow: Overflow::Report,
            spare_segments: 1,
            lease_slots: 16,
            unreadable: Unreadable::Wait,
            shared_limits: None,
            vfs: Arc::new(OsVfs),
        }
    }

    /// Sets what an answered append survives.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the bytes of one segment file.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets the bytes of appended items that stay in memory.
    #[must_use]
    pub fn resident_bytes(mut self, bytes: u64) -> Self {
        self.resident_bytes = bytes;
        self
    }

    /// Sets the bytes of one read.
    #[must_use]
    pub fn read_bytes(mut self, bytes: usize) -> Self {
        self.read_bytes = bytes;
        self
    }

    /// Sets the bytes of the largest item.
    #[must_use]
    pub fn max_item_bytes(mut self, bytes: u64) -> Self {
        self.max_item_bytes = bytes;
        self
    }

    /// Sets the limit of what the queue holds.
    #[must_use]
    pub fn max_total_bytes(mut self, bytes: u64) -> Self {
        self.max_total_bytes = bytes;
        self
    }

    /// Sets what happens at the limit.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how many segment files are kept to be written again.
    #[must_use]
    pub fn spare_segments(mut self, count: usize) -> Self {
        self.spare_segments = count;
        self
    }

    /// Sets how many leases can have a tag without taking space.
    #[must_use]
    pub fn lease_slots(mut self, count: u32) -> Self {
        self.lease_slots = count;
        self
    }

    /// Sets what becomes of items that the disk cannot read any more.
    #[must_use]
    pub fn unreadable(mut self, policy: Unreadable) -> Self {
        self.unreadable = policy;
        self
    }

    /// Sets the limits that this queue has together with others.
    #[must_use]
    pub fn shared_limits(mut self, limits: Arc<SharedLimits>) -> Self {
        self.shared_limits = Some(limits);
        self
    }

    /// Sets the file system.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        const LEAST: u64 = 4096;
        if self.segment_bytes < LEAST {
            return Err(OpenError::Config(format!(
                "segment_bytes is {}, the least is {LEAST}",
                self.segment_bytes
            )));
        }
        if self.read_bytes < 4096 {
            return Err(OpenError::Config(format!(
                "read_bytes is {}, the least is {LEAST}",
                self.read_bytes
            )));
        }
        if !(1..=MOST_LEASE_SLOTS).contains(&self.lease_slots) {
            return Err(OpenError::Config(format!(
                "lease_slots is {}, it may be from 1 to {MOST_LEASE_SLOTS}",
                self.lease_slots
            )));
        }
        if self.max_delay() > LONGEST_DELAY {
            return Err(OpenError::Config(format!(
                "max_delay is {:?}, the most is {LONGEST_DELAY:?}: an append that is alone waits so long",
                self.max_delay()
            )));
        }
        Ok(())
    }

    pub(crate) fn max_delay(&self) -> Duration {
        match self.durability {
            Durability::Os => Duration::ZERO,
            Durability::Fsync { max_delay } => max_delay,
        }
    }

    pub(crate) fn syncs(&self) -> bool {
        matches!(self.durability, Durability::Fsync { .. })
    }
}
