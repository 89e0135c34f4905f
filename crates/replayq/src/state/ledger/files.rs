//! The segment files: made, filled, closed, found wanting, replaced, removed.

use std::collections::BTreeMap;

use crate::damage::Damage;
use crate::format::segment::head::Seal;
use crate::format::segment::key::SegmentKey;
use crate::moment::Moment;
use crate::state::leases::Home;
use crate::state::segment::{Retired, Segment};
use crate::state::waiting::Item;

use super::{Ledger, Place};

/// A segment that is to be replaced by a copy.
#[derive(Debug)]
pub(crate) struct Rescue {
    /// The key of the copy.
    pub(crate) key: SegmentKey,
    pub(crate) segment: Segment,
    /// Ids from here on are another segment's.
    pub(crate) limit_id: u64,
    /// Its items that are in memory too.
    pub(crate) at_hand: BTreeMap<u64, Item>,
}

/// The copy of a segment.
#[derive(Debug)]
pub(crate) struct Copied<'a> {
    pub(crate) key: SegmentKey,
    pub(crate) seal: &'a Seal,
    /// Where lease entries were, and where they are in it.
    pub(crate) leases: &'a BTreeMap<u64, u64>,
    /// Damage that was found.
    pub(crate) damage: Vec<Damage>,
}

impl Ledger {
    /// The key of a segment that begins with the id, and a file to be used again, if one is wanted.
    pub(crate) fn draw_segment(
        &mut self,
        first_id: u64,
        takes_spare: bool,
    ) -> (SegmentKey, Option<SegmentKey>) {
        let generation = self.generations.draw();
        let key = SegmentKey {
            first_id,
            generation,
        };
        let spare = takes_spare.then(|| self.segments.take_spare()).flatten();
        (key, spare.map(|(spare, _)| spare))
    }

    /// A new segment is filled from here on.
    pub(crate) fn begin_segment(
        &mut self,
        key: SegmentKey,
        made: Moment,
        file_bytes: u64,
        is_synced: bool,
    ) {
        let previous_id = key.first_id.saturating_sub(1);
        let mut segment = Segment::new(key, previous_id, made, file_bytes);
        segment.is_unsynced = !is_synced;
        self.segments.insert(key, segment);
    }

    /// Positions of the lease records in a segment whose leases are open.
    pub(crate) fn lease_records_in(&self, key: SegmentKey) -> Vec<u64> {
        let homes = self.leases.iter().flat_map(|(_, lease)| &lease.homes);
        let positions = homes.filter_map(|home| match home {
            Home::Entry {
                segment, position, ..
            } if *segment == key => Some(*position),
            _ => None,
        });
        positions.collect()
    }

    /// Nothing more is written to the segment. Returns its seal.
    pub(crate) fn end_segment(&mut self, key: SegmentKey) -> Option<Seal> {
        let leases = self.lease_records_in(key);
        let segment = self.segments.get_mut(key)?;
        segment.is_closed = true;
        let seal = Seal {
            items: segment.items,
            payload_bytes: segment.payload_bytes,
            last_id: segment.last_id,
            end: segment.end,
            leases,
        };
        self.segments.note_changed(&self.acks, key);
        Some(seal)
    }

    /// Nothing more is written to the segment: what it holds after its end is unknown. Returns that
    /// end.
    pub(crate) fn distrust(&mut self, key: SegmentKey) -> Option<u64> {
        let segment = self.segments.get_mut(key);
        let end = segment.map(|segment| {
            segment.is_closed = true;
            segment.is_given_up = true;
            segment.end
        });
        self.segments.note_changed(&self.acks, key);
        end
    }

    /// The file of the segment is not used again: a write to it or a sync of it failed.
    pub(crate) fn give_file_up(&mut self, key: SegmentKey) {
        if let Some(segment) = self.segments.get_mut(key) {
            segment.is_given_up = true;
        }
    }

