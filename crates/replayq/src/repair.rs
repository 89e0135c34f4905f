//! Making a damaged directory sound again: what is whole is kept, what is damaged is put aside, what is lost is said.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Flush};
use crate::control::Found;
use crate::damage::{Damage, Recovery};
use crate::disk::{LOCK_NAME, aside};
use crate::error::{FlushError, IoContext, IoFailure, OpenError};
use crate::field;
use crate::inspect::{Depth, InspectError, Inspection, Inspector, Owner, SegmentState};
use crate::queue::Queue;
use crate::segment::entry::{self, Header, Kind};
use crate::segment::head::{
    HEAD_BYTES, HeadState, SEAL_POSITION, Seal, SegmentHeader, VERSION as SEGMENT_VERSION,
};
use crate::segment::key::{self, QueueUuid, SegmentKey};
use crate::segment::payload::PayloadSum;
use crate::segment::sums::HeaderSums;
use crate::segment::walk::{Found as Entry, Payloads, Step, Walk};
use crate::vfs::{self, OpenMode, OsVfs, Vfs, VfsFile};

/// Why a directory could not be repaired. Nothing that was sound is lost by trying.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It could not be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It could not be opened: somebody has it open, or a file operation failed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be closed again.
    #[error(transparent)]
    Close(#[from] FlushError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// What was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repair {
    /// How it was. Every [`Damage::Item`], [`Damage::Bytes`] and [`Damage::Missing`] in it names items that are lost.
    pub before: Inspection,
    /// What opening the queue found after that.
    pub recovery: Recovery,
    /// Segment files that were written anew without their damaged places; the old ones are there with the suffix `.damaged`.
    pub rewritten: Vec<String>,
    /// How it is now.
    pub after: Inspection,
}

/// Repairs a queue that nobody has open. Items keep their ids, leases their boundaries and tags. What is damaged is kept beside the queue, for
/// somebody who wants to look at it. A directory that is sound is opened and closed, and stays as it is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, Queue};
///
/// let room = tempfile::tempdir()?;
/// let directory = room.path().join("queue");
/// let (queue, _) = Queue::open(Config::disk(&directory))?;
/// queue.append(&["one".into(), "two".into()])?;
/// queue.close()?;
/// drop(queue);
///
/// // A disk forgets a bit of the first item's payload.
/// let segment = directory.join("00000000000000000001-00000000000000000001.segment");
/// let mut bytes = std::fs::read(&segment)?;
/// bytes[4096 + 24] ^= 1;
/// std::fs::write(&segment, bytes)?;
///
/// let repaired = replayq::repair(&directory)?;
/// assert_eq!(repaired.before.damage.len(), 1);
/// assert!(repaired.after.is_clean());
/// assert_eq!(repaired.after.open_items, 1);
/// # Ok(())
/// # }
/// ```
/// # Errors
/// Somebody has the queue open, there is none, or a file operation failed; then it can be tried again.
pub fn repair(directory: &Path) -> Result<Repair, RepairError> {
    repair_in(Arc::new(OsVfs), directory)
}

/// As [`repair`], through another file system.
///
/// # Errors
/// As [`repair`].
pub fn repair_in(vfs: Arc<dyn Vfs>, directory: &Path) -> Result<Repair, RepairError> {
    let inspector = Inspector::with_vfs(Arc::clone(&vfs));
    let lock_path = directory.join(LOCK_NAME);
    // A directory without a queue must not get a lock file either.
    let before = inspector.inspect(directory, Depth::EveryByte)?;
    let lock = vfs
        .lock(&lock_path)
        .context("lock", &lock_path)?
        .ok_or_else(|| OpenError::Locked {
            path: before.directory.clone(),
            holder: match before.owner {
                Owner::Process(process) => process,
                _ => None,
            },
        })?;
    let before = inspector.inspect_held(directory)?;
    let mut rewritten = Vec::new();
    let mut generation = next_generation(&*vfs, &before)?;
    for segment in &before.segments {
        let is_damaged = segment.damage > 0 && segment.state != SegmentState::Foreign;
        if let (true, Some(key)) = (
            is_damaged && has_damage_inside(&before, &segment.file),
            SegmentKey::parse(&segment.file),
        ) {
            rewrite(&vfs, &before, key, generation)?;
            generation = generation.saturating_add(1);
            rewritten.push(segment.file.clone());
        }
    }
    drop(lock);
    let (queue, recovery) = Queue::open(Config::disk(directory).vfs(vfs))?;
    queue.flush(Flush::Disk)?;
    queue.close()?;
    Ok(Repair {
        after: inspector.inspect(directory, Depth::EveryByte)?,
        before,
        recovery,
        rewritten,
    })
}

/// Whether there is damage in the file itself, not only before it.
fn has_damage_inside(inspection: &Inspection, name: &str) -> bool {
    inspection.damage.iter().any(|damage| match damage {
        Damage::Item { file, .. } | Damage::Bytes { file, .. } | Damage::SegmentHeader { file } => {
            file == name
        }
        _ => false,
    })
}

fn next_generation(vfs: &dyn Vfs, before: &Inspection) -> Result<u64, IoFailure> {
    let of_files = before
        .segments
        .iter()
        .filter_map(|segment| Some(SegmentKey::parse(&segment.file)?.generation));
    let of_commits = Found::read(vfs, &before.directory, OpenMode::Read)?
        .into_iter()
        .flat_map(|found| found.commits)
        .flatten()
        .map(|(_, commit)| commit.next_generation);
    Ok(of_files
        .chain(of_commits)
        .max()
        .unwrap_or(0)
        .saturating_add(1))
}

