//! A file system in memory that can fail, run out of space, and lose power: for tests of crash
//! safety, of this crate and of programs that use it.
//!
//! It is stricter than most real ones: nothing is durable before it was synced, a file's name only
//! when its directory was, and unsynced writes survive a power loss in any combination, whole or in
//! part.

mod handle;

mod world;

mod disk;

mod fault;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{DirectoryEntry, OpenMode, Vfs, VfsFile, VfsLock};

use handle::{SimFile, SimLock};
use world::World;

pub use disk::{Fate, PendingWrite};
pub use fault::{Fault, FaultKind};
pub use world::Change;

/// A simulated file system. Clones are handles of the same one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use replayq::vfs::sim::{Fate, SimVfs};
/// use replayq::{Config, Flush, Queue};
///
/// let disk = SimVfs::new();
/// let (queue, _) = Queue::open(Config::disk("/queue").vfs(Arc::new(disk.clone())))?;
/// queue.append_one("one".into())?;
/// queue.flush(Flush::Disk)?;
/// queue.append_one("two".into())?;
///
/// // What was not synced is gone: the first item was.
/// let after = disk.after_power_loss(0, |_, _| Fate::Lost);
/// let (_, recovery) = Queue::open(Config::disk("/queue").vfs(Arc::new(after)))?;
/// assert_eq!(recovery.items, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SimVfs {
    world: Arc<Mutex<World>>,
}

impl Default for SimVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimVfs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::of(World::default())
    }

    fn of(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    /// Another file system with the same content, of which everything is durable and nothing open.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::of(self.world.lock().after_kill())
    }

    /// Lets a call fail: all calls count, from the first one on.
    pub fn inject(&self, fault: Fault) {
        self.world.lock().faults.push(fault);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.world.lock().faults.clear();
    }

    /// The calls made so far.
    pub fn calls(&self) -> u64 {
        self.world.lock().calls
    }

    /// The bytes that were read so far.
    pub fn read_bytes(&self) -> u64 {
        self.world.lock().read_bytes
    }

    /// The calls so far that changed something.
    pub fn changes(&self) -> u64 {
        self.world.lock().changes
    }

    /// Ends the process at the change with that number (the first is 0): the change does not
    /// happen, or, of a write, only its first `torn_bytes`. From then on all calls fail.
    pub fn crash_at(&self, change: u64, torn_bytes: usize) {
        self.world.lock().crash_at = Some((change, torn_bytes));
    }

    /// Returns whether that has happened.
    pub fn is_crashed(&self) -> bool {
        self.world.lock().is_crashed
    }

    /// Limits the bytes of all files together; none: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world.lock().capacity = bytes;
    }

    /// The bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.world.lock().disk.used_bytes()
    }

    /// The changes made so far, for checks of their order.
    pub fn history(&self) -> Vec<Change> {
        self.world.lock().history.clone()
    }

    /// The file system after the process was killed: everything that was written.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        Self::of(self.world.lock().after_kill())
    }

    /// The writes that a power loss may take away, the oldest first.
    pub fn pending_writes(&self) -> Vec<PendingWrite> {
        self.world.lock().disk.pending_writes()
    }

    /// The number of changes of names that a power loss may undo.
    pub fn pending_names(&self) -> usize {
        self.world.lock().disk.pending_names()
    }

    /// The file system after a power loss that has left the first `names` of the pending changes of
    /// names, and of the pending writes what `fate` says of each. The next run is another one of
    /// the machine.
    #[must_use]
    pub fn after_power_loss(
        &self,
        names: usize,
        fate: impl FnMut(usize, &PendingWrite) -> Fate,
    ) -> Self {
        Self::of(self.world.lock().after_power_loss(names, fate))
    }

    /// Sets the clock: the time since the beginning of 1970. It does not move by itself.
    pub fn set_unix_time(&self, time: Duration) {
        self.world.lock().time = time;
    }

    /// The content of a file.
    pub fn read_file(&self, path: &Path) -> Option<Vec<u8>> {
        self.world.lock().disk.content(path).map(<[u8]>::to_vec)
    }

    /// Puts a file there, durable at once.
    pub fn write_file(&self, path: &Path, content: Vec<u8>) {
        self.world.lock().disk.put(path, content);
    }

    /// Makes a range of a file unreadable, as a disk does that has lost it: reads that touch it
    /// fail until all of it is written over.
    pub fn spoil(&self, path: &Path, position: u64, bytes: u64) {
        self.world.lock().disk.spoil(path, position, bytes);
    }

    /// Takes a file away, for good at once.
    pub fn remove_file(&self, path: &Path) {
        self.world.lock().disk.delete(path);
    }

    /// All files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.world.lock().disk.paths().cloned().collect()
    }
}

impl Vfs for SimVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        let mut world = self.world.lock();
        world.call()?;
        world.disk.create_directory(path);
        Ok(path.to_path_buf())
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        let mut world = self.world.lock();
        world.call()?;
        if world.disk.has_directory(path) {
            Ok(path.to_path_buf())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut world = self.world.lock();
        world.call()?;
        Ok(world.disk.list(directory))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut world = self.world.lock();
        world.call()?;
        let inode = match (world.disk.find(path), mode) {
            (Some(_), OpenMode::Create) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, OpenMode::Create) => {
                world.change(Change::Create(path.to_path_buf()))?;
                world.disk.create(path)
            }
            (Some(inode), _) => inode,
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        drop(world);
        Ok(Arc::new(SimFile::new(
            Arc::clone(&self.world),
            inode,
            path,
            mode != OpenMode::Read,
        )))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.call()?;
        if world.disk.find(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(Change::Rename(from.to_path_buf(), to.to_path_buf()))?;
        world.disk.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.call()?;
        if world.disk.find(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(Change::Remove(path.to_path_buf()))?;
        world.disk.remove(path);
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.call()?;
        if !world.disk.list(path).is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.disk.remove_directory(path);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.call()?;
        world.change(Change::SyncDirectory(path.to_path_buf()))?;
        world.disk.sync_names();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        let mut world = self.world.lock();
        world.call()?;
        if !world.take_lock(path) {
            return Ok(None);
        }
        drop(world);
        Ok(Some(Box::new(SimLock::new(Arc::clone(&self.world), path))))
    }

    fn free_bytes(&self, _directory: &Path) -> io::Result<u64> {
        let mut world = self.world.lock();
        world.call()?;
        Ok(world.room())
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        Some(u128::from(self.world.lock().boot).to_be_bytes())
    }

    fn unix_time(&self) -> Duration {
        self.world.lock().time
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut world = self.world.lock();
        world.call()?;
        Ok(world.next_random())
    }
}
