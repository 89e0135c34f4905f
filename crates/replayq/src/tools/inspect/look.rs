//! One look: the segments first, then the control file, so that what leaves the queue meanwhile is known to be done.

use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::damage::Damage;
use crate::disk::LOCK_NAME;
use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::control::commit::open_of;
use crate::format::control::header::{self, HeaderState};
use crate::format::control::{self, Found};
use crate::format::segment::head::{self, HEAD_BYTES, HeadState, Seal, SegmentHeader};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::Payloads;
use crate::ids::ItemId;
use crate::vfs::{self, DirectoryEntry, LockHolder, OpenMode, Vfs};

use super::draft::Draft;
use super::segment::{Candidate, Reading};
use super::view::{CommitView, Inspection, OtherFile, Owner, SegmentState, SegmentView};
use super::{Depth, InspectError, ItemState, StoredItem};

/// Looks at a directory once. One that is held by the caller does not change meanwhile, although somebody has the lock.
pub(super) fn look(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    depth: Depth,
    is_held: bool,
    each: &mut dyn FnMut(StoredItem) -> ControlFlow<()>,
) -> Result<Inspection, InspectError> {
    let directory = vfs.canonical_directory(path).context("open", path)?;
    let owner_before = owner(&**vfs, &directory);
    let entries = vfs.list(&directory).context("list", &directory)?;
    let mut segments = find_segments(&**vfs, &directory, &entries)?;
    let found = Found::read(&**vfs, &directory, OpenMode::Read)?;
    if found.is_none() && segments.is_empty() {
        return Err(InspectError::NotAQueue { path: directory });
    }
    if let Some(HeaderState::Newer(version)) = found.as_ref().map(|found| found.header) {
        return Err(InspectError::NewerFormat {
            path: directory.join(control::FILE_NAME),
            found: version,
            known: header::VERSION,
        });
    }
    let uuid = identify(found.as_ref(), &segments);
    for segment in &mut segments {
        segment.seal = Seal::decode(&segment.head, uuid, segment.key)
            .filter(|seal| seal.end <= segment.file_bytes && seal.last_id < segment.limit_id);
    }
    let mut draft = Draft::new(found.as_ref(), uuid);
    let is_control_sound = found
        .as_ref()
        .is_some_and(|found| !found.is_cut && matches!(found.header, HeaderState::Valid(_)));
    if !is_control_sound {
        draft.damage.push(Damage::Control);
    }
    let mut inspection = Inspection {
        uuid: format!("{uuid:?}"),
        format_version: match found.as_ref().map(|found| found.header) {
            Some(HeaderState::Valid(header)) => header.version,
            _ => header::VERSION,
        },
        owner: owner(&**vfs, &directory),
        commit: found.as_ref().and_then(|found| {
            let commit = found.newest(uuid)?;
            Some(CommitView {
                sequence: commit.sequence,
                next_id: ItemId(commit.next_id),
                tag: commit.tag.clone(),
            })
        }),
        done_through: ItemId(draft.acks.through()),
        done_beyond: draft
            .acks
            .beyond()
            .iter()
            .filter_map(|(first, last)| crate::ids::ItemRange::new(ItemId(first), ItemId(last)))
            .collect(),
        open_items: 0,
        open_bytes: 0,
        segments: Vec::with_capacity(segments.len()),
        leases: Vec::new(),
        damage: Vec::new(),
        others: others(&entries),
        disk_bytes: entries.iter().map(|entry| entry.bytes).sum(),
        directory,
    };
    // All leases must be known before the first item is shown.
    let quick: Vec<Reading> = segments
        .iter()
        .map(|segment| {
            find_leases(&**vfs, segment, uuid, &mut draft)
                .context("read", &inspection.directory.join(segment.key.file_name()))
        })
        .collect::<Result<_, IoFailure>>()?;
    if let Some(commit) = &inspection.commit {
        let last = segments.iter().zip(&quick).map(|(segment, quick)| {
            let sealed = segment.seal.as_ref().map_or(0, |seal| seal.last_id);
            let before = segment.key.first_id.saturating_sub(1);
            sealed.max(quick.last_id.unwrap_or(0)).max(before)
        });
        draft.note_reserved(last.max().unwrap_or(0), commit.next_id.0);
    }
    let mut previous_last = None;
    let count = segments.len();
    let is_over = Cell::new(false);
    let mut each = |item: StoredItem| {
        let flow = each(item);
        is_over.set(flow.is_break());
        flow
    };
    for (index, (segment, quick)) in segments.iter().zip(quick).enumerate() {
        let is_last = index.saturating_add(1) == count;
        let view = look_at(
            &**vfs,
            segment,
            uuid,
            depth,
            is_last,
            quick,
            &mut draft,
            &mut previous_last,
            &mut each,
        )
        .context("read", &inspection.directory.join(segment.key.file_name()))?;
        inspection.open_items = inspection.open_items.saturating_add(view.open_items);
        inspection.open_bytes = inspection.open_bytes.saturating_add(view.open_bytes);
        inspection.segments.push(view);
        if is_over.get() {
            break;
        }
    }
    let is_in_use = |owner: Owner| matches!(owner, Owner::Process(_));
    let is_still = is_held || !is_in_use(owner_before) && !is_in_use(inspection.owner);
    if let Some(commit) = &inspection.commit
        && is_still
        && !is_over.get()
        && found.is_some_and(|found| found.damaged_commits == 0)
    {
        // In a queue that grows meanwhile, the commit may be younger than the list of segments.
        let after = previous_last.unwrap_or(0).max(draft.acks.through());
        let next_id = commit.next_id.0;
        draft.note_missing(after, next_id.saturating_sub(1), next_id);
    }
    inspection.leases = draft.leases();
    inspection.damage = draft.damage;
    Ok(inspection)
}

