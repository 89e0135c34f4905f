//! A file system whose writes panic when they are told to: what goes wrong in an I/O job that
//! nobody has thought of.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use replayq::vfs::{DirectoryEntry, OpenMode, OsVfs, Vfs, VfsFile, VfsLock};
use wolff::Environment;

use super::disk::partition_directories;
use super::handle::forced_panic;

/// Writes left until one panics; negative: none does.
#[derive(Clone, Debug)]
pub(crate) struct PanickingDisk {
    disk: OsVfs,
    countdown: Arc<AtomicI64>,
}

impl PanickingDisk {
    pub(crate) fn new() -> Self {
        Self {
            disk: OsVfs,
            countdown: Arc::new(AtomicI64::new(-1)),
        }
    }

    /// The surroundings of a producer on this disk.
    pub(crate) fn environment(&self) -> Environment {
        let list = |topic: &Path| Ok(partition_directories(topic));
        Environment::default()
            .vfs(Arc::new(self.clone()))
            .directories(list)
    }

    /// So many writes succeed from now on; the next one panics, and no later one.
    pub(crate) fn panic_after(&self, writes: i64) {
        self.countdown.store(writes, Ordering::SeqCst);
    }

    /// Returns whether the write that was to panic was reached.
    pub(crate) fn has_panicked(&self) -> bool {
        self.countdown.load(Ordering::SeqCst) < 0
    }
}

impl Vfs for PanickingDisk {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.canonical_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.disk.list(directory)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(File {
            file: self.disk.open(path, mode)?,
            countdown: self.countdown.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }

    fn lock(&self, directory: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        self.disk.lock(directory)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.disk.free_bytes(directory)
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.disk.boot_id()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.disk.random()
    }
}

#[derive(Debug)]
struct File {
    file: Arc<dyn VfsFile>,
    countdown: Arc<AtomicI64>,
}

impl VfsFile for File {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let count_down = |left: i64| (left >= 0).then(|| left - 1);
        let left = self
            .countdown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down);
        if left == Ok(0) {
            forced_panic();
        }
        self.file.write_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, bytes, position)
    }

    fn data_from(&self, position: u64) -> io::Result<u64> {
        self.file.data_from(position)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.file.has_name()
    }
}
