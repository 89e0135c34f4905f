//! Opening a directory: what is there, what of it validates, what is not done yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::acks::Acks;
use crate::config::Config;
use crate::control::commit::Commit;
use crate::control::header::{self, HeaderState};
use crate::control::lease::{LeaseRecord, SlotState};
use crate::control::{Control, Found, LeaseSlot};
use crate::damage::{Damage, RecoveredLease, Recovery};
use crate::disk::{ControlState, Disk, LOCK_NAME, Settings, aside};
use crate::error::{IoContext, IoFailure, OpenError};
use crate::field;
use crate::ids::{ItemId, ItemRange};
use crate::leases::{Home, OpenLease};
use crate::ledger::{Ledger, Place};
use crate::reader::{self, Reader};
use crate::segment::entry::Kind;
use crate::segment::head::{self, HEAD_BYTES, HeadState, Seal, SegmentHeader};
use crate::segment::key::{QueueUuid, SegmentKey};
use crate::segment::walk::{Payloads, Step, Walk};
use crate::segments::Segment;
use crate::turns::Turns;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};
use crate::writer::Writer;

/// After a restart of the machine numbering goes on this far behind what was found, since items may have been lost whose ids are known elsewhere.
const ID_JUMP: u64 = 1 << 32;
/// A walk that looks at headers only reads so much at once.
const HEADER_READ_BYTES: usize = 64 << 10;

/// A segment file as it was found.
struct Candidate {
    key: SegmentKey,
    file: Arc<dyn VfsFile>,
    head: Vec<u8>,
    header: Option<SegmentHeader>,
    file_bytes: u64,
}

/// What walking through a segment brought.
#[derive(Default)]
struct Surveyed {
    items: u64,
    payload_bytes: u64,
    last_id: u64,
    end: u64,
    open_items: u64,
    open_bytes: u64,
    lowest_open: Option<u64>,
    leases: Vec<(LeaseRecord, Home)>,
    /// Ids between items that are in no entry.
    absent: Vec<(u64, u64)>,
    damage: Vec<Damage>,
    /// Something half-written follows the last entry.
    is_torn: bool,
    highest_id: u64,
}

