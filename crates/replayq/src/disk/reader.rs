//! The reader of the backlog: from the end of the items in memory on, in large reads, segment by
//! segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::format::segment::entry::Kind;
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::{Payloads, Step, Walk};
use crate::ids::acks::Acks;
use crate::ids::{ItemId, ItemRange};
use crate::moment::Moment;
use crate::state::ledger::{Ledger, Place};
use crate::state::segment::{Segment, Span};
use crate::state::waiting::Item;
use crate::vfs::{self, OpenMode, Vfs};

/// The reader of one queue.
#[derive(Debug)]
pub(crate) struct Reader {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    uuid: QueueUuid,
    read_bytes: usize,
    current: Option<(SegmentKey, Walk)>,
    /// The end of the current segment's entries when the ledger was last asked, and the last item's
    /// id.
    expected_end: u64,
    expected_id: u64,
    /// Items of the last read: the next one is likely to have as many.
    last_items: usize,
}

/// The place to read at.
#[derive(Copy, Clone, Debug)]
pub(super) enum Next {
    /// Everything is read.
    Nothing,
    /// On in the current segment.
    Here,
    /// At another place.
    At(Place),
}

/// The entries of one read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    bytes: u64,
    /// Ids that are in no entry.
    absent: Vec<(u64, u64)>,
    damage: Vec<Damage>,
    /// No entry follows.
    pub(super) is_over: bool,
}

/// A read on its way into the ledger.
#[derive(Debug)]
pub(super) struct Passage {
    key: SegmentKey,
    batch: Batch,
    /// The end of what was read, and the last id before it.
    position: u64,
    last_id: u64,
    result: Result<(), IoFailure>,
}

impl Batch {
    /// Items were there when they were written, and nothing can be made out after the last one that
    /// is there now.
    pub(super) fn note_lost(
        &mut self,
        key: SegmentKey,
        (position, end): (u64, u64),
        ids: (u64, u64),
    ) {
        if ids.0 > ids.1 {
            return;
        }
        self.absent.push(ids);
        self.damage.push(Damage::Bytes {
            file: key.file_name(),
            position,
            bytes: end.saturating_sub(position),
            ids: ItemRange::new(ItemId(ids.0), ItemId(ids.1)),
        });
    }

    /// Leaves only what concerns items of the range that are not done.
    pub(super) fn retain(&mut self, range: ItemRange, acks: &Acks) {
        let is_wanted =
            |ids: ItemRange| range.overlaps(ids) && !acks.covers(ids.first.0, ids.last.0);
        self.items.retain(|item| is_wanted(ItemRange::one(item.id)));
        self.absent.retain(|(first, last)| {
            ItemRange::new(ItemId(*first), ItemId(*last)).is_some_and(is_wanted)
        });
        self.damage.retain(|damage| match damage {
            Damage::Item { id, .. } => is_wanted(ItemRange::one(*id)),
            Damage::Bytes { ids: Some(ids), .. } => is_wanted(*ids),
            _ => false,
        });
    }

    /// Reports what is lost.
    pub(super) fn report(self, ledger: &mut Ledger, key: SegmentKey) {
        if !self.damage.is_empty() {
            ledger.note_damage_in(key);
        }
        for damage in self.damage {
            if !ledger.is_known(key, &damage) {
                ledger.report(damage);
            }
        }
        for (first, last) in self.absent {
            ledger.lose(first, last);
        }
    }

    /// Moves what was read into the ledger; the reader has passed all items up to `last_id`.
    fn settle(mut self, ledger: &mut Ledger, key: SegmentKey, last_id: u64) {
        ledger.absorb(std::mem::take(&mut self.items));
        if ledger.segments().get(key).is_none() {
            // All that was in it was acked meanwhile, and the file may be another segment's by now.
            self.damage.clear();
        }
        self.report(ledger, key);
        ledger.note_read_through(last_id);
    }
}

