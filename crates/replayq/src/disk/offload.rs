//! Offload modes: items stay in memory while they are few; flushing and closing write them down.

use bytes::Bytes;

use crate::disk::Disk;
use crate::disk::call::LeaseAsk;
use crate::disk::writer::{Room, Writer};
use crate::error::{AckError, AppendError, IoFailure, LeaseError};
use crate::format::control::LeaseWriteError;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry;
use crate::ids::LeaseId;
use crate::limits::load::Load;
use crate::state::leases::Home;
use crate::state::ledger::Appended;
use crate::state::waiting::Item;

impl Disk {
    /// Appends to memory, where the mode is to do so and there is room. Returns `None` where the
    /// items have to go to disk.
    pub(crate) fn append_to_memory(
        &self,
        writer: &mut Writer,
        payloads: &[Bytes],
        lease: Option<&LeaseAsk>,
    ) -> Option<Appended> {
        self.settings.offload?;
        let load = Load::of(payloads);
        let spill =
            self.ledger
                .lock()
                .decide_spill(payloads.len(), load, self.settings.segment_bytes);
        if spill.is_turning {
            // No segment has items on both sides of some that are in memory, so that these can be
            // written between them.
            self.close_segment(writer);
        }
        if spill.is_on {
            return None;
        }
        if spill.needs_ids
            && let Err(error) = self.reserve_ids()
        {
            return Some(Err(error));
        }
        let lease = lease.map(|ask| (ask.from, &ask.tag));
        let now = self.now();
        Some(self.ledger.lock().append_off_disk(payloads, now, lease))
    }

    /// Writes a commit that takes more ids, so that no crash lets them be used again.
    fn reserve_ids(&self) -> Result<(), AppendError> {
        let version = self.ledger.lock().touch();
        self.commit(version, &[]).map_err(|error| match error {
            AckError::NotDurable(failure) => AppendError::NotAppended(failure),
            _ => AppendError::NotAppended(IoFailure::new(
                "reserve ids in",
                &self.directory,
                std::io::Error::other(error.to_string()),
            )),
        })
    }

    /// Writes all open items that are in no file, and the leases that were tagged. No call may have
    /// items in transit, or take any.
    pub(crate) fn write_down(&self, writer: &mut Writer) -> Result<(), AckError> {
        self.close_segment(writer);
        let written = self.write_all_down(writer);
        // Also where it failed in the middle: what is appended next has higher ids than belong into
        // a segment for these.
        self.close_segment(writer);
        written
    }

    fn write_all_down(&self, writer: &mut Writer) -> Result<(), AckError> {
        let items = self.ledger.lock().begin_write_down();
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let written = self
                .write_down_segment(writer, rest)
                .map_err(AckError::NotDurable)?;
            rest = rest.get(written..).unwrap_or(&[]);
        }
        let leases = self.ledger.lock().leases_without_home();
        for (id, record) in leases {
            let home = self
                .write_down_lease(writer, id, &record)
                .map_err(|error| match error {
                    LeaseError::Io(failure) => AckError::NotDurable(failure),
                    _ => AckError::Closed,
                })?;
            self.ledger.lock().note_recorded(id, home);
        }
        Ok(())
    }

    /// Writes the first of the items into a segment of their own, as many as belong there, and
    /// returns how many.
    fn write_down_segment(&self, writer: &mut Writer, items: &[Item]) -> Result<usize, IoFailure> {
        let Some(first) = items.first() else {
            return Ok(0);
        };
        self.open_segment(writer, first.id.0, first.accepted)?;
        let limit_id = {
            let ledger = self.ledger.lock();
            writer
                .segment()
                .map_or(u64::MAX, |key| ledger.segments().limit_id(key))
        };
        let mut count = 0_usize;
        loop {
            let rest = items.get(count..).unwrap_or(&[]);
            let length = run_length(rest, limit_id, writer.room());
            let Some(run) = rest.get(..length).filter(|run| !run.is_empty()) else {
                break;
            };
            self.write_down_run(writer, run)?;
            count = count.saturating_add(length);
        }
        self.close_segment(writer);
        if count == 0 {
            // A segment begins in the middle of items that no segment has: rather an error than
            // items out of order.
            let cause = std::io::ErrorKind::InvalidData.into();
            return Err(IoFailure::new("write down", &self.directory, cause));
        }
        Ok(count)
    }

    fn write_down_run(&self, writer: &mut Writer, run: &[Item]) -> Result<(), IoFailure> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let payloads = run.iter().map(|item| (&item.payload, item.accepted));
        let written = match writer.write(payloads, first.id.0, None) {
            Ok(written) => written,
            Err(failure) => {
                self.take_back(writer, &failure);
                return Err(failure.cause);
            }
        };
        if self.settings.is_synced
            && let Err(failure) = writer.sync()
        {
            self.distrust(writer);
            return Err(failure);
        }
        let is_synced = self.settings.is_synced;
        self.ledger
            .lock()
            .note_written_down(&written, run, is_synced);
        Ok(())
    }

    fn write_down_lease(
        &self,
        writer: &mut Writer,
        id: LeaseId,
        record: &LeaseRecord,
    ) -> Result<Home, LeaseError> {
        let written = self.control.lock().file.write_lease(record, false);
        match written {
            Ok(Some(slot)) => Ok(Home::Slot(slot)),
            Ok(None) => self.write_lease_entry(writer, id, record),
            Err(LeaseWriteError { cause, left }) => {
                self.ledger.lock().add_homes(id, left.map(Home::Slot));
                Err(cause.into())
            }
        }
    }
}

/// Items of one write.
const MOST_ITEMS: usize = 256;

/// The number of the first items that follow one another, are below the limit and fit the room; an
/// empty segment has room for any first one.
fn run_length(items: &[Item], limit_id: u64, room: Room) -> usize {
    let mut bytes = 0_u64;
    let mut next_id = items.first().map_or(0, |item| item.id.0);
    let mut is_first = room.is_empty;
    let fitting = items.iter().take(MOST_ITEMS).take_while(|item| {
        bytes = bytes.saturating_add(entry::entry_bytes(item.bytes()));
        let fits = is_first || bytes <= room.bytes;
        is_first = false;
        let is_next = item.id.0 == next_id && next_id < limit_id;
        next_id = next_id.saturating_add(1);
        fits && is_next
    });
    fitting.count()
}
