//! One look at a queue's directory, for opening, inspecting and repairing alike: which files there
//! are, of which version, whose they are, and what they can be taken for. Nothing is changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::control::commit::Commit;
use crate::format::control::header::{self, HeaderState};
use crate::format::control::{self, Found};
use crate::format::segment::entry::Kind;
use crate::format::segment::generations::Generations;
use crate::format::segment::head::{self, HEAD_BYTES, HeadState, Seal, SegmentHeader};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::{Payloads, Step, Walk};
use crate::ids::acks::Acks;
use crate::ids::{ItemId, ItemRange};
use crate::vfs::{self, DirectoryEntry, OpenMode, Vfs, VfsFile};

/// Heads that are kept in memory between the first look and the second one. Those of further
/// segments are read twice: memory must not grow with their number.
const MOST_KEPT_HEADS: usize = 256;
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// Why a directory could not be scanned.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// A file has another format version than is known here.
    Format {
        path: PathBuf,
        found: u16,
        known: u16,
    },
    Io(IoFailure),
}

impl From<IoFailure> for ScanError {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

/// The files of a directory, all of this version; whose they are is not known yet.
#[derive(Debug)]
pub(crate) struct Listing {
    control: Option<Found>,
    segments: Vec<Candidate>,
    others: Vec<DirectoryEntry>,
    disk_bytes: u64,
}

/// The files of a directory, and whose they are.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The control file.
    pub(crate) control: Option<Found>,
    /// The queue's identity; `None` where no file names one.
    pub(crate) uuid: Option<QueueUuid>,
    /// In the order of their keys, those of others too.
    pub(crate) segments: Vec<Candidate>,
    /// All other files.
    pub(crate) others: Vec<DirectoryEntry>,
    /// Bytes of all files.
    pub(crate) disk_bytes: u64,
}

/// A file with the name of a segment. It is opened while it is looked into only: there may be more
/// of them than descriptors.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) key: SegmentKey,
    pub(crate) file_bytes: u64,
    is_file: bool,
    header: Option<SegmentHeader>,
    head: Option<Box<[u8]>>,
}

/// The class of a file with the name of a segment.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Judgement {
    /// The segment that its name says.
    Own,
    /// Nothing in it is the queue's: a file that was being made or used again when a crash came.
    Empty,
    /// Nothing can be made out in it, although items must have been there.
    Ruined,
    /// Of another queue, or of a copy of this one.
    Foreign,
    /// Another segment of this queue, with items that are not done.
    Misnamed(SegmentKey, ItemRange),
    /// A directory, a link, a pipe.
    NoFile,
}

impl Listing {
    /// Looks at all files.
    pub(crate) fn read(vfs: &dyn Vfs, directory: &Path, mode: OpenMode) -> Result<Self, ScanError> {
        let entries = vfs.list(directory).context("list", directory)?;
        let mut listing = Self {
            control: None,
            segments: Vec::new(),
            others: Vec::new(),
            disk_bytes: 0,
        };
        for entry in entries {
            listing.disk_bytes = listing.disk_bytes.saturating_add(entry.bytes);
            match SegmentKey::parse(&entry.name) {
                Some(key) => listing.add_segment(vfs, directory, key, &entry)?,
                None if entry.name == control::FILE_NAME => {}
                None => listing.others.push(entry),
            }
        }
        listing.segments.sort_unstable_by_key(|segment| segment.key);
        // After the segments, so that what leaves the queue meanwhile is known to be done.
        listing.control = Found::read(vfs, directory, mode)?;
        if let Some(HeaderState::Other(found)) = listing.control.as_ref().map(|found| found.header)
        {
            return Err(ScanError::Format {
                path: directory.join(control::FILE_NAME),
                found,
                known: header::VERSION,
            });
        }
        Ok(listing)
    }

    fn add_segment(
        &mut self,
        vfs: &dyn Vfs,
        directory: &Path,
        key: SegmentKey,
        entry: &DirectoryEntry,
    ) -> Result<(), ScanError> {
        let mut candidate = Candidate {
            key,
            file_bytes: entry.bytes,
            is_file: entry.is_file,
            header: None,
            head: None,
        };
        if entry.is_file {
            let path = candidate.path(directory);
            let head = match candidate.open(vfs, directory, OpenMode::Read) {
                Ok(file) => read_head(&*file).context("read", &path)?,
                // Its items were done between the listing and now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(IoFailure::new("open", &path, error).into()),
            };
            match SegmentHeader::decode(&head) {
                HeadState::Valid(header) => candidate.header = Some(header),
                HeadState::Other(found) => {
                    return Err(ScanError::Format {
                        path,
                        found,
                        known: head::VERSION,
                    });
                }
                HeadState::Invalid => {}
            }
            candidate.head = (self.segments.len() < MOST_KEPT_HEADS).then(|| head.into());
        }
        self.segments.push(candidate);
        Ok(())
    }

