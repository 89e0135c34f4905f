//! New items: numbered, written, and then waiting or leased.

use bytes::Bytes;

use crate::error::{AppendError, LeaseError};
use crate::field;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::moment::Moment;
use crate::state::leases::Home;
use crate::state::segment::Written;
use crate::state::transit::Parked;
use crate::state::waiting::Item;

use super::{Ledger, Place};

/// The result of an append: its items, and the lease that was asked for.
pub(crate) type Appended = Result<(ItemRange, Option<LeaseId>), AppendError>;

/// A lease in the making.
#[derive(Debug)]
pub(crate) struct NewLease {
    pub(crate) record: LeaseRecord,
    /// The items before the new ones, in transit until the lease is made.
    pub(crate) older: Option<Parked>,
}

impl Ledger {
    /// Numbers so many items, which are written next, and takes the older ones that are to be
    /// leased with them. Returns the first id.
    pub(crate) fn begin_append(
        &mut self,
        items: usize,
        lease: Option<(Option<ItemId>, &Bytes)>,
    ) -> Result<(u64, Option<NewLease>), AppendError> {
        if self.is_closed {
            return Err(AppendError::Closed);
        }
        if !self.has_ids(items) {
            return Err(AppendError::NoMoreIds);
        }
        let first_id = self.next_id;
        let lease = lease.map(|(from, tag)| self.begin_lease(items, from, tag));
        Ok((first_id, lease.transpose()?))
    }

    fn begin_lease(
        &mut self,
        items: usize,
        from: Option<ItemId>,
        tag: &Bytes,
    ) -> Result<NewLease, LeaseError> {
        let first = self.lease_start(from)?;
        let after = self.next_id.saturating_add(field::wide(items));
        let last = ItemId(after).previous();
        let record = self.new_record(ItemRange { first, last }, tag.clone());
        let older = self.backlog.take(usize::MAX);
        let older = self.transit.park(older);
        Ok(NewLease { record, older })
    }

    /// The older items of an append that failed wait again.
    pub(crate) fn put_back_older(&mut self, lease: NewLease) {
        if let Some(older) = lease.older {
            let items = self.transit.unpark(older);
            self.wait_again(items);
        }
    }

    /// Shows what was written to the readers.
    pub(crate) fn publish<'a>(
        &mut self,
        written: &Written,
        calls: impl ExactSizeIterator<Item = &'a [Bytes]> + Clone,
        (first_id, accepted): (u64, Moment),
        lease: Option<NewLease>,
        (resident_bytes, is_synced): (u64, bool),
    ) -> Vec<Appended> {
        let mut id = first_id;
        let mut payload_bytes = 0_u64;
        let mut answers = Vec::with_capacity(calls.len());
        let mut leased: Vec<Item> = Vec::new();
        for payloads in calls.clone() {
            let load = Load::of(payloads);
            let (first, next) = (id, id.saturating_add(load.items));
            if lease.is_some() {
                leased.extend(payloads.iter().zip(first..next).map(|(payload, id)| Item {
                    id: ItemId(id),
                    payload: payload.clone(),
                    accepted,
                }));
            } else if let Some(count) =
                self.backlog
                    .extend_written((first, accepted), payloads, resident_bytes)
            {
                // From here on they wait on disk only.
                let id = first.saturating_add(field::wide(count));
                let before = field::narrow(id.saturating_sub(first_id));
                let entries = calls.clone().flatten().take(before);
                let bytes = entries.map(|payload| entry::entry_bytes(field::wide(payload.len())));
                self.unread_from = Some(Place {
                    segment: written.segment,
                    position: written.position.saturating_add(bytes.sum()),
                    id,
                });
                self.read_through = id.saturating_sub(1);
            }
            payload_bytes = payload_bytes.saturating_add(load.bytes);
            id = next;
            answers.push(Ok((
                ItemRange {
                    first: ItemId(first),
                    last: ItemId(id.saturating_sub(1)),
                },
                None::<LeaseId>,
            )));
        }
        let last_id = id.saturating_sub(1);
        assert!(
            first_id >= self.next_id && !self.acks.touches(first_id, last_id),
            "items {first_id} to {last_id} are new, and are done or were there before"
        );
        self.next_id = id;
        let load = Load {
            items: id.saturating_sub(first_id),
            bytes: payload_bytes,
        };
        self.metrics.note_appended(load.items, load.bytes);
        self.segments.add_written(written, load, last_id, is_synced);
        if let Some(NewLease { record, older }) = lease {
            let home = self.note_lease_entry(written, &record, last_id, is_synced);
            let older = older.map(|older| self.transit.unpark(older));
            let items: Vec<Item> = older.into_iter().flatten().chain(leased).collect();
            let bytes = items.iter().map(Item::bytes).sum();
            let held = (items, bytes);
            let lease = self.open_lease(record.items, held, Some(record.tag), vec![home]);
            if let Some(Ok((_, id))) = answers.first_mut() {
                *id = Some(lease);
            }
        }
        answers
    }

    /// The record of a lease was written into a segment, with that id in its header. Returns its
    /// place.
    pub(crate) fn note_lease_entry(
        &mut self,
        written: &Written,
        record: &LeaseRecord,
        id: u64,
        is_synced: bool,
    ) -> Home {
        self.segments.note_written(written, is_synced);
        self.segments.pin(written.segment);
        Home::entry(written.segment, written.lease_position, record, id)
    }

    /// The ids of items that may be on disk although their append failed are done at once, so that
    /// they never come back. Returns the version that says so.
    pub(crate) fn burn(&mut self, first_id: u64, last_id: u64) -> u64 {
        self.next_id = self.next_id.max(last_id.saturating_add(1));
        self.finish(first_id, last_id);
        self.version
    }
}