/// Opens the directory of a disk queue.
pub(crate) fn open(config: &Config, path: &Path) -> Result<(Disk, Ledger, Recovery), OpenError> {
    let vfs = Arc::clone(&config.vfs);
    let directory = vfs
        .create_directory(path)
        .context("create the directory", path)?;
    let lock_path = directory.join(LOCK_NAME);
    let lock = vfs
        .lock(&lock_path)
        .context("lock", &lock_path)?
        .ok_or_else(|| OpenError::Locked {
            path: directory.clone(),
            holder: holder(&*vfs, &lock_path),
        })?;
    let mut recovery = Recovery::default();
    let mut ledger = Ledger::new();
    let boot_id = vfs.boot_id();

    let found = Found::read(&*vfs, &directory, OpenMode::Write)?;
    if let Some(Found {
        header: HeaderState::Newer(version),
        ..
    }) = found
    {
        return Err(OpenError::NewerFormat {
            path: directory.join("control"),
            found: version,
            known: header::VERSION,
        });
    }
    let mut candidates = find_segments(&*vfs, &directory)?;
    let uuid = identify(&*vfs, found.as_ref(), &candidates)
        .context("read random bytes for", &directory)?;
    let commit = found.as_ref().and_then(|found| found.newest(uuid)).cloned();
    if let Some(found) = &found {
        recovery
            .damage
            .extend(std::iter::repeat_n(Damage::Commit, found.damaged_commits));
    }
    if !candidates.is_empty()
        && !found.as_ref().is_some_and(
            |found| matches!(found.header, HeaderState::Valid(header) if header.uuid == uuid),
        )
    {
        recovery.damage.push(Damage::Control);
    }
    ledger.acks = commit
        .as_ref()
        .map(|commit| commit.acks.clone())
        .unwrap_or_default();
    ledger.next_id = commit.as_ref().map_or(1, |commit| commit.next_id.max(1));
    ledger.next_generation = commit
        .as_ref()
        .map_or(1, |commit| commit.next_generation.max(1));
    ledger.commit_tag = commit
        .as_ref()
        .map(|commit| commit.tag.clone())
        .unwrap_or_default();
    recovery.commit_tag = ledger.commit_tag.clone();
    put_foreign_aside(&*vfs, &directory, uuid, &mut candidates, &mut recovery)?;

    let is_synced = config.syncs();
    let mut writer = Writer::new(
        Arc::clone(&vfs),
        directory.clone(),
        uuid,
        config.segment_bytes,
        is_synced,
    );
    let mut leases: Vec<(LeaseRecord, Home)> = Vec::new();
    survey_all(
        config,
        &directory,
        uuid,
        &candidates,
        &mut ledger,
        &mut recovery,
        &mut writer,
        &mut leases,
    )?;

    let mut slots: Vec<(LeaseSlot, LeaseRecord)> = Vec::new();
    for (slot, state) in found
        .as_ref()
        .map(|found| found.leases(uuid))
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        match state {
            SlotState::Live(record) => slots.push((LeaseSlot(slot), record)),
            SlotState::Damaged => recovery.damage.push(Damage::Lease),
            SlotState::Empty => {}
        }
    }
    leases.extend(
        slots
            .iter()
            .map(|(slot, record)| (record.clone(), Home::Slot(*slot))),
    );
    let kept = restore_leases(&mut ledger, leases, &mut recovery, config, &directory, uuid)?;
    slots.retain(|(slot, _)| kept.contains(&Home::Slot(*slot)));

    // Another run of the machine: what was written last may be gone, with ids that others know.
    if commit.is_some()
        && (boot_id.is_none() || commit.as_ref().map(|commit| commit.boot_id) != boot_id)
    {
        let first = ledger.next_id;
        ledger.next_id = first.saturating_add(ID_JUMP);
        ledger.finish(first, ledger.next_id.saturating_sub(1));
    }
    let boot_id = boot_id.unwrap_or_default();
    let control = match found {
        Some(found) => match found.header {
            HeaderState::Valid(header) if header.uuid == uuid => {
                let mut control =
                    Control::resume(Arc::clone(&vfs), &directory, found, header, boot_id, &slots);
                if is_synced {
                    // What was read may not be durable yet, and from here on things are built on it.
                    control.sync()?;
                }
                Some(control)
            }
            _ => None,
        },
        None => None,
    };
    let mut control = match control {
        Some(control) => ControlState {
            file: control,
            written_version: 0,
        },
        None => {
            let sequence = commit
                .as_ref()
                .map_or(1, |commit| commit.sequence.saturating_add(1));
            let first = Commit {
                sequence,
                acks: ledger.acks.clone(),
                next_id: ledger.next_id,
                next_generation: ledger.next_generation,
                boot_id,
                tag: ledger.commit_tag.clone(),
            };
            ControlState {
                file: Control::create(
                    Arc::clone(&vfs),
                    &directory,
                    uuid,
                    boot_id,
                    &first,
                    is_synced,
                )?,
                written_version: 0,
            }
        }
    };
    ledger.version = 1;
    for key in ledger
        .segments
        .iter()
        .map(|(key, _)| key)
        .collect::<Vec<_>>()
    {
        let ledger = &mut ledger;
        ledger.segments.note_changed(&ledger.acks, key);
    }
    let settings = Settings {
        segment_bytes: config.segment_bytes,
        resident_bytes: config.resident_bytes,
        spare_segments: config.spare_segments,
        is_synced,
        max_delay: config.max_delay(),
    };
    let reader = Reader::new(Arc::clone(&vfs), directory.clone(), uuid, config.read_bytes);
    recovery
        .damage
        .iter()
        .cloned()
        .for_each(|damage| ledger.report(damage));
    let ledger = Mutex::new(ledger);
    control.written_version = 0;
    let disk = Disk {
        vfs,
        directory,
        settings,
        turns: Turns::new(),
        writer: Mutex::new(writer),
        control: Mutex::new(control),
        reader: Mutex::new(reader),
        lock: Mutex::new(Some(lock)),
    };
    match disk.commit(&ledger, 1, &[]) {
        Ok(()) | Err(crate::error::AckError::TooManyStretches { .. }) => {}
        Err(crate::error::AckError::NotDurable(failure)) => return Err(failure.into()),
        Err(_) => {}
    }
    Ok((disk, ledger.into_inner(), recovery))
}

