//! One directory of the real file system by its descriptor: whatever is moved, removed or put in
//! its place under its path, nothing else is touched.
#![expect(clippy::disallowed_methods, reason = "the seam to the disk")]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::file::{OsFile, regular};
use super::{DirectoryEntry, LockHolder, OpenMode, Vfs, VfsFile, VfsLock, system};

/// A directory that was opened. Calls for paths in it go by the descriptor, all others by the path.
#[derive(Clone, Debug)]
pub(super) struct AnchoredVfs {
    descriptor: Arc<OwnedFd>,
    path: PathBuf,
}

impl AnchoredVfs {
    /// Opens the directory, which must not be a symbolic link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
            path: path.to_path_buf(),
        })
    }

    /// The name of a file in the directory.
    fn name<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        match path.parent() {
            Some(parent) if parent == self.path => {}
            _ => return Err(Errno::XDEV.into()),
        }
        let name = path.file_name().map(Path::new);
        name.ok_or_else(|| Errno::INVAL.into())
    }
}

impl Vfs for AnchoredVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        system::create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        system::canonical_directory(path)
    }

    fn check_directory(&self, directory: &Path) -> io::Result<()> {
        let own = fs::fstat(&self.descriptor)?;
        match fs::statat(fs::CWD, directory, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino) => Ok(()),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another directory has the place of the one that was opened",
            )),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, _directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let stat = match fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            entries.push(DirectoryEntry {
                name: name.to_owned(),
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            });
        }
        Ok(entries)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let access = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::Write => OFlags::RDWR,
            OpenMode::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(
            &self.descriptor,
            self.name(path)?,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?;
        Ok(Arc::new(OsFile(regular(File::from(file))?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.name(from)?, self.name(to)?);
        Ok(fs::renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = self.name(path)?;
        Ok(fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.check_directory(path)?;
        std::fs::remove_dir(path)
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(fs::fsync(&self.descriptor)?)
    }

    fn lock(&self, _directory: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        match fs::flock(&self.descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(DirectoryLock(Arc::clone(&self.descriptor))))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lock_holder(&self, directory: &Path) -> io::Result<LockHolder> {
        system::lock_holder(directory)
    }

    fn free_bytes(&self, _directory: &Path) -> io::Result<u64> {
        let figures = fs::fstatvfs(&self.descriptor)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        system::boot_id()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        system::random()
    }
}

/// The lock on the directory itself. No file can be removed to get around it.
#[derive(Debug)]
pub(super) struct DirectoryLock(pub(super) Arc<OwnedFd>);

impl VfsLock for DirectoryLock {}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // The descriptor stays open as long as the queue has it; where this fails, the lock ends
        // with that.
        let _ = fs::flock(&self.0, FlockOperation::Unlock);
    }
}
