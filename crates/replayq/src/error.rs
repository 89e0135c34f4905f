//! Errors: one enum per operation, and the failed I/O operation that most of them carry.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::{ItemRange, LeaseId};

/// A file operation that failed: what was tried, on which path, what the system said, and what a
/// person can do about it.
#[derive(Clone, Debug)]
pub struct IoFailure {
    operation: &'static str,
    path: PathBuf,
    position: Option<u64>,
    /// There was space for bytes when there was none for a file.
    has_space: bool,
    source: Arc<io::Error>,
}

impl IoFailure {
    pub(crate) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            operation,
            path: path.to_path_buf(),
            position: None,
            has_space: false,
            source: Arc::new(source),
        }
    }

    /// Adds the position in the file.
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// Returns whether there was space for bytes when a file could not be made.
    pub(crate) fn with_space(mut self, has_space: bool) -> Self {
        self.has_space = has_space;
        self
    }

    /// Returns whether space would help.
    pub(crate) fn is_for_space(&self) -> bool {
        matches!(
            self.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// The operation, as in "write to".
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file or directory it was tried on.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file, in bytes, if that is known.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// The kind of the system's answer.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Advice to a person.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        const EIO: i32 = 5;
        const ELOOP: i32 = 40;
        match self.source.raw_os_error() {
            Some(EMFILE | ENFILE) => {
                return "raise the limit of open files (ulimit -n) or open fewer queues";
            }
            Some(ELOOP) => return "symbolic links are not followed here: give the real path",
            Some(EIO) if self.operation == "read" => {
                return "the device has lost what was there: check it; with Unreadable::Skip the queue goes on without what cannot be read, and so it does when it was repaired";
            }
            Some(EIO) => return "the device reports errors: check the disk and the kernel's log",
            _ => {}
        }
        match self.source.kind() {
            io::ErrorKind::StorageFull if self.has_space => {
                "this file system has no room for another file (df -i shows its inodes): remove some files; the queue goes on by itself when there is room again"
            }
            io::ErrorKind::StorageFull => {
                "free some space on this file system; the queue goes on by itself when there is space again"
            }
            io::ErrorKind::QuotaExceeded => "raise the disk quota of this user, or free some of it",
            io::ErrorKind::FileTooLarge => {
                "raise the limit of file sizes (ulimit -f) or choose smaller segments"
            }
            io::ErrorKind::PermissionDenied => {
                "give the user of this process access to the directory and its files"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "remount the file system writable, or choose another directory"
            }
            io::ErrorKind::NotFound => {
                "it was removed: only the queue itself may change its directory"
            }
            io::ErrorKind::NotADirectory => {
                "the path, or a part of it, is not a directory: choose another one"
            }
            io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput
                if matches!(self.operation, "open" | "lock") =>
            {
                "something else has the name of one of the queue's files: move it away"
            }
            io::ErrorKind::InvalidFilename => "choose a shorter path",
            io::ErrorKind::Interrupted => {
                "the call was interrupted a thousand times in a row: look for what sends signals to this process, or what is wrong with this file system"
            }
            _ => "see the cause",
        }
    }
}

impl fmt::Display for IoFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cannot {} {}",
            self.operation,
            self.path.display()
        )?;
        if let Some(position) = self.position {
            write!(formatter, " at byte {position}")?;
        }
        write!(formatter, ": {} ({})", self.source, self.advice())
    }
}

impl std::error::Error for IoFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Puts the operation and the path to a plain [`io::Error`].
pub(crate) trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, IoFailure>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, IoFailure> {
        self.map_err(|source| IoFailure::new(operation, path, source))
    }
}

/// Why a queue could not be opened. Nothing on disk was lost by trying.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration contradicts itself or is out of range.
    #[error("invalid queue configuration: {0}")]
    Config(String),
    /// Another process, or another handle of this process, has the directory open.
    #[error("the queue in {path} is in use{}: close it there first, or choose another directory", match holder { Some(process) => format!(" by process {process}"), None => String::new() })]
    Locked {
        /// The queue's directory.
        path: PathBuf,
        /// The process that wrote its id into the lock file last, where it can be read.
        holder: Option<u32>,
    },
    /// The directory was written by a newer version of this crate.
    #[error(
        "{path} has format version {found}, this program knows versions up to {known}: use a newer program"
    )]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// The directory was written by a version of this crate that was never released.
    #[error(
        "{path} has format version {found}, this program reads {known} only: no released version wrote it; move the directory away"
    )]
    OlderFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The version that is read here.
        known: u16,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

impl OpenError {
    /// The file has another version than is known here.
    pub(crate) fn format(path: PathBuf, found: u16, known: u16) -> Self {
        if found < known {
            Self::OlderFormat { path, found, known }
        } else {
            Self::NewerFormat { path, found, known }
        }
    }
}