fn holder(vfs: &dyn Vfs, path: &Path) -> Option<u32> {
    let file = vfs.open(path, OpenMode::Read).ok()?;
    let mut text = Vec::new();
    vfs::read_full_at(&*file, &mut text, 16, 0).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn find_segments(vfs: &dyn Vfs, directory: &Path) -> Result<Vec<Candidate>, OpenError> {
    let mut candidates = Vec::new();
    for entry in vfs.list(directory).context("list", directory)? {
        let Some(key) = SegmentKey::parse(&entry.name) else {
            continue;
        };
        let path = directory.join(&entry.name);
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
            file,
            head,
            header,
            file_bytes: entry.bytes,
        });
    }
    candidates.sort_unstable_by_key(|candidate| candidate.key);
    Ok(candidates)
}

/// Whose queue this is: by the control file's header, else by its commits, else by what most segments say, else nobody's yet.
fn identify(
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

fn put_foreign_aside(
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

#[expect(
    clippy::too_many_arguments,
    reason = "one step of opening, with all that it builds"
)]
fn survey_all(
    config: &Config,
    directory: &Path,
    uuid: QueueUuid,
    candidates: &[Candidate],
    ledger: &mut Ledger,
    recovery: &mut Recovery,
    writer: &mut Writer,
    leases: &mut Vec<(LeaseRecord, Home)>,
) -> Result<(), IoFailure> {
    let mut previous_last: Option<u64> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        let key = candidate.key;
        let path = directory.join(key.file_name());
        let next = candidates.get(index.saturating_add(1));
        let limit_id = next.map_or(u64::MAX, |next| next.key.first_id);
        let is_last = next.is_none();
        ledger.next_generation = ledger.next_generation.max(key.generation.saturating_add(1));
        // A file whose header is still that of its earlier use was renamed, but nothing in it is of the new use.
        let is_own = candidate.header.is_none_or(|header| header.key == key);
        let seal = if is_own {
            Seal::decode(&candidate.head, uuid, key)
                .filter(|seal| seal.end <= candidate.file_bytes && seal.last_id < limit_id)
        } else {
            None
        };
        let is_sealed = seal.is_some();
        let mut surveyed = match seal {
            Some(seal) => survey_sealed(candidate, &seal, uuid, limit_id, &ledger.acks)?,
            None if is_own => survey(
                candidate,
                uuid,
                Payloads::Verify,
                limit_id,
                candidate.file_bytes,
                &ledger.acks,
            )
            .context("read", &path)?,
            None => Surveyed {
                last_id: key.first_id.saturating_sub(1),
                end: HEAD_BYTES,
                ..Surveyed::default()
            },
        };
        if is_own && candidate.header.is_none() && surveyed.items > 0 {
            recovery.damage.push(Damage::SegmentHeader {
                file: key.file_name(),
            });
        }
        let missing_from = previous_last.unwrap_or_else(|| ledger.acks.through());
        let previous_id = candidate.header.filter(|_| is_own).map_or_else(
            || key.first_id.saturating_sub(1),
            |header| header.previous_id,
        );
        note_missing(
            ledger,
            recovery,
            missing_from,
            previous_id,
            key.first_id,
            matches!(config.storage, crate::config::Storage::Disk(_)),
        );
        previous_last = Some(surveyed.last_id.max(key.first_id.saturating_sub(1)));
        for (first, last) in &surveyed.absent {
            ledger.finish(*first, *last);
        }
        let is_damaged = !surveyed.damage.is_empty();
        recovery.damage.append(&mut surveyed.damage);
        let mut segment = Segment::new(key, previous_id, candidate.file_bytes);
        segment.last_id = surveyed.last_id;
        segment.items = surveyed.items;
        segment.payload_bytes = surveyed.payload_bytes;
        segment.end = surveyed.end;
        segment.is_damaged = is_damaged;
        segment.is_unsynced = true;
        segment.is_closed = true;
        if surveyed.open_items > 0 {
            recovery.segments = recovery.segments.saturating_add(1);
        }
        if !is_sealed && config.syncs() {
            vfs::uninterrupted(|| candidate.file.sync()).context("sync", &path)?;
        }
        let may_go_on = is_last
            && !is_sealed
            && !is_damaged
            && is_own
            && candidate.header.is_some()
            && surveyed.end < config.segment_bytes;
        if may_go_on && (!surveyed.is_torn || candidate.file.set_length(surveyed.end).is_ok()) {
            if surveyed.is_torn {
                segment.file_bytes = surveyed.end;
            }
            segment.is_closed = false;
            writer.resume(
                key,
                Arc::clone(&candidate.file),
                surveyed.end,
                segment.file_bytes,
            );
        } else if !is_sealed && !is_damaged && is_own {
            seal_late(candidate, &surveyed, uuid);
        }
        ledger.next_id = ledger
            .next_id
            .max(surveyed.last_id.saturating_add(1))
            .max(surveyed.highest_id.saturating_add(1))
            .max(key.first_id);
        if surveyed.open_items > 0 {
            let range = ItemRange {
                first: ItemId(surveyed.lowest_open.unwrap_or(key.first_id)),
                last: ItemId(surveyed.last_id),
            };
            recovery.ids = Some(recovery.ids.map_or(range, |ids| ItemRange {
                first: ids.first,
                last: range.last,
            }));
            recovery.items = recovery.items.saturating_add(surveyed.open_items);
            recovery.bytes = recovery.bytes.saturating_add(surveyed.open_bytes);
            ledger
                .backlog
                .add_unread(surveyed.open_items, surveyed.open_bytes);
            if ledger.unread_from.is_none() {
                ledger.unread_from = Some(Place::start_of(key));
            }
        }
        ledger.segments.insert(key, segment);
        leases.append(&mut surveyed.leases);
    }
    // Ids behind the last item that were used by something that is not there any more.
    let tail = previous_last
        .unwrap_or_else(|| ledger.acks.through())
        .saturating_add(1);
    if tail < ledger.next_id {
        note_missing(
            ledger,
            recovery,
            tail.saturating_sub(1),
            ledger.next_id.saturating_sub(1),
            ledger.next_id,
            false,
        );
    }
    if config.syncs() {
        config
            .vfs
            .sync_directory(directory)
            .context("sync", directory)?;
    }
    Ok(())
}

