//! The damage that was found since the queue was opened: the latest places one by one, all of them
//! counted.

use std::collections::VecDeque;

use crate::damage::Damage;
use crate::field;
use crate::ids::acks::Acks;

/// Places that are remembered one by one.
const MOST: usize = 1000;

/// Places that were found damaged, before they are in the log: so many one by one, all of them
/// counted. However much of a directory is forged, memory is bounded.
#[derive(Debug, Default)]
pub(crate) struct Places {
    first: Vec<Damage>,
    more: u64,
    /// Items lost in those that are only counted.
    more_lost: u64,
}

impl Places {
    /// Adds a place.
    pub(crate) fn push(&mut self, damage: Damage, acks: &Acks) {
        if self.first.len() < MOST {
            self.first.push(damage);
            return;
        }
        self.more = self.more.saturating_add(1);
        let lost = damage
            .ids()
            .map_or(0, |ids| acks.open_within(ids.first.0, ids.last.0).count());
        self.more_lost = self.more_lost.saturating_add(lost);
    }

    /// Adds some places.
    pub(crate) fn extend(&mut self, places: impl IntoIterator<Item = Damage>, acks: &Acks) {
        places
            .into_iter()
            .for_each(|damage| self.push(damage, acks));
    }

    /// Adds those of another list, which were found later.
    pub(crate) fn append(&mut self, other: Self, acks: &Acks) {
        self.extend(other.first, acks);
        self.more = self.more.saturating_add(other.more);
        self.more_lost = self.more_lost.saturating_add(other.more_lost);
    }

    /// Those that are known one by one.
    pub(crate) fn first(&self) -> &[Damage] {
        &self.first
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// The damage that was found.
#[derive(Debug, Default)]
pub(crate) struct DamageLog {
    latest: VecDeque<Damage>,
    places: u64,
    lost_items: u64,
}

impl DamageLog {
    /// Adds a place, of which so many items are lost that were not done. The same place counts
    /// once, by whomever it is found.
    pub(crate) fn add(&mut self, damage: Damage, lost_items: u64) {
        if self.latest.contains(&damage) {
            return;
        }
        self.places = self.places.saturating_add(1);
        self.lost_items = self.lost_items.saturating_add(lost_items);
        if self.latest.len() >= MOST {
            self.latest.pop_front();
        }
        self.latest.push_back(damage);
    }

    /// Counts the places of a list of which nothing else is known.
    pub(crate) fn add_more(&mut self, places: &Places) {
        self.places = self.places.saturating_add(places.more);
        self.lost_items = self.lost_items.saturating_add(places.more_lost);
    }

    /// The number of places.
    pub(crate) fn places(&self) -> u64 {
        self.places
    }

    /// The number of items that were lost in them.
    pub(crate) fn lost_items(&self) -> u64 {
        self.lost_items
    }

    /// The places found since there were `seen`, as far as they are remembered.
    pub(crate) fn since(&self, seen: u64) -> Vec<Damage> {
        let new = field::narrow(self.places.saturating_sub(seen));
        let known = self.latest.len().saturating_sub(new);
        self.latest.iter().skip(known).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ItemId, ItemRange};

    #[test]
    fn the_latest_places_are_remembered_and_all_are_counted() {
        let missing = |id| Damage::Missing {
            ids: ItemRange::one(ItemId(id)),
        };
        let mut log = DamageLog::default();
        for id in 1..=1200 {
            log.add(missing(id), 2);
            log.add(missing(id), 2);
        }
        assert_eq!((log.places(), log.lost_items()), (1200, 2400));
        assert_eq!(log.since(0).len(), 1000);
        assert_eq!(log.since(1198), [missing(1199), missing(1200)]);
        assert_eq!((log.since(1200), log.since(5000)), (Vec::new(), Vec::new()));
    }
}
