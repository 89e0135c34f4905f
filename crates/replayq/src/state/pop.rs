//! A pop under way: it may have to wait for the disk in the middle.

use crate::field;
use crate::ids::ItemId;
use crate::limits::{BytesLimit, ItemRef, PopLimits};
use crate::state::transit::{Parked, Transit};
use crate::state::waiting::Item;

/// Takes items one by one until its limits are met. Every item is looked at once.
#[derive(Debug)]
pub(crate) struct Taker<'a> {
    limits: PopLimits<'a>,
    items: Vec<Item>,
    /// Where the items are while the call goes on without the lock.
    parked: Option<Parked>,
    bytes: u64,
}

impl<'a> Taker<'a> {
    pub(crate) fn new(limits: PopLimits<'a>) -> Self {
        Self {
            limits,
            items: Vec::new(),
            parked: None,
            bytes: 0,
        }
    }

    /// The id of the item that was taken last.
    pub(crate) fn last(&self) -> Option<ItemId> {
        self.items.last().map(|item| item.id)
    }

    /// Leaves the items taken so far in transit, until [`Self::unpark`].
    pub(crate) fn park(&mut self, transit: &mut Transit) {
        self.parked = transit.park(std::mem::take(&mut self.items));
    }

    /// Takes up the items again that were left in transit.
    pub(crate) fn unpark(&mut self, transit: &mut Transit) {
        if let Some(parked) = self.parked.take() {
            self.items = transit.unpark(parked);
        }
    }

    /// Returns whether the item is to be taken too.
    #[inline]
    pub(crate) fn wants(&mut self, item: &Item) -> bool {
        let is_full = self.items.len() >= self.limits.max_items
            || match self.limits.bytes {
                BytesLimit::AtMost(limit) => self.bytes.saturating_add(item.bytes()) > limit,
                BytesLimit::AtLeast(limit) => self.bytes >= limit,
            };
        if is_full && !self.items.is_empty() {
            return false;
        }
        let stops = self.limits.stop_before.as_mut().is_some_and(|stop| {
            stop(&ItemRef {
                id: item.id,
                payload: &item.payload,
            })
        });
        !stops || self.items.is_empty()
    }

    /// So many items wait in memory: makes room for those of them that may be taken, within reason.
    #[inline]
    pub(crate) fn expect(&mut self, waiting: usize) {
        const MOST: usize = 1024;
        let wanted = self.limits.max_items.saturating_sub(self.items.len());
        self.items.reserve(wanted.min(waiting).min(MOST));
    }

    #[inline]
    pub(crate) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(field::wide(item.payload.len()));
        self.items.push(item);
    }

    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// The items taken, and their payloads' bytes.
    pub(crate) fn into_load(self) -> (Vec<Item>, u64) {
        (self.items, self.bytes)
    }

    /// Takes out the items taken so far, which are not in transit.
    pub(crate) fn give_back(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}