/// Ids from behind `after` to before `first_id` have no items; those up to `previous_id` once had.
fn note_missing(
    ledger: &mut Ledger,
    recovery: &mut Recovery,
    after: u64,
    previous_id: u64,
    first_id: u64,
    is_reported: bool,
) {
    let (first, last) = (after.saturating_add(1), first_id.saturating_sub(1));
    if first > last {
        return;
    }
    if is_reported && first <= previous_id && !ledger.acks.covers(first, previous_id.min(last)) {
        let mut ids = crate::ranges::RangeSet::default();
        ids.insert(first, previous_id.min(last));
        ids.remove(0, ledger.acks.through());
        for (first, last) in ledger.acks.beyond().iter() {
            ids.remove(first, last);
        }
        recovery
            .damage
            .extend(ids.iter().map(|(first, last)| Damage::Missing {
                ids: ItemRange {
                    first: ItemId(first),
                    last: ItemId(last),
                },
            }));
    }
    ledger.finish(first, last);
}

/// A sealed segment says itself what it holds; only where some of it is done the rest has to be counted.
fn survey_sealed(
    candidate: &Candidate,
    seal: &Seal,
    uuid: QueueUuid,
    limit_id: u64,
    acks: &Acks,
) -> Result<Surveyed, IoFailure> {
    let key = candidate.key;
    let file_name = PathBuf::from(key.file_name());
    let mut surveyed = if acks.covers(key.first_id, seal.last_id) {
        Surveyed::default()
    } else if acks.touches(key.first_id, seal.last_id) {
        survey(candidate, uuid, Payloads::Skip, limit_id, seal.end, acks)
            .context("read", &file_name)?
    } else {
        Surveyed {
            open_items: seal.items,
            open_bytes: seal.payload_bytes,
            lowest_open: Some(key.first_id),
            ..Surveyed::default()
        }
    };
    surveyed.items = seal.items;
    surveyed.payload_bytes = seal.payload_bytes;
    surveyed.last_id = seal.last_id;
    surveyed.end = seal.end;
    // The reader comes by these places too, and is the one to judge.
    surveyed.damage.clear();
    surveyed.absent.clear();
    surveyed.leases.clear();
    for position in &seal.leases {
        let mut walk = Walk::new(
            Arc::clone(&candidate.file),
            key.seed(uuid),
            Payloads::Verify,
            key.first_id,
            limit_id,
            seal.end,
            4096,
        );
        walk.jump(*position, 0);
        if let Step::Entry(found) = walk.step().context("read", &file_name)?
            && found.header.kind == Kind::Lease
            && !found.is_damaged
            && let Some(record) = LeaseRecord::decode(&found.payload)
        {
            surveyed.leases.push((
                record,
                Home::Entry {
                    segment: key,
                    position: *position,
                    payload_bytes: found.header.payload_bytes,
                    id: found.header.id,
                },
            ));
        }
    }
    Ok(surveyed)
}

