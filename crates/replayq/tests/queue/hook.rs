//! A simulated file system in which a test does something in the middle of a call of the queue.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use replayq::vfs::sim::SimVfs;
use replayq::vfs::{DirectoryEntry, OpenMode, Vfs, VfsFile, VfsLock};

/// What is about to be done to a file.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Act {
    Read,
    Write,
    Sync,
}

type Hook = Box<dyn FnOnce() + Send>;

/// The file system, and what is to happen once at the next such act on a segment.
#[derive(Clone)]
pub(crate) struct HookVfs {
    pub(crate) sim: SimVfs,
    next: Arc<Mutex<Option<(Act, Hook)>>>,
    is_away: Arc<AtomicBool>,
}

impl HookVfs {
    pub(crate) fn new() -> Self {
        Self {
            sim: SimVfs::new(),
            next: Arc::default(),
            is_away: Arc::default(),
        }
    }

    /// Does that once, in the midst of the call, before the next such act.
    pub(crate) fn before_next(&self, act: Act, hook: impl FnOnce() + Send + 'static) {
        *self.next.lock().unwrap() = Some((act, Box::new(hook)));
    }

    /// Moves the directory away, or back.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Returns whether it has not happened yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.next.lock().unwrap().is_some()
    }

    fn pass(&self, act: Act, path: &Path) {
        if path
            .extension()
            .is_none_or(|extension| extension != "segment")
        {
            return;
        }
        let hook = self.next.lock().unwrap().take_if(|(at, _)| *at == act);
        if let Some((_, hook)) = hook {
            hook();
        }
    }
}

impl fmt::Debug for HookVfs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sim.fmt(formatter)
    }
}

impl Vfs for HookVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.sim.create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.sim.canonical_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.sim.list(directory)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(HookFile {
            file: self.sim.open(path, mode)?,
            path: path.to_path_buf(),
            vfs: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.sim.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.sim.remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.sim.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.sim.sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        self.sim.lock(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.sim.free_bytes(directory)
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.sim.boot_id()
    }

    fn check_directory(&self, directory: &Path) -> io::Result<()> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.sim.check_directory(directory)
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.sim.random()
    }
}

#[derive(Debug)]
struct HookFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    vfs: HookVfs,
}

impl VfsFile for HookFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.vfs.pass(Act::Write, &self.path);
        self.file.write_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.vfs.pass(Act::Read, &self.path);
        self.file.read_at(buffer, bytes, position)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.pass(Act::Sync, &self.path);
        self.file.sync()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.file.has_name()
    }
}
