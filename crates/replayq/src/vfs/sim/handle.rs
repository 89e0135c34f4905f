//! Open files and locks of the simulation.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::field;
use crate::vfs::{VfsFile, VfsLock};

use super::disk::Inode;
use super::world::{Change, Extent, World};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EBADF: i32 = 9;

pub(super) struct SimFile {
    world: Arc<Mutex<World>>,
    inode: Inode,
    path: PathBuf,
    is_writable: bool,
}

impl SimFile {
    pub(super) fn new(
        world: Arc<Mutex<World>>,
        inode: Inode,
        path: &Path,
        is_writable: bool,
    ) -> Self {
        Self {
            world,
            inode,
            path: path.to_path_buf(),
            is_writable,
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_writable {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EBADF))
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl VfsFile for SimFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        let mut world = self.world.lock();
        let extent = world.transfer()?;
        let mut bytes = Vec::new();
        for buffer in buffers {
            bytes.extend_from_slice(buffer);
        }
        if extent == Extent::Half && bytes.len() > 1 {
            bytes.truncate(bytes.len() / 2);
        }
        let length = world.disk.length(self.inode);
        let possible = length
            .max(position)
            .saturating_sub(position)
            .saturating_add(world.room().saturating_sub(position.saturating_sub(length)));
        if possible == 0 && !bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        bytes.truncate(field::narrow(possible));
        world.check_writable()?;
        if let Some(torn_bytes) = world.begin_change() {
            bytes.truncate(torn_bytes);
            if !bytes.is_empty() {
                world.disk.write(self.inode, position, bytes);
            }
            return Err(io::Error::other("the simulated process has ended"));
        }
        let written = bytes.len();
        world
            .history
            .push(Change::Write(self.path.clone(), position, written));
        world.disk.write(self.inode, position, bytes);
        Ok(written)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        let mut world = self.world.lock();
        let extent = world.transfer()?;
        if world.disk.is_spoiled(self.inode, position, bytes) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let found = world.disk.read(self.inode, position, bytes);
        let part = if extent == Extent::Half && found.len() > 1 {
            found.len() / 2
        } else {
            found.len()
        };
        buffer.extend_from_slice(found.get(..part).unwrap_or(found));
        world.read_bytes = world.read_bytes.saturating_add(field::wide(part));
        Ok(part)
    }

    fn length(&self) -> io::Result<u64> {
        let mut world = self.world.lock();
        world.call()?;
        Ok(world.disk.length(self.inode))
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut world = self.world.lock();
        world.call()?;
        if bytes.saturating_sub(world.disk.length(self.inode)) > world.room() {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        world.change(Change::SetLength(self.path.clone(), bytes))?;
        world.disk.set_length(self.inode, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        if let Err(error) = world.call() {
            if !world.is_crashed && error.kind() != io::ErrorKind::Interrupted {
                world.fail_sync(self.inode);
            }
            return Err(error);
        }
        if !world.disk.has_name(self.inode) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(Change::Sync(self.path.clone()))?;
        world.disk.sync(self.inode);
        Ok(())
    }

    fn has_name(&self) -> io::Result<bool> {
        let mut world = self.world.lock();
        world.call()?;
        Ok(world.disk.has_name(self.inode))
    }
}

pub(super) struct SimLock {
    world: Arc<Mutex<World>>,
    path: PathBuf,
}

impl SimLock {
    pub(super) fn new(world: Arc<Mutex<World>>, path: &Path) -> Self {
        Self {
            world,
            path: path.to_path_buf(),
        }
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimLock")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.world.lock().drop_lock(&self.path);
    }
}

impl VfsLock for SimLock {}