impl Reader {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        directory: PathBuf,
        uuid: QueueUuid,
        read_bytes: usize,
    ) -> Self {
        Self {
            vfs,
            directory,
            uuid,
            read_bytes,
            current: None,
            expected_end: 0,
            expected_id: 0,
            last_items: 0,
        }
    }

    /// Bytes of one read.
    pub(super) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// Reads on in the segment where the reader is, into the batch. Returns where that ended.
    pub(super) fn read_on(&mut self) -> Option<Passage> {
        let (key, walk) = self.current.as_mut()?;
        let key = *key;
        let mut batch = Batch {
            items: Vec::with_capacity(self.last_items),
            ..Batch::default()
        };
        let bytes = crate::field::wide(self.read_bytes);
        let result = read(walk, key, bytes, &mut batch)
            .context("read", &self.directory.join(key.file_name()))
            .map_err(|failure| failure.at(walk.position()));
        self.last_items = batch.items.len();
        Some(Passage {
            key,
            batch,
            position: walk.position(),
            last_id: walk.last_id(),
            result,
        })
    }

    /// Moves what was read into the ledger.
    pub(super) fn settle(
        &mut self,
        passage: Passage,
        ledger: &mut Ledger,
    ) -> Result<(), IoFailure> {
        let Passage {
            key,
            batch,
            position,
            last_id,
            result,
        } = passage;
        let is_over = batch.is_over;
        batch.settle(ledger, key, last_id);
        result?;
        if is_over && last_id < self.expected_id && ledger.segments().get(key).is_some() {
            // Items were there when they were written, and nothing can be made out there now.
            let end = self.expected_end;
            let missing = (last_id.saturating_add(1), self.expected_id);
            let mut lost = Batch::default();
            lost.note_lost(key, (position, end), missing);
            lost.settle(ledger, key, missing.1);
            if let Some((_, walk)) = self.current.as_mut() {
                walk.skip(end, missing.1);
            }
        }
        if ledger.is_read(key) {
            self.rest(ledger);
        }
        Ok(())
    }

    /// Decides where to read.
    pub(super) fn seek(&mut self, ledger: &mut Ledger) -> Next {
        if let Some(place) = ledger.take_unread_place() {
            if ledger.segments().get(place.segment).is_some() {
                return Next::At(place);
            }
            // All that was in it is done.
            return self.seek_after(ledger, place.segment);
        }
        let Some(key) = self.current.as_ref().map(|(key, _)| *key) else {
            return Next::Nothing;
        };
        let limit_id = ledger.segments().limit_id(key);
        if let Some((_, walk)) = self.current.as_mut()
            && let Some(segment) = ledger.segments().get(key)
        {
            walk.extend(segment.end, limit_id);
            if walk.position() < segment.end && walk.last_id() < segment.last_id {
                (self.expected_end, self.expected_id) = (segment.end, segment.last_id);
                return Next::Here;
            }
        }
        self.seek_after(ledger, key)
    }

    fn seek_after(&mut self, ledger: &mut Ledger, key: SegmentKey) -> Next {
        match ledger.segments().after(Some(key)) {
            Some((next, _)) => Next::At(Place::start_of(next)),
            None => {
                self.rest(ledger);
                Next::Nothing
            }
        }
    }

    /// Everything is read.
    fn rest(&mut self, ledger: &mut Ledger) {
        ledger.note_all_read();
        self.last_items = 0;
        if let Some((_, walk)) = self.current.as_mut() {
            walk.rest();
        }
    }

    /// The segment is replaced by another. Returns whether it was the one that is being read.
    pub(crate) fn let_go(&mut self, key: SegmentKey) -> bool {
        self.current
            .take_if(|(current, _)| *current == key)
            .is_some()
    }

    /// Goes to the place in a segment that is like this, or empty, and has ids below the limit.
    pub(super) fn open(
        &mut self,
        place: Place,
        segment: Option<&Segment>,
        limit_id: u64,
    ) -> Result<(), IoFailure> {
        let path = self.directory.join(place.segment.file_name());
        let (end, last_id, made) = segment.map_or((0, 0, Moment::UNKNOWN), |segment| {
            (segment.end, segment.last_id, segment.made)
        });
        if let Some((key, walk)) = self.current.as_mut()
            && *key == place.segment
        {
            walk.extend(end, limit_id);
            walk.jump(place.position, place.id);
            (self.expected_end, self.expected_id) = (end, last_id);
            return Ok(());
        }
        let file =
            vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Read)).context("open", &path)?;
        let mut walk = Walk::new(
            file,
            place.segment.seed(self.uuid),
            Payloads::Verify,
            place.segment.first_id,
            limit_id,
            end,
            self.read_bytes,
        )
        .made_at(made);
        walk.jump(place.position, place.id);
        if let Some((_, spent)) = self.current.take() {
            walk.reuse_buffers(spent);
        }
        self.current = Some((place.segment, walk));
        (self.expected_end, self.expected_id) = (end, last_id);
        Ok(())
    }
}

