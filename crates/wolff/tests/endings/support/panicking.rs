//! Panics where nobody has thought of them: in the writes and reads of a file system, and in the
//! application's log.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use replayq::vfs::{DirectoryEntry, OpenMode, OsVfs, Vfs, VfsFile, VfsLock};
use wolff::Environment;

use super::disk::partition_directories;
use super::handle::forced_panic;
use super::waiting::listen;

/// A disk with a write or a read that panics.
#[derive(Clone, Debug)]
pub(crate) struct PanickingDisk {
    disk: OsVfs,
    writes: Countdown,
    reads: Countdown,
}

/// Operations that are left until one panics; negative: none does.
#[derive(Clone, Debug)]
struct Countdown(Arc<AtomicI64>);

impl Countdown {
    fn stopped() -> Self {
        Self(Arc::new(AtomicI64::new(-1)))
    }

    fn start(&self, operations: i64) {
        self.0.store(operations, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst) < 0
    }

    /// Panics if this is the operation that was to.
    fn step(&self) {
        let count_down = |left: i64| (left >= 0).then(|| left - 1);
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down);
        if left == Ok(0) {
            forced_panic();
        }
    }
}

impl PanickingDisk {
    pub(crate) fn new() -> Self {
        Self {
            disk: OsVfs,
            writes: Countdown::stopped(),
            reads: Countdown::stopped(),
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
    pub(crate) fn panic_after_writes(&self, writes: i64) {
        self.writes.start(writes);
    }

    /// The same with reads.
    pub(crate) fn panic_after_reads(&self, reads: i64) {
        self.reads.start(reads);
    }

    /// Returns whether the operation that was to panic was reached.
    pub(crate) fn has_panicked(&self) -> bool {
        self.writes.is_over() && self.reads.is_over()
    }
}

/// Panics in the first warning or error of this thread that has this text, until the guard is
/// dropped.
pub(crate) fn panic_at_log(text: &'static str) -> tracing::subscriber::DefaultGuard {
    let has_come = AtomicBool::new(false);
    listen(move |message| {
        if message.contains(text) && !has_come.swap(true, Ordering::SeqCst) {
            forced_panic();
        }
    })
}

/// Surroundings with a clock that panics while it is armed: a worker looks at it when it has
/// connected.
pub(crate) fn panicking_clock() -> (Environment, Arc<AtomicBool>) {
    let is_armed = Arc::new(AtomicBool::new(false));
    let armed = is_armed.clone();
    let clock = move || {
        if armed.load(Ordering::Relaxed) {
            forced_panic();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    };
    (Environment::default().wall_clock(clock), is_armed)
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
            writes: self.writes.clone(),
            reads: self.reads.clone(),
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
    writes: Countdown,
    reads: Countdown,
}

impl VfsFile for File {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.writes.step();
        self.file.write_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.reads.step();
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
