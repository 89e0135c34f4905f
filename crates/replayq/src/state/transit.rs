//! Items on their way out of the waiting ones into a lease, while the call that moves them reads or
//! writes files without the ledger's lock.

use std::collections::BTreeMap;

use crate::ids::ItemId;
use crate::ids::ranges::RangeSet;
use crate::state::waiting::Item;

/// The items that calls under way have taken and not leased yet: neither waiting nor leased.
#[derive(Debug, Default)]
pub(crate) struct Transit {
    /// By the id of the first item, what one call has taken.
    runs: BTreeMap<u64, Vec<Item>>,
    /// From the first to the last id of each run; the ids in between that no run has are done.
    ids: RangeSet,
}

impl Transit {
    /// A call goes on without the lock, with these items; those that it had before come first.
    pub(crate) fn keep(&mut self, items: &[Item]) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        let run = self.runs.entry(first.id.0).or_default();
        let new = items.get(run.len()..).unwrap_or(&[]);
        if let Some(first_new) = new.first() {
            let from = run.last().map_or(first_new.id, |item| item.id.next());
            assert!(
                !self.ids.overlaps(from.0, last.id.0),
                "items {from} to {} are on their way into two leases",
                last.id
            );
            run.extend_from_slice(new);
            self.ids.insert(first.id.0, last.id.0);
        }
    }

    /// The call has come to its end with these items, which are leased or wait again from here on.
    #[inline]
    pub(crate) fn end(&mut self, items: &[Item]) {
        if !self.runs.is_empty() {
            self.end_run(items);
        }
    }

    fn end_run(&mut self, items: &[Item]) {
        if let Some(first) = items.first()
            && let Some(run) = self.runs.remove(&first.id.0)
            && let Some(last) = run.last()
        {
            self.ids.remove(first.id.0, last.id.0);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.ids.contains(id.0)
    }

    /// Whether any id from `first` to `last` is in transit.
    pub(crate) fn touches(&self, first: u64, last: u64) -> bool {
        first <= last && !self.runs.is_empty() && self.ids.overlaps(first, last)
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.runs.values().flatten()
    }
}