pub(super) fn read(
    walk: &mut Walk,
    key: SegmentKey,
    bytes: u64,
    batch: &mut Batch,
) -> std::io::Result<()> {
    let mut garbage: Option<(u64, u64)> = None;
    while batch.bytes < bytes {
        let previous_id = walk.last_id();
        match walk.step()? {
            Step::End => {
                batch.is_over = true;
                break;
            }
            Step::Garbage { position, bytes } => garbage = Some((position, bytes)),
            Step::Entry(found) => {
                // Damaged ones too: each of them is an event, which takes memory.
                batch.bytes = batch.bytes.saturating_add(found.header.entry_bytes());
                let is_item = found.header.kind == Kind::Item;
                let next_id = if is_item {
                    found.header.id
                } else {
                    found.header.id.saturating_add(1)
                };
                let absent = (previous_id.saturating_add(1), next_id.saturating_sub(1));
                if absent.0 <= absent.1 {
                    batch.absent.push(absent);
                }
                if let Some((position, bytes)) = garbage.take() {
                    batch.damage.push(Damage::Bytes {
                        file: key.file_name(),
                        position,
                        bytes,
                        ids: ItemRange::new(ItemId(absent.0), ItemId(absent.1)),
                    });
                }
                if is_item && found.is_damaged {
                    batch.absent.push((found.header.id, found.header.id));
                    batch.damage.push(Damage::Item {
                        file: key.file_name(),
                        position: found.position,
                        id: ItemId(found.header.id),
                    });
                } else if is_item {
                    batch.items.push(Item {
                        id: ItemId(found.header.id),
                        payload: found.payload,
                        accepted: found.accepted,
                    });
                }
            }
        }
    }
    Ok(())
}

/// Goes through the items of a span: id, payload's length and, if read, the payload. Damaged ones
/// are left out.
pub(crate) fn visit(
    vfs: &dyn Vfs,
    directory: &Path,
    uuid: QueueUuid,
    span: Span,
    payloads: Payloads,
    read_bytes: usize,
    mut each: impl FnMut(u64, u64, Bytes),
) -> Result<(), IoFailure> {
    let path = directory.join(span.segment.file_name());
    let file = vfs::uninterrupted(|| vfs.open(&path, OpenMode::Read)).context("open", &path)?;
    let mut walk = Walk::new(
        file,
        span.segment.seed(uuid),
        payloads,
        span.segment.first_id,
        span.limit_id,
        span.end,
        read_bytes,
    );
    while let Step::Entry(_) | Step::Garbage { .. } = {
        let step = walk.step().context("read", &path)?;
        if let Step::Entry(found) = &step
            && found.header.kind == Kind::Item
            && !found.is_damaged
            && span.items.contains(ItemId(found.header.id))
        {
            each(
                found.header.id,
                u64::from(found.header.payload_bytes),
                found.payload.clone(),
            );
        }
        step
    } {
        if walk.last_id() >= span.items.last.0 {
            break;
        }
    }
    Ok(())
}
