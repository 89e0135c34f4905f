//! The segment that is being filled: made, closed with a seal, given up.

use crate::disk::Disk;
use crate::disk::writer::{WriteFailure, Writer};
use crate::error::IoFailure;
use crate::format::segment::key::SegmentKey;
use crate::moment::Moment;

impl Disk {
    /// Makes sure that the segment being filled has room, closing it and making the next one where
    /// necessary.
    pub(super) fn make_room(&self, writer: &mut Writer, entry_bytes: u64) -> Result<(), IoFailure> {
        if writer.has_room(entry_bytes) {
            return Ok(());
        }
        writer.choose_size(entry_bytes, self.now());
        if writer.segment().is_some() {
            self.close_segment(writer);
        }
        let opened = self.open_next_segment(writer);
        match opened {
            Err(failure) if failure.is_for_space() && self.release_spares() => {
                self.open_next_segment(writer)
            }
            opened => opened,
        }
    }

    pub(super) fn open_next_segment(&self, writer: &mut Writer) -> Result<(), IoFailure> {
        let next_id = self.ledger.lock().next_id();
        self.open_segment(writer, next_id, self.now())
    }

    pub(super) fn open_segment(
        &self,
        writer: &mut Writer,
        first_id: u64,
        made: Moment,
    ) -> Result<(), IoFailure> {
        let (key, spare) = self
            .ledger
            .lock()
            .draw_segment(first_id, writer.takes_spares());
        let previous_id = first_id.saturating_sub(1);
        let opened = match writer.open_segment(key, previous_id, made, spare) {
            Err(_) if spare.is_some() => {
                // Whatever is wrong with that file, a new one may do; it is examined at the next
                // open.
                writer.open_segment(key, previous_id, made, None)
            }
            other => other,
        };
        let file_bytes = opened?;
        self.ledger
            .lock()
            .begin_segment(key, made, file_bytes, self.settings.is_synced);
        Ok(())
    }

    /// Closes the segment being filled, with a seal.
    pub(super) fn close_segment(&self, writer: &mut Writer) {
        let Some(key) = writer.segment() else { return };
        // What is acked from here on may come back after a power loss, and needs its record then.
        let records = self.ledger.lock().lease_records_in(key);
        let is_complete = !self.settings.is_synced || self.make_acks_durable();
        let Some(mut seal) = self.ledger.lock().end_segment(key) else {
            return;
        };
        seal.leases.extend(records);
        seal.leases.sort_unstable();
        seal.leases.dedup();
        let seal = is_complete.then_some(&seal);
        if writer.close_segment(seal).is_err() {
            self.ledger.lock().give_file_up(key);
        }
    }

    /// Accounts for a failed write. Returns whether the file is as it was before; if not, nothing
    /// more is written to it.
    pub(super) fn take_back(&self, writer: &mut Writer, failure: &WriteFailure) -> bool {
        let is_undone = self.take_back_write(writer, failure);
        if !is_undone {
            self.distrust(writer);
        }
        is_undone
    }

    /// Accounts for a failed write. Returns whether the file is as it was before; if not, the
    /// segment is to be distrusted.
    pub(super) fn take_back_write(&self, writer: &Writer, failure: &WriteFailure) -> bool {
        if failure.is_undone
            && let Some((key, bytes)) = writer.file_bytes()
        {
            self.ledger.lock().set_file_bytes(key, bytes);
        }
        failure.is_undone
    }

    /// Nothing more is written to the segment being filled: what it holds after its end is unknown.
    /// Returns whether nothing is there any more.
    pub(super) fn distrust(&self, writer: &mut Writer) -> bool {
        let Some(key) = writer.segment() else {
            return true;
        };
        let end = self.ledger.lock().distrust(key);
        end.is_none_or(|end| writer.abandon(end))
    }

    /// A sync of the file failed: nothing more is written to it, and it is not used again.
    pub(super) fn give_file_up(&self, writer: &mut Writer, key: SegmentKey) {
        if writer.segment() == Some(key) {
            self.distrust(writer);
        } else {
            self.ledger.lock().give_file_up(key);
        }
    }
}