    /// The file has grown or shrunk.
    pub(crate) fn set_file_bytes(&mut self, key: SegmentKey, bytes: u64) {
        self.segments.set_file_bytes(key, bytes);
    }

    /// The segment was synced, or it is suspect since that failed.
    pub(crate) fn note_sync(&mut self, key: SegmentKey, is_synced: bool) {
        if let Some(segment) = self.segments.get_mut(key) {
            segment.is_unsynced = !is_synced;
            segment.is_suspect = !is_synced;
        }
    }

    /// Something was overwritten in the segment, and is not synced.
    pub(crate) fn note_unsynced(&mut self, key: SegmentKey) {
        if let Some(segment) = self.segments.get_mut(key) {
            segment.is_unsynced = true;
        }
    }

    /// Damage was found in a segment, or in another file.
    pub(crate) fn report_in(&mut self, key: Option<SegmentKey>, damage: Damage) {
        if let Some(segment) = key.and_then(|key| self.segments.get_mut(key)) {
            segment.is_damaged = true;
        }
        self.report(damage);
    }

    /// A lease entry in the segment is needed: it stays, whatever is done of its items.
    pub(crate) fn pin(&mut self, home: Home) {
        if let Home::Entry { segment, .. } = home {
            self.segments.pin(segment);
        }
    }

    /// A lease entry in the segment is not needed any more.
    pub(crate) fn unpin(&mut self, key: SegmentKey) {
        if let Some(segment) = self.segments.get_mut(key) {
            segment.lease_pins = segment.lease_pins.saturating_sub(1);
        }
        self.segments.note_changed(&self.acks, key);
    }

    /// Takes out all files that are kept to be used again: the caller removes them.
    pub(crate) fn take_spares(&mut self) -> Vec<Retired> {
        self.segments.take_spares()
    }

    /// Takes out the segments that no durable commit needs: the caller removes them.
    pub(crate) fn settle_segments(
        &mut self,
        durable: u64,
        most_spares: usize,
        spare_bytes: u64,
    ) -> Vec<Retired> {
        self.segments.settle(durable, most_spares, spare_bytes)
    }

    /// A file that was taken out was removed.
    pub(crate) fn note_removed(&mut self, retired: &Retired) {
        self.segments.forget(retired);
    }

    /// A file that was taken out could not be removed: it is tried again with the next ones.
    pub(crate) fn note_not_removed(&mut self, retired: Retired) {
        self.segments.keep(retired);
    }

    /// Begins to replace a segment by a copy; `None`: all that was in it is done.
    pub(crate) fn begin_rescue(&mut self, old: SegmentKey) -> Option<Rescue> {
        let segment = self.segments.get(old)?.clone();
        let limit_id = self.segments.limit_id(old);
        let key = if self.segments.next_first_id(old) == old.first_id {
            // It holds leases only, and the next segment has items from the same id on: a later
            // generation would count in the place of that one.
            old
        } else {
            let generation = self.generations.draw();
            SegmentKey { generation, ..old }
        };
        let at_hand = self.items_at_hand(old.first_id, segment.last_id);
        let at_hand = at_hand.map(|item| (item.id.0, item.clone())).collect();
        Some(Rescue {
            key,
            segment,
            limit_id,
            at_hand,
        })
    }

