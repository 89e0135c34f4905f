//! Taking items: from memory, and from files where what is in memory does not do.

use crate::sync::MutexGuard;

use crate::disk::Disk;
use crate::disk::reader::Reader;
use crate::error::{IoFailure, ReadError};
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::state::detach::detached;
use crate::state::leases::Lease;
use crate::state::pop::Taker;
use crate::state::waiting::Item;

impl Disk {
    /// The reader, where there is so much in memory already that released items are to wait in
    /// their files.
    pub(crate) fn reader_where_crowded(&self) -> Option<MutexGuard<'_, Reader>> {
        let is_crowded = self.settings.offload.is_none()
            && self.ledger.lock().is_crowded(self.settings.resident_bytes);
        is_crowded.then(|| self.reader.lock())
    }

    /// Takes from the front, reading where what is in memory does not do, and leases what was
    /// taken. After a failed read everything waits as before.
    pub(crate) fn take(&self, mut taker: Taker<'_>) -> Result<Option<Lease>, ReadError> {
        let mut reader = self.reader.lock();
        loop {
            {
                // Leased under the same lock as taken: who pops at the same time must see where not
                // to reach over.
                let mut ledger = self.ledger.lock();
                if ledger.is_closed() {
                    ledger.put_back_taken(taker);
                    return Err(ReadError::Closed);
                }
                if ledger.take(&mut taker) {
                    return Ok(ledger.lease_taken(taker));
                }
            }
            let filled = self.fill(&mut reader);
            self.report_holes();
            match filled {
                Ok(()) => {}
                Err(failure) => {
                    // All or nothing: to the caller a part would look as if the rest were lost.
                    self.ledger.lock().put_back_taken(taker);
                    return Err(failure.into());
                }
            }
        }
    }

    /// Reads until there is enough in memory for a look at the front.
    pub(crate) fn read_ahead(&self, limits: &PopLimits<'_>) -> Result<(), ReadError> {
        let mut reader = self.reader.lock();
        loop {
            {
                let ledger = self.ledger.lock();
                if ledger.is_closed() || ledger.has_enough(limits, self.settings.resident_bytes) {
                    return Ok(());
                }
            }
            let filled = self.fill(&mut reader);
            self.report_holes();
            filled?;
        }
    }

    /// Reports the places that could not be read and were passed over.
    pub(crate) fn report_holes(&self) {
        let Some(salvage) = &self.salvage else { return };
        for hole in salvage.take_holes() {
            let name = hole.path.file_name().and_then(|name| name.to_str());
            let key = name.and_then(SegmentKey::parse);
            self.ledger.lock().report_in(key, hole.into());
        }
    }

    /// Reads the open items of a lease of a previous run. Those that are lost are reported, and the
    /// counts corrected.
    pub(crate) fn read_lease(&self, id: LeaseId, items: ItemRange) -> Result<Vec<Item>, IoFailure> {
        // Held throughout: while it is, no segment is replaced by a copy.
        let reader = self.reader.lock();
        let spans = self.ledger.lock().spans(std::iter::once(items));
        let mut found = Vec::new();
        for span in spans {
            let read = self.read_span(span, reader.read_bytes());
            self.report_holes();
            found.append(&mut read?);
        }
        let mut ledger = self.ledger.lock();
        ledger.count_lease(id, &mut found);
        Ok(detached(found))
    }
}
