//! Opening a directory: what is there, what of it validates, what is not done yet.

mod segments;

mod leases;
mod survey;

mod candidate;

use std::path::Path;
use std::sync::Arc;

use crate::sync::{Mutex, RwLock};

use crate::config::{Config, Storage, Unreadable};
use crate::damage::{Damage, Recovery};
use crate::disk::group_commit::Turns;
use crate::disk::reader::Reader;
use crate::disk::writer::Writer;
use crate::disk::{ControlState, Disk, LOCK_NAME, Offload, Settings, remove_files};
use crate::error::{AckError, IoContext, IoFailure, OpenError};
use crate::format::control::commit::Commit;
use crate::format::control::header::{self, ControlHeader, Geometry, HeaderState};
use crate::format::control::lease::SlotState;
use crate::format::control::{Control, FILE_NAME, Found, LeaseSlot};
use crate::format::segment::key::QueueUuid;
use crate::state::leases::Home;
use crate::state::ledger::Ledger;
use crate::vfs::{self, OpenMode, Salvage, Vfs, VfsLock};

use candidate::{Candidate, find_segments, identify, put_foreign_aside};
use leases::{Restored, restore_leases};
use segments::Builder;

/// After a restart of the machine, and after damage, numbering goes on this far behind what was found, since items may have been lost whose ids are known elsewhere.
const ID_JUMP: u64 = 1 << 32;

/// Opens the directory of a disk queue.
pub(crate) fn open(config: &Config, path: &Path) -> Result<(Disk, Ledger, Recovery), OpenError> {
    let salvage = (config.unreadable == Unreadable::Skip)
        .then(|| Arc::new(Salvage::new(Arc::clone(&config.vfs))));
    let mut config = config.clone();
    if let Some(salvage) = &salvage {
        config.vfs = Arc::<Salvage>::clone(salvage);
    }
    let config = &config;
    let vfs = Arc::clone(&config.vfs);
    let directory = vfs
        .create_directory(path)
        .context("create the directory", path)?;
    let lock = take_lock(&*vfs, &directory)?;
    if matches!(config.storage, Storage::OffloadVolatile(_)) {
        remove_files(&*vfs, &directory)?;
    }
    let found = find_control(&*vfs, &directory)?;
    let mut candidates = find_segments(&*vfs, &directory)?;
    let uuid = identify(&*vfs, found.as_ref(), &candidates)
        .context("read random bytes for", &directory)?;
    let commit = found.as_ref().and_then(|found| found.newest(uuid)).cloned();
    let mut recovery = Recovery::default();
    report_control(found.as_ref(), uuid, &candidates, &mut recovery);
    report_holes(salvage.as_deref(), &mut recovery);
    let has_bad_control = recovery
        .damage
        .iter()
        .any(|damage| matches!(damage, Damage::Unreadable { file, .. } if file == FILE_NAME));
    put_foreign_aside(&*vfs, &directory, uuid, &mut candidates, &mut recovery)?;

    let is_commit_lost = found
        .as_ref()
        .is_some_and(|found| found.damaged_commits > 0);
    let writer = Writer::new(
        Arc::clone(&vfs),
        directory.clone(),
        uuid,
        config.segment_bytes,
        config.syncs(),
    );
    let mut builder = Builder {
        config,
        uuid,
        used_before: commit
            .as_ref()
            .filter(|_| !is_commit_lost)
            .map(|commit| commit.next_id),
        partly_done: commit
            .as_ref()
            .map(|commit| commit.partly_done.clone())
            .unwrap_or_default(),
        ledger: ledger_of(commit.as_ref()),
        recovery,
        writer,
        leases: Vec::new(),
        salvage,
        has_bad_control,
    };
    builder.recovery.commit_tag = builder.ledger.commit_tag.clone();
    builder.take_over(&candidates)?;
    if config.syncs() {
        vfs.sync_directory(&directory).context("sync", &directory)?;
    }
    let restored = find_leases(&mut builder, found.as_ref(), &directory)?;
    report_holes(builder.salvage.as_deref(), &mut builder.recovery);

    let boot_id = vfs.boot_id();
    let is_same_run = boot_id.is_some()
        && commit
            .as_ref()
            .is_some_and(|commit| Some(commit.boot_id) == boot_id);
    let is_new = commit.is_none() && candidates.is_empty();
    if !(is_new || is_same_run && builder.recovery.damage.is_empty()) {
        let ledger = &mut builder.ledger;
        let first = ledger.next_id;
        ledger.next_id = first.saturating_add(ID_JUMP);
        ledger.finish(first, ledger.next_id.saturating_sub(1));
    }
    let control = open_control(
        &builder,
        found,
        &directory,
        boot_id.unwrap_or_default(),
        commit.as_ref(),
        &restored,
    )?;
    finish(builder, directory, control, lock, &restored)
}

