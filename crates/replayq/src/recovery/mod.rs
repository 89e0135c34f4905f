//! Opening a directory: what is there, what of it validates, what is not done yet.

mod builder;

mod leases;
mod survey;

mod sort_out;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Storage, Unreadable};
use crate::damage::{Damage, Recovery};
use crate::disk::directory::remove_files;
use crate::disk::writer::Writer;
use crate::disk::{Disk, Offload, Parts, Settings};
use crate::error::{AckError, IoContext, IoFailure, OpenError};
use crate::format::control::commit::Commit;
use crate::format::control::header::{ControlHeader, Geometry, HeaderState};
use crate::format::control::lease::SlotState;
use crate::format::control::{Control, FILE_NAME, Found, LeaseSlot};
use crate::format::segment::generations::{self, Generations};
use crate::format::segment::key::QueueUuid;
use crate::put_aside::{Reason, put_aside};
use crate::scan::{Listing, Scan, ScanError};
use crate::state::leases::Home;
use crate::state::ledger::Ledger;
use crate::vfs::{LockHolder, OpenMode, Salvage, VfsLock};

use leases::{Restored, restore_leases};

use builder::Builder;
use sort_out::{Sorted, sort_out};

/// After a restart of the machine, and after damage, numbering goes on this far behind what was
/// found, since items may have been lost whose ids are known elsewhere.
const ID_JUMP: u64 = 1 << 32;

/// Opens the directory of a disk queue.
pub(crate) fn open(config: &Config, path: &Path) -> Result<(Disk, Recovery), OpenError> {
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
        let before = listing.identify();
        if (before.control).is_some_and(|found| !matches!(found.header, HeaderState::Valid(_))) {
            // A file of that name which no queue has written.
            put_aside(&*vfs, &directory.join(FILE_NAME), Reason::Foreign)?;
        }
        remove_files(&*vfs, &directory, before.uuid)?;
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
    for damage in holes(salvage.as_deref()) {
        recovery.note(damage);
    }
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
        ledger: commit.as_ref().map_or_else(Ledger::new, Ledger::of_commit),
        recovery,
        writer,
        leases: Vec::new(),
        salvage,
        has_bad_control,
        is_same_boot: is_same_run,
        next_commit: next_sequence(commit.as_ref()),
    };
    for damage in &builder.recovery.damage {
        builder.ledger.report(damage.clone());
    }
    builder.recovery.commit_tag = commit
        .as_ref()
        .map(|commit| commit.tag.clone())
        .unwrap_or_default();
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
    for damage in holes(builder.salvage.as_deref()) {
        builder.report(damage);
    }

    let draw = if is_new {
        // There is no copy of it yet: a copy that is opened draws its own.
        0
    } else {
        let random = vfs.random().context("read random bytes for", &directory)?;
        let [a, b, c, ..] = random;
        u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
    };
    let before = builder.ledger.begin_run(draw, &live);
    if !(is_new || is_same_run && builder.recovery.damage.is_empty()) {
        builder.ledger.skip_ids(ID_JUMP);
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

/// Makes the directory where missing, opens and locks it. From here on it is reached by its
/// descriptor.
fn lock_directory(
    config: &mut Config,
    path: &Path,
) -> Result<(PathBuf, Box<dyn VfsLock>), OpenError> {
    // A queue that is purged takes its directory along: one that was opened just before is another
    // than the one made in its place.
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
        recovery.note(Damage::Control);
    }
    let damaged = scan
        .control
        .as_ref()
        .map_or(0, |found| found.damaged_commits);
    for _ in 0..damaged {
        recovery.note(Damage::Commit);
    }
}

/// The places that could not be read and were passed over.
fn holes(salvage: Option<&Salvage>) -> impl Iterator<Item = Damage> + use<> {
    let holes = salvage.map(Salvage::take_holes).unwrap_or_default();
    holes.into_iter().map(Damage::from)
}

impl From<ScanError> for OpenError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Format { path, found, known } => Self::format(path, found, known),
            ScanError::Io(failure) => failure.into(),
        }
    }
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
            SlotState::Damaged => builder.report(Damage::Lease),
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

/// The sequence of the commit after that one. After a forged one that is near the last, numbering
/// begins anew, in a control file that has no other.
fn next_sequence(commit: Option<&Commit>) -> u64 {
    let commit = commit.filter(|commit| !commit.is_near_the_last());
    commit.map_or(1, |commit| commit.sequence.saturating_add(1))
}

/// Goes on with the control file that was found if its header is sound, else makes it anew out of
/// what was.
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
        let is_forged = commit.is_some_and(Commit::is_near_the_last);
        if !is_own || found.is_cut || commit.is_none() || builder.has_bad_control || is_forged {
            keep(found);
        }
    }
    if let Some(found) = found
        && let HeaderState::Valid(header) = found.header
        && header.uuid == builder.uuid
    {
        let is_forged = commit.is_some_and(Commit::is_near_the_last);
        if found.is_cut || commit.is_none() || builder.has_bad_control || is_forged {
            let header = ControlHeader {
                geometry: geometry(header.geometry, builder.config, restored),
                ..header
            };
            return create_control(builder, directory, boot_id, commit, restored, header);
        }
        // Where this fails, the next open comes by here again.
        let _ = found.heal(&header);
        let mut control = Control::resume(vfs, directory, found, header, boot_id, &restored.kept);
        // What was read may not be durable yet, and from here on things are built on it: which slot
        // a power loss spares is known only now.
        match control.sync() {
            Err(failure) if builder.config.syncs() => return Err(failure),
            _ => {}
        }
        // A full disk is no reason not to go on with fewer slots, and the next open comes by here
        // again.
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
    let sequence = next_sequence(commit);
    let first = builder.ledger.as_commit(sequence, boot_id);
    Control::create(
        Arc::clone(&builder.config.vfs),
        directory,
        header,
        &first,
        &restored.kept,
        builder.config.syncs(),
    )
}

/// Puts the parts together, and writes the first commit of this run.
fn finish(
    builder: Builder<'_>,
    directory: std::path::PathBuf,
    control: Control,
    lock: Box<dyn VfsLock>,
    restored: &Restored,
    generations: Generations,
) -> Result<(Disk, Recovery), OpenError> {
    let Builder {
        config,
        uuid,
        mut ledger,
        recovery,
        writer,
        salvage,
        ..
    } = builder;
    ledger.begin(writer.segment().is_some());
    let disk = Disk::new(Parts {
        ledger,
        vfs: Arc::clone(&config.vfs),
        directory,
        uuid,
        salvage,
        settings: settings(config),
        shared: config.shared_limits.clone(),
        writer,
        control,
        read_bytes: config.read_bytes,
        lock,
    });
    for (items, home) in &restored.replaced {
        if disk.void_lease(*home, false).is_err() {
            // It is voided when the lease ends, at the latest.
            disk.ledger().add_older_home(*items, *home);
        }
    }
    match disk.commit(1, &[]) {
        // The segments of this run must be known as its own, whatever a power loss leaves.
        Ok(()) if config.syncs() => disk.sync_control()?,
        Ok(()) => {}
        // No commit says that there is a new run: it goes on as the one before.
        Err(AckError::TooManyRanges { .. }) => disk.ledger().continue_run(generations),
        Err(AckError::NotDurable(failure)) => return Err(failure.into()),
        Err(_) => {}
    }
    if disk.ledger().load().items == 0 {
        // A queue that begins with nothing in it is small.
        disk.release_spares();
    }
    Ok((disk, recovery))
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
