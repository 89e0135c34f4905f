//! A control file as it was found: its header, what each slot holds, and what of it is damaged.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crate::error::{IoContext, IoFailure};
use crate::field;
use crate::format::segment::key::QueueUuid;
use crate::put_aside::{self, Reason};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

use super::commit::Commit;
use super::header::{BLOCK_BYTES, COMMIT_SLOTS, ControlHeader, FILE_NAME, Geometry, HeaderState};
use super::lease::{self, LeaseRecord, SlotState};

/// The contents of a control file that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) header: HeaderState,
    /// Of every commit slot: the record, if any validates, with the queue it names.
    pub(crate) commits: Vec<Option<(QueueUuid, Commit)>>,
    /// The file ends before its last slot.
    pub(crate) is_cut: bool,
    /// Commit slots without a record, where there should be one.
    pub(crate) damaged_commits: usize,
    pub(super) file: Arc<dyn VfsFile>,
    content: Vec<u8>,
}

impl Found {
    /// Reads the control file of a directory; none if there is none.
    pub(crate) fn read(
        vfs: &dyn Vfs,
        directory: &Path,
        mode: OpenMode,
    ) -> Result<Option<Self>, IoFailure> {
        const LARGEST_FILE: usize = 32 << 20;
        let path = directory.join(FILE_NAME);
        let file = match vfs::uninterrupted(|| vfs.open(&path, mode)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IoFailure::new("open", &path, error)),
        };
        let bytes = field::narrow(file.length().context("measure", &path)?).min(LARGEST_FILE);
        let mut content = Vec::with_capacity(bytes);
        vfs::read_full_at(&*file, &mut content, bytes, 0).context("read", &path)?;
        let header = ControlHeader::decode(&content);
        let geometry = layout(header, &content);
        let commits = commits(&content, geometry);
        let damaged_commits = commits.iter().filter(|commit| commit.is_none()).count();
        Ok(Some(Self {
            header,
            is_cut: field::wide(content.len()) < geometry.file_bytes(),
            commits,
            damaged_commits,
            file,
            content,
        }))
    }

    /// The newest commit of the queue.
    pub(crate) fn newest(&self, uuid: QueueUuid) -> Option<&Commit> {
        self.commits
            .iter()
            .flatten()
            .filter(|(found, _)| *found == uuid)
            .map(|(_, commit)| commit)
            .max_by_key(|commit| commit.sequence)
    }

    /// The contents of the lease slots.
    pub(crate) fn leases(&self, uuid: QueueUuid) -> Vec<SlotState> {
        let geometry = layout(self.header, &self.content);
        let slots = usize::try_from(geometry.lease_slots).unwrap_or(0);
        (0..slots)
            .map(|slot| {
                let bytes = part(&self.content, geometry.lease_position(slot), BLOCK_BYTES);
                if bytes.is_empty() {
                    // What is behind the end of a file that was cut is reported as such.
                    SlotState::Empty
                } else {
                    LeaseRecord::decode_slot(bytes, uuid)
                }
            })
            .collect()
    }

    /// Keeps what the file holds under another name, before it is written anew. Where there is no
    /// space for that, the queue does without.
    pub(crate) fn keep_copy(&self, vfs: &dyn Vfs, directory: &Path, reason: Reason) {
        let path = directory.join(FILE_NAME);
        let Ok(target) = put_aside::free_name(vfs, &path, reason) else {
            return;
        };
        let kept = vfs::uninterrupted(|| vfs.open(&target, OpenMode::Create))
            .and_then(|file| vfs::write_all_at(&*file, &mut [IoSlice::new(&self.content)], 0));
        if kept.is_err() {
            let _ = vfs.remove(&target);
        }
    }

    /// Writes over the slots of which nothing can be made out: what was in them is lost, and was
    /// reported.
    pub(crate) fn heal(&self, header: &ControlHeader) -> std::io::Result<()> {
        let mut newest = Vec::new();
        if let Some(commit) = self.newest(header.uuid) {
            commit.encode(header, &mut newest);
        }
        let geometry = layout(self.header, &self.content);
        let commits = self.commits.iter().enumerate();
        for (slot, _) in commits.filter(|(_, commit)| commit.is_none()) {
            let position = geometry.commit_position(slot);
            vfs::write_all_at(&*self.file, &mut [IoSlice::new(&newest)], position)?;
        }
        for (slot, state) in self.leases(header.uuid).into_iter().enumerate() {
            if state == SlotState::Damaged {
                let position = geometry.lease_position(slot);
                let empty = lease::empty_slot(header);
                vfs::write_all_at(&*self.file, &mut [IoSlice::new(&empty)], position)?;
            }
        }
        Ok(())
    }
}

/// Where things are. A file whose header is lost is of the sizes of which most commits can be read.
fn layout(header: HeaderState, content: &[u8]) -> Geometry {
    if let HeaderState::Valid(header) = header {
        return header.geometry;
    }
    let readable = |geometry: &Geometry| commits(content, *geometry).iter().flatten().count();
    let mut best = Geometry::with_lease_slots(0);
    let mut most = None;
    for geometry in Geometry::all_of_file(field::wide(content.len())) {
        let count = readable(&geometry);
        if most.is_none_or(|most| count > most) {
            (best, most) = (geometry, Some(count));
        }
    }
    best
}

/// The contents of each commit slot, if it validates.
fn commits(content: &[u8], geometry: Geometry) -> Vec<Option<(QueueUuid, Commit)>> {
    let bytes = u64::from(geometry.commit_slot_bytes);
    (0..COMMIT_SLOTS)
        .map(|slot| Commit::decode_any(part(content, geometry.commit_position(slot), bytes)))
        .collect()
}

fn part(content: &[u8], position: u64, bytes: u64) -> &[u8] {
    let from = field::narrow(position).min(content.len());
    let to = field::narrow(position.saturating_add(bytes)).min(content.len());
    content.get(from..to).unwrap_or(&[])
}