fn find_segments(
    vfs: &dyn Vfs,
    directory: &Path,
    entries: &[DirectoryEntry],
) -> Result<Vec<Candidate>, InspectError> {
    let mut segments: Vec<Candidate> = Vec::new();
    for entry in entries {
        let Some(key) = SegmentKey::parse(&entry.name) else {
            continue;
        };
        let path = directory.join(&entry.name);
        let file = match vfs::uninterrupted(|| vfs.open(&path, OpenMode::Read)) {
            Ok(file) => file,
            // Its items were done between the listing and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(IoFailure::new("open", &path, error).into()),
        };
        let mut head = Vec::with_capacity(field::narrow(HEAD_BYTES));
        vfs::read_full_at(&*file, &mut head, field::narrow(HEAD_BYTES), 0)
            .context("read", &path)?;
        let header = match SegmentHeader::decode(&head) {
            HeadState::Valid(header) => Some(header),
            HeadState::Newer(version) => {
                return Err(InspectError::NewerFormat {
                    path,
                    found: version,
                    known: head::VERSION,
                });
            }
            HeadState::Invalid => None,
        };
        segments.push(Candidate {
            key,
            path,
            head,
            file_bytes: entry.bytes,
            header,
            seal: None,
            limit_id: u64::MAX,
        });
    }
    segments.sort_unstable_by_key(|segment| segment.key);
    let firsts: Vec<u64> = segments
        .iter()
        .skip(1)
        .map(|next| next.key.first_id)
        .collect();
    for (segment, next) in segments.iter_mut().zip(firsts) {
        segment.limit_id = next;
    }
    Ok(segments)
}

/// Whose queue this is: as opening it decides.
fn identify(found: Option<&Found>, segments: &[Candidate]) -> QueueUuid {
    if let Some(found) = found {
        if let HeaderState::Valid(header) = found.header {
            return header.uuid;
        }
        if let Some((uuid, _)) = found.commits.iter().flatten().next() {
            return *uuid;
        }
    }
    let mut votes: Vec<QueueUuid> = segments
        .iter()
        .filter_map(|segment| segment.header.map(|header| header.uuid))
        .collect();
    votes.sort_unstable();
    votes
        .chunk_by(|left, right| left == right)
        .max_by_key(|same| same.len())
        .and_then(|same| same.first())
        .copied()
        .unwrap_or(QueueUuid([0; 16]))
}

fn owner(vfs: &dyn Vfs, directory: &Path) -> Owner {
    match vfs.lock_holder(&directory.join(LOCK_NAME)) {
        Ok(LockHolder::Nobody) => Owner::Nobody,
        Ok(LockHolder::Process(number)) => Owner::Process(number),
        _ => Owner::Unknown,
    }
}

fn others(entries: &[DirectoryEntry]) -> Vec<OtherFile> {
    let mut others: Vec<OtherFile> = entries
        .iter()
        .filter(|entry| {
            entry.name != control::FILE_NAME
                && entry.name != LOCK_NAME
                && SegmentKey::parse(&entry.name).is_none()
        })
        .map(|entry| OtherFile {
            file: entry.name.clone(),
            file_bytes: entry.bytes,
            is_put_aside: entry.name.ends_with(".damaged") || entry.name.ends_with(".foreign"),
        })
        .collect();
    others.sort_unstable_by(|left, right| left.file.cmp(&right.file));
    others
}

fn is_foreign(segment: &Candidate, uuid: QueueUuid) -> bool {
    segment.header.is_some_and(|header| header.uuid != uuid)
}

/// A header of the file's earlier use: it was renamed, and nothing in it is of the new use yet.
fn is_stale(segment: &Candidate) -> bool {
    segment
        .header
        .is_some_and(|header| header.key != segment.key)
}

