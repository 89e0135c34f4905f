//! What the ledger knows of items that are in no file: those of a queue in memory, and of offload mode while there are few.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::{AppendError, LeaseError};
use crate::format::control::lease::LeaseRecord;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::moment::Moment;
use crate::state::ledger::Ledger;
use crate::state::waiting::Item;

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
        for payload in payloads {
            self.backlog.push_resident(Item {
                id: ItemId(self.next_id),
                payload: payload.clone(),
                accepted,
            });
            self.next_id = self.next_id.saturating_add(1);
        }
        let items = ItemRange {
            first,
            last: ItemId(self.next_id).previous(),
        };
        let lease = lease.zip(start).map(|((_, tag), first)| {
            let held = self.backlog.take(usize::MAX);
            self.open_lease(
                ItemRange {
                    first,
                    last: items.last,
                },
                Some(held),
                Some(tag.clone()),
                Vec::new(),
            )
        });
        Ok((items, lease))
    }

    /// The lease has a new tag, which is written nowhere.
    pub(crate) fn set_tag_in_memory(&mut self, id: LeaseId, tag: Bytes) -> Result<(), LeaseError> {
        self.leases
            .update(id, |lease| lease.tag = Some(tag))
            .ok_or(LeaseError::UnknownLease(id))
    }

    /// Whether a file may know of any of the items of a lease.
    pub(crate) fn is_in_file(&self, id: LeaseId, items: Option<ItemRange>) -> bool {
        let items = items.or_else(|| self.leases.get(id).map(|lease| lease.items));
        items.is_none_or(|items| {
            let (first, last) = (items.first.0, items.last.0);
            !self.in_memory_only.covers(first, last) || self.half_written.overlaps(first, last)
        })
    }

    /// Whether the next item has to go to disk since others that wait there are older.
    pub(crate) fn has_spilled(&self) -> bool {
        self.is_spilling && (self.backlog.is_behind() || !self.backlog.resident().is_empty())
    }

    /// Whether any item from that id on is in no file.
    pub(crate) fn is_in_memory_from(&self, first: u64) -> bool {
        self.in_memory_only.overlaps(first, u64::MAX)
    }

    /// The open items of that range which are in memory.
    pub(crate) fn items_at_hand(&self, first: u64, last: u64) -> BTreeMap<u64, Item> {
        let held = self
            .leases
            .iter()
            .filter_map(|(_, lease)| lease.held.as_ref());
        held.flatten()
            .chain(self.transit.items())
            .chain(self.backlog.resident())
            .filter(|item| first <= item.id.0 && item.id.0 <= last)
            .map(|item| (item.id.0, item.clone()))
            .collect()
    }

    /// The open items that are in no file, in order.
    pub(crate) fn items_in_memory_only(&self) -> Vec<Item> {
        let held = self
            .leases
            .iter()
            .filter_map(|(_, lease)| lease.held.as_ref());
        let mut items: Vec<Item> = held
            .flatten()
            .chain(self.backlog.resident())
            .filter(|item| self.in_memory_only.contains(item.id.0))
            .cloned()
            .collect();
        items.sort_unstable_by_key(|item| item.id);
        items
    }

    /// Records of the leases that have a tag and are not written down.
    pub(crate) fn leases_without_home(&mut self) -> Vec<(LeaseId, LeaseRecord)> {
        let tagged = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.homes.is_empty());
        let mut records: Vec<(LeaseId, LeaseRecord)> = tagged
            .filter_map(|(id, lease)| {
                let record = LeaseRecord {
                    sequence: 0,
                    items: lease.items,
                    tag: lease.tag.clone()?,
                };
                Some((id, record))
            })
            .collect();
        for (_, record) in &mut records {
            record.sequence = self.next_lease_sequence();
        }
        records
    }
}
