//! The items that wait: the oldest in memory, the rest counted, on disk only.

use std::collections::VecDeque;
use std::time::SystemTime;

use bytes::Bytes;

use crate::field;
use crate::ids::ItemId;
use crate::moment::Moment;

/// An item takes so many bytes of the budget for items in memory at least: what it takes beside its
/// payload is of that order.
const LEAST_RESIDENT_BYTES: u64 = 64;

/// One item of the queue.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The payload as it was appended. Items read from disk share one buffer with their neighbours:
    /// copy what is kept for long.
    pub payload: Bytes,
    pub(crate) accepted: Moment,
}

impl Item {
    /// The time of the append, by the system's clock, which may have been set meanwhile: to a tick of
    /// that clock, 10 ms at most, in the first minutes of its segment, later to a part in a quarter
    /// million of the time for which the segment had been in use. `None` where the header of the
    /// segment is damaged.
    #[must_use]
    pub fn accepted_at(&self) -> Option<SystemTime> {
        self.accepted.system_time()
    }

    pub(crate) fn bytes(&self) -> u64 {
        field::wide(self.payload.len())
    }
}

/// Items in order of their ids: a run in memory, and behind it those that are on disk only.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    resident: VecDeque<Item>,
    resident_bytes: u64,
    /// There may be items on disk behind those in memory. The counts beside it are for show: damage
    /// can make them wrong for a while.
    is_behind: bool,
    unread_items: u64,
    unread_bytes: u64,
}

impl Backlog {
    pub(crate) fn items(&self) -> u64 {
        field::wide(self.resident.len()).saturating_add(self.unread_items)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.resident_bytes.saturating_add(self.unread_bytes)
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// The part of the budget used by those in memory: their payloads' bytes, or what so many items
    /// take without.
    pub(crate) fn budget_bytes(&self) -> u64 {
        let items = field::wide(self.resident.len());
        self.resident_bytes
            .max(items.saturating_mul(LEAST_RESIDENT_BYTES))
    }

    pub(crate) fn resident(&self) -> &VecDeque<Item> {
        &self.resident
    }

    /// Returns whether an item in memory has an id from `first` to `last`.
    #[inline]
    pub(crate) fn has_resident(&self, first: u64, last: u64) -> bool {
        // Most often all that waits is newer.
        self.resident
            .front()
            .is_some_and(|front| front.id.0 <= last && self.has_one_of(first, last))
    }

    fn has_one_of(&self, first: u64, last: u64) -> bool {
        let at = self.resident.partition_point(|item| item.id.0 < first);
        self.resident.get(at).is_some_and(|item| item.id.0 <= last)
    }

    /// Returns whether there may be items that are on disk only.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Takes an item at the end that is on disk: it stays in memory only where all before it are,
    /// and the budget allows. Returns whether it is the first that does not.
    pub(crate) fn push_written(
        &mut self,
        (id, accepted): (ItemId, Moment),
        payload: &Bytes,
        budget: u64,
    ) -> bool {
        let bytes = field::wide(payload.len());
        let items = field::wide(self.resident.len()).saturating_add(1);
        let has_room = self.resident_bytes.saturating_add(bytes) <= budget
            && items.saturating_mul(LEAST_RESIDENT_BYTES) <= budget;
        if !self.is_behind && has_room {
            self.push_resident(Item {
                id,
                payload: payload.clone(),
                accepted,
            });
            return false;
        }
        let was_behind = self.is_behind;
        self.add_unread(1, bytes);
        !was_behind
    }

    /// Takes an item at the end of the run in memory.
    pub(crate) fn push_resident(&mut self, item: Item) {
        assert!(
            self.resident.back().is_none_or(|last| last.id < item.id),
            "item {} waits twice",
            item.id
        );
        self.resident_bytes = self.resident_bytes.saturating_add(item.bytes());
        self.resident.push_back(item);
    }

    /// Takes new items, the first with that id, at the end of the run in memory. Returns the id
    /// after the last.
    pub(crate) fn extend_resident(
        &mut self,
        first_id: u64,
        accepted: Moment,
        payloads: &[Bytes],
    ) -> u64 {
        assert!(
            self.resident.back().is_none_or(|last| last.id.0 < first_id),
            "item {first_id} waits twice"
        );
        let next_id = first_id.saturating_add(field::wide(payloads.len()));
        let mut bytes = 0_u64;
        self.resident
            .extend(payloads.iter().zip(first_id..next_id).map(|(payload, id)| {
                bytes = bytes.saturating_add(field::wide(payload.len()));
                Item {
                    id: ItemId(id),
                    payload: payload.clone(),
                    accepted,
                }
            }));
        self.resident_bytes = self.resident_bytes.saturating_add(bytes);
        next_id
    }

    /// Items that wait on disk.
    pub(crate) fn add_unread(&mut self, items: u64, bytes: u64) {
        self.is_behind = true;
        self.unread_items = self.unread_items.saturating_add(items);
        self.unread_bytes = self.unread_bytes.saturating_add(bytes);
    }

    /// Items were read from disk: they follow those in memory.
    pub(crate) fn extend_read(&mut self, items: Vec<Item>) {
        let mut last_id = self.resident.back().map_or(0, |last| last.id.0);
        let mut bytes = 0_u64;
        for item in &items {
            assert!(last_id < item.id.0, "item {} waits twice", item.id);
            last_id = item.id.0;
            bytes = bytes.saturating_add(item.bytes());
        }
        let count = field::wide(items.len());
        self.unread_items = self.unread_items.saturating_sub(count);
        self.unread_bytes = self.unread_bytes.saturating_sub(bytes);
        self.resident_bytes = self.resident_bytes.saturating_add(bytes);
        if self.resident.is_empty() {
            self.resident = VecDeque::from(items);
        } else {
            self.resident.extend(items);
        }
    }

    /// Items on disk turned out to be lost.
    pub(crate) fn lose_unread(&mut self, items: u64, bytes: u64) {
        self.unread_items = self.unread_items.saturating_sub(items);
        self.unread_bytes = self.unread_bytes.saturating_sub(bytes);
    }

    /// Everything on disk was read: what was counted beyond does not exist.
    pub(crate) fn clear_unread(&mut self) {
        self.is_behind = false;
        self.unread_items = 0;
        self.unread_bytes = 0;
    }

    /// Takes out the first `count` items of the run in memory.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Item> {
        let count = count.min(self.resident.len());
        let items: Vec<Item> = self.resident.drain(..count).collect();
        self.resident_bytes = self
            .resident_bytes
            .saturating_sub(items.iter().map(Item::bytes).sum());
        items
    }

