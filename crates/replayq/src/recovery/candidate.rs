//! The segment files of a directory, as they are found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::{Damage, Recovery};
use crate::disk::aside;
use crate::error::{IoContext, IoFailure, OpenError};
use crate::field;
use crate::format::control::Found;
use crate::format::control::header::HeaderState;
use crate::format::segment::head::{self, HEAD_BYTES, HeadState, SegmentHeader};
use crate::format::segment::key::{NEW_FILE_NAME, QueueUuid, SegmentKey};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// A segment file as it was found. It is opened while it is looked into only: there may be more of them than descriptors.
pub(super) struct Candidate {
    pub(super) key: SegmentKey,
    path: PathBuf,
    pub(super) head: Vec<u8>,
    pub(super) header: Option<SegmentHeader>,
    pub(super) file_bytes: u64,
}

impl Candidate {
    /// Opens the file, for reading and writing.
    pub(super) fn open(&self, vfs: &dyn Vfs) -> Result<Arc<dyn VfsFile>, IoFailure> {
        vfs::uninterrupted(|| vfs.open(&self.path, OpenMode::Write)).context("open", &self.path)
    }

    /// Whether the content may be of the use that the name says. A file whose header is still that of its earlier use was renamed, but nothing in it is of the new use.
    pub(super) fn is_own(&self) -> bool {
        self.header.is_none_or(|header| header.key == self.key)
    }
}

/// All segment files, in the order of their keys.
pub(super) fn find_segments(vfs: &dyn Vfs, directory: &Path) -> Result<Vec<Candidate>, OpenError> {
    let mut candidates = Vec::new();
    for entry in vfs.list(directory).context("list", directory)? {
        let path = directory.join(&entry.name);
        if entry.name == NEW_FILE_NAME {
            // A copy that a crash has cut short: it only takes space.
            let _ = vfs.remove(&path);
        }
        let Some(key) = SegmentKey::parse(&entry.name) else {
            continue;
        };
        let file =
            vfs::uninterrupted(|| vfs.open(&path, OpenMode::Write)).context("open", &path)?;
        let mut head = Vec::with_capacity(field::narrow(HEAD_BYTES));
        vfs::read_full_at(&*file, &mut head, field::narrow(HEAD_BYTES), 0)
            .context("read", &path)?;
        let header = match SegmentHeader::decode(&head) {
            HeadState::Valid(header) => Some(header),
            HeadState::Newer(version) => {
                return Err(OpenError::NewerFormat {
                    path,
                    found: version,
                    known: head::VERSION,
                });
            }
            HeadState::Invalid => None,
        };
        candidates.push(Candidate {
            key,
            path,
            head,
            header,
            file_bytes: entry.bytes,
        });
    }
    candidates.sort_unstable_by_key(|candidate| candidate.key);
    Ok(candidates)
}

/// Whose queue this is: by the control file's header, else by its commits, else by what most segments say, else nobody's yet.
pub(super) fn identify(
    vfs: &dyn Vfs,
    found: Option<&Found>,
    candidates: &[Candidate],
) -> std::io::Result<QueueUuid> {
    if let Some(found) = found {
        if let HeaderState::Valid(header) = found.header {
            return Ok(header.uuid);
        }
        if let Some((uuid, _)) = found.commits.iter().flatten().next() {
            return Ok(*uuid);
        }
    }
    let mut votes: Vec<QueueUuid> = candidates
        .iter()
        .filter_map(|candidate| candidate.header.map(|header| header.uuid))
        .collect();
    votes.sort_unstable();
    match votes
        .chunk_by(|left, right| left == right)
        .max_by_key(|same| same.len())
        .and_then(|same| same.first())
    {
        Some(uuid) => Ok(*uuid),
        None => vfs.random().map(QueueUuid),
    }
}

/// Renames the segments of other queues.
pub(super) fn put_foreign_aside(
    vfs: &dyn Vfs,
    directory: &Path,
    uuid: QueueUuid,
    candidates: &mut Vec<Candidate>,
    recovery: &mut Recovery,
) -> Result<(), IoFailure> {
    let (ours, foreign): (Vec<_>, Vec<_>) = std::mem::take(candidates)
        .into_iter()
        .partition(|candidate| candidate.header.is_none_or(|header| header.uuid == uuid));
    *candidates = ours;
    for candidate in foreign {
        let path = directory.join(candidate.key.file_name());
        vfs.rename(&path, &aside(&path, "foreign"))
            .context("put aside", &path)?;
        recovery.damage.push(Damage::Foreign {
            file: candidate.key.file_name(),
        });
    }
    Ok(())
}
