//! The items that wait: the oldest in memory, the rest counted, on disk only.

use std::collections::VecDeque;
use std::time::SystemTime;

use bytes::Bytes;

use crate::field;
use crate::ids::ItemId;
use crate::limits::load::Load;
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

    /// Takes new items at the end, the first with that id, which are on disk: they stay in memory
    /// only as far as all before them are, and the budget allows. Returns the number of those
    /// before the first that does not.
    pub(crate) fn extend_written(
        &mut self,
        (first_id, accepted): (u64, Moment),
        payloads: &[Bytes],
        budget: u64,
    ) -> Option<usize> {
        if self.is_behind {
            let load = Load::of(payloads);
            self.add_unread(load.items, load.bytes);
            return None;
        }
        let count = self.count_within(payloads, budget);
        let (fit, rest) = payloads.split_at_checked(count).unwrap_or((payloads, &[]));
        self.extend_resident(first_id, accepted, fit);
        if rest.is_empty() {
            return None;
        }
        let load = Load::of(rest);
        self.add_unread(load.items, load.bytes);
        Some(count)
    }

    /// The number of payloads for which the budget has room.
    fn count_within(&self, payloads: &[Bytes], budget: u64) -> usize {
        let items_within =
            (budget / LEAST_RESIDENT_BYTES).saturating_sub(field::wide(self.resident.len()));
        let mut bytes = self.resident_bytes;
        payloads
            .iter()
            .take(field::narrow(items_within))
            .take_while(|payload| {
                bytes = bytes.saturating_add(field::wide(payload.len()));
                bytes <= budget
            })
            .count()
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
        if let [payload] = payloads {
            // An iterator costs more than one item does.
            self.push_resident(first_id, accepted, payload);
            return next_id;
        }
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

    #[inline]
    fn push_resident(&mut self, id: u64, accepted: Moment, payload: &Bytes) {
        let bytes = field::wide(payload.len());
        self.resident_bytes = self.resident_bytes.saturating_add(bytes);
        self.resident.push_back(Item {
            id: ItemId(id),
            payload: payload.clone(),
            accepted,
        });
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
        let mut append = |first_id, count| {
            let payloads = vec![Bytes::new(); count];
            let place = (first_id, Moment::UNKNOWN);
            backlog.extend_written(place, &payloads, 3 * LEAST_RESIDENT_BYTES)
        };
        let first_beyond = [append(1, 2), append(3, 3), append(6, 1)];
        assert_eq!(first_beyond, [None, Some(1), None]);
        assert_eq!((backlog.resident().len(), backlog.items()), (3, 6));
    }

    #[test]
    fn payloads_stay_in_memory_up_to_the_last_byte_of_the_budget() {
        let mut backlog = Backlog::default();
        let payloads = vec![Bytes::from(vec![7; 100]); 4];
        assert_eq!(
            backlog.extend_written((1, Moment::UNKNOWN), &payloads, 300),
            Some(3)
        );
        assert_eq!((backlog.resident_bytes(), backlog.bytes()), (300, 400));
    }
}
