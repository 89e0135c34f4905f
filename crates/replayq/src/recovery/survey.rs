//! Looking through one segment: which items are in it, which are not done, what is damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry::{self, Kind, MAX_LEASE_PAYLOAD_BYTES};
use crate::format::segment::head::{self, HEAD_BYTES, Seal};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::{Payloads, Step, Walk};
use crate::ids::acks::Acks;
use crate::ids::{ItemId, ItemRange};
use crate::limits::load::Load;
use crate::scan::Candidate;
use crate::state::damage_log::Places;
use crate::state::leases::Home;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// A walk that looks at headers only reads so much at once.
const HEADER_READ_BYTES: usize = 64 << 10;

/// The result of walking through a segment.
#[derive(Default)]
pub(super) struct Surveyed {
    pub(super) items: u64,
    pub(super) payload_bytes: u64,
    pub(super) last_id: u64,
    pub(super) end: u64,
    pub(super) open_items: u64,
    pub(super) open_bytes: u64,
    pub(super) lowest_open: Option<u64>,
    pub(super) highest_open: Option<u64>,
    pub(super) leases: Vec<(LeaseRecord, Home)>,
    /// Ids between items that are in no entry.
    pub(super) absent: Vec<(u64, u64)>,
    pub(super) damage: Places,
    /// Something half-written follows the last entry.
    pub(super) is_torn: bool,
    pub(super) highest_id: u64,
    /// Items that should be there were not found, without reading them all.
    pub(super) is_suspect: bool,
}

impl Surveyed {
    /// Of a segment in which nothing is.
    pub(super) fn nothing(key: SegmentKey) -> Self {
        Self {
            last_id: key.first_id.saturating_sub(1),
            end: HEAD_BYTES,
            ..Self::default()
        }
    }
}

/// A sealed segment, which says itself what it holds.
pub(super) struct Sealed<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) directory: &'a Path,
    pub(super) candidate: &'a Candidate,
    pub(super) seal: &'a Seal,
    pub(super) uuid: QueueUuid,
    pub(super) limit_id: u64,
}

impl Sealed<'_> {
    /// Where some of it is done, the commit says what is left. Only where it does not, that has to
    /// be counted.
    pub(super) fn survey(&self, acks: &Acks, open: Option<Load>) -> Result<Surveyed, IoFailure> {
        let Self {
            seal,
            uuid,
            limit_id,
            ..
        } = *self;
        let key = self.candidate.key;
        let file_name = PathBuf::from(key.file_name());
        let is_covered = acks.covers(key.first_id, seal.last_id);
        let is_walked = !is_covered && open.is_none() && acks.touches(key.first_id, seal.last_id);
        let mut surveyed = if is_covered {
            Surveyed::default()
        } else if is_walked {
            let file = self.open()?;
            survey(key, &file, uuid, Payloads::Skip, limit_id, seal.end, acks)
                .context("read", &file_name)?
        } else {
            Surveyed {
                open_items: open.map_or(seal.items, |open| open.items),
                open_bytes: open.map_or(seal.payload_bytes, |open| open.bytes),
                lowest_open: Some(acks.first_open(key.first_id)),
                highest_open: acks.last_open(seal.last_id),
                ..Surveyed::default()
            }
        };
        // Fewer than were sealed: the reader has to come by, although nothing seems to be open, to
        // say what is lost.
        let is_empty = !is_covered && !is_walked && surveyed.open_items == 0;
        surveyed.is_suspect = is_empty || is_walked && surveyed.items != seal.items;
        surveyed.items = seal.items;
        surveyed.payload_bytes = seal.payload_bytes;
        surveyed.last_id = seal.last_id;
        surveyed.end = seal.end;
        // The reader comes by these places too, and is the one to judge.
        surveyed.damage = Places::default();
        surveyed.absent.clear();
        surveyed.leases.clear();
        if seal.leases.is_empty() {
            return Ok(surveyed);
        }
        let file = self.open()?;
        for position in &seal.leases {
            let mut walk = Walk::new(
                Arc::clone(&file),
                key.seed(uuid),
                Payloads::Verify,
                key.first_id,
                limit_id,
                seal.end,
                4096,
            );
            let most = entry::entry_bytes(MAX_LEASE_PAYLOAD_BYTES);
            // Where it is not, it is nowhere.
            walk.end_at(position.saturating_add(most));
            walk.jump(*position, 0);
            let step = walk.step().context("read", &file_name)?;
            let Step::Entry(found) = step else {
                surveyed.damage.push(Damage::Lease, acks);
                continue;
            };
            match (found.header.kind, LeaseRecord::decode(&found.payload)) {
                (Kind::Void, _) => {}
                (Kind::Lease, Some(record)) if !found.is_damaged => surveyed.leases.push((
                    record,
                    Home::Entry {
                        segment: key,
                        position: *position,
                        payload_bytes: found.header.payload_bytes,
                        id: found.header.id,
                    },
                )),
                _ => surveyed.damage.push(Damage::Lease, acks),
            }
        }
        Ok(surveyed)
    }

    fn open(&self) -> Result<Arc<dyn VfsFile>, IoFailure> {
        self.candidate
            .open(self.vfs, self.directory, OpenMode::Read)
            .context("open", &self.candidate.path(self.directory))
    }
}

