//! One segment on its way into another file: what of it is whole, and what is not.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::format::segment::entry::{self, Header, Kind};
use crate::format::segment::head::{HEAD_BYTES, SEAL_POSITION, Seal, SegmentHeader};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::payload::PayloadSum;
use crate::format::segment::sums::HeaderSums;
use crate::format::segment::walk::{Found, Payloads, Step, Walk};
use crate::ids::{ItemId, ItemRange};
use crate::moment::{Elapsed, Moment};
use crate::state::waiting::Item;
use crate::vfs::{self, VfsFile};

/// So much is written at once.
const PIECE_BYTES: usize = 1 << 20;

/// The segment to be copied.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) path: PathBuf,
    pub(crate) uuid: QueueUuid,
    pub(crate) key: SegmentKey,
    /// The id before the first that the segment was made with.
    pub(crate) previous_id: u64,
    /// When it was made.
    pub(crate) made: Moment,
    /// Ids from here on are another segment's.
    pub(crate) limit_id: u64,
    /// Where the entries end.
    pub(crate) end: u64,
    /// Items that are in memory too: what the file has lost of these is not lost.
    pub(crate) at_hand: BTreeMap<u64, Item>,
}

/// A copy in the making.
#[derive(Debug)]
pub(crate) struct Copy {
    walk: Walk,
    source: Source,
    key: SegmentKey,
    sums: HeaderSums,
    buffer: Vec<u8>,
    /// Bytes of the new file that are written.
    written: u64,
    /// The summary of the new segment.
    pub(crate) seal: Seal,
    /// Where lease entries were, and where they are now.
    pub(crate) leases: BTreeMap<u64, u64>,
    /// Damage that was found.
    pub(crate) damage: Vec<Damage>,
}

impl Copy {
    /// A copy under the key, whose first id must be the old one's.
    pub(crate) fn new(source: Source, key: SegmentKey) -> Self {
        Self {
            walk: Walk::new(
                Arc::clone(&source.file),
                source.key.seed(source.uuid),
                Payloads::Verify,
                source.key.first_id,
                source.limit_id,
                source.end,
                PIECE_BYTES,
            )
            .made_at(source.made),
            sums: HeaderSums::new(key.seed(source.uuid)),
            key,
            buffer: Vec::new(),
            written: HEAD_BYTES,
            seal: Seal {
                items: 0,
                payload_bytes: 0,
                last_id: source.key.first_id.saturating_sub(1),
                end: HEAD_BYTES,
                leases: Vec::new(),
            },
            leases: BTreeMap::new(),
            damage: Vec::new(),
            source,
        }
    }

    /// Copies all of it to the file, which has that path; items up to `last_id` are known to have
    /// been there.
    pub(crate) fn run(
        &mut self,
        target: &dyn VfsFile,
        path: &Path,
        last_id: u64,
    ) -> Result<(), IoFailure> {
        let header = SegmentHeader {
            uuid: self.source.uuid,
            key: self.key,
            previous_id: self.source.previous_id,
            made: self.source.made,
        };
        vfs::write_all_at(target, &mut [IoSlice::new(&header.encode())], 0)
            .context("write to", path)?;
        let mut garbage = None;
        loop {
            let passed = self.walk.last_id();
            let step = self.walk.step().context("read", &self.source.path);
            match step.map_err(|failure| failure.at(self.walk.position()))? {
                Step::End => break,
                Step::Garbage { position, bytes } => garbage = Some((position, bytes)),
                Step::Entry(found) => {
                    if let Some(place) = garbage.take() {
                        let is_item = found.header.kind == Kind::Item;
                        let next_id = found.header.id.saturating_add(u64::from(!is_item));
                        let ids = (passed.saturating_add(1), next_id.saturating_sub(1));
                        self.lose(place, ids);
                    }
                    self.take(&found);
                }
            }
            if self.buffer.len() >= PIECE_BYTES {
                self.write(target).context("write to", path)?;
            }
        }
        let position = self.walk.position();
        let ids = (self.walk.last_id().saturating_add(1), last_id);
        if ids.0 <= ids.1 {
            self.lose((position, self.source.end.saturating_sub(position)), ids);
        }
        self.write(target).context("write to", path)?;
        // With too many leases there is no seal: it only spares reading.
        if let Some(seal) = self.seal.encode(self.source.uuid, self.key) {
            vfs::write_all_at(target, &mut [IoSlice::new(&seal)], SEAL_POSITION)
                .context("write to", path)?;
        }
        Ok(())
    }

