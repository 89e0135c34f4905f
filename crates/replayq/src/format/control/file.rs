//! The control file in use: writing commits and leases, syncing, and a new file in its place.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::segment::generations::Generations;
use crate::ids::acks::Acks;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

use super::commit::{self, Commit, PartlyDone};
use super::found::Found;
use super::header::{COMMIT_SLOTS, ControlHeader, FILE_NAME, Geometry, NEW_FILE_NAME};
use super::lease::{LeaseRecord, empty_slot};
use super::slots::{LeaseSlot, Slots};

/// Why a commit could not be written.
#[derive(Clone, Debug)]
pub(crate) enum CommitWriteError {
    Io(IoFailure),
    /// The record does not fit a slot, and there is no space for larger ones.
    TooLarge,
}

/// A lease that could not be written.
#[derive(Clone, Debug)]
pub(crate) struct LeaseWriteError {
    pub(crate) cause: IoFailure,
    /// The slot in which its record may be all the same.
    pub(crate) left: Option<LeaseSlot>,
}

/// An open control file.
#[derive(Debug)]
pub(crate) struct Control {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    header: ControlHeader,
    boot_id: [u8; 16],
    /// Of the newest record.
    sequence: u64,
    newest_slot: usize,
    /// This slot is the one that a power loss leaves alone: it is not written until another one is
    /// synced.
    durable_slot: Option<usize>,
    durable_sequence: u64,
    /// Something was written since the last sync.
    is_dirty: bool,
    /// A sync failed, so what the file holds after a power loss is anybody's guess, and the next
    /// sync must write a new file.
    is_suspect: bool,
    newest: Vec<u8>,
    scratch: Vec<u8>,
    slots: Slots,
}

impl Control {
    /// Makes the file anew, with one commit and the leases that were found, and puts it in the
    /// place of what is there.
    pub(crate) fn create(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        header: ControlHeader,
        first: &Commit,
        live: &[(LeaseSlot, LeaseRecord)],
        is_synced: bool,
    ) -> Result<Self, IoFailure> {
        let mut newest = Vec::new();
        first.encode(&header, &mut newest);
        let geometry = header.geometry.with_room_for(newest.len());
        let header = ControlHeader {
            geometry: geometry.ok_or_else(|| {
                let cause = std::io::Error::other("more is done than one commit can say");
                IoFailure::new("create", &directory.join(FILE_NAME), cause)
            })?,
            ..header
        };
        let slots = slots(&header, live);
        let file = write_beside(&*vfs, directory, &header, &newest, &slots, is_synced)?;
        let path = directory.join(FILE_NAME);
        put_in_place(&*vfs, directory)?;
        if is_synced {
            vfs.sync_directory(directory).context("sync", directory)?;
        }
        Ok(Self {
            vfs,
            directory: directory.to_path_buf(),
            path,
            file,
            header,
            boot_id: first.boot_id,
            sequence: first.sequence,
            newest_slot: 0,
            durable_slot: Some(0),
            durable_sequence: 0,
            is_dirty: true,
            is_suspect: false,
            newest,
            scratch: Vec::new(),
            slots,
        })
    }

    /// Goes on with a file that was found. Leases that were found are held until covered.
    pub(crate) fn resume(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        found: Found,
        header: ControlHeader,
        boot_id: [u8; 16],
        live: &[(LeaseSlot, LeaseRecord)],
    ) -> Self {
        let slots = slots(&header, live);
        let mut record = Vec::new();
        if let Some(commit) = found.newest(header.uuid) {
            commit.encode(&header, &mut record);
        }
        let newest = found
            .commits
            .iter()
            .enumerate()
            .filter_map(|(slot, commit)| {
                Some((
                    slot,
                    commit
                        .as_ref()
                        .filter(|(uuid, _)| *uuid == header.uuid)?
                        .1
                        .sequence,
                ))
            })
            .max_by_key(|(_, sequence)| *sequence);
        let (newest_slot, sequence) = newest.unwrap_or((0, 0));
        // It is unknown what of it was synced; the newest record is the one to spare.
        Self {
            vfs,
            directory: directory.to_path_buf(),
            path: directory.join(FILE_NAME),
            file: found.file,
            header,
            boot_id,
            sequence,
            newest_slot,
            durable_slot: newest.map(|(slot, _)| slot),
            durable_sequence: 0,
            is_dirty: true,
            is_suspect: false,
            newest: record,
            scratch: Vec::new(),
            slots,
        }
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.header.geometry.file_bytes()
    }