/// Finds the leases in a segment: by its seal, or by reading it all.
fn find_leases(
    vfs: &dyn Vfs,
    segment: &Candidate,
    uuid: QueueUuid,
    draft: &mut Draft,
) -> io::Result<Reading> {
    if is_foreign(segment, uuid) || is_stale(segment) {
        return Ok(Reading::default());
    }
    let reading = match &segment.seal {
        Some(seal) => Reading {
            items: seal.items,
            last_id: (seal.items > 0).then_some(seal.last_id),
            end: seal.end,
            leases: segment.sealed_leases(vfs, uuid, seal)?,
            ..Reading::default()
        },
        None => segment.read(vfs, uuid, Payloads::Verify, &mut |_, _, _, _| {
            ControlFlow::Continue(())
        })?,
    };
    for lease in &reading.leases {
        draft.add_lease(lease.clone(), segment.key.file_name());
    }
    Ok(reading)
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of a look, with all that it fills"
)]
fn look_at(
    vfs: &dyn Vfs,
    segment: &Candidate,
    uuid: QueueUuid,
    depth: Depth,
    is_last: bool,
    quick: Reading,
    draft: &mut Draft,
    previous_last: &mut Option<u64>,
    each: &mut dyn FnMut(StoredItem) -> ControlFlow<()>,
) -> io::Result<SegmentView> {
    let key = segment.key;
    let file: Arc<str> = key.file_name().into();
    let mut view = SegmentView {
        file: file.to_string(),
        first_id: ItemId(key.first_id),
        last_id: None,
        state: SegmentState::Foreign,
        items: 0,
        open_items: 0,
        open_bytes: 0,
        end: HEAD_BYTES,
        file_bytes: segment.file_bytes,
        torn_bytes: 0,
        damage: 0,
    };
    if is_foreign(segment, uuid) {
        draft.damage.push(Damage::Foreign {
            file: view.file.clone(),
        });
        view.damage = 1;
        return Ok(view);
    }
    let before = draft.damage.len();
    let (reading, open) = match segment.seal.as_ref().filter(|_| depth == Depth::Summaries) {
        Some(seal) if draft.acks.covers(key.first_id, seal.last_id) => (quick, (0, 0)),
        Some(seal) if !draft.acks.touches(key.first_id, seal.last_id) => {
            (quick, (seal.items, seal.payload_bytes))
        }
        Some(seal) => match open_of(&draft.partly_done, key, seal) {
            Some(open) => (quick, (open.items, open.bytes)),
            None => {
                let (_, open) = read(
                    vfs,
                    segment,
                    uuid,
                    Payloads::Skip,
                    draft,
                    &file,
                    &mut |_| ControlFlow::Continue(()),
                )?;
                (quick, open)
            }
        },
        None if is_stale(segment) => (quick, (0, 0)),
        None => read(vfs, segment, uuid, Payloads::Verify, draft, &file, each)?,
    };
    let previous_id = segment
        .header
        .filter(|header| header.key == key)
        .map_or(key.first_id.saturating_sub(1), |header| header.previous_id);
    let after = previous_last.unwrap_or(draft.acks.through());
    draft.note_missing(after, previous_id, key.first_id);
    let highest = segment
        .seal
        .as_ref()
        .map(|seal| seal.last_id)
        .into_iter()
        .chain(reading.last_id)
        .max();
    *previous_last = Some(highest.unwrap_or(0).max(key.first_id.saturating_sub(1)));
    if segment.header.is_none() && reading.items > 0 {
        draft.damage.push(Damage::SegmentHeader {
            file: view.file.clone(),
        });
    }
    draft.damage.extend(reading.damage);
    let is_done = highest.is_some_and(|last| draft.acks.covers(key.first_id, last));
    view.last_id = reading.last_id.map(ItemId);
    view.items = reading.items;
    (view.open_items, view.open_bytes) = open;
    view.end = reading.end;
    view.torn_bytes = reading.torn_bytes;
    view.damage = field::wide(draft.damage.len().saturating_sub(before));
    view.state = match &segment.seal {
        Some(_) if is_done => SegmentState::Done,
        Some(_) => SegmentState::Sealed,
        None if is_last => SegmentState::Filling,
        None if is_done => SegmentState::Done,
        None => SegmentState::Cut,
    };
    Ok(view)
}

/// Reads a segment and shows its items; also counts those that are open, and their bytes.
fn read(
    vfs: &dyn Vfs,
    segment: &Candidate,
    uuid: QueueUuid,
    payloads: Payloads,
    draft: &Draft,
    file: &Arc<str>,
    each: &mut dyn FnMut(StoredItem) -> ControlFlow<()>,
) -> io::Result<(Reading, (u64, u64))> {
    let (mut items, mut bytes) = (0_u64, 0_u64);
    let reading = segment.read(
        vfs,
        uuid,
        payloads,
        &mut |id, payload_bytes, payload, position| {
            let state = draft.state(id);
            if state != ItemState::Done {
                items = items.saturating_add(1);
                bytes = bytes.saturating_add(payload_bytes);
            }
            each(StoredItem {
                id: ItemId(id),
                payload,
                state,
                file: Arc::clone(file),
                position,
            })
        },
    )?;
    Ok((reading, (items, bytes)))
}
