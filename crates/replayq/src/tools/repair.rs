//! Making a damaged directory sound again: what is whole is kept, what is damaged is put aside,
//! what is lost is said.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Flush, Unreadable};
use crate::damage::{Damage, Recovery};
use crate::disk::copy::{Copy, Source};
use crate::disk::directory::remove_file;
use crate::error::{FlushError, IoContext, IoFailure, OpenError};
use crate::field;
use crate::format::control::Found;
use crate::format::segment::generations::Generations;
use crate::format::segment::head::{HEAD_BYTES, HeadState, Seal, SegmentHeader};
use crate::format::segment::key::{self, QueueUuid, SegmentKey};
use crate::front::queue::Queue;
use crate::moment::Moment;
use crate::put_aside::{Reason, put_aside};
use crate::tools::inspect::{Depth, InspectError, Inspection, Inspector, Owner, SegmentState};
use crate::vfs::{self, OpenMode, OsVfs, Salvage, Vfs};

/// Why a directory could not be repaired. Nothing that was sound is lost by trying.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It could not be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It could not be opened: it is open elsewhere, or a file operation failed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be closed again.
    #[error(transparent)]
    Close(#[from] FlushError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// The result of a repair.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repair {
    /// The queue before. Every [`Damage::Item`], [`Damage::Bytes`] and [`Damage::Missing`] in it
    /// names items that are lost.
    pub before: Inspection,
    /// Found by opening the queue after that.
    pub recovery: Recovery,
    /// Segment files that were written anew without their damaged places; the old ones are there
    /// with the suffix `.damaged`.
    pub rewritten: Vec<String>,
    /// The queue afterwards.
    pub after: Inspection,
}

/// Repairs a queue that is not open. Items keep their ids, leases their boundaries and tags.
/// Damaged files are kept beside the queue, for an examination. A directory that is sound is opened
/// and closed, and stays as it is.
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
/// The queue is open elsewhere, there is none, or a file operation failed; then it can be tried
/// again.
pub fn repair(directory: &Path) -> Result<Repair, RepairError> {
    repair_in(Arc::new(OsVfs), directory)
}

/// As [`repair`], through another file system.
///
/// # Errors
/// As [`repair`].
pub fn repair_in(vfs: Arc<dyn Vfs>, directory: &Path) -> Result<Repair, RepairError> {
    let inspector = Inspector::with_vfs(Arc::clone(&vfs));
    let before = inspector.inspect(directory, Depth::EveryByte)?;
    let anchored = vfs
        .anchor(&before.directory)
        .context("open", &before.directory)?
        .unwrap_or_else(|| Arc::clone(&vfs));
    let lock = anchored
        .lock(&before.directory)
        .context("lock", &before.directory)?
        .ok_or_else(|| OpenError::Locked {
            path: before.directory.clone(),
            holder: match before.owner {
                Owner::Process(process) => process,
                _ => None,
            },
        })?;
    let before = inspector.inspect_held(directory)?;
    let salvage: Arc<dyn Vfs> = Arc::new(Salvage::new(anchored));
    let mut rewritten = Vec::new();
    let mut generations = generations(&*salvage, &before)?;
    for segment in &before.segments {
        let is_own = segment.state != SegmentState::Foreign;
        if let (true, Some(key)) = (
            is_own && has_damage_inside(&before, &segment.file),
            SegmentKey::parse(&segment.file),
        ) {
            rewrite(&salvage, &before, key, generations.draw())?;
            rewritten.push(segment.file.clone());
        }
    }
    drop(lock);
    let (queue, recovery) = Queue::open(
        Config::disk(directory)
            .unreadable(Unreadable::Skip)
            .vfs(vfs),
    )?;
    queue.flush(Flush::Disk)?;
    queue.close()?;
    Ok(Repair {
        after: inspector.inspect(directory, Depth::EveryByte)?,
        before,
        recovery,
        rewritten,
    })
}

/// Returns whether there is damage in the file itself, not only before it.
fn has_damage_inside(inspection: &Inspection, name: &str) -> bool {
    inspection.damage.iter().any(|damage| match damage {
        Damage::Item { file, .. }
        | Damage::Bytes { file, .. }
        | Damage::Unreadable { file, .. }
        | Damage::SegmentHeader { file } => file == name,
        _ => false,
    })
}

/// The generations of the queue, as its newest commit and its segments show them.
fn generations(vfs: &dyn Vfs, before: &Inspection) -> Result<Generations, IoFailure> {
    let found = Found::read(vfs, &before.directory, OpenMode::Read)?;
    let newest = found.as_ref().and_then(|found| {
        let uuid = QueueUuid::parse(&before.uuid)?;
        Some(found.newest(uuid)?.generations.clone())
    });
    let mut generations = newest.unwrap_or_default();
    for segment in &before.segments {
        if let Some(key) = SegmentKey::parse(&segment.file) {
            generations.note(key.generation);
        }
    }
    Ok(generations)
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
    let Some(source) = source(&**vfs, before, old).context("read", &old_path)? else {
        return Ok(());
    };
    // Where it can have leases only, a later generation would hide the items of the next segment,
    // which begins with the same id.
    let has_items = source.limit_id > old.first_id;
    let generation = if has_items {
        generation
    } else {
        old.generation
    };
    let key = SegmentKey { generation, ..old };
    let mut copy = Copy::new(source, key);
    remove_file(&**vfs, &new_path)?;
    let target = vfs::uninterrupted(|| vfs.open(&new_path, OpenMode::Create))
        .context("create", &new_path)?;
    copy.run(&*target, &new_path, 0)?;
    vfs::uninterrupted(|| target.sync()).context("sync", &new_path)?;
    let keep = || put_aside(&**vfs, &old_path, Reason::Damaged).map(|_| ());
    if !has_items {
        keep()?;
    }
    if copy.seal.items > 0 || !copy.leases.is_empty() {
        // From here on the new one counts: of two with the same first item the later generation
        // does.
        let path = directory.join(key.file_name());
        vfs.rename(&new_path, &path).context("rename", &new_path)?;
    } else {
        vfs.remove(&new_path).context("remove", &new_path)?;
    }
    if has_items {
        keep()?;
    }
    vfs.sync_directory(directory).context("sync", directory)
}

/// The segment as it is found; `None` if it is unknown whose it is.
fn source(vfs: &dyn Vfs, before: &Inspection, key: SegmentKey) -> std::io::Result<Option<Source>> {
    let Some(uuid) = QueueUuid::parse(&before.uuid) else {
        return Ok(None);
    };
    let path = before.directory.join(key.file_name());
    let file = vfs::uninterrupted(|| vfs.open(&path, OpenMode::Read))?;
    let mut head = Vec::with_capacity(field::narrow(HEAD_BYTES));
    vfs::read_full_at(&*file, &mut head, field::narrow(HEAD_BYTES), 0)?;
    let (previous_id, made) = match SegmentHeader::decode(&head) {
        HeadState::Valid(header) if header.key == key => (header.previous_id, header.made),
        _ => (key.first_id.saturating_sub(1), Moment::UNKNOWN),
    };
    let end = match Seal::decode(&head, uuid, key) {
        Some(seal) => seal.end.min(file.length()?),
        None => file.length()?,
    };
    let limit_id = before
        .segments
        .iter()
        .filter_map(|segment| SegmentKey::parse(&segment.file))
        .filter(|other| *other > key)
        .map(|other| other.first_id)
        .min()
        .unwrap_or(u64::MAX);
    Ok(Some(Source {
        file,
        path,
        uuid,
        key,
        previous_id,
        made,
        limit_id,
        end,
        at_hand: BTreeMap::new(),
    }))
}