    /// Takes out the items of the run in memory from the id on.
    pub(crate) fn take_from(&mut self, id: u64) -> VecDeque<Item> {
        let at = self.resident.partition_point(|item| item.id.0 < id);
        let items = self.resident.split_off(at);
        self.resident_bytes = self
            .resident_bytes
            .saturating_sub(items.iter().map(Item::bytes).sum());
        items
    }

    /// Takes out the first item of the run in memory.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.resident.pop_front()?;
        self.resident_bytes = self.resident_bytes.saturating_sub(item.bytes());
        Some(item)
    }

    /// Takes items back that had been taken out.
    pub(crate) fn put_back(&mut self, items: Vec<Item>) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        let at = self.resident.partition_point(|item| item.id < first.id);
        let is_contiguous = self.resident.get(at).is_none_or(|next| last.id < next.id);
        self.resident_bytes = self
            .resident_bytes
            .saturating_add(items.iter().map(Item::bytes).sum());
        if at == 0 && is_contiguous {
            for item in items.into_iter().rev() {
                self.resident.push_front(item);
            }
        } else {
            self.resident.extend(items);
            self.resident
                .make_contiguous()
                .sort_unstable_by_key(|item| item.id);
            let mut neighbours = self.resident.iter().zip(self.resident.iter().skip(1));
            assert!(
                neighbours.all(|(one, next)| one.id < next.id),
                "an item waits twice"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_payload_take_of_the_budget_too() {
        let mut backlog = Backlog::default();
        let is_first_beyond: Vec<bool> = (1..=5)
            .map(|id| {
                let place = (ItemId(id), Moment::UNKNOWN);
                backlog.push_written(place, &Bytes::new(), 3 * LEAST_RESIDENT_BYTES)
            })
            .collect();
        assert_eq!(is_first_beyond, [false, false, false, true, false]);
        assert_eq!((backlog.resident().len(), backlog.items()), (3, 5));
    }
}
