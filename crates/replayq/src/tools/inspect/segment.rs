//! One segment, read and judged.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::damage::Damage;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry::Kind;
use crate::format::segment::head::{HEAD_BYTES, Seal, SegmentHeader};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::{Payloads, Step, Walk};
use crate::ids::{ItemId, ItemRange};
use crate::moment::Moment;
use crate::scan::Judgement;
use crate::state::waiting::Item;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// A segment file that was found, with what its head says. It is opened while it is read only:
/// there may be more of them than descriptors.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) key: SegmentKey,
    pub(super) path: PathBuf,
    pub(super) file_bytes: u64,
    pub(super) judgement: Judgement,
    /// The header, if it is that of the segment that the name says.
    pub(super) header: Option<SegmentHeader>,
    pub(super) seal: Option<Seal>,
    /// Ids from here on are the next segment's.
    pub(super) limit_id: u64,
}

/// An item that was come across, with its payload's bytes and its position. A break ends the
/// reading.
pub(super) type EachItem<'a> = dyn FnMut(Item, u64, u64) -> ControlFlow<()> + 'a;

/// The result of reading.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) items: u64,
    pub(super) last_id: Option<u64>,
    pub(super) end: u64,
    pub(super) torn_bytes: u64,
    pub(super) leases: Vec<LeaseRecord>,
    pub(super) damage: Vec<Damage>,
}

impl Candidate {
    fn open(&self, vfs: &dyn Vfs) -> io::Result<Option<Arc<dyn VfsFile>>> {
        match vfs::uninterrupted(|| vfs.open(&self.path, OpenMode::Read)) {
            Ok(file) => Ok(Some(file)),
            // Its items were done meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn walk(&self, file: &Arc<dyn VfsFile>, uuid: QueueUuid, payloads: Payloads, end: u64) -> Walk {
        let made = self.header.map_or(Moment::UNKNOWN, |header| header.made);
        Walk::new(
            Arc::clone(file),
            self.key.seed(uuid),
            payloads,
            self.key.first_id,
            self.limit_id,
            end,
            READ_BYTES,
        )
        .made_at(made)
    }

    /// Reads all entries.
    pub(super) fn read(
        &self,
        vfs: &dyn Vfs,
        uuid: QueueUuid,
        payloads: Payloads,
        each: &mut EachItem<'_>,
    ) -> io::Result<Reading> {
        let mut reading = Reading {
            end: HEAD_BYTES,
            ..Reading::default()
        };
        let Some(file) = self.open(vfs)? else {
            return Ok(reading);
        };
        let end = self.seal.as_ref().map_or(self.file_bytes, |seal| seal.end);
        let mut walk = self.walk(&file, uuid, payloads, end);
        // What follows the last sound entry is damage only where a seal says that there was more.
        let mut doubtful: Vec<Damage> = Vec::new();
        loop {
            let previous_id = walk.last_id();
            match walk.step()? {
                Step::End => break,
                Step::Garbage { position, bytes } => {
                    doubtful.push(self.garbage(position, bytes, None))
                }
                Step::Entry(found) => {
                    let next_id = found
                        .header
                        .id
                        .saturating_add(u64::from(found.header.kind != Kind::Item));
                    if let Some(Damage::Bytes { ids, .. }) = doubtful.last_mut()
                        && ids.is_none()
                    {
                        *ids = between(previous_id, next_id);
                    }
                    if found.is_damaged {
                        doubtful.push(self.damaged(
                            found.header.kind,
                            found.position,
                            found.header.id,
                        ));
                        continue;
                    }
                    reading.damage.append(&mut doubtful);
                    reading.end = walk.position();
                    match found.header.kind {
                        Kind::Item => {
                            reading.items = reading.items.saturating_add(1);
                            reading.last_id = Some(found.header.id);
                            let item = Item {
                                id: ItemId(found.header.id),
                                payload: found.payload,
                                accepted: found.accepted,
                            };
                            let bytes = u64::from(found.header.payload_bytes);
                            let flow = each(item, bytes, found.position);
                            if flow.is_break() {
                                return Ok(reading);
                            }
                        }
                        Kind::Lease => reading.leases.extend(LeaseRecord::decode(&found.payload)),
                        Kind::Void => {}
                    }
                }
            }
        }
        match &self.seal {
            Some(seal) if reading.end < seal.end => {
                reading.damage.append(&mut doubtful);
                let position = walk.position().max(reading.end);
                if position < seal.end {
                    let last = walk.last_id();
                    reading.damage.push(self.garbage(
                        position,
                        seal.end.saturating_sub(position),
                        between(last, seal.last_id.saturating_add(1)),
                    ));
                }
            }
            Some(_) => {}
            None if !doubtful.is_empty() => {
                reading.torn_bytes = walk.position().saturating_sub(reading.end);
            }
            None => {}
        }
        Ok(reading)
    }

    /// The leases that the seal names.
    pub(super) fn sealed_leases(
        &self,
        vfs: &dyn Vfs,
        uuid: QueueUuid,
        seal: &Seal,
    ) -> io::Result<Vec<LeaseRecord>> {
        let mut leases = Vec::new();
        if seal.leases.is_empty() {
            return Ok(leases);
        }
        let Some(file) = self.open(vfs)? else {
            return Ok(leases);
        };
        for position in &seal.leases {
            let mut walk = self.walk(&file, uuid, Payloads::Verify, seal.end);
            walk.jump(*position, 0);
            if let Step::Entry(found) = walk.step()?
                && found.header.kind == Kind::Lease
                && !found.is_damaged
            {
                leases.extend(LeaseRecord::decode(&found.payload));
            }
        }
        Ok(leases)
    }

    fn garbage(&self, position: u64, bytes: u64, ids: Option<ItemRange>) -> Damage {
        Damage::Bytes {
            file: self.key.file_name(),
            position,
            bytes,
            ids,
        }
    }

    fn damaged(&self, kind: Kind, position: u64, id: u64) -> Damage {
        if kind == Kind::Item {
            Damage::Item {
                file: self.key.file_name(),
                position,
                id: ItemId(id),
            }
        } else {
            Damage::Lease
        }
    }
}

/// The ids behind the one and before the other.
fn between(after: u64, before: u64) -> Option<ItemRange> {
    ItemRange::new(
        ItemId(after.saturating_add(1)),
        ItemId(before.checked_sub(1)?),
    )
}
