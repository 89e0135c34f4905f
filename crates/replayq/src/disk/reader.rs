//! Reading the backlog: from where the items in memory end, in large reads, segment by segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sync::Mutex;
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
use crate::state::segments::Span;
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
    /// Where the entries of the current segment ended when it was last looked at, and the last item's id.
    expected_end: u64,
    expected_id: u64,
}

/// Where to read.
#[derive(Copy, Clone, Debug)]
enum Next {
    /// Everything is read.
    Nothing,
    /// On in the current segment.
    Here,
    /// At another place.
    At(Place),
}

/// What one stretch of reading brought.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    bytes: u64,
    /// Ids that are in no entry.
    absent: Vec<(u64, u64)>,
    damage: Vec<Damage>,
    /// No entry follows.
    is_over: bool,
}

impl Batch {
    /// Items were there when they were written, and nothing can be made out behind the last one that is there now.
    fn note_lost(&mut self, key: SegmentKey, (position, end): (u64, u64), ids: (u64, u64)) {
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
    fn retain(&mut self, range: ItemRange, acks: &Acks) {
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

    /// Tells the ledger what is lost.
    fn tell(self, ledger: &mut Ledger, key: SegmentKey) {
        if !self.damage.is_empty()
            && let Some(segment) = ledger.segments.get_mut(key)
        {
            segment.note_damage();
        }
        for damage in self.damage {
            ledger.report(damage);
        }
        for (first, last) in self.absent {
            ledger.finish(first, last);
        }
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
        }
    }

    /// Moves some items from disk into the backlog's memory, or finds that there are no more.
    pub(crate) fn fill(&mut self, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let next = self.seek(&mut ledger.lock());
        match next {
            Next::Nothing => return Ok(()),
            Next::Here => {}
            Next::At(place) => {
                if let Err(error) = self.open(place, ledger) {
                    let mut ledger = ledger.lock();
                    ledger.unread_from = Some(place);
                    // A segment that was done meanwhile is gone from the list too, and the next look goes on behind it.
                    return match ledger.segments.get(place.segment) {
                        Some(_) => Err(error),
                        None => Ok(()),
                    };
                }
            }
        }
        let Some((key, walk)) = self.current.as_mut() else {
            return Ok(());
        };
        let key = *key;
        let mut batch = Batch::default();
        let result = read(walk, key, crate::field::wide(self.read_bytes), &mut batch)
            .context("read", &self.directory.join(key.file_name()))
            .map_err(|failure| failure.at(walk.position()));
        let (position, last_id) = (walk.position(), walk.last_id());
        let mut ledger = ledger.lock();
        let is_over = batch.is_over;
        settle(&mut ledger, key, batch, last_id);
        result?;
        if is_over && last_id < self.expected_id && ledger.segments.get(key).is_some() {
            // Items were there when they were written, and nothing can be made out there now.
            let end = self.expected_end;
            let missing = (last_id.saturating_add(1), self.expected_id);
            let mut lost = Batch::default();
            lost.note_lost(key, (position, end), missing);
            settle(&mut ledger, key, lost, missing.1);
            if let Some((_, walk)) = self.current.as_mut() {
                walk.skip(end, missing.1);
            }
        }
        let is_last = ledger.segments.after(Some(key)).is_none();
        if is_last
            && let Some(segment) = ledger.segments.get(key)
            && ledger.read_through >= segment.last_id
        {
            ledger.backlog.clear_unread();
            if let Some((_, walk)) = self.current.as_mut() {
                walk.rest();
            }
        }
        Ok(())
    }

    /// Decides where to read, under the lock.
    fn seek(&mut self, ledger: &mut Ledger) -> Next {
        if let Some(place) = ledger.unread_from.take() {
            if ledger.segments.get(place.segment).is_some() {
                return Next::At(place);
            }
            // All that was in it is done.
            return self.seek_behind(ledger, place.segment);
        }
        let Some(key) = self.current.as_ref().map(|(key, _)| *key) else {
            return Next::Nothing;
        };
        let limit_id = ledger.segments.limit_id(key);
        if let Some((_, walk)) = self.current.as_mut()
            && let Some(segment) = ledger.segments.get(key)
        {
            walk.extend(segment.end, limit_id);
            if walk.position() < segment.end && walk.last_id() < segment.last_id {
                (self.expected_end, self.expected_id) = (segment.end, segment.last_id);
                return Next::Here;
            }
        }
        self.seek_behind(ledger, key)
    }

    fn seek_behind(&mut self, ledger: &mut Ledger, key: SegmentKey) -> Next {
        match ledger.segments.after(Some(key)) {
            Some((next, _)) => Next::At(Place::start_of(next)),
            None => {
                ledger.backlog.clear_unread();
                if let Some((_, walk)) = self.current.as_mut() {
                    walk.rest();
                }
                Next::Nothing
            }
        }
    }

    /// Reads the items of a span that are not done, apart from the backlog's reading. Those that are lost are done then, and reported.
    pub(crate) fn read_span(
        &self,
        span: Span,
        ledger: &Mutex<Ledger>,
    ) -> Result<Vec<Item>, IoFailure> {
        let path = self.directory.join(span.segment.file_name());
        let file =
            vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Read)).context("open", &path)?;
        let mut walk = Walk::new(
            file,
            span.segment.seed(self.uuid),
            Payloads::Verify,
            span.segment.first_id,
            span.limit_id,
            span.end,
            self.read_bytes,
        )
        .made_at(span.made);
        let mut items = Vec::new();
        loop {
            let mut batch = Batch::default();
            let bytes = crate::field::wide(self.read_bytes);
            read(&mut walk, span.segment, bytes, &mut batch)
                .context("read", &path)
                .map_err(|failure| failure.at(walk.position()))?;
            let mut ledger = ledger.lock();
            if batch.is_over
                && let Some(segment) = ledger.segments.get(span.segment)
            {
                let last_id = segment.last_id.min(span.items.last.0);
                let lost = (walk.last_id().saturating_add(1), last_id);
                batch.note_lost(span.segment, (walk.position(), segment.end), lost);
            }
            let is_over = batch.is_over || walk.last_id() >= span.items.last.0;
            batch.retain(span.items, &ledger.acks);
            items.append(&mut batch.items);
            batch.tell(&mut ledger, span.segment);
            if is_over {
                return Ok(items);
            }
        }
    }

    /// The segment is replaced by another. Whether it was the one that is being read.
    pub(crate) fn let_go(&mut self, key: SegmentKey) -> bool {
        self.current
            .take_if(|(current, _)| *current == key)
            .is_some()
    }

    fn open(&mut self, place: Place, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let path = self.directory.join(place.segment.file_name());
        let (end, last_id, made, limit_id) = {
            let ledger = ledger.lock();
            let segment = ledger.segments.get(place.segment);
            let (end, last_id, made) = segment.map_or((0, 0, Moment::UNKNOWN), |segment| {
                (segment.end, segment.last_id, segment.made)
            });
            (end, last_id, made, ledger.segments.limit_id(place.segment))
        };
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

fn read(walk: &mut Walk, key: SegmentKey, bytes: u64, batch: &mut Batch) -> std::io::Result<()> {
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
                    batch.bytes = batch.bytes.saturating_add(found.header.entry_bytes());
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

/// Hands over what was read; the reader has passed all items up to `last_id`.
fn settle(ledger: &mut Ledger, key: SegmentKey, mut batch: Batch, last_id: u64) {
    ledger.absorb(std::mem::take(&mut batch.items));
    if ledger.segments.get(key).is_none() {
        // All that was in it was acked meanwhile, and the file may be another segment's by now.
        batch.damage.clear();
    }
    batch.tell(ledger, key);
    ledger.read_through = ledger.read_through.max(last_id);
}

/// Goes through the items of a span: id, payload's length and, if read, the payload. Damaged ones are left out.
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
