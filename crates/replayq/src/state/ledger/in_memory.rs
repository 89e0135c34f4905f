//! Items that are in no file: those of a queue in memory, and of offload mode while there are few.

use bytes::Bytes;

use crate::error::AppendError;
use crate::field;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::moment::Moment;
use crate::state::segment::Written;
use crate::state::waiting::Item;

use super::{Appended, Ledger};

/// Where offload mode puts what is appended next.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Spill {
    /// To disk, since older items wait there, or memory has enough.
    pub(crate) is_on: bool,
    /// The last append went to the other place.
    pub(crate) is_turning: bool,
    /// A commit must reserve ids first.
    pub(crate) needs_ids: bool,
}

impl Ledger {
    /// Appends where there is no disk.
    pub(crate) fn append_in_memory(
        &mut self,
        payloads: &[Bytes],
        accepted: Moment,
        lease: Option<(Option<ItemId>, &Bytes)>,
    ) -> Result<(ItemRange, Option<LeaseId>), AppendError> {
        if self.is_closed {
            return Err(AppendError::Closed);
        }
        if !self.has_ids(payloads.len()) {
            return Err(AppendError::NoMoreIds);
        }
        let start = lease.map(|(from, _)| self.lease_start(from)).transpose()?;
        let first = ItemId(self.next_id);
        self.next_id = self
            .backlog
            .extend_resident(self.next_id, accepted, payloads);
        let items = ItemRange {
            first,
            last: ItemId(self.next_id).previous(),
        };
        let load = Load::of(payloads);
        self.metrics.note_appended(load.items, load.bytes);
        let lease = lease.zip(start).map(|((_, tag), first)| {
            let held = self.backlog.take(usize::MAX);
            let bytes = held.iter().map(Item::bytes).sum();
            let range = ItemRange {
                first,
                last: items.last,
            };
            self.open_lease(range, (held, bytes), Some(tag.clone()), Vec::new())
        });
        Ok((items, lease))
    }

    /// Appends to memory where there is a disk.
    pub(crate) fn append_off_disk(
        &mut self,
        payloads: &[Bytes],
        accepted: Moment,
        lease: Option<(Option<ItemId>, &Bytes)>,
    ) -> Appended {
        let appended = self.append_in_memory(payloads, accepted, lease);
        if let Ok((items, _)) = &appended {
            self.in_memory_only.insert(items.first.0, items.last.0);
        }
        appended
    }

    /// Decides where offload mode puts items that are appended next: more than so many bytes are
    /// not kept in memory.
    pub(crate) fn decide_spill(&mut self, items: usize, load: Load, most_bytes: u64) -> Spill {
        let is_on = self.has_spilled() || self.load().plus(load).counted_bytes() > most_bytes;
        let is_turning = std::mem::replace(&mut self.is_spilling, is_on) != is_on;
        let next_id = self.next_id.saturating_add(field::wide(items));
        Spill {
            is_on,
            is_turning,
            needs_ids: next_id > self.reserved_id,
        }
    }

    /// Returns whether a file may know of any of the items of a lease.
    pub(super) fn is_in_file(&self, id: LeaseId, items: Option<ItemRange>) -> bool {
        if self.in_memory_only.is_empty() {
            return true;
        }
        let items = items.or_else(|| self.leases.get(id).map(|lease| lease.items));
        items.is_none_or(|items| {
            let (first, last) = (items.first.0, items.last.0);
            !self.in_memory_only.covers(first, last) || self.half_written.overlaps(first, last)
        })
    }

    /// Returns whether the next item has to go to disk since others that wait there are older.
    pub(crate) fn has_spilled(&self) -> bool {
        self.is_spilling && (self.backlog.is_behind() || !self.backlog.resident().is_empty())
    }

    /// Returns whether any item from that id on is in no file.
    pub(crate) fn is_in_memory_from(&self, first: u64) -> bool {
        self.in_memory_only.overlaps(first, u64::MAX)
    }

    /// The open items of that range which are in memory, in no order.
    pub(super) fn items_at_hand(&self, first: u64, last: u64) -> impl Iterator<Item = &Item> {
        self.leases
            .held_items()
            .chain(self.transit.items())
            .chain(self.backlog.resident())
            .filter(move |item| first <= item.id.0 && item.id.0 <= last)
    }

    /// Begins to write down the open items that are in no file, and returns them in order. However
    /// that ends, acks of them are written from now on: they may be found in a file.
    pub(crate) fn begin_write_down(&mut self) -> Vec<Item> {
        self.half_written = self.in_memory_only.clone();
        let mut items: Vec<Item> = self
            .leases
            .held_items()
            .chain(self.backlog.resident())
            .filter(|item| self.in_memory_only.contains(item.id.0))
            .cloned()
            .collect();
        items.sort_unstable_by_key(|item| item.id);
        items
    }

    /// A run of items that were in no file is in a segment now.
    pub(crate) fn note_written_down(&mut self, written: &Written, run: &[Item], is_synced: bool) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return;
        };
        let load = Load {
            items: field::wide(run.len()),
            bytes: run.iter().map(Item::bytes).sum(),
        };
        self.segments
            .add_written(written, load, last.id.0, is_synced);
        self.in_memory_only.remove(first.id.0, last.id.0);
        self.half_written.remove(first.id.0, last.id.0);
    }
}