    /// Makes sure that the file still has its name: what is written to a removed file is lost.
    pub(crate) fn check_name(&self) -> Result<(), IoFailure> {
        if self.file.has_name().context("look at", &self.path)? {
            Ok(())
        } else {
            let gone = std::io::ErrorKind::NotFound.into();
            Err(IoFailure::new("find", &self.path, gone))
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Commits up to this one survive a power loss.
    pub(crate) fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    /// Encodes the next record, for [`Self::write_commit`]. Separate, so that the state it is made
    /// from is not locked during the write.
    pub(crate) fn encode_commit(
        &mut self,
        acks: &Acks,
        partly_done: impl Iterator<Item = PartlyDone>,
        next_id: u64,
        generations: &Generations,
        tag: &[u8],
    ) {
        commit::encode_parts(
            acks,
            partly_done,
            ([self.sequence.saturating_add(1), next_id], generations),
            self.boot_id,
            tag,
            &self.header,
            &mut self.scratch,
        );
    }

    /// Writes the record that was encoded last, into a slot whose loss would cost nothing.
    pub(crate) fn write_commit(&mut self) -> Result<(), CommitWriteError> {
        self.make_room()?;
        let slot = (0..COMMIT_SLOTS)
            .find(|slot| *slot != self.newest_slot && Some(*slot) != self.durable_slot)
            .unwrap_or(0);
        write(
            &*self.file,
            &self.scratch,
            self.header.geometry.commit_position(slot),
        )
        .context("write a commit to", &self.path)
        .map_err(CommitWriteError::Io)?;
        self.sequence = self.sequence.saturating_add(1);
        self.newest_slot = slot;
        self.is_dirty = true;
        std::mem::swap(&mut self.newest, &mut self.scratch);
        Ok(())
    }

    /// Makes the slots larger where the record that was encoded last does not fit them: in a new
    /// file, for which a full disk has no space.
    fn make_room(&mut self) -> Result<(), CommitWriteError> {
        let bytes = self.scratch.len();
        let geometry = self
            .header
            .geometry
            .with_room_for(bytes)
            .ok_or(CommitWriteError::TooLarge)?;
        if geometry != self.header.geometry {
            self.replace(geometry)
                .map_err(|_| CommitWriteError::TooLarge)?;
            self.note_durable();
        }
        Ok(())
    }

    /// Writes the newest record once more into another slot, so that no single damaged block can
    /// take it away.
    pub(crate) fn repeat_commit(&mut self) -> Result<(), IoFailure> {
        let slot = (0..COMMIT_SLOTS)
            .find(|slot| *slot != self.newest_slot && Some(*slot) != self.durable_slot)
            .unwrap_or(0);
        write(
            &*self.file,
            &self.newest,
            self.header.geometry.commit_position(slot),
        )
        .context("write a commit to", &self.path)
    }

    /// Makes everything written durable. After a failure the next try writes a new file: the old
    /// one's state is unknown for ever.
    pub(crate) fn sync(&mut self) -> Result<(), IoFailure> {
        if self.is_suspect {
            self.replace(self.header.geometry)?;
        } else if self.is_dirty
            && let Err(error) = vfs::uninterrupted(|| self.file.sync())
        {
            self.is_suspect = true;
            return Err(IoFailure::new("sync", &self.path, error));
        }
        self.note_durable();
        Ok(())
    }

    /// Makes room for so many leases, where there is less. After a failure, as on a full disk,
    /// there is as much room as before.
    pub(crate) fn grow(&mut self, lease_slots: u32) -> Result<(), IoFailure> {
        if lease_slots <= self.header.geometry.lease_slots {
            return Ok(());
        }
        self.replace(Geometry {
            lease_slots,
            ..self.header.geometry
        })?;
        self.note_durable();
        Ok(())
    }

    /// Writes all that counts to a new file, and puts that in the place of this one.
    fn replace(&mut self, geometry: Geometry) -> Result<(), IoFailure> {
        let header = ControlHeader {
            geometry,
            ..self.header
        };
        let file = write_beside(
            &*self.vfs,
            &self.directory,
            &header,
            &self.newest,
            &self.slots,
            true,
        )?;
        put_in_place(&*self.vfs, &self.directory)?;
        // The old file has no name any more: whatever else fails, this one is the queue's now.
        // Until that is durable, syncing it alone would be of no use.
        self.file = file;
        self.header = header;
        self.newest_slot = 0;
        self.slots.extend(lease_slots(&header));
        self.is_suspect = true;
        self.vfs
            .sync_directory(&self.directory)
            .context("sync", &self.directory)?;
        self.is_suspect = false;
        Ok(())
    }

    /// Everything that was written is durable.
    fn note_durable(&mut self) {
        self.is_dirty = false;
        self.durable_slot = Some(self.newest_slot);
        self.durable_sequence = self.sequence;
        self.slots.settle(self.durable_sequence);
    }

    /// Returns whether a lease can be written without a sync first.
    pub(crate) fn has_free_slot(&self) -> bool {
        self.slots.free().is_some()
    }

    /// Returns whether a sync would make room for another lease.
    pub(crate) fn has_covered_slot(&self) -> bool {
        self.slots.has_covered()
    }

    /// Writes a lease into a free slot, and makes it durable where that is asked for; none if there
    /// is no free one.
    pub(crate) fn write_lease(
        &mut self,
        record: &LeaseRecord,
        is_synced: bool,
    ) -> Result<Option<LeaseSlot>, LeaseWriteError> {
        let Some(slot) = self.slots.free() else {
            return Ok(None);
        };
        let content = record.encode_slot(self.header.uuid);
        let written = self
            .write_slot(slot, &content)
            .context("write a lease to", &self.path);
        self.slots.hold(slot, content);
        let written = match written {
            Ok(()) if is_synced => self.sync(),
            other => other,
        };
        let Err(cause) = written else {
            return Ok(Some(slot));
        };
        // Taken back. Where that fails too, the record may be there, and the slot stays in use.
        let left = self.empty_lease(slot, false).err().map(|_| slot);
        Err(LeaseWriteError { cause, left })
    }

    /// The lease in the slot does not hold any more although its items are not done, durably where
    /// that is asked for. After a failure it does, as far as the disk takes it.
    pub(crate) fn empty_lease(
        &mut self,
        slot: LeaseSlot,
        is_synced: bool,
    ) -> Result<(), IoFailure> {
        let empty = empty_slot(&self.header);
        let content = self.slots.take(slot);
        let emptied = self
            .write_slot(slot, &empty)
            .context("empty a lease in", &self.path);
        let emptied = match emptied {
            Ok(()) if is_synced => self.sync(),
            other => other,
        };
        if emptied.is_err()
            && let Some(content) = content
        {
            let _ = self.write_slot(slot, &content);
            self.slots.hold(slot, content);
        }
        emptied
    }

    fn write_slot(&mut self, slot: LeaseSlot, content: &[u8]) -> std::io::Result<()> {
        self.is_dirty = true;
        let position = self.header.geometry.lease_position(slot.0);
        write(&*self.file, content, position)
    }

    /// The lease in the slot is done in the newest commit.
    pub(crate) fn cover_lease(&mut self, slot: LeaseSlot) {
        self.slots.cover(slot, self.sequence);
    }

    /// At a level that does not outlive a power loss, written is durable.
    pub(crate) fn settle(&mut self) {
        self.slots.settle(self.sequence);
    }
}

fn lease_slots(header: &ControlHeader) -> usize {
    usize::try_from(header.geometry.lease_slots).unwrap_or(0)
}

fn slots(header: &ControlHeader, live: &[(LeaseSlot, LeaseRecord)]) -> Slots {
    let mut slots = Slots::new(lease_slots(header));
    for (slot, record) in live {
        slots.hold(*slot, record.encode_slot(header.uuid));
    }
    slots
}

/// Writes a whole control file beside the old one. Everything in it is really written, so that
/// later changes need no space.
fn write_beside(
    vfs: &dyn Vfs,
    directory: &Path,
    header: &ControlHeader,
    newest: &[u8],
    slots: &Slots,
    is_synced: bool,
) -> Result<Arc<dyn VfsFile>, IoFailure> {
    let path = directory.join(NEW_FILE_NAME);
    if let Err(error) = vfs.remove(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(IoFailure::new("remove", &path, error));
    }
    let mut content = header.encode();
    content.resize(field::narrow(header.geometry.file_bytes()), 0);
    let empty = empty_slot(header);
    let commits = (0..COMMIT_SLOTS).map(|slot| (header.geometry.commit_position(slot), newest));
    let leases = slots
        .contents()
        .chain(
            (0..lease_slots(header))
                .skip(slots.len())
                .map(|slot| (slot, None)),
        )
        .map(|(slot, bytes)| {
            let bytes = bytes.unwrap_or(&empty);
            (header.geometry.lease_position(slot), bytes)
        });
    for (position, bytes) in commits.chain(leases) {
        let from = field::narrow(position);
        if let Some(place) = content.get_mut(from..from.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
    let file = vfs::uninterrupted(|| vfs.open(&path, OpenMode::Create)).context("create", &path)?;
    let written = write(&*file, &content, 0)
        .context("write", &path)
        .and_then(|()| {
            if is_synced {
                vfs::uninterrupted(|| file.sync()).context("sync", &path)
            } else {
                Ok(())
            }
        });
    if written.is_err() {
        // A full disk needs the space for better.
        let _ = vfs.remove(&path);
    }
    written.map(|()| file)
}

/// Puts the file that was written beside the old one in its place.
fn put_in_place(vfs: &dyn Vfs, directory: &Path) -> Result<(), IoFailure> {
    let target = directory.join(FILE_NAME);
    vfs.rename(&directory.join(NEW_FILE_NAME), &target)
        .context("put in place", &target)
}

fn write(file: &dyn VfsFile, bytes: &[u8], position: u64) -> std::io::Result<()> {
    vfs::write_all_at(file, &mut [IoSlice::new(bytes)], position)
}
