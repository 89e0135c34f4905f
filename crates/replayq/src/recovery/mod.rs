//! Opening a directory: what is there, what of it validates, what is not done yet.

mod segments;

mod leases;
mod survey;

mod sort_out;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sync::{Mutex, RwLock};

use crate::config::{Config, Storage, Unreadable};
use crate::damage::{Damage, Recovery};
use crate::disk::directory::{Watch, remove_files};
use crate::disk::group_commit::Turns;
use crate::disk::reader::Reader;
use crate::disk::writer::Writer;
use crate::disk::{ControlState, Disk, Offload, Settings};
use crate::error::{AckError, IoContext, IoFailure, OpenError};
use crate::format::control::commit::Commit;
use crate::format::control::header::{ControlHeader, Geometry, HeaderState};
use crate::format::control::lease::SlotState;
use crate::format::control::{Control, FILE_NAME, Found, LeaseSlot};
use crate::format::segment::generations::{self, Generations};
use crate::format::segment::key::QueueUuid;
use crate::put_aside::Reason;
use crate::scan::{Listing, Scan, ScanError};
use crate::state::leases::Home;
use crate::state::ledger::Ledger;
use crate::vfs::{LockHolder, OpenMode, Salvage, VfsLock};

use leases::{Restored, restore_leases};

use segments::Builder;
use sort_out::{Sorted, sort_out};

/// After a restart of the machine, and after damage, numbering goes on this far behind what was found, since items may have been lost whose ids are known elsewhere.
const ID_JUMP: u64 = 1 << 32;

/// Opens the directory of a disk queue.
pub(crate) fn open(config: &Config, path: &Path) -> Result<(Disk, Ledger, Recovery), OpenError> {
    let mut config = config.clone();
    let (directory, lock) = lock_directory(&mut config, path)?;
    let salvage = (config.unreadable == Unreadable::Skip)
        .then(|| Arc::new(Salvage::new(Arc::clone(&config.vfs))));
    if let Some(salvage) = &salvage {
        config.vfs = Arc::<Salvage>::clone(salvage);
    }
    let config = &config;
    let vfs = Arc::clone(&config.vfs);
    let mut listing = Listing::read(&*vfs, &directory, OpenMode::Write)?;
    if matches!(config.storage, Storage::OffloadVolatile(_)) {
        // Only now: a directory of another version stays as it is.
        remove_files(&*vfs, &directory, listing.identify().uuid)?;
        listing = Listing::read(&*vfs, &directory, OpenMode::Write)?;
    }
    let mut scan = listing.identify();
    let uuid = match scan.uuid {
        Some(uuid) => uuid,
        None => vfs
            .random()
            .map(QueueUuid)
            .context("read random bytes for", &directory)?,
    };
    let commit = scan.commit().cloned();
    let is_commit_lost = scan.is_commit_lost();
    let mut recovery = Recovery::default();
    report_control(&scan, &mut recovery);
    report_holes(salvage.as_deref(), &mut recovery);
    let has_bad_control = recovery
        .damage
        .iter()
        .any(|damage| matches!(damage, Damage::Unreadable { file, .. } if file == FILE_NAME));
    let is_new = commit.is_none() && scan.segments.is_empty();
    let Sorted { own, empty } = sort_out(&*vfs, &directory, &mut scan, &mut recovery)?;
    let found = scan.control;
    let boot_id = vfs.boot_id();
    let is_same_run = boot_id.is_some()
        && commit
            .as_ref()
            .is_some_and(|commit| Some(commit.boot_id) == boot_id);
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
        is_same_boot: is_same_run,
        next_commit: commit
            .as_ref()
            .map_or(1, |commit| commit.sequence.saturating_add(1)),
    };
    builder.recovery.commit_tag = builder.ledger.commit_tag.clone();
    let mut live: Vec<u64> = own
        .iter()
        .map(|candidate| generations::counter(candidate.key.generation))
        .collect();
    live.sort_unstable();
    builder.take_over(&directory, own)?;
    builder.retire(&empty);
    if config.syncs() {
        vfs.sync_directory(&directory).context("sync", &directory)?;
    }
    let restored = find_leases(&mut builder, found.as_ref(), &directory)?;
    report_holes(builder.salvage.as_deref(), &mut builder.recovery);

    let draw = if is_new {
        // There is no copy of it yet: a copy that is opened draws its own.
        0
    } else {
        let random = vfs.random().context("read random bytes for", &directory)?;
        let [a, b, c, ..] = random;
        u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
    };
    let before = builder.ledger.generations.clone();
    builder.ledger.generations.begin_run(draw, &live);
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
    finish(builder, directory, control, lock, &restored, before)
}

