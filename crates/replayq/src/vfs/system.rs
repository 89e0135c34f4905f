//! Calls about directories, locks and the system itself.
#![expect(clippy::disallowed_methods, reason = "the seam to the disk")]

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::LockHolder;

pub(super) fn create_directory(path: &Path) -> io::Result<PathBuf> {
    reject_link(path)?;
    make_directory(path)?;
    canonical_directory(path)
}

pub(super) fn canonical_directory(path: &Path) -> io::Result<PathBuf> {
    reject_link(path)?;
    let canonical = fs::canonicalize(path)?;
    if fs::metadata(&canonical)?.is_dir() {
        Ok(canonical)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub(super) fn lock_holder(directory: &Path) -> io::Result<LockHolder> {
    let metadata = match fs::symlink_metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockHolder::Nobody),
        Err(error) => return Err(error),
    };
    // Only Linux has this list; taking the lock would get in the way of a process that is just
    // opening the queue.
    let Ok(locks) = fs::read_to_string("/proc/locks") else {
        return Ok(LockHolder::Unknown);
    };
    Ok(holder_in(&locks, metadata.ino()))
}

pub(super) fn boot_id() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

pub(super) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
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

/// Makes the directory and those above it where missing. A new one is made durable in the one
/// above: whatever is synced in it later is lost with its name.
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

/// Syncs a directory that need not be the queue's own: who may not read it, or whose file system
/// cannot do that, must live without.
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

/// The holder of a lock of the whole-file kind on that inode, by the kernel's list: `1: FLOCK
/// ADVISORY  WRITE 4711 fe:00:12345 0 EOF`. The device is left out of the comparison, since on
/// stacked file systems it is another one than the file's; an inode number that another file has
/// too is rare.
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

/// The time as of the clock's last tick, which takes a fifth of the time that the exact one takes.
#[cfg(target_os = "linux")]
pub(super) fn unix_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The time of the clock.
#[cfg(not(target_os = "linux"))]
pub(super) fn unix_time() -> Duration {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    now.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{OsVfs, Vfs};

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
        let path = room.path();
        assert_eq!(OsVfs.lock_holder(path).unwrap(), LockHolder::Nobody);
        let lock = OsVfs.lock(path).unwrap().unwrap();
        let seen = OsVfs.lock_holder(path).unwrap();
        assert!(
            matches!(seen, LockHolder::Process(_) | LockHolder::Unknown),
            "{seen:?}"
        );
        drop(lock);
        let seen = OsVfs.lock_holder(path).unwrap();
        assert!(
            matches!(seen, LockHolder::Nobody | LockHolder::Unknown),
            "{seen:?}"
        );
    }
}
