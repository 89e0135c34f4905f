//! Reading: the backlog into memory, and the items of leases of a previous run.

use crate::disk::Disk;
use crate::disk::reader::{self, Batch, Next, Reader};
use crate::error::{IoContext, IoFailure};
use crate::format::segment::walk::{Payloads, Walk};
use crate::state::segment::Span;
use crate::state::waiting::Item;
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Moves some items from disk into the backlog's memory, or finds that there are no more.
    pub(super) fn fill(&self, reader: &mut Reader) -> Result<(), IoFailure> {
        let next = reader.seek(&mut self.ledger.lock());
        match next {
            Next::Nothing => return Ok(()),
            Next::Here => {}
            Next::At(place) => {
                let (segment, limit_id) = {
                    let ledger = self.ledger.lock();
                    let segments = ledger.segments();
                    let segment = segments.get(place.segment).cloned();
                    (segment, segments.limit_id(place.segment))
                };
                if let Err(error) = reader.open(place, segment.as_ref(), limit_id) {
                    let mut ledger = self.ledger.lock();
                    ledger.put_unread_place(place);
                    // A segment that was done meanwhile is gone from the list too, and the next
                    // read goes on after it.
                    return match ledger.segments().get(place.segment) {
                        Some(_) => Err(error),
                        None => Ok(()),
                    };
                }
            }
        }
        match reader.read_on() {
            Some(passage) => reader.settle(passage, &mut self.ledger.lock()),
            None => Ok(()),
        }
    }

    /// Reads the items of a span that are not done, beside the backlog's reading. Those that are
    /// lost are done then, and reported.
    pub(super) fn read_span(&self, span: Span, read_bytes: usize) -> Result<Vec<Item>, IoFailure> {
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
            read_bytes,
        )
        .made_at(span.made);
        let mut items = Vec::new();
        loop {
            let mut batch = Batch::default();
            let bytes = crate::field::wide(read_bytes);
            reader::read(&mut walk, span.segment, bytes, &mut batch)
                .context("read", &path)
                .map_err(|failure| failure.at(walk.position()))?;
            let mut ledger = self.ledger.lock();
            if batch.is_over
                && let Some(segment) = ledger.segments().get(span.segment)
            {
                let last_id = segment.last_id.min(span.items.last.0);
                let lost = (walk.last_id().saturating_add(1), last_id);
                batch.note_lost(span.segment, (walk.position(), segment.end), lost);
            }
            let is_over = batch.is_over || walk.last_id() >= span.items.last.0;
            batch.retain(span.items, ledger.acks());
            items.append(&mut batch.items);
            batch.report(&mut ledger, span.segment);
            if is_over {
                return Ok(items);
            }
        }
    }
}
