//! Items that the reader found: from on disk only to waiting in memory, or lost.

use crate::damage::Damage;
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemId, ItemRange};
use crate::state::detach::detached;
use crate::state::segment::Span;
use crate::state::waiting::Item;

use super::{Ledger, Place};

impl Ledger {
    /// The place of the first item that is on disk only, for the reader to go to.
    pub(crate) fn take_unread_place(&mut self) -> Option<Place> {
        self.unread_from.take()
    }

    /// The reader could not go to the place.
    pub(crate) fn put_unread_place(&mut self, place: Place) {
        self.unread_from = Some(place);
    }

    /// All items on disk were read: what was counted beyond them does not exist.
    pub(crate) fn note_all_read(&mut self) {
        self.backlog.clear_unread();
    }

    /// Returns whether the reader has passed all items of the segment, and there is none after it.
    pub(crate) fn is_read(&self, key: SegmentKey) -> bool {
        self.segments.after(Some(key)).is_none()
            && self
                .segments
                .get(key)
                .is_some_and(|segment| self.read_through >= segment.last_id)
    }

    /// The reader has passed all items up to this id.
    pub(crate) fn note_read_through(&mut self, last_id: u64) {
        self.read_through = self.read_through.max(last_id);
    }

    /// Damage was found in the segment.
    pub(crate) fn note_damage_in(&mut self, key: SegmentKey) {
        if let Some(segment) = self.segments.get_mut(key) {
            segment.note_damage();
        }
    }

    /// Returns whether opening has reported the place: nothing more is lost in it.
    pub(crate) fn is_known(&self, key: SegmentKey, damage: &Damage) -> bool {
        let (Damage::Item { position, .. } | Damage::Bytes { position, .. }) = damage else {
            return false;
        };
        let segment = self.segments.get(key);
        segment.is_some_and(|segment| *position < segment.known_end)
            && damage
                .ids()
                .is_none_or(|ids| self.acks.covers(ids.first.0, ids.last.0))
    }

    /// Takes what one read found into the backlog, but for what is done, leased, in transit, or was
    /// read before: in a segment that was replaced by a copy.
    pub(crate) fn absorb(&mut self, mut items: Vec<Item>) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return;
        };
        let (first, last) = (first.id.0, last.id.0);
        let is_new = first > self.read_through
            && !self.acks.touches(first, last)
            && !self.is_taken(first, last);
        if !is_new {
            let read = items.len();
            items.retain(|item| {
                item.id.0 > self.read_through
                    && !self.acks.contains(item.id.0)
                    && !self.leases.contains(item.id)
                    && !self.transit.contains(item.id)
            });
            if items.len() < read {
                items = detached(items);
            }
        }
        self.backlog.extend_read(items);
    }

    /// The parts of segments in which items of these ranges are.
    pub(crate) fn spans(&self, ranges: impl Iterator<Item = ItemRange> + Clone) -> Vec<Span> {
        let mut spans = Vec::new();
        for (key, segment) in self.segments.iter() {
            let Some(own) = ItemRange::new(ItemId(key.first_id), ItemId(segment.last_id)) else {
                continue;
            };
            let wanted =
                ranges
                    .clone()
                    .filter(|range| range.overlaps(own))
                    .reduce(|left, right| ItemRange {
                        first: left.first.min(right.first),
                        last: left.last.max(right.last),
                    });
            if let Some(items) = wanted {
                spans.push(Span {
                    segment: key,
                    items,
                    made: segment.made,
                    end: segment.end,
                    limit_id: self.segments.limit_id(key),
                });
            }
        }
        spans
    }
}