fn survey(
    candidate: &Candidate,
    uuid: QueueUuid,
    payloads: Payloads,
    limit_id: u64,
    end: u64,
    acks: &Acks,
) -> std::io::Result<Surveyed> {
    let key = candidate.key;
    let read_bytes = if payloads == Payloads::Skip {
        HEADER_READ_BYTES
    } else {
        1 << 20
    };
    let mut walk = Walk::new(
        Arc::clone(&candidate.file),
        key.seed(uuid),
        payloads,
        key.first_id,
        limit_id,
        end,
        read_bytes,
    );
    let mut surveyed = Surveyed {
        last_id: key.first_id.saturating_sub(1),
        end: HEAD_BYTES,
        ..Surveyed::default()
    };
    // Damage counts only when something sound follows: at the very end it is a write that was cut short.
    let mut doubtful: Vec<Damage> = Vec::new();
    loop {
        let previous_id = surveyed.last_id.max(surveyed.highest_id);
        match walk.step()? {
            Step::End => break,
            Step::Garbage { position, bytes } => doubtful.push(Damage::Bytes {
                file: key.file_name(),
                position,
                bytes,
                ids: None,
            }),
            Step::Entry(found) if found.is_damaged => {
                surveyed.highest_id = surveyed.highest_id.max(found.header.id);
                surveyed.is_torn = true;
                doubtful.push(if found.header.kind == Kind::Item {
                    Damage::Item {
                        file: key.file_name(),
                        position: found.position,
                        id: ItemId(found.header.id),
                    }
                } else {
                    Damage::Lease
                });
            }
            Step::Entry(found) => {
                let is_item = found.header.kind == Kind::Item;
                let next_id = if is_item {
                    found.header.id
                } else {
                    found.header.id.saturating_add(1)
                };
                let absent = (
                    surveyed.last_id.saturating_add(1),
                    next_id.saturating_sub(1),
                );
                if absent.0 <= absent.1 {
                    surveyed.absent.push(absent);
                }
                if let Some(Damage::Bytes { ids, .. }) = doubtful.last_mut() {
                    *ids = ItemRange::new(
                        ItemId(previous_id.saturating_add(1)),
                        ItemId(next_id.saturating_sub(1)),
                    );
                }
                surveyed.damage.append(&mut doubtful);
                surveyed.is_torn = false;
                surveyed.end = walk.position();
                if is_item {
                    surveyed.last_id = found.header.id;
                    surveyed.highest_id = surveyed.highest_id.max(found.header.id);
                    surveyed.items = surveyed.items.saturating_add(1);
                    let bytes = u64::from(found.header.payload_bytes);
                    surveyed.payload_bytes = surveyed.payload_bytes.saturating_add(bytes);
                    if !acks.contains(found.header.id) {
                        surveyed.open_items = surveyed.open_items.saturating_add(1);
                        surveyed.open_bytes = surveyed.open_bytes.saturating_add(bytes);
                        surveyed.lowest_open.get_or_insert(found.header.id);
                    }
                } else {
                    surveyed.last_id = surveyed.last_id.max(found.header.id);
                    if found.header.kind == Kind::Lease
                        && let Some(record) = LeaseRecord::decode(&found.payload)
                    {
                        surveyed.leases.push((
                            record,
                            Home::Entry {
                                segment: key,
                                position: found.position,
                                payload_bytes: found.header.payload_bytes,
                                id: found.header.id,
                            },
                        ));
                    }
                }
            }
        }
    }
    Ok(surveyed)
}