fn take_lock(vfs: &dyn Vfs, directory: &Path) -> Result<Box<dyn VfsLock>, OpenError> {
    let path = directory.join(LOCK_NAME);
    vfs.lock(&path)
        .context("lock", &path)?
        .ok_or_else(|| OpenError::Locked {
            path: directory.to_path_buf(),
            holder: holder(vfs, &path),
        })
}

fn holder(vfs: &dyn Vfs, path: &Path) -> Option<u32> {
    let file = vfs.open(path, OpenMode::Read).ok()?;
    let mut text = Vec::new();
    vfs::read_full_at(&*file, &mut text, 16, 0).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn find_control(vfs: &dyn Vfs, directory: &Path) -> Result<Option<Found>, OpenError> {
    let found = Found::read(vfs, directory, OpenMode::Write)?;
    match found.as_ref().map(|found| found.header) {
        Some(HeaderState::Newer(version)) => Err(OpenError::NewerFormat {
            path: directory.join("control"),
            found: version,
            known: header::VERSION,
        }),
        _ => Ok(found),
    }
}

fn report_control(
    found: Option<&Found>,
    uuid: QueueUuid,
    candidates: &[Candidate],
    recovery: &mut Recovery,
) {
    let is_sound = found.is_some_and(|found| {
        !found.is_cut && matches!(found.header, HeaderState::Valid(header) if header.uuid == uuid)
    });
    if !is_sound && (found.is_some() || !candidates.is_empty()) {
        recovery.damage.push(Damage::Control);
    }
    let damaged = found.map_or(0, |found| found.damaged_commits);
    recovery
        .damage
        .extend(std::iter::repeat_n(Damage::Commit, damaged));
}

/// Says which places could not be read and were passed over.
fn report_holes(salvage: Option<&Salvage>, recovery: &mut Recovery) {
    let holes = salvage.map(Salvage::take_holes).unwrap_or_default();
    recovery.damage.extend(holes.into_iter().map(Damage::from));
}

/// The ledger as the newest commit shows it.
fn ledger_of(commit: Option<&Commit>) -> Ledger {
    let mut ledger = Ledger::new();
    if let Some(commit) = commit {
        ledger.acks = commit.acks.clone();
        ledger.next_id = commit.next_id.max(1);
        ledger.next_generation = commit.next_generation.max(1);
        ledger.commit_tag = commit.tag.clone();
    }
    ledger
}

/// Opens the leases again, those in slots and those in segments.
fn find_leases(
    builder: &mut Builder<'_>,
    found: Option<&Found>,
    directory: &Path,
) -> Result<Restored, IoFailure> {
    let mut records = std::mem::take(&mut builder.leases);
    let states = found.map(|found| found.leases(builder.uuid));
    for (slot, state) in states.unwrap_or_default().into_iter().enumerate() {
        match state {
            SlotState::Live(record) => records.push((record, Home::Slot(LeaseSlot(slot)))),
            SlotState::Damaged => builder.recovery.damage.push(Damage::Lease),
            SlotState::Empty | SlotState::Zeros => {}
        }
    }
    restore_leases(
        &mut builder.ledger,
        records,
        &mut builder.recovery,
        builder.config,
        directory,
        builder.uuid,
    )
}

/// Goes on with the control file that was found if its header is sound, else makes it anew out of what was.
fn open_control(
    builder: &Builder<'_>,
    found: Option<Found>,
    directory: &Path,
    boot_id: [u8; 16],
    commit: Option<&Commit>,
    restored: &Restored,
) -> Result<Control, IoFailure> {
    let vfs = Arc::clone(&builder.config.vfs);
    if let Some(found) = found
        && let HeaderState::Valid(header) = found.header
        && header.uuid == builder.uuid
    {
        if found.is_cut || commit.is_none() || builder.has_bad_control {
            let header = ControlHeader {
                version: header::VERSION,
                geometry: geometry(header.geometry, builder.config, restored),
                ..header
            };
            return create_control(builder, directory, boot_id, commit, restored, header);
        }
        // Where this fails, the next open comes by here again.
        let _ = found.heal(&header);
        let mut control = Control::resume(vfs, directory, found, header, boot_id, &restored.kept);
        // What was read may not be durable yet, and from here on things are built on it: which slot a power loss spares is known only now.
        match control.sync() {
            Err(failure) if builder.config.syncs() => return Err(failure),
            _ => {}
        }
        // A full disk is no reason not to go on with fewer slots, and the next open comes by here again.
        let _ = control.grow(builder.config.lease_slots);
        return Ok(control);
    }
    let header = ControlHeader {
        version: header::VERSION,
        uuid: builder.uuid,
        geometry: geometry(Geometry::with_lease_slots(0), builder.config, restored),
    };
    create_control(builder, directory, boot_id, commit, restored, header)
}

/// With as many lease slots as there were, as are asked for, and as are in use.
fn geometry(before: Geometry, config: &Config, restored: &Restored) -> Geometry {
    let used = restored
        .kept
        .iter()
        .filter_map(|(slot, _)| u32::try_from(slot.0.saturating_add(1)).ok())
        .max();
    Geometry {
        lease_slots: before
            .lease_slots
            .max(config.lease_slots)
            .max(used.unwrap_or(0)),
        ..before
    }
}

fn create_control(
    builder: &Builder<'_>,
    directory: &Path,
    boot_id: [u8; 16],
    commit: Option<&Commit>,
    restored: &Restored,
    header: ControlHeader,
) -> Result<Control, IoFailure> {
    let ledger = &builder.ledger;
    let first = Commit {
        sequence: commit.map_or(1, |commit| commit.sequence.saturating_add(1)),
        acks: ledger.acks.clone(),
        next_id: ledger.next_id,
        next_generation: ledger.next_generation,
        boot_id,
        tag: ledger.commit_tag.clone(),
        partly_done: ledger.segments.partly_done(&ledger.acks).collect(),
    };
    Control::create(
        Arc::clone(&builder.config.vfs),
        directory,
        header,
        &first,
        &restored.kept,
        builder.config.syncs(),
    )
}

/// Puts the parts together, and writes the first commit of this life.
fn finish(
    builder: Builder<'_>,
    directory: std::path::PathBuf,
    control: Control,
    lock: Box<dyn VfsLock>,
    restored: &Restored,
) -> Result<(Disk, Ledger, Recovery), OpenError> {
    let Builder {
        config,
        uuid,
        mut ledger,
        recovery,
        writer,
        salvage,
        ..
    } = builder;
    ledger.version = 1;
    ledger.is_spilling = ledger.backlog.is_behind() || writer.segment().is_some();
    ledger.note_all_segments();
    for damage in &recovery.damage {
        ledger.report(damage.clone());
    }
    let vfs = Arc::clone(&config.vfs);
    let reader = Reader::new(Arc::clone(&vfs), directory.clone(), uuid, config.read_bytes);
    let disk = Disk {
        vfs,
        directory,
        uuid,
        salvage,
        settings: settings(config),
        turns: Turns::new(),
        writer: Mutex::new(writer),
        control: Mutex::new(ControlState {
            file: control,
            written_version: 0,
            uncovered: Vec::new(),
            is_closed: false,
            is_purged: false,
        }),
        departures: Mutex::new(()),
        reader: Mutex::new(reader),
        hands: RwLock::new(()),
        lock: Mutex::new(Some(lock)),
    };
    let ledger = Mutex::new(ledger);
    for home in &restored.replaced {
        // Where this fails, the next open comes by here again.
        let _ = disk.void_lease(&ledger, *home);
    }
    match disk.commit(&ledger, 1, &[]) {
        Ok(()) | Err(AckError::TooManyStretches { .. }) => {}
        Err(AckError::NotDurable(failure)) => return Err(failure.into()),
        Err(_) => {}
    }
    Ok((disk, ledger.into_inner(), recovery))
}

fn settings(config: &Config) -> Settings {
    Settings {
        segment_bytes: config.segment_bytes,
        resident_bytes: config.resident_bytes,
        spare_segments: config.spare_segments,
        is_synced: config.syncs(),
        max_delay: config.max_delay(),
        offload: match config.storage {
            Storage::Offload(_) => Some(Offload::Written),
            Storage::OffloadVolatile(_) => Some(Offload::Lost),
            _ => None,
        },
    }
}
