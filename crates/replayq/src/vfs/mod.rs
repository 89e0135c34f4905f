//! The seam to the file system: everything that the queue does to the world goes through [`Vfs`],
//! so that a test can crash it at any operation.

#[cfg(any(test, feature = "simulation"))]
pub mod sim;

mod salvage;

mod os;

mod anchored;

mod file;
mod system;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use os::OsVfs;
pub(crate) use salvage::{Hole, Salvage};

/// The mode of opening a file. Symbolic links are never followed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file with mode 0600, for reading and writing; fails where there is one.
    Create,
}

/// One entry of a directory.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct DirectoryEntry {
    /// The file's name, without the directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// A regular file, and no directory, link or pipe.
    pub is_file: bool,
}

/// The file system as the queue uses it. All calls may block.
pub trait Vfs: fmt::Debug + Send + Sync {
    /// Makes the directory (mode 0700) and its parents where missing, and returns its canonical
    /// path. The last component must not be a symbolic link.
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf>;
    /// The canonical path of a directory that exists; its last component must not be a symbolic
    /// link.
    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf>;
    /// The same file system, with this directory opened once: what is in it is reached by the
    /// descriptor from then on, wherever the directory goes. `None` where there are no descriptors:
    /// it is reached by its path.
    ///
    /// # Errors
    /// It cannot be opened.
    fn anchor(&self, directory: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        let _ = directory;
        Ok(None)
    }
    /// Makes sure that the path still leads to the directory that was opened by [`Self::anchor`].
    ///
    /// # Errors
    /// It was removed, moved away or replaced.
    fn check_directory(&self, directory: &Path) -> io::Result<()> {
        let _ = directory;
        Ok(())
    }
    /// All entries of the directory, in any order.
    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>>;
    /// Opens one file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;
    /// Renames a file in the same directory, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the directory's entries durable: names created, changed and removed.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Locks the directory exclusively, without waiting: `None` if it is locked already, by any
    /// process or by this one. The lock ends when the returned value is dropped.
    fn lock(&self, directory: &Path) -> io::Result<Option<Box<dyn VfsLock>>>;
    /// The holder of the lock on that directory. Nothing is changed by this, and a call that takes
    /// the lock meanwhile is not disturbed.
    fn lock_holder(&self, directory: &Path) -> io::Result<LockHolder> {
        let _ = directory;
        Ok(LockHolder::Unknown)
    }
    /// Bytes that this process may still write on the file system of the directory.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
    /// A value that stays the same until the machine restarts; none where the system has none.
    fn boot_id(&self) -> Option<[u8; 16]>;
    /// The time since the beginning of 1970, by the system's clock as of its last tick: up to 10 ms
    /// late. Each append reads it.
    fn unix_time(&self) -> Duration {
        system::unix_time()
    }
    /// Sixteen random bytes.
    fn random(&self) -> io::Result<[u8; 16]>;
}

/// The holder of a lock.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum LockHolder {
    /// No process.
    Nobody,
    /// A process, with its number where that is known.
    Process(Option<u32>),
    /// This system does not report it.
    Unknown,
}

/// An open file. Every call names its position, so that readers and writers need no lock.
pub trait VfsFile: fmt::Debug + Send + Sync {
    /// Writes some of the buffers' bytes at the position and returns how many; fewer than asked is
    /// no error.
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Appends up to `bytes` bytes from the position on to the buffer and returns how many; 0 is
    /// the end of the file.
    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize>;
    /// Where data may be from the position on: in a file with holes, behind the one at the
    /// position; `u64::MAX` if nothing follows.
    ///
    /// # Errors
    /// The file system says so.
    fn data_from(&self, position: u64) -> io::Result<u64> {
        Ok(position)
    }
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeros) to the length.
    fn set_length(&self, bytes: u64) -> io::Result<()>;
    /// Makes the content and the length durable. A file without a name never is: that is an error.
    fn sync(&self) -> io::Result<()>;
    /// Returns whether the file still has a name. One that was removed can be written as before,
    /// and everything in it is gone when it is closed.
    fn has_name(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// A lock that is held until dropped.
pub trait VfsLock: fmt::Debug + Send + Sync {}

/// Signals that one call may meet in a row without getting anywhere. A signal is an accident and
/// not a state: a system that answers so for longer is broken, and a caller who is told so can do
/// something about it.
const MOST_INTERRUPTIONS: u32 = 1000;

/// The interruptions of one call since it last got somewhere.
#[derive(Debug, Default)]
struct Patience {
    interruptions: u32,
}

impl Patience {
    /// Returns whether the call is to be made again: an interruption is swallowed while there are
    /// few of them, every other error is the caller's.
    fn swallow(&mut self, error: io::Error) -> io::Result<()> {
        self.interruptions = self.interruptions.saturating_add(1);
        if error.kind() == io::ErrorKind::Interrupted && self.interruptions < MOST_INTERRUPTIONS {
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// Writes all of the buffers, however many calls that takes.
///
/// # Errors
/// The first error other than an interruption, or one interruption too many; some of the bytes may
/// have been written by then.
pub(crate) fn write_all_at(
    file: &dyn VfsFile,
    mut buffers: &mut [IoSlice<'_>],
    mut position: u64,
) -> io::Result<()> {
    let mut patience = Patience::default();
    IoSlice::advance_slices(&mut buffers, 0);
    while !buffers.is_empty() {
        match file.write_at(buffers, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                patience = Patience::default();
                IoSlice::advance_slices(&mut buffers, written);
                position = position.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
            }
            Err(error) => patience.swallow(error)?,
        }
    }
    Ok(())
}

/// Appends `bytes` bytes, or as many as there are up to the end of the file, to the buffer.
///
/// # Errors
/// The first error other than an interruption, or one interruption too many.
pub(crate) fn read_full_at(
    file: &dyn VfsFile,
    buffer: &mut Vec<u8>,
    bytes: usize,
    position: u64,
) -> io::Result<()> {
    let mut patience = Patience::default();
    let mut done = 0_usize;
    while done < bytes {
        let at = position.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match file.read_at(buffer, bytes.saturating_sub(done), at) {
            Ok(0) => break,
            Ok(read) => {
                patience = Patience::default();
                done = done.saturating_add(read);
            }
            Err(error) => patience.swallow(error)?,
        }
    }
    Ok(())
}

/// Repeats a call until it is not interrupted by a signal.
///
/// # Errors
/// The call's own, or one interruption too many.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut patience = Patience::default();
    loop {
        match call() {
            Ok(value) => return Ok(value),
            Err(error) => patience.swallow(error)?,
        }
    }
}