/// Walks through all of a segment.
pub(super) fn survey(
    key: SegmentKey,
    file: &Arc<dyn VfsFile>,
    uuid: QueueUuid,
    payloads: Payloads,
    limit_id: u64,
    end: u64,
    acks: &Acks,
) -> std::io::Result<Surveyed> {
    let read_bytes = if payloads == Payloads::Skip {
        HEADER_READ_BYTES
    } else {
        1 << 20
    };
    let mut walk = Walk::new(
        Arc::clone(file),
        key.seed(uuid),
        payloads,
        key.first_id,
        limit_id,
        end,
        read_bytes,
    );
    let mut surveyed = Surveyed::nothing(key);
    // Damage counts only when something sound follows: at the very end it is a write that was cut
    // short.
    let mut doubtful = Places::default();
    let mut garbage: Option<(u64, u64)> = None;
    let bytes = |place: Option<(u64, u64)>, ids| {
        place.map(|(position, bytes)| Damage::Bytes {
            file: key.file_name(),
            position,
            bytes,
            ids,
        })
    };
    loop {
        let previous_id = surveyed.last_id.max(surveyed.highest_id);
        match walk.step()? {
            Step::End => break,
            Step::Garbage { position, bytes } => garbage = Some((position, bytes)),
            Step::Entry(found) if found.is_damaged => {
                doubtful.extend(bytes(garbage.take(), None), acks);
                surveyed.highest_id = surveyed.highest_id.max(found.header.id);
                surveyed.is_torn = true;
                let damage = if found.header.kind == Kind::Item {
                    Damage::Item {
                        file: key.file_name(),
                        position: found.position,
                        id: ItemId(found.header.id),
                    }
                } else {
                    Damage::Lease
                };
                doubtful.push(damage, acks);
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
                let ids = ItemRange::new(
                    ItemId(previous_id.saturating_add(1)),
                    ItemId(next_id.saturating_sub(1)),
                );
                doubtful.extend(bytes(garbage.take(), ids), acks);
                surveyed.damage.append(std::mem::take(&mut doubtful), acks);
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
                        surveyed.highest_open = Some(found.header.id);
                    }
                } else {
                    surveyed.last_id = surveyed.last_id.max(found.header.id);
                    let record = (found.header.kind == Kind::Lease)
                        .then(|| LeaseRecord::decode(&found.payload));
                    if record == Some(None) {
                        surveyed.damage.push(Damage::Lease, acks);
                    }
                    if let Some(Some(record)) = record {
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
pub(super) fn seal_late(key: SegmentKey, file: &dyn VfsFile, surveyed: &Surveyed, uuid: QueueUuid) {
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
    if let Some(bytes) = seal.encode(uuid, key) {
        // It only spares work.
        let _ = vfs::write_all_at(
            file,
            &mut [std::io::IoSlice::new(&bytes)],
            head::SEAL_POSITION,
        );
    }
}