    fn take(&mut self, found: &Found) {
        let id = found.header.id;
        match found.header.kind {
            Kind::Void => {}
            Kind::Lease if found.is_damaged => self.damage.push(Damage::Lease),
            Kind::Lease => {
                self.leases.insert(found.position, self.seal.end);
                self.seal.leases.push(self.seal.end);
                self.put(Kind::Lease, Elapsed::ZERO, id, &found.payload);
            }
            Kind::Item if found.is_damaged => match self.source.at_hand.remove(&id) {
                Some(item) => self.put_item(&item),
                None => self.damage.push(Damage::Item {
                    file: self.source.key.file_name(),
                    position: found.position,
                    id: ItemId(id),
                }),
            },
            Kind::Item => self.put_item(&Item {
                id: ItemId(id),
                payload: found.payload.clone(),
                accepted: found.accepted,
            }),
        }
    }

    /// A range with items of those ids, if any, in which nothing can be made out.
    fn lose(&mut self, (position, bytes): (u64, u64), ids: (u64, u64)) {
        let mut first = ids.0;
        let at_hand: Vec<Item> = if ids.0 <= ids.1 {
            let range = self.source.at_hand.range(ids.0..=ids.1);
            range.map(|(_, item)| item.clone()).collect()
        } else {
            Vec::new()
        };
        let report = |first: u64, last: u64, damage: &mut Vec<Damage>| {
            let ids = ItemRange::new(ItemId(first), ItemId(last));
            if ids.is_some() {
                damage.push(Damage::Bytes {
                    file: self.source.key.file_name(),
                    position,
                    bytes,
                    ids,
                });
            }
        };
        let mut damage = Vec::new();
        for item in &at_hand {
            report(first, item.id.previous().0, &mut damage);
            first = item.id.next().0;
        }
        report(first, ids.1, &mut damage);
        if damage.is_empty() && at_hand.is_empty() {
            damage.push(Damage::Bytes {
                file: self.source.key.file_name(),
                position,
                bytes,
                ids: None,
            });
        }
        self.damage.append(&mut damage);
        for item in at_hand {
            self.put_item(&item);
        }
    }

    fn put_item(&mut self, item: &Item) {
        self.seal.items = self.seal.items.saturating_add(1);
        self.seal.payload_bytes = self.seal.payload_bytes.saturating_add(item.bytes());
        self.seal.last_id = item.id.0;
        let elapsed = item.accepted.after(self.source.made);
        self.put(Kind::Item, elapsed, item.id.0, &item.payload);
    }

    fn put(&mut self, kind: Kind, elapsed: Elapsed, id: u64, payload: &[u8]) {
        let header = Header {
            kind,
            elapsed,
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            id,
            payload_sum: PayloadSum::of(payload),
        };
        let mut head = [0; entry::HEADER_BYTES];
        header.encode(&mut self.sums, &mut head);
        self.buffer.extend_from_slice(&head);
        self.buffer.extend_from_slice(payload);
        self.buffer.extend_from_slice(entry::padding(payload.len()));
        self.seal.end = self.seal.end.saturating_add(header.entry_bytes());
    }

    fn write(&mut self, target: &dyn VfsFile) -> io::Result<()> {
        vfs::write_all_at(target, &mut [IoSlice::new(&self.buffer)], self.written)?;
        self.written = self.seal.end;
        self.buffer.clear();
        Ok(())
    }
}