/// Writes the sound entries of a segment into a new one, and puts the old one aside.
fn rewrite(
    vfs: &Arc<dyn Vfs>,
    before: &Inspection,
    old: SegmentKey,
    generation: u64,
) -> Result<(), IoFailure> {
    let directory = before.directory.as_path();
    let old_path = directory.join(old.file_name());
    let new_path = directory.join(key::NEW_FILE_NAME);
    let key = SegmentKey {
        first_id: old.first_id,
        generation,
    };
    let Some(mut copy) = Copy::begin(&**vfs, before, old, key).context("read", &old_path)? else {
        return Ok(());
    };
    if let Err(error) = vfs.remove(&new_path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(IoFailure::new("remove", &new_path, error));
    }
    let target = vfs::uninterrupted(|| vfs.open(&new_path, OpenMode::Create))
        .context("create", &new_path)?;
    let items = copy.run(&*target).context("copy to", &new_path)?;
    vfs::uninterrupted(|| target.sync()).context("sync", &new_path)?;
    if items > 0 {
        // From here on the new one counts: of two with the same first item the later generation does.
        let path = directory.join(key.file_name());
        vfs.rename(&new_path, &path).context("rename", &new_path)?;
    } else {
        vfs.remove(&new_path).context("remove", &new_path)?;
    }
    vfs.rename(&old_path, &aside(&old_path, "damaged"))
        .context("put aside", &old_path)?;
    vfs.sync_directory(directory).context("sync", directory)
}

/// One segment on its way into another file.
struct Copy {
    walk: Walk,
    uuid: QueueUuid,
    key: SegmentKey,
    sums: HeaderSums,
    previous_id: u64,
    buffer: Vec<u8>,
    seal: Seal,
    written: u64,
}

impl Copy {
    fn begin(
        vfs: &dyn Vfs,
        before: &Inspection,
        old: SegmentKey,
        key: SegmentKey,
    ) -> std::io::Result<Option<Self>> {
        let Some(uuid) = QueueUuid::parse(&before.uuid) else {
            return Ok(None);
        };
        let file = vfs::uninterrupted(|| {
            vfs.open(&before.directory.join(old.file_name()), OpenMode::Read)
        })?;
        let mut head = Vec::with_capacity(field::narrow(HEAD_BYTES));
        vfs::read_full_at(&*file, &mut head, field::narrow(HEAD_BYTES), 0)?;
        let previous_id = match SegmentHeader::decode(&head) {
            HeadState::Valid(header) if header.key == old => header.previous_id,
            _ => old.first_id.saturating_sub(1),
        };
        let end = match Seal::decode(&head, uuid, old) {
            Some(seal) => seal.end.min(file.length()?),
            None => file.length()?,
        };
        let limit_id = before
            .segments
            .iter()
            .filter_map(|segment| SegmentKey::parse(&segment.file))
            .filter(|other| *other > old)
            .map(|other| other.first_id)
            .min()
            .unwrap_or(u64::MAX);
        Ok(Some(Self {
            walk: Walk::new(
                file,
                old.seed(uuid),
                Payloads::Verify,
                old.first_id,
                limit_id,
                end,
                1 << 20,
            ),
            uuid,
            key,
            sums: HeaderSums::new(key.seed(uuid)),
            previous_id,
            buffer: Vec::new(),
            seal: Seal {
                items: 0,
                payload_bytes: 0,
                last_id: old.first_id.saturating_sub(1),
                end: HEAD_BYTES,
                leases: Vec::new(),
            },
            written: HEAD_BYTES,
        }))
    }

    /// Copies; returns how many items there were.
    fn run(&mut self, target: &dyn VfsFile) -> std::io::Result<u64> {
        const PIECE_BYTES: usize = 1 << 20;
        let header = SegmentHeader {
            version: SEGMENT_VERSION,
            uuid: self.uuid,
            key: self.key,
            previous_id: self.previous_id,
        };
        vfs::write_all_at(target, &mut [IoSlice::new(&header.encode())], 0)?;
        loop {
            match self.walk.step()? {
                Step::End => break,
                Step::Garbage { .. } => {}
                Step::Entry(found) if found.is_damaged => {}
                Step::Entry(found) => self.add(&found),
            }
            if self.buffer.len() >= PIECE_BYTES {
                self.write(target)?;
            }
        }
        self.write(target)?;
        // With too many leases there is no seal: it only spares reading.
        if let Some(seal) = self.seal.encode(self.uuid, self.key) {
            vfs::write_all_at(target, &mut [IoSlice::new(&seal)], SEAL_POSITION)?;
        }
        Ok(self.seal.items)
    }

    fn add(&mut self, found: &Entry) {
        match found.header.kind {
            Kind::Void => return,
            Kind::Lease => self.seal.leases.push(self.seal.end),
            Kind::Item => {
                self.seal.items = self.seal.items.saturating_add(1);
                self.seal.payload_bytes = self
                    .seal
                    .payload_bytes
                    .saturating_add(u64::from(found.header.payload_bytes));
                self.seal.last_id = found.header.id;
            }
        }
        let header = Header {
            payload_sum: PayloadSum::of(&found.payload),
            ..found.header
        };
        let mut head = [0; entry::HEADER_BYTES];
        header.encode(&mut self.sums, &mut head);
        self.buffer.extend_from_slice(&head);
        self.buffer.extend_from_slice(&found.payload);
        self.buffer
            .extend_from_slice(entry::padding(found.payload.len()));
        self.seal.end = self.seal.end.saturating_add(header.entry_bytes());
    }

    fn write(&mut self, target: &dyn VfsFile) -> std::io::Result<()> {
        vfs::write_all_at(target, &mut [IoSlice::new(&self.buffer)], self.written)?;
        self.written = self.seal.end;
        self.buffer.clear();
        Ok(())
    }
}