/// Makes the directory where missing, opens and locks it. From here on it is reached by its descriptor.
fn lock_directory(
    config: &mut Config,
    path: &Path,
) -> Result<(PathBuf, Box<dyn VfsLock>), OpenError> {
    // A queue that is purged takes its directory along: one that was opened just before is another than the one made in its place.
    const TRIES: usize = 100;
    let vfs = Arc::clone(&config.vfs);
    let mut last = None;
    for _ in 0..TRIES {
        let directory = vfs
            .create_directory(path)
            .context("create the directory", path)?;
        let anchored = match vfs.anchor(&directory) {
            Ok(anchored) => anchored.unwrap_or_else(|| Arc::clone(&vfs)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(IoFailure::new("open", &directory, error).into()),
        };
        let lock = anchored.lock(&directory).context("lock", &directory)?;
        let Some(lock) = lock else {
            return Err(OpenError::Locked {
                holder: match anchored.lock_holder(&directory) {
                    Ok(LockHolder::Process(process)) => process,
                    _ => None,
                },
                path: directory,
            });
        };
        match anchored.check_directory(&directory) {
            Ok(()) => {
                config.vfs = anchored;
                return Ok((directory, lock));
            }
            Err(error) => last = Some(error),
        }
    }
    let cause = last.unwrap_or_else(|| ErrorKind::NotFound.into());
    Err(IoFailure::new("open", path, cause).into())
}

fn report_control(scan: &Scan, recovery: &mut Recovery) {
    if !scan.is_control_sound() && (scan.control.is_some() || !scan.segments.is_empty()) {
        recovery.damage.push(Damage::Control);
    }
    let damaged = scan
        .control
        .as_ref()
        .map_or(0, |found| found.damaged_commits);
    recovery
        .damage
        .extend(std::iter::repeat_n(Damage::Commit, damaged));
}

/// Says which places could not be read and were passed over.
fn report_holes(salvage: Option<&Salvage>, recovery: &mut Recovery) {
    let holes = salvage.map(Salvage::take_holes).unwrap_or_default();
    recovery.damage.extend(holes.into_iter().map(Damage::from));
}

impl From<ScanError> for OpenError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Format { path, found, known } => Self::format(path, found, known),
            ScanError::Io(failure) => failure.into(),
        }
    }
}

/// The ledger as the newest commit shows it.
fn ledger_of(commit: Option<&Commit>) -> Ledger {
    let mut ledger = Ledger::new();
    if let Some(commit) = commit {
        ledger.acks = commit.acks.clone();
        ledger.next_id = commit.next_id.max(1);
        ledger.generations = commit.generations.clone();
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
            SlotState::Empty => {}
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
    let keep = |found: &Found| {
        let reason = if found.newest(builder.uuid).is_some() {
            Reason::Damaged
        } else {
            Reason::Foreign
        };
        found.keep_copy(&*vfs, directory, reason)
    };
    if let Some(found) = &found {
        let is_own =
            matches!(found.header, HeaderState::Valid(header) if header.uuid == builder.uuid);
        if !is_own || found.is_cut || commit.is_none() || builder.has_bad_control {
            keep(found);
        }
    }
    if let Some(found) = found
        && let HeaderState::Valid(header) = found.header
        && header.uuid == builder.uuid
    {
        if found.is_cut || commit.is_none() || builder.has_bad_control {
            let header = ControlHeader {
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
        generations: ledger.generations.clone(),
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
    generations: Generations,
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
        shared: config.shared_limits.clone(),
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
        watch: Watch::default(),
        lock: Mutex::new(Some(lock)),
    };
    let ledger = Mutex::new(ledger);
    for home in &restored.replaced {
        // Where this fails, the next open comes by here again.
        let _ = disk.void_lease(&ledger, *home);
    }
    match disk.commit(&ledger, 1, &[]) {
        // What this run makes must be known as its own, whatever a power loss leaves.
        Ok(()) if config.syncs() => disk.control.lock().file.sync()?,
        Ok(()) => {}
        // No commit says that there is a new run: it goes on as the one before.
        Err(AckError::TooManyStretches { .. }) => ledger.lock().generations = generations,
        Err(AckError::NotDurable(failure)) => return Err(failure.into()),
        Err(_) => {}
    }
    if ledger.lock().load().items == 0 {
        // A queue that begins with nothing in it is small.
        disk.release_spares(&ledger);
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
