//! Items on their way out of the waiting ones into a lease, while the call that moves them reads or
//! writes files without the ledger's lock.

use std::collections::BTreeMap;

use crate::field;
use crate::ids::ItemId;
use crate::ids::ranges::RangeSet;
use crate::limits::load::Load;
use crate::state::waiting::Item;

/// The items that calls under way have taken and not leased yet: neither waiting nor leased.
#[derive(Debug, Default)]
pub(crate) struct Transit {
    /// By the id of the first item, the items that one call has taken.
    runs: BTreeMap<u64, Vec<Item>>,
    /// From the first to the last id of each run; the ids in between that no run has are done.
    ids: RangeSet,
    /// All of them.
    load: Load,
}

/// The items of one call in transit, by the id of the first. Not to be copied: whoever has it gets
/// the items back.
#[derive(Debug)]
pub(crate) struct Parked(u64);

impl Transit {
    /// A call goes on without the lock, and leaves the items that it has taken here. `None` where
    /// there are none.
    pub(crate) fn park(&mut self, items: Vec<Item>) -> Option<Parked> {
        let (first, last) = (items.first()?.id, items.last()?.id);
        assert!(
            !self.ids.overlaps(first.0, last.0),
            "items {first} to {last} are on their way into two leases"
        );
        self.load = self.load.plus(load_of(&items));
        self.ids.insert(first.0, last.0);
        self.runs.insert(first.0, items);
        Some(Parked(first.0))
    }

    /// The call has the lock again, and its items back.
    pub(crate) fn unpark(&mut self, Parked(first): Parked) -> Vec<Item> {
        let items = self.runs.remove(&first).unwrap_or_default();
        if let Some(last) = items.last() {
            self.ids.remove(first, last.id.0);
        }
        self.load = self.load.less(load_of(&items));
        items
    }

    /// All items in transit: limits count them like those that wait.
    pub(crate) fn load(&self) -> Load {
        self.load
    }

    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.ids.contains(id.0)
    }

    /// Returns whether any id from `first` to `last` is in transit.
    pub(crate) fn touches(&self, first: u64, last: u64) -> bool {
        first <= last && !self.runs.is_empty() && self.ids.overlaps(first, last)
    }

    /// Returns whether an item with an id from `first` to `last` is in transit.
    #[inline]
    pub(crate) fn has_item(&self, first: u64, last: u64) -> bool {
        self.touches(first, last)
            && self
                .items()
                .any(|item| first <= item.id.0 && item.id.0 <= last)
    }

    /// The first item of each call.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = &Item> {
        self.runs.values().filter_map(|items| items.first())
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.runs.values().flatten()
    }
}

fn load_of(items: &[Item]) -> Load {
    Load {
        items: field::wide(items.len()),
        bytes: items.iter().map(Item::bytes).sum(),
    }
}