    /// Shows the new segment in the place of the old one, if this is still there. Returns how many
    /// items are lost, and the old file, which the caller removes.
    pub(crate) fn replace_segment(
        &mut self,
        old: SegmentKey,
        before: &Segment,
        copied: Copied<'_>,
        was_being_read: bool,
    ) -> (u64, Option<Retired>) {
        let Copied {
            key,
            seal,
            leases,
            damage,
        } = copied;
        let open = self.segments.get(old).and_then(|segment| segment.open);
        let Some(mut retired) = self.segments.take_out(old) else {
            return (0, None);
        };
        let mut segment = Segment::new(key, before.previous_id, before.made, seal.end);
        segment.last_id = seal.last_id;
        segment.items = seal.items;
        segment.payload_bytes = seal.payload_bytes;
        segment.open = open;
        segment.end = seal.end;
        segment.is_closed = true;
        segment.lease_pins = self.leases.move_homes(old, key, leases);
        self.segments.insert(key, segment);
        let mut lost = 0_u64;
        for damage in damage {
            let Some(ids) = damage.ids() else { continue };
            let (first, last) = (ids.first.0, ids.last.0);
            let open = self.acks.open_within(first, last);
            if open.is_empty() {
                continue;
            }
            let spans = open.iter().map(|(first, last)| last.saturating_sub(first));
            let spans = spans.map(|span| span.saturating_add(1));
            lost = spans.fold(lost, u64::saturating_add);
            self.report(damage);
            self.lose(first, last);
            retired.is_damaged = true;
        }
        if lost > 0
            && let Some(segment) = self.segments.get_mut(key)
        {
            // Their payloads' bytes are not known.
            segment.open = None;
        }
        let is_unread = self
            .unread_from
            .map_or(was_being_read, |place| place.segment == old);
        if is_unread && self.backlog.is_behind() {
            // Reading it from its start again passes over what was read before.
            self.unread_from = Some(Place::start_of(key));
        }
        self.segments.note_changed(&self.acks, key);
        (lost, Some(retired))
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::{ItemId, ItemRange, LeaseId};
    use crate::state::segment::Written;

    /// The pin of the acked lease was taken off after the segment had been replaced, from what was
    /// then another lease's: its record was gone with the segment.
    #[test]
    fn an_ack_that_meets_the_replacing_of_a_segment_leaves_the_other_lease_its_record() {
        let mut ledger = Ledger::new();
        let moment = Moment::UNKNOWN;
        let (key, _) = ledger.draw_segment(3, false);
        ledger.begin_segment(key, moment, 8192, true);
        ledger.use_ids_below(3);
        let mut lease = |first: u64, position: u64| -> LeaseId {
            let items = ItemRange::one(ItemId(first));
            let item = Item {
                id: ItemId(first),
                payload: Bytes::new(),
                accepted: moment,
            };
            let id = ledger.open_lease(items, (vec![item], 0), None, Vec::new());
            let record = ledger.record_for(id, Bytes::from_static(b"tag")).unwrap();
            let written = Written {
                segment: key,
                position,
                lease_position: position,
                end: position + 64,
                file_bytes: 8192,
            };
            let home = ledger.note_lease_entry(&written, &record, 2, true);
            ledger.set_tag(id, &record, home);
            id
        };
        let (first, second) = (lease(1, 4096), lease(2, 4160));
        ledger.end_segment(key);
        let rescue = ledger.begin_rescue(key).unwrap();
        let acked = ledger.mark_done(first, None, None).unwrap().unwrap();
        assert_eq!(acked.homes.len(), 1);
        let seal = Seal {
            items: 0,
            payload_bytes: 0,
            last_id: 2,
            end: 4224,
            leases: vec![4096, 4160],
        };
        let positions = BTreeMap::from([(4096, 4096), (4160, 4160)]);
        let copied = Copied {
            key: rescue.key,
            seal: &seal,
            leases: &positions,
            damage: Vec::new(),
        };
        ledger.replace_segment(key, &rescue.segment, copied, false);
        let pins = |ledger: &Ledger| ledger.segments().get(rescue.key).map(|one| one.lease_pins);
        assert_eq!(pins(&ledger), Some(1));
        assert!(!ledger.segments().has_done());
        let homes = ledger.mark_done(second, None, None).unwrap().unwrap().homes;
        assert!(matches!(homes[..], [Home::Entry { segment, .. }] if segment == rescue.key));
        assert_eq!(pins(&ledger), Some(0));
        assert!(ledger.segments().has_done());
    }
}
