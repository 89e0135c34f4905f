//! A pop under way: it may have to wait for the disk in the middle.

use crate::field;
use crate::ids::ItemId;
use crate::limits::{BytesLimit, ItemRef, PopLimits};
use crate::state::waiting::Item;

/// Takes items one by one until its limits are met. Every item is looked at once.
#[derive(Debug)]
pub(crate) struct Taker<'a> {
    limits: PopLimits<'a>,
    items: Vec<Item>,
    bytes: u64,
}

impl<'a> Taker<'a> {
    pub(crate) fn new(limits: PopLimits<'a>) -> Self {
        Self {
            limits,
            items: Vec::new(),
            bytes: 0,
        }
    }

    /// The id of the item that was taken last.
    pub(crate) fn last(&self) -> Option<ItemId> {
        self.items.last().map(|item| item.id)
    }

    /// What was taken so far.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether the item is to be taken too.
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

    #[inline]
    pub(crate) fn push(&mut self, item: Item) {
        if self.items.is_empty() {
            self.items.reserve(self.limits.max_items.min(16));
        }
        self.bytes = self.bytes.saturating_add(field::wide(item.payload.len()));
        self.items.push(item);
    }

    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// All that was taken so far.
    pub(crate) fn give_back(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}
