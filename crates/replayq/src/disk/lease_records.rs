//! Records of leases: written to slots of the control file or after the items, and voided.

use crate::disk::Disk;
use crate::disk::writer::Writer;
use crate::error::{AckError, LeaseError};
use crate::field;
use crate::format::control::LeaseWriteError;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry;
use crate::format::segment::key::SegmentKey;
use crate::ids::LeaseId;
use crate::state::leases::{Home, Replaced};

impl Disk {
    /// Tags a lease: writes its new record, then voids the older ones.
    pub(crate) fn tag_lease(&self, id: LeaseId, record: &LeaseRecord) -> Result<(), LeaseError> {
        match self.write_lease(id, record)? {
            Replaced::Older(homes) => {
                // The newer record counts in any case. A record that cannot be voided now is tried
                // again when the lease ends.
                let stubborn = homes
                    .into_iter()
                    .filter(|home| self.void_lease(*home, false).is_err())
                    .collect::<Vec<_>>();
                if !stubborn.is_empty() {
                    self.ledger.lock().add_homes(id, stubborn);
                }
                Ok(())
            }
            // Acked or released meanwhile, by another thread.
            Replaced::NoLease(home) => {
                self.void_lease(home, self.settings.is_synced)?;
                Err(LeaseError::UnknownLease(id))
            }
        }
    }

    /// Writes the record of a lease: in a slot of the control file, else after the items.
    fn write_lease(&self, id: LeaseId, record: &LeaseRecord) -> Result<Replaced, LeaseError> {
        self.glance_at_directory()?;
        {
            let mut control = self.control.lock();
            if control.is_closed {
                return Err(LeaseError::Closed);
            }
            if !control.file.has_free_slot()
                && control.file.has_covered_slot()
                && self.settings.is_synced
            {
                control.file.sync()?;
            }
            match control.file.write_lease(record, self.settings.is_synced) {
                Ok(Some(slot)) => {
                    return Ok(self.ledger.lock().set_tag(id, record, Home::Slot(slot)));
                }
                Ok(None) => {}
                Err(LeaseWriteError { cause, left }) => {
                    // Nobody is to find it when the lease is over.
                    self.ledger.lock().add_homes(id, left.map(Home::Slot));
                    return Err(cause.into());
                }
            }
        }
        self.append_lease(id, record)
    }

    /// Voids records that were taken out of a lease, the newest at last: an older one must not
    /// count without it. Those that could not be voided are put back.
    pub(crate) fn void_leases(&self, id: LeaseId, mut homes: Vec<Home>) -> Result<(), AckError> {
        while let Some(home) = homes.pop() {
            let voided = self.void_lease(home, self.settings.is_synced);
            let Err(error) = voided else { continue };
            homes.push(home);
            self.ledger.lock().add_homes(id, homes);
            return Err(match error {
                LeaseError::Io(failure) => AckError::NotDurable(failure),
                _ => AckError::Closed,
            });
        }
        Ok(())
    }

    /// Overwrites a lease record, so that it means nothing any more. Where that is not to be
    /// durable, a slot's is before the next sync of the control file.
    pub(crate) fn void_lease(&self, home: Home, is_durable: bool) -> Result<(), LeaseError> {
        match home {
            Home::Slot(slot) => {
                let mut control = self.control.lock();
                if control.is_closed {
                    return Err(LeaseError::Closed);
                }
                control.file.empty_lease(slot, is_durable)?;
            }
            Home::Entry {
                segment,
                position,
                payload_bytes,
                id,
            } => {
                let mut writer = self.writer.lock();
                if self.ledger.lock().is_closed() {
                    return Err(LeaseError::Closed);
                }
                if let Err(failure) = writer.void_lease(segment, position, payload_bytes, id) {
                    if !failure.is_undone {
                        self.give_file_up(&mut writer, segment);
                    }
                    return Err(failure.cause.into());
                }
                if !self.settings.is_synced {
                    self.ledger.lock().note_unsynced(segment);
                }
                self.ledger.lock().unpin(segment);
            }
        }
        Ok(())
    }

    /// Appends the record of a lease alone. The lease has it before anything else is written: a
    /// seal names only the records that leases have.
    fn append_lease(&self, id: LeaseId, record: &LeaseRecord) -> Result<Replaced, LeaseError> {
        let mut writer = self.writer.lock();
        if self.ledger.lock().is_closed() {
            return Err(LeaseError::Closed);
        }
        let home = self.write_lease_entry(&mut writer, id, record)?;
        Ok(self.ledger.lock().set_tag(id, record, home))
    }

    pub(super) fn write_lease_entry(
        &self,
        writer: &mut Writer,
        id: LeaseId,
        record: &LeaseRecord,
    ) -> Result<Home, LeaseError> {
        let bytes = entry::entry_bytes(24_u64.saturating_add(field::wide(record.tag.len())));
        let in_memory = |key: SegmentKey| self.ledger.lock().is_in_memory_from(key.first_id);
        if writer.segment().is_some_and(in_memory) {
            // These items will get segments of their own, and the one being filled ends for its
            // readers where they begin.
            self.close_segment(writer);
        }
        self.make_room(writer, bytes)?;
        let next_id = self.ledger.lock().next_id();
        let last_id = next_id.saturating_sub(1);
        let place = writer.segment().zip(writer.end());
        let written = match writer.write(std::iter::empty(), next_id, Some(record)) {
            Ok(written) if !self.settings.is_synced => Ok(written),
            Ok(written) => writer
                .sync()
                .map(|()| written)
                .map_err(|cause| (cause, false)),
            Err(failure) => {
                let is_undone = self.take_back_write(writer, &failure);
                Err((failure.cause, is_undone))
            }
        };
        let (cause, is_undone) = match written {
            Ok(written) => {
                let is_synced = self.settings.is_synced;
                let mut ledger = self.ledger.lock();
                return Ok(ledger.note_lease_entry(&written, record, last_id, is_synced));
            }
            Err(failed) => failed,
        };
        if !is_undone
            && !self.distrust(writer)
            && let Some((segment, position)) = place
        {
            // It may be there all the same: nobody is to find it when the lease is over.
            let home = Home::entry(segment, position, record, last_id);
            let mut ledger = self.ledger.lock();
            ledger.pin(home);
            ledger.add_homes(id, [home]);
        }
        Err(cause.into())
    }
}