    /// Finds out whose queue this is: by the control file's header, else by its commits, else by
    /// what most segments say.
    pub(crate) fn identify(self) -> Scan {
        let by_control = self.control.as_ref().and_then(|found| match found.header {
            HeaderState::Valid(header) => Some(header.uuid),
            _ => found.commits.iter().flatten().next().map(|(uuid, _)| *uuid),
        });
        let uuid = by_control.or_else(|| {
            let headers = self.segments.iter().filter_map(|segment| segment.header);
            let mut votes: Vec<QueueUuid> = headers.map(|header| header.uuid).collect();
            votes.sort_unstable();
            let same = votes.chunk_by(|left, right| left == right);
            same.max_by_key(|same| same.len())?.first().copied()
        });
        Scan {
            control: self.control,
            uuid,
            segments: self.segments,
            others: self.others,
            disk_bytes: self.disk_bytes,
        }
    }
}

impl Scan {
    /// The newest commit; none if none is left.
    pub(crate) fn commit(&self) -> Option<&Commit> {
        self.control.as_ref()?.newest(self.uuid?)
    }

    /// Returns whether a commit record is damaged, which may have been the newest.
    pub(crate) fn is_commit_lost(&self) -> bool {
        let found = self.control.as_ref();
        found.is_some_and(|found| found.damaged_commits > 0)
    }

    /// Returns whether the control file says what it should; with segments, its absence is no such
    /// state.
    pub(crate) fn is_control_sound(&self) -> bool {
        self.control.as_ref().is_some_and(|found| {
            !found.is_cut
                && matches!(found.header, HeaderState::Valid(header) if Some(header.uuid) == self.uuid)
        })
    }

    /// Classifies a file with the name of a segment. It is read where its header does not say.
    pub(crate) fn judge(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        candidate: &Candidate,
    ) -> Result<Judgement, IoFailure> {
        let Some(uuid) = self.uuid else {
            return Ok(Judgement::Own);
        };
        if !candidate.is_file {
            return Ok(Judgement::NoFile);
        }
        // A lost commit may have named a later run.
        let generations = self.commit().filter(|_| !self.is_commit_lost());
        let admits = |generations: &Generations| generations.admits(candidate.key.generation);
        let is_admitted = generations.is_none_or(|commit| admits(&commit.generations));
        let path = candidate.path(directory);
        match candidate.header {
            Some(header) if header.uuid != uuid || !is_admitted => Ok(Judgement::Foreign),
            Some(header) if header.key == candidate.key => Ok(Judgement::Own),
            Some(header) => {
                let empty = Acks::default();
                let acks = self.commit().map_or(&empty, |commit| &commit.acks);
                let open = candidate
                    .first_open(vfs, directory, uuid, header.key, acks)
                    .context("read", &path)?;
                Ok(open.map_or(Judgement::Empty, |ids| Judgement::Misnamed(header.key, ids)))
            }
            None => {
                let is_there = candidate
                    .has_entry(vfs, directory, uuid)
                    .context("read", &path)?;
                let next_id = self.commit().map_or(0, |commit| commit.next_id);
                Ok(match is_there {
                    true if is_admitted => Judgement::Own,
                    true => Judgement::Foreign,
                    // Ids from there on were never used when the commit was written: a crash came
                    // before the file had its header.
                    false if candidate.key.first_id >= next_id => Judgement::Empty,
                    false => Judgement::Ruined,
                })
            }
        }
    }
}

impl Candidate {
    /// The header, if it is that of the segment that the name says.
    pub(crate) fn header(&self) -> Option<SegmentHeader> {
        self.header.filter(|header| header.key == self.key)
    }

    /// The same file under the name that its header says.
    pub(crate) fn renamed(self) -> Self {
        Self {
            key: self.header.map_or(self.key, |header| header.key),
            ..self
        }
    }