/// Seals a segment that a crash left without, so that the next open need not read it.
fn seal_late(candidate: &Candidate, surveyed: &Surveyed, uuid: QueueUuid) {
    let leases = surveyed.leases.iter().filter_map(|(_, home)| match home {
        Home::Entry { position, .. } => Some(*position),
        Home::Slot(_) => None,
    });
    let seal = Seal {
        items: surveyed.items,
        payload_bytes: surveyed.payload_bytes,
        last_id: surveyed.last_id,
        end: surveyed.end,
        leases: leases.collect(),
    };
    if let Some(bytes) = seal.encode(uuid, candidate.key) {
        // It only spares work.
        let _ = vfs::write_all_at(
            &*candidate.file,
            &mut [std::io::IoSlice::new(&bytes)],
            head::SEAL_POSITION,
        );
    }
}

/// Opens the leases again that still have open items; of two that overlap the later one. Returns where they lie.
fn restore_leases(
    ledger: &mut Ledger,
    mut found: Vec<(LeaseRecord, Home)>,
    recovery: &mut Recovery,
    config: &Config,
    directory: &Path,
    uuid: QueueUuid,
) -> Result<Vec<Home>, IoFailure> {
    found.sort_unstable_by_key(|(record, _)| std::cmp::Reverse(record.sequence));
    ledger.lease_sequence = found.first().map_or(0, |(record, _)| record.sequence);
    let mut kept: Vec<(LeaseRecord, Home)> = Vec::new();
    for (record, home) in found {
        let is_open = record.items.last.0 < ledger.next_id
            && !ledger
                .acks
                .covers(record.items.first.0, record.items.last.0);
        if is_open
            && !kept
                .iter()
                .any(|(other, _)| other.items.overlaps(record.items))
        {
            kept.push((record, home));
        }
    }
    kept.sort_unstable_by_key(|(record, _)| record.items.first);
    let mut counts = vec![(0_u64, 0_u64); kept.len()];
    for span in ledger.spans(kept.iter().map(|(record, _)| record.items)) {
        reader::visit(
            &*config.vfs,
            directory,
            uuid,
            span,
            Payloads::Skip,
            config.read_bytes,
            |id, bytes, _| {
                let at = kept.partition_point(|(record, _)| record.items.last.0 < id);
                if let (Some((record, _)), Some(count)) = (kept.get(at), counts.get_mut(at))
                    && record.items.contains(ItemId(id))
                    && !ledger.acks.contains(id)
                {
                    *count = (count.0.saturating_add(1), count.1.saturating_add(bytes));
                }
            },
        )?;
    }
    let mut homes = Vec::new();
    for ((record, home), (open_items, open_bytes)) in kept.into_iter().zip(counts) {
        if open_items == 0 {
            continue;
        }
        ledger.backlog.lose_unread(open_items, open_bytes);
        if let Home::Entry { segment, .. } = home
            && let Some(segment) = ledger.segments.get_mut(segment)
        {
            segment.lease_pins = segment.lease_pins.saturating_add(1);
        }
        let id = ledger.leases.insert(OpenLease {
            items: record.items,
            held: None,
            open_items,
            open_bytes,
            tag: Some(record.tag.clone()),
            home: Some(home),
        });
        recovery.leases.push(RecoveredLease {
            id,
            items: record.items,
            open_items,
            tag: record.tag,
        });
        homes.push(home);
    }
    Ok(homes)
}
