//! One look: the segments first, then the control file, so that what leaves the queue meanwhile is
//! known to be done.

use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::control::commit::open_of;
use crate::format::control::header;
use crate::format::segment::head::HEAD_BYTES;
use crate::format::segment::key::QueueUuid;
use crate::format::segment::walk::Payloads;
use crate::ids::ItemId;
use crate::put_aside::is_put_aside;
use crate::scan::{Judgement, Listing, Scan, ScanError};
use crate::vfs::{DirectoryEntry, LockHolder, OpenMode, Vfs};

use super::draft::Draft;
use super::segment::{Candidate, Reading};
use super::view::{CommitView, Inspection, OtherFile, Owner, SegmentState, SegmentView};
use super::{Depth, InspectError, ItemState, StoredItem};

/// Looks at a directory once. One that is held by the caller does not change meanwhile, although
/// the lock is held.
pub(super) fn look(
    vfs: &Arc<dyn Vfs>,
    directory: &Path,
    depth: Depth,
    is_held: bool,
    each: &mut dyn FnMut(StoredItem) -> ControlFlow<()>,
) -> Result<Inspection, InspectError> {
    let directory = directory.to_path_buf();
    let owner_before = owner(&**vfs, &directory);
    let scan = Listing::read(&**vfs, &directory, OpenMode::Read)?.identify();
    if scan.control.is_none() && scan.segments.is_empty() {
        return Err(InspectError::NotAQueue { path: directory });
    }
    let uuid = scan.uuid.unwrap_or(QueueUuid([0; 16]));
    let segments = find_segments(&**vfs, &directory, &scan, uuid)?;
    let found = scan.control.as_ref();
    let mut draft = Draft::new(found, uuid);
    if !scan.is_control_sound() {
        draft.damage.push(Damage::Control);
    }
    let mut inspection = Inspection {
        uuid: format!("{uuid:?}"),
        format_version: header::VERSION,
        owner: owner(&**vfs, &directory),
        commit: scan.commit().map(|commit| CommitView {
            sequence: commit.sequence,
            next_id: ItemId(commit.next_id),
            tag: commit.tag.clone(),
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
        others: others(&scan.others),
        disk_bytes: scan.disk_bytes,
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
    let mut own = segments.iter();
    let last_own = own.rposition(|segment| segment.judgement == Judgement::Own);
    let is_over = Cell::new(false);
    let mut each = |item: StoredItem| {
        let flow = each(item);
        is_over.set(flow.is_break());
        flow
    };
    for (index, (segment, quick)) in segments.iter().zip(quick).enumerate() {
        let is_last = Some(index) == last_own;
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
        && !scan.is_commit_lost()
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

/// The files with names of segments: ids from a segment's limit on are the next one's.
fn find_segments(
    vfs: &dyn Vfs,
    directory: &Path,
    scan: &Scan,
    uuid: QueueUuid,
) -> Result<Vec<Candidate>, IoFailure> {
    let mut segments: Vec<Candidate> = Vec::with_capacity(scan.segments.len());
    let mut limit_id = u64::MAX;
    for found in scan.segments.iter().rev() {
        let path = found.path(directory);
        let gone = |failure: &IoFailure| failure.kind() == io::ErrorKind::NotFound;
        let judgement = match scan.judge(vfs, directory, found) {
            // Its items were done meanwhile.
            Err(failure) if gone(&failure) => continue,
            judgement => judgement?,
        };
        let is_own = judgement == Judgement::Own;
        let seal = match found.seal(vfs, directory, uuid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            seal if is_own => seal.context("read", &path)?,
            _ => None,
        };
        segments.push(Candidate {
            key: found.key,
            path,
            judgement,
            file_bytes: found.file_bytes,
            header: found.header(),
            seal: seal.filter(|seal| seal.end <= found.file_bytes && seal.last_id < limit_id),
            limit_id,
        });
        if is_own {
            limit_id = found.key.first_id;
        }
    }
    segments.reverse();
    Ok(segments)
}

impl From<ScanError> for InspectError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Format { path, found, known } => Self::format(path, found, known),
            ScanError::Io(failure) => failure.into(),
        }
    }
}

fn owner(vfs: &dyn Vfs, directory: &Path) -> Owner {
    match vfs.lock_holder(directory) {
        Ok(LockHolder::Nobody) => Owner::Nobody,
        Ok(LockHolder::Process(number)) => Owner::Process(number),
        _ => Owner::Unknown,
    }
}

fn others(entries: &[DirectoryEntry]) -> Vec<OtherFile> {
    let mut others: Vec<OtherFile> = entries
        .iter()
        .filter(|entry| entry.is_file)
        .map(|entry| OtherFile {
            file: entry.name.clone(),
            file_bytes: entry.bytes,
            is_put_aside: is_put_aside(&entry.name),
        })
        .collect();
    others.sort_unstable_by(|left, right| left.file.cmp(&right.file));
    others
}

/// Finds the leases in a segment: by its seal, or by reading it all.
fn find_leases(
    vfs: &dyn Vfs,
    segment: &Candidate,
    uuid: QueueUuid,
    draft: &mut Draft,
) -> io::Result<Reading> {
    if segment.judgement != Judgement::Own {
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
        None => segment.read(vfs, uuid, Payloads::Verify, &mut |_, _, _| {
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
    let file_name = view.file.clone();
    let damage = match segment.judgement {
        Judgement::Own => None,
        Judgement::Empty | Judgement::Ruined => {
            view.state = SegmentState::Done;
            return Ok(view);
        }
        Judgement::Foreign => Some(Damage::Foreign { file: file_name }),
        Judgement::Misnamed(_, items) => Some(Damage::Misnamed {
            file: file_name,
            items,
        }),
        Judgement::NoFile => Some(Damage::NoFile { file: file_name }),
    };
    if let Some(damage) = damage {
        draft.damage.push(damage);
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
        None => read(vfs, segment, uuid, Payloads::Verify, draft, &file, each)?,
    };
    let previous_id = segment
        .header
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
    let reading = segment.read(vfs, uuid, payloads, &mut |item, payload_bytes, position| {
        let state = draft.state(item.id.0);
        if state != ItemState::Done {
            items = items.saturating_add(1);
            bytes = bytes.saturating_add(payload_bytes);
        }
        each(StoredItem {
            id: item.id,
            accepted_at: item.accepted_at(),
            payload: item.payload,
            state,
            file: Arc::clone(file),
            position,
        })
    })?;
    Ok((reading, (items, bytes)))
}