    pub(crate) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.key.file_name())
    }

    /// Opens the file.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn open(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        mode: OpenMode,
    ) -> io::Result<Arc<dyn VfsFile>> {
        vfs::uninterrupted(|| vfs.open(&self.path(directory), mode))
    }

    /// The seal, if there is one that validates.
    pub(crate) fn seal(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        uuid: QueueUuid,
    ) -> io::Result<Option<Seal>> {
        self.seal_of(vfs, directory, uuid, self.key)
    }

    fn seal_of(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        uuid: QueueUuid,
        key: SegmentKey,
    ) -> io::Result<Option<Seal>> {
        Ok(match &self.head {
            Some(head) => Seal::decode(head, uuid, key),
            None => {
                let file = self.open(vfs, directory, OpenMode::Read)?;
                Seal::decode(&read_head(&*file)?, uuid, key)
            }
        })
    }

    fn walk(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        uuid: QueueUuid,
        key: SegmentKey,
    ) -> io::Result<Walk> {
        let file = self.open(vfs, directory, OpenMode::Read)?;
        Ok(Walk::new(
            file,
            key.seed(uuid),
            Payloads::Check,
            key.first_id,
            u64::MAX,
            self.file_bytes,
            READ_BYTES,
        ))
    }

    /// Returns whether any entry in it is of the segment that its name says.
    fn has_entry(&self, vfs: &dyn Vfs, directory: &Path, uuid: QueueUuid) -> io::Result<bool> {
        if self.seal(vfs, directory, uuid)?.is_some() {
            return Ok(true);
        }
        if self.file_bytes <= HEAD_BYTES {
            return Ok(false);
        }
        let mut walk = self.walk(vfs, directory, uuid, self.key)?;
        Ok(!matches!(walk.step()?, Step::End))
    }

    /// The ids in it that are not done, from the first to the last, read as the segment with that
    /// key.
    fn first_open(
        &self,
        vfs: &dyn Vfs,
        directory: &Path,
        uuid: QueueUuid,
        key: SegmentKey,
        acks: &Acks,
    ) -> io::Result<Option<ItemRange>> {
        if let Some(seal) = self.seal_of(vfs, directory, uuid, key)?
            && acks.covers(key.first_id, seal.last_id)
        {
            return Ok(None);
        }
        let mut walk = self.walk(vfs, directory, uuid, key)?;
        let mut open: Option<ItemRange> = None;
        loop {
            match walk.step()? {
                Step::End => return Ok(open),
                Step::Entry(found)
                    if found.header.kind == Kind::Item
                        && !found.is_damaged
                        && !acks.contains(found.header.id) =>
                {
                    let id = ItemId(found.header.id);
                    let first = open.map_or(id, |ids| ids.first);
                    open = ItemRange::new(first, id);
                }
                Step::Entry(_) | Step::Garbage { .. } => {}
            }
        }
    }
}

fn read_head(file: &dyn VfsFile) -> io::Result<Vec<u8>> {
    let bytes = field::narrow(HEAD_BYTES);
    let mut head = Vec::with_capacity(bytes);
    vfs::read_full_at(file, &mut head, bytes, 0)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::front::queue::Queue;
    use crate::vfs::sim::SimVfs;

    /// 2 GiB in segments of 64 KiB are 32,768 of them: with 4 KiB of each it would be 128 MiB.
    #[test]
    fn what_is_kept_of_a_segment_does_not_grow_with_their_number() {
        const SEGMENTS: usize = 600;
        let vfs = SimVfs::new();
        let config = || {
            Config::disk("/queue")
                .segment_bytes(4096)
                .vfs(Arc::new(vfs.clone()))
        };
        let (queue, _) = Queue::open(config()).unwrap();
        for _ in 0..SEGMENTS {
            queue.append_one(vec![7; 100].into()).unwrap();
        }
        drop(queue);
        let listing = Listing::read(&vfs, Path::new("/queue"), OpenMode::Read).unwrap();
        let heads = listing.segments.iter();
        let heads = heads.filter(|segment| segment.head.is_some()).count();
        assert_eq!((listing.segments.len(), heads), (SEGMENTS, MOST_KEPT_HEADS));
        assert!(size_of::<Candidate>() <= 128);
        let (queue, recovery) = Queue::open(config()).unwrap();
        assert_eq!(recovery.items, SEGMENTS as u64);
        assert!(recovery.damage.is_empty() && queue.stats().segments >= SEGMENTS as u64);
    }
}
