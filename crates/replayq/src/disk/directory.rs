//! The directory of a queue: whether it is where it was, and what is removed from it.

use std::path::Path;

use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::control;
use crate::format::segment::head::{HEAD_BYTES, HeadState, SegmentHeader};
use crate::format::segment::key::{self, QueueUuid, SegmentKey};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::vfs::{self, OpenMode, Vfs};

/// Checks now and then that the directory is where it was: what is written to one that was moved or
/// removed is lost.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Calls so far, from zero on: at every 64th the directory is looked for.
    calls: AtomicU32,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            calls: AtomicU32::new(1),
        }
    }
}

impl Watch {
    /// Makes sure, at some of the calls, that the directory is where it was. Where it is not, every
    /// call says so until it is there again.
    pub(crate) fn glance(&self, vfs: &dyn Vfs, directory: &Path) -> Result<(), IoFailure> {
        const EVERY: u32 = 64;
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if !calls.is_multiple_of(EVERY) {
            return Ok(());
        }
        let checked = vfs.check_directory(directory).context("find", directory);
        if checked.is_err() {
            self.calls.store(0, Ordering::Relaxed);
        }
        checked
    }
}

/// Removes all files of the queue in the directory, by their exact names; those of others, and what
/// was put aside, stay.
pub(crate) fn remove_files(
    vfs: &dyn Vfs,
    directory: &Path,
    uuid: Option<QueueUuid>,
) -> Result<(), IoFailure> {
    let entries = match vfs.list(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context("list", directory)?,
    };
    let mut segments = Vec::new();
    let mut controls = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.is_file) {
        let path = directory.join(&entry.name);
        if entry.name == control::FILE_NAME || entry.name == control::NEW_FILE_NAME {
            controls.push(path);
        } else if entry.name == key::NEW_FILE_NAME
            || SegmentKey::parse(&entry.name).is_some() && !is_of_another(vfs, &path, uuid)?
        {
            segments.push(path);
        }
    }
    // What is done is said in the control file, so that goes last: of a removal that a crash cut
    // short nothing comes back that was acked.
    for path in segments.iter().chain(&controls) {
        remove_file(vfs, path)?;
    }
    Ok(())
}

/// Returns whether a segment file names another queue than this one.
fn is_of_another(vfs: &dyn Vfs, path: &Path, uuid: Option<QueueUuid>) -> Result<bool, IoFailure> {
    let file = match vfs::uninterrupted(|| vfs.open(path, OpenMode::Read)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.context("open", path)?,
    };
    let bytes = field::narrow(HEAD_BYTES);
    let mut head = Vec::with_capacity(bytes);
    // One that cannot be read is the queue's own, as far as anybody can say.
    let _ = vfs::read_full_at(&*file, &mut head, bytes, 0);
    Ok(match SegmentHeader::decode(&head) {
        HeadState::Valid(header) => uuid.is_some_and(|uuid| header.uuid != uuid),
        HeadState::Other(_) => true,
        HeadState::Invalid => false,
    })
}

/// Removes a file; one that is gone is no error.
pub(crate) fn remove_file(vfs: &dyn Vfs, path: &Path) -> Result<(), IoFailure> {
    match vfs.remove(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.context("remove", path),
    }
}
