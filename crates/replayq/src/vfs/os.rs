//! The real file system, on Unix.
#![expect(clippy::disallowed_methods, reason = "the seam to the disk")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::anchored::AnchoredVfs;
use super::file::{OsFile, regular};
use super::{DirectoryEntry, LockHolder, OpenMode, Vfs, VfsFile, VfsLock, system};

/// The operating system's own file system.
#[derive(Copy, Clone, Debug, Default)]
pub struct OsVfs;

/// No link is followed, and a pipe in the place of a file is not waited for.
fn open_flags() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or_default()
}

impl Vfs for OsVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        system::create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        system::canonical_directory(path)
    }

    fn anchor(&self, directory: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        Ok(Some(Arc::new(AnchoredVfs::open(directory)?)))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        AnchoredVfs::open(directory)?.list(directory)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(0o600).custom_flags(open_flags());
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => _ = options.write(true),
            OpenMode::Create => _ = options.write(true).create_new(true),
        }
        Ok(Arc::new(OsFile(regular(options.open(path)?)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, directory: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        AnchoredVfs::open(directory)?.lock(directory)
    }

    fn lock_holder(&self, directory: &Path) -> io::Result<LockHolder> {
        system::lock_holder(directory)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let figures = rustix::fs::statvfs(directory)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        system::boot_id()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        system::random()
    }
}
