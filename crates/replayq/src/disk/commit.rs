//! Commits: what is done, written down; and the segments that no commit needs any more.

use crate::disk::{ControlState, Disk};
use crate::error::{AckError, IoContext};
use crate::format::control::CommitWriteError;
use crate::put_aside::{Reason, put_aside};
use crate::state::leases::Home;
use crate::state::segment::Retired;

impl Disk {
    /// Brings the control file up to the ledger, unless another call just did. Then removes
    /// segments that are done.
    pub(crate) fn commit(&self, version: u64, covered: &[Home]) -> Result<(), AckError> {
        let mut control = self.control.lock();
        if control.is_closed {
            return if control.written_version < version {
                Err(AckError::Closed)
            } else {
                Ok(())
            };
        }
        let slots = covered.iter().filter_map(|home| match home {
            Home::Slot(slot) => Some((version, *slot)),
            Home::Entry { .. } => None,
        });
        control.uncovered.extend(slots);
        if control.written_version < version {
            if let Err(failure) = self.glance_at_directory() {
                self.ledger.lock().note_failed_commit();
                return Err(AckError::NotDurable(failure));
            }
            self.write_commit(&mut control, self.settings.reserve())?;
        }
        control.cover();
        let leaving = self.settle(&mut control);
        if !leaving.is_empty() {
            let _departing = self.departures.lock();
            drop(control);
            self.let_go(leaving);
        }
        Ok(())
    }

    /// Writes the ledger's state into the next commit slot.
    pub(super) fn write_commit(
        &self,
        control: &mut ControlState,
        reserve: u64,
    ) -> Result<(), AckError> {
        let pending = self.ledger.lock().begin_commit(&mut control.file, reserve);
        let written = control.file.write_commit();
        let mut ledger = self.ledger.lock();
        if let Err(error) = written {
            ledger.note_failed_commit();
            return Err(match error {
                CommitWriteError::Io(failure) => AckError::NotDurable(failure),
                CommitWriteError::TooLarge => AckError::TooManyRanges {
                    ranges: pending.ranges,
                },
            });
        }
        control.written_version = pending.version;
        let is_reserving = self.settings.offload.is_some();
        ledger.note_commit(&pending, control.file.sequence(), is_reserving);
        Ok(())
    }

    /// Makes what is done durable. Returns whether it is.
    pub(super) fn make_acks_durable(&self) -> bool {
        let mut control = self.control.lock();
        let version = self.ledger.lock().version();
        if control.is_closed {
            return false;
        }
        let is_written = control.written_version >= version
            || self
                .write_commit(&mut control, self.settings.reserve())
                .is_ok();
        if is_written {
            control.cover();
        }
        is_written && control.file.sync().is_ok()
    }

    /// The most files that are kept to be used again: none while the disk is short of space.
    fn most_spares(&self) -> usize {
        let is_short = self
            .shared
            .as_ref()
            .is_some_and(|limits| limits.is_disk_short());
        if is_short {
            0
        } else {
            self.settings.spare_segments
        }
    }

    /// The files that may be removed now that commits were written: a segment only when the commit
    /// that covers it is durable.
    fn settle(&self, control: &mut ControlState) -> Vec<Retired> {
        if !self.settings.is_synced {
            control.file.settle();
        }
        if !self.ledger.lock().segments().has_retired() {
            return Vec::new();
        }
        // Segments leave one by one after many acks, so this sync is rare. If it fails they stay
        // for a while.
        if self.settings.is_synced {
            let (durable, newest) = (control.file.durable_sequence(), control.file.sequence());
            let is_needed = self
                .ledger
                .lock()
                .segments()
                .has_waiting_for_sync(durable, newest);
            if is_needed && control.file.sync().is_err() {
                return Vec::new();
            }
        }
        let durable = if self.settings.is_synced {
            control.file.durable_sequence()
        } else {
            control.file.sequence()
        };
        self.ledger
            .lock()
            .settle_segments(durable, self.most_spares(), self.settings.segment_bytes)
    }

    /// Waits for calls that remove segments, with the control file closed to more of them: a name
    /// that is about to be removed may be a new queue's soon.
    pub(super) fn await_departures(&self) {
        drop(self.departures.lock());
    }

    pub(super) fn let_go(&self, leaving: Vec<Retired>) {
        for segment in leaving {
            let path = self.directory.join(segment.key.file_name());
            let result = if segment.is_damaged {
                put_aside(&*self.vfs, &path, Reason::Damaged).map(|_| ())
            } else {
                self.vfs.remove(&path).context("remove", &path)
            };
            let mut ledger = self.ledger.lock();
            match result {
                Ok(()) => ledger.note_removed(&segment),
                Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {
                    ledger.note_removed(&segment)
                }
                Err(_) => ledger.note_not_removed(segment),
            }
        }
    }
}
