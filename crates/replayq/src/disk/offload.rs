//! Offload modes: what stays in memory while there is little of it, when appends go to disk, and what flushing and closing write down.

use crate::sync::Mutex;
use bytes::Bytes;

use crate::disk::call::LeaseAsk;
use crate::disk::writer::{Room, Writer};
use crate::disk::{Appended, Disk};
use crate::error::{AckError, AppendError, IoFailure, LeaseError};
use crate::field;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry;
use crate::ids::LeaseId;
use crate::limits::load::Load;
use crate::state::leases::Home;
use crate::state::ledger::Ledger;
use crate::state::waiting::Item;

impl Disk {
    /// Appends to memory, where the mode is to do so and there is room; none: the items have to go to disk.
    pub(crate) fn append_to_memory(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        payloads: &[Bytes],
        lease: Option<&LeaseAsk>,
    ) -> Option<Appended> {
        self.settings.offload?;
        let load = Load::of(payloads);
        let (goes_to_disk, is_turning, needs_ids) = {
            let mut ledger = ledger.lock();
            let goes_to_disk = ledger.has_spilled()
                || ledger.load().plus(load).counted_bytes() > self.settings.segment_bytes;
            let is_turning = ledger.is_spilling != goes_to_disk;
            ledger.is_spilling = goes_to_disk;
            let next_id = ledger.next_id.saturating_add(field::wide(payloads.len()));
            (goes_to_disk, is_turning, next_id > ledger.reserved_id)
        };
        if is_turning {
            // No segment has items on both sides of some that are in memory, so that these can be written between them.
            self.close_segment(writer, ledger);
        }
        if goes_to_disk {
            return None;
        }
        if needs_ids && let Err(error) = self.reserve_ids(ledger) {
            return Some(Err(error));
        }
        let mut ledger = ledger.lock();
        let appended =
            ledger.append_in_memory(payloads, self.now(), lease.map(|ask| (ask.from, &ask.tag)));
        if let Ok((items, _)) = &appended {
            ledger.in_memory_only.insert(items.first.0, items.last.0);
        }
        Some(appended)
    }

    /// Writes a commit that takes more ids, so that no crash lets them be used again.
    fn reserve_ids(&self, ledger: &Mutex<Ledger>) -> Result<(), AppendError> {
        let version = {
            let mut ledger = ledger.lock();
            ledger.version = ledger.version.saturating_add(1);
            ledger.version
        };
        self.commit(ledger, version, &[])
            .map_err(|error| match error {
                AckError::NotDurable(failure) => AppendError::NotAppended(failure),
                _ => AppendError::NotAppended(IoFailure::new(
                    "reserve ids in",
                    &self.directory,
                    std::io::Error::other(error.to_string()),
                )),
            })
    }

    /// Writes all open items that are in no file, and the leases that were tagged. Nobody may have items in hand, or take any.
    pub(crate) fn write_down(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
    ) -> Result<(), AckError> {
        self.close_segment(writer, ledger);
        let written = self.write_all_down(writer, ledger);
        // Also where it failed in the middle: what is appended next has higher ids than belong into a segment for these.
        self.close_segment(writer, ledger);
        written
    }

    fn write_all_down(&self, writer: &mut Writer, ledger: &Mutex<Ledger>) -> Result<(), AckError> {
        let items = {
            let mut ledger = ledger.lock();
            // However this ends, an ack must be written from now on: the item may be found in a file.
            ledger.half_written = ledger.in_memory_only.clone();
            ledger.items_in_memory_only()
        };
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let written = self
                .write_down_segment(writer, ledger, rest)
                .map_err(AckError::NotDurable)?;
            rest = rest.get(written..).unwrap_or(&[]);
        }
        let leases = ledger.lock().leases_without_home();
        for (id, record) in leases {
            let home =
                self.write_down_lease(writer, ledger, &record)
                    .map_err(|error| match error {
                        LeaseError::Io(failure) => AckError::NotDurable(failure),
                        _ => AckError::Closed,
                    })?;
            note_home(&mut ledger.lock(), id, home);
        }
        Ok(())
    }

    /// Writes the first of the items into a segment of their own, as many as belong there, and returns how many.
    fn write_down_segment(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        items: &[Item],
    ) -> Result<usize, IoFailure> {
        let Some(first) = items.first() else {
            return Ok(0);
        };
        self.open_segment(writer, ledger, first.id.0, first.accepted)?;
        let limit_id = {
            let ledger = ledger.lock();
            writer
                .segment()
                .map_or(u64::MAX, |key| ledger.segments.limit_id(key))
        };
        let mut count = 0_usize;
        loop {
            let rest = items.get(count..).unwrap_or(&[]);
            let length = run_length(rest, limit_id, writer.room());
            let Some(run) = rest.get(..length).filter(|run| !run.is_empty()) else {
                break;
            };
            self.write_down_run(writer, ledger, run)?;
            count = count.saturating_add(length);
        }
        self.close_segment(writer, ledger);
        if count == 0 {
            // A segment begins in the middle of items that no segment has: rather an error than items out of order.
            let cause = std::io::ErrorKind::InvalidData.into();
            return Err(IoFailure::new("write down", &self.directory, cause));
        }
        Ok(count)
    }

    fn write_down_run(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        run: &[Item],
    ) -> Result<(), IoFailure> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(());
        };
        let payloads = run.iter().map(|item| (&item.payload, item.accepted));
        let written = match writer.write(payloads, first.id.0, None) {
            Ok(written) => written,
            Err(failure) => {
                self.take_back(writer, ledger, &failure);
                return Err(failure.cause);
            }
        };
        if self.settings.is_synced
            && let Err(failure) = writer.sync()
        {
            self.distrust(writer, ledger);
            return Err(failure);
        }
        let mut ledger = ledger.lock();
        if let Some(segment) = ledger.segments.get_mut(written.segment) {
            let load = Load {
                items: field::wide(run.len()),
                bytes: run.iter().map(Item::bytes).sum(),
            };
            segment.add(load, last.id.0);
            segment.end = written.end;
        }
        ledger
            .segments
            .set_file_bytes(written.segment, written.file_bytes);
        ledger.in_memory_only.remove(first.id.0, last.id.0);
        ledger.half_written.remove(first.id.0, last.id.0);
        Ok(())
    }

    fn write_down_lease(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        record: &LeaseRecord,
    ) -> Result<Home, LeaseError> {
        let slot = self.control.lock().file.write_lease(record)?;
        match slot {
            Some(slot) => Ok(Home::Slot(slot)),
            None => self.write_lease_entry(writer, ledger, record),
        }
    }
}

/// Items of one write.
const MOST_ITEMS: usize = 256;

/// How many of the first items follow one another, are below the limit and fit the room; an empty segment has room for any first one.
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

fn note_home(ledger: &mut Ledger, id: LeaseId, home: Home) {
    ledger.leases.update(id, |lease| lease.homes.push(home));
}
