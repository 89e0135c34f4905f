//! Reading the backlog: from where the items in memory end, in large reads, segment by segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::backlog::Item;
use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::ids::{ItemId, ItemRange};
use crate::ledger::{Ledger, Place};
use crate::segment::entry::Kind;
use crate::segment::key::{QueueUuid, SegmentKey};
use crate::segment::walk::{Payloads, Step, Walk};
use crate::segments::Span;
use crate::vfs::{self, OpenMode, Vfs};

/// The reader of one queue.
#[derive(Debug)]
pub(crate) struct Reader {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    uuid: QueueUuid,
    read_bytes: usize,
    current: Option<(SegmentKey, Walk)>,
}

/// What one stretch of reading brought.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    bytes: u64,
    /// Ids that are in no entry.
    absent: Vec<(u64, u64)>,
    damage: Vec<Damage>,
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
        }
    }

    /// Moves some items from disk into the backlog's memory, or finds that there are no more.
    pub(crate) fn fill(&mut self, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let Some(place) = self.seek(&mut ledger.lock()) else {
            return Ok(());
        };
        if let Some(place) = place
            && let Err(error) = self.open(place, ledger)
        {
            ledger.lock().unread_from = Some(place);
            return Err(error);
        }
        let Some((key, walk)) = self.current.as_mut() else {
            return Ok(());
        };
        let mut batch = Batch::default();
        let result = read(walk, *key, crate::field::wide(self.read_bytes), &mut batch)
            .context("read", &self.directory.join(key.file_name()));
        let key = *key;
        let position = walk.position();
        let last_id = walk.last_id();
        let mut ledger = ledger.lock();
        settle(&mut ledger, key, batch);
        result?;
        let Some(segment) = ledger.segments.get(key) else {
            return Ok(());
        };
        let (end, segment_last_id, is_closed) = (segment.end, segment.last_id, segment.is_closed);
        if is_closed && position < end && last_id < segment_last_id {
            // The walk found nothing more, but something was there.
            let ids = ItemRange::new(ItemId(last_id.saturating_add(1)), ItemId(segment_last_id));
            settle(
                &mut ledger,
                key,
                Batch {
                    absent: vec![(last_id.saturating_add(1), segment_last_id)],
                    damage: vec![Damage::Bytes {
                        file: key.file_name(),
                        position,
                        bytes: end.saturating_sub(position),
                        ids,
                    }],
                    ..Batch::default()
                },
            );
        }
        Ok(())
    }

    /// Decides where to read, under the lock: nowhere (everything is read), on in the current segment, or at another place.
    #[expect(
        clippy::option_option,
        reason = "nothing to read, and nothing to open, are two things"
    )]
    fn seek(&mut self, ledger: &mut Ledger) -> Option<Option<Place>> {
        if let Some(place) = ledger.unread_from.take() {
            return Some(Some(place));
        }
        let key = self.current.as_ref().map(|(key, _)| *key)?;
        let limit_id = ledger.segments.limit_id(key);
        let segment = ledger.segments.get(key);
        if let Some((_, walk)) = self.current.as_mut()
            && let Some(segment) = segment
        {
            walk.extend(segment.end, limit_id);
            if walk.position() < segment.end && walk.last_id() < segment.last_id {
                return Some(None);
            }
        }
        match ledger.segments.after(Some(key)) {
            Some((next, _)) => Some(Some(Place::start_of(next))),
            None => {
                ledger.backlog.clear_unread();
                None
            }
        }
    }

    /// Goes through the items of a span, apart from the backlog's reading.
    pub(crate) fn visit(
        &self,
        span: Span,
        payloads: Payloads,
        mut each: impl FnMut(u64, Bytes),
    ) -> Result<(), IoFailure> {
        visit(
            &*self.vfs,
            &self.directory,
            self.uuid,
            span,
            payloads,
            self.read_bytes,
            |id, _, payload| each(id, payload),
        )
    }

    fn open(&mut self, place: Place, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let path = self.directory.join(place.segment.file_name());
        let (end, limit_id) = {
            let ledger = ledger.lock();
            (
                ledger
                    .segments
                    .get(place.segment)
                    .map_or(0, |segment| segment.end),
                ledger.segments.limit_id(place.segment),
            )
        };
        if let Some((key, walk)) = self.current.as_mut()
            && *key == place.segment
        {
            walk.extend(end, limit_id);
            walk.jump(place.position, place.id);
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
        );
        walk.jump(place.position, place.id);
        self.current = Some((place.segment, walk));
        Ok(())
    }
}

fn read(walk: &mut Walk, key: SegmentKey, bytes: u64, batch: &mut Batch) -> std::io::Result<()> {
    let mut garbage: Option<(u64, u64)> = None;
    while batch.bytes < bytes {
        let previous_id = walk.last_id();
        match walk.step()? {
            Step::End => break,
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
                    });
                }
            }
        }
    }
    Ok(())
}

fn settle(ledger: &mut Ledger, key: SegmentKey, batch: Batch) {
    for item in batch.items {
        ledger.absorb(item);
    }
    for (first, last) in batch.absent {
        ledger.finish(first, last);
    }
    if !batch.damage.is_empty()
        && let Some(segment) = ledger.segments.get_mut(key)
    {
        segment.is_damaged = true;
    }
    for damage in batch.damage {
        ledger.report(damage);
    }
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