/// Why items were not appended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There was nothing to append.
    #[error("an append needs at least one payload")]
    Empty,
    /// A payload is larger than an item can be. Nothing was appended.
    #[error("a payload of {bytes} bytes is larger than the {limit} bytes that an item may have")]
    TooLarge {
        /// The length of that payload.
        bytes: u64,
        /// The largest length.
        limit: u64,
    },
    /// The queue, or the budget it shares with others, is at its limit and the policy is to reject.
    /// Nothing was appended.
    #[error("the queue is full: {bytes} bytes of at most {limit}")]
    Full {
        /// The bytes that would be held with the items, counted as for
        /// [`crate::Config::max_total_bytes`].
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk has no more free space than [`crate::SharedLimits::free_disk_bytes`] keeps. Nothing
    /// was appended.
    #[error(
        "the disk has {free} bytes free and {reserve} of them are not to be used: free some space, the queue goes on by itself then"
    )]
    DiskReserve {
        /// Free bytes.
        free: u64,
        /// Those to be left free.
        reserve: u64,
    },
    /// Writing failed. None of the items is in the queue, and none will appear later.
    #[error("nothing was appended: {0}")]
    NotAppended(#[source] IoFailure),
    /// Writing failed, and so did taking back what had been written: none of the items is in the
    /// queue now, but they may appear after a restart.
    #[error("the append failed and its items may reappear after a restart: {0}")]
    InDoubt(#[source] IoFailure),
    /// The directory holds a segment with the highest id there can be: no sound queue comes to
    /// that, but a forged or damaged file name does. Nothing was appended.
    #[error("the ids of this queue are used up: repair it, or use another directory")]
    NoMoreIds,
    /// The lease asked for cannot be had. Nothing was appended.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

/// Why items could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Reading from disk failed. The items stay in the queue; another call tries again.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// There is no such lease, or not any more.
    #[error("there is no lease {0}: it was acked or released")]
    UnknownLease(LeaseId),
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

/// Why a lease could not be made or tagged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// There is no such lease, or not any more.
    #[error("there is no lease {0}: it was acked or released")]
    UnknownLease(LeaseId),
    /// The tag is larger than a tag may be.
    #[error("a tag of {bytes} bytes is larger than the {limit} bytes that it may have")]
    TagTooLarge {
        /// The length of the tag.
        bytes: usize,
        /// The largest length.
        limit: usize,
    },
    /// A lease that starts before the new items must start at the oldest item that is not leased.
    #[error("a lease must start at the oldest item that is not leased")]
    NotAtFront,
    /// Writing the tag failed: the lease is as before, and after a restart it may have the new tag
    /// all the same.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

/// Why an ack or a release was refused, or is not durable.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// There is no such lease, or not any more.
    #[error("there is no lease {0}: it was acked or released")]
    UnknownLease(LeaseId),
    /// Some of the items do not belong to the lease, or all of them were acked before. Nothing was
    /// acked.
    #[error("items {items} are not all open in lease {lease}")]
    NotInLease {
        /// The items of the call.
        items: ItemRange,
        /// The lease of the call.
        lease: LeaseId,
    },
    /// The items of a lease of a previous run could not be read. Nothing was acked or released.
    #[error("nothing was acked or released: {0}")]
    NotRead(#[source] IoFailure),
    /// The ack counts in this run, but could not be written: after a crash the items come back,
    /// unless a later ack or flush succeeds first.
    #[error("the ack is not durable yet: {0}")]
    NotDurable(#[source] IoFailure),
    /// As [`Self::NotDurable`], because acked items lie in too many separate ranges after the
    /// oldest open one for the commit record: about 4,000 as files are made, several hundred
    /// thousand where the disk has space for a larger record. Ack older items: the list shrinks.
    #[error(
        "the ack is not durable yet: the acked items lie in {ranges} separate ranges, too many for the commit record: ack older items"
    )]
    TooManyRanges {
        /// The number of ranges.
        ranges: usize,
    },
    /// The tag is larger than a tag may be. Nothing was acked.
    #[error("a tag of {bytes} bytes is larger than the {limit} bytes that it may have")]
    TagTooLarge {
        /// The length of the tag.
        bytes: usize,
        /// The largest length.
        limit: usize,
    },
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

/// Why a flush or a close did not make everything durable.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The commit record has no room for all acks, see [`AckError::TooManyRanges`].
    #[error(
        "the acked items lie in {ranges} separate ranges, too many for the commit record: ack older items"
    )]
    TooManyRanges {
        /// The number of ranges.
        ranges: usize,
    },
    /// A sync failed, and what the system had of these items was gone when it was read back to be
    /// written to another file. They are lost, see [`crate::Queue::damage`]; all others are
    /// durable.
    #[error("{items} items are lost: the disk did not take them, and they could not be read back")]
    Lost {
        /// The number of items.
        items: u64,
    },
    /// The queue was closed before its files were to be removed, and its directory has been opened
    /// since, or is open. Nothing was removed.
    #[error(
        "cannot purge {path}: it was opened by another process or handle since it was closed; purge it there"
    )]
    OpenedElsewhere {
        /// The queue's directory.
        path: PathBuf,
    },
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}
