//! A simulated file system of which each call is a place where another thread may go on.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replayq_interleavings::vfs::sim::{Fault, FaultKind, SimVfs};
use replayq_interleavings::vfs::{DirectoryEntry, OpenMode, Vfs, VfsFile, VfsLock};
use shuttle::sync::atomic::{AtomicU64, Ordering};

const EIO: i32 = 5;

/// The file system. What it does itself is never interrupted, so that a copy of it shows one
/// moment.
#[derive(Clone)]
pub(crate) struct PointVfs {
    pub(crate) sim: SimVfs,
    calls: Arc<AtomicU64>,
    /// Syncs of files that are yet to fail, and those that have.
    failing: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl PointVfs {
    pub(crate) fn new() -> Self {
        Self::of(SimVfs::new())
    }

    pub(crate) fn of(sim: SimVfs) -> Self {
        Self {
            sim,
            calls: Arc::new(AtomicU64::new(0)),
            failing: Arc::default(),
            failed: Arc::default(),
        }
    }

    /// Lets the next sync of a file fail. What it should have synced is lost, and later syncs
    /// succeed without it.
    pub(crate) fn fail_next_sync(&self) {
        self.failing.fetch_add(1, Ordering::SeqCst);
    }

    /// The syncs that have failed.
    pub(crate) fn failed_syncs(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    fn point(&self) -> &SimVfs {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.sim
    }
}

impl fmt::Debug for PointVfs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sim.fmt(formatter)
    }
}

impl Vfs for PointVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.point().create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.point().canonical_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.point().list(directory)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(PointFile {
            file: self.point().open(path, mode)?,
            vfs: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.point().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.point().remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.point().remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.point().sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        self.point().lock(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.point().free_bytes(directory)
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.sim.boot_id()
    }

    fn unix_time(&self) -> Duration {
        self.sim.unix_time()
    }

    fn check_directory(&self, directory: &Path) -> io::Result<()> {
        self.point().check_directory(directory)
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.point().random()
    }
}

#[derive(Debug)]
struct PointFile {
    file: Arc<dyn VfsFile>,
    vfs: PointVfs,
}

impl VfsFile for PointFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.vfs.point();
        self.file.write_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.vfs.point();
        self.file.read_at(buffer, bytes, position)
    }

    fn length(&self) -> io::Result<u64> {
        self.vfs.point();
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.vfs.point();
        self.file.set_length(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let sim = self.vfs.point();
        let take_one = |left: u64| left.checked_sub(1);
        let (failing, order) = (&self.vfs.failing, Ordering::SeqCst);
        if failing.fetch_update(order, order, take_one).is_ok() {
            self.vfs.failed.fetch_add(1, order);
            // No other thread goes on before the call below, which is the next one.
            sim.inject(Fault {
                call: sim.calls(),
                for_ever: false,
                kind: FaultKind::Error(EIO),
            });
        }
        self.file.sync()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.vfs.point();
        self.file.has_name()
    }
}
