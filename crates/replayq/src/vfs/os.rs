//! The real file system, on Unix. The only file of the crate that touches it.
#![expect(clippy::disallowed_methods, reason = "the seam to the disk")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::{DirectoryEntry, LockHolder, OpenMode, Vfs, VfsFile, VfsLock};

/// The most buffers that one vectored write takes (IOV_MAX of Linux, macOS and the BSDs).
const MOST_BUFFERS: usize = 1024;

/// The operating system's own file system.
#[derive(Copy, Clone, Debug, Default)]
pub struct OsVfs;

/// No link is followed, and nobody waits for the other end of a pipe that stands in the place of a file.
fn open_flags() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// Nothing else that has the name of a file is taken for one, and written over in the end.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}

fn reject_link(path: &Path) -> io::Result<()> {
    // With a slash or a dot behind it the system would look at what the link points to.
    match fs::symlink_metadata(path.components().as_path()) {
        Ok(metadata) if metadata.is_symlink() => Err(rustix::io::Errno::LOOP.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the directory and those above it where missing. A new one is made durable in the one above: whatever is synced in it later is lost with its name.
fn make_directory(path: &Path) -> io::Result<()> {
    let make = || match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        made => made.map(|()| true),
    };
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => Path::new("/"),
    };
    let is_new = match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != path => {
            make_directory(above)?;
            make()?
        }
        made => made?,
    };
    if is_new {
        sync_above(above)?;
    }
    Ok(())
}

/// Syncs a directory that need not be the queue's own: who may not read it, or whose file system cannot do that, must live without.
fn sync_above(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

impl Vfs for OsVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        reject_link(path)?;
        make_directory(path)?;
        self.canonical_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        reject_link(path)?;
        let canonical = fs::canonicalize(path)?;
        if fs::metadata(&canonical)?.is_dir() {
            Ok(canonical)
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                entries.push(DirectoryEntry {
                    name,
                    bytes: metadata.len(),
                });
            }
        }
        Ok(entries)
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

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        // Whoever purges a queue removes its lock file while holding it. A lock on a file that has no name any more excludes nobody, so look again.
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(open_flags())
                .open(path)?;
            let file = regular(file)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            let held = file.metadata()?;
            match fs::symlink_metadata(path) {
                Ok(named) if named.ino() == held.ino() && named.dev() == held.dev() => {
                    // Only for the message that others show: on a full disk it may stay empty.
                    let _ = file.set_len(0).and_then(|()| {
                        (&file).write_all(format!("{}\n", std::process::id()).as_bytes())
                    });
                    return Ok(Some(Box::new(OsLock { _file: file })));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn lock_holder(&self, path: &Path) -> io::Result<LockHolder> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockHolder::Nobody),
            Err(error) => return Err(error),
        };
        // Only Linux tells; trying to take the lock would get in the way of somebody who is just opening the queue.
        let Ok(locks) = fs::read_to_string("/proc/locks") else {
            return Ok(LockHolder::Unknown);
        };
        Ok(holder_in(&locks, metadata.ino()))
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let figures = rustix::fs::statvfs(directory)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&digits, 16)
            .ok()
            .map(u128::to_be_bytes)
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[derive(Debug)]
struct OsFile(File);

impl VfsFile for OsFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let buffers = buffers.get(..MOST_BUFFERS).unwrap_or(buffers);
        match buffers {
            [one] => Ok(rustix::io::pwrite(&self.0, one, position)?),
            _ => Ok(rustix::io::pwritev(&self.0, buffers, position)?),
        }
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        // The spare capacity is filled without being zeroed first; an allocator that gave more than asked for does no harm but must not be used.
        buffer.reserve_exact(bytes);
        let before = buffer.len();
        let spare = buffer.capacity().saturating_sub(before);
        if spare == bytes {
            return Ok(rustix::io::pread(
                &self.0,
                rustix::buffer::spare_capacity(buffer),
                position,
            )?);
        }
        buffer.resize(before.saturating_add(bytes), 0);
        let read = match buffer.get_mut(before..) {
            Some(room) => rustix::io::pread(&self.0, room, position),
            None => Ok(0),
        };
        buffer.truncate(before.saturating_add(*read.as_ref().unwrap_or(&0)));
        Ok(read?)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn data_from(&self, position: u64) -> io::Result<u64> {
        use rustix::io::Errno;
        // Nobody here reads or writes where the descriptor stands.
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(position)) {
            Err(Errno::NXIO) => Ok(u64::MAX),
            // A file system that knows of no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(position),
            found => Ok(found?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()?;
        if self.has_name()? {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() > 0)
    }
}

/// Who holds a lock of the whole-file kind on that inode, by the kernel's list: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:12345 0 EOF`. The device is left
/// out of the comparison, since on stacked file systems it is another one than the file's; an inode number that another file has too is rare.
fn holder_in(locks: &str, inode: u64) -> LockHolder {
    for line in locks.lines() {
        let mut words = line.split_whitespace().skip(1);
        if words.next() != Some("FLOCK") {
            continue;
        }
        let mut words = words.skip(2);
        let (process, file) = (words.next(), words.next());
        let number = file
            .and_then(|file| file.rsplit(':').next())
            .and_then(|number| number.parse::<u64>().ok());
        if number == Some(inode) {
            // Of a process in another container the number is not shown.
            let process = process.and_then(|process| process.parse().ok());
            return LockHolder::Process(process.filter(|process| *process != 0));
        }
    }
    LockHolder::Nobody
}

#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl VfsLock for OsLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_in_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:55 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 fe:00:66 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 9 fe:00:77 0 EOF\n";
        assert_eq!(holder_in(locks, 66), LockHolder::Process(Some(4711)));
        assert_eq!(holder_in(locks, 55), LockHolder::Nobody);
        assert_eq!(holder_in(locks, 77), LockHolder::Nobody);
    }

    #[test]
    fn a_lock_is_seen_while_it_is_held() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("LOCK");
        assert_eq!(OsVfs.lock_holder(&path).unwrap(), LockHolder::Nobody);
        let lock = OsVfs.lock(&path).unwrap().unwrap();
        let seen = OsVfs.lock_holder(&path).unwrap();
        assert!(
            matches!(seen, LockHolder::Process(_) | LockHolder::Unknown),
            "{seen:?}"
        );
        drop(lock);
        let seen = OsVfs.lock_holder(&path).unwrap();
        assert!(
            matches!(seen, LockHolder::Nobody | LockHolder::Unknown),
            "{seen:?}"
        );
    }
}
