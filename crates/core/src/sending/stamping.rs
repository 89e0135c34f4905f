//! Sequence ranges for leased batches, written to the lease's tag before anything is sent.

use std::time::Instant;

use bytes::Bytes;
use wolff_codec::records::Compression;

use super::Sending;
use super::slot::{Slot, SlotState};
use crate::action::{LeaseNo, LeaseOperation};
use crate::batch::Stamp;
use crate::completed_batch::CompletedBatch;
use crate::config::Storage;
use crate::retry::Pace;
use crate::stamp_tag::{LeaseTag, MAX_STAMPED, StampedBatch, compression_number};

/// Batches up to this size are compressed where they are appended, so that they can be stamped
/// there.
const COMPRESSED_AT_ONCE_BYTES: usize = 64 * 1024;

/// A sequence range that is being written to the local queue with the last fragments of its batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserved {
    /// `None`: without idempotence there are no numbers.
    stamp: Option<Stamp>,
    records: u32,
}

impl<T: Clone> Sending<T> {
    /// Returns whether the batch that is appended next may be stamped with it: it could be leased,
    /// and the stamps of all before it are durable. Else a crash could leave a stamp behind a batch
    /// that has none.
    pub(crate) fn could_reserve(&self, now: Instant) -> bool {
        self.needs_durable_stamps()
            && self.could_lease(now)
            && self.has_room_for_stamps()
            && !self
                .window
                .iter()
                .any(|slot| has_no_range(slot) || slot.is(&SlotState::Stamping))
    }

    /// Takes the sequence range of a batch that is about to be appended. Returns the tag of its
    /// lease; `None` where it has to be looked at first.
    pub(crate) fn reserve(&mut self, batch: &CompletedBatch, now: Instant) -> Option<Bytes> {
        let is_too_large = batch.bytes() > self.wire_bytes_limit();
        let delays_appends = self.policy.compression != Compression::None
            && batch.bytes() > COMPRESSED_AT_ONCE_BYTES;
        if is_too_large || delays_appends {
            return None;
        }
        let stamp = self.identity.stamp(batch.records());
        if stamp.is_none() && !self.identity.is_off() {
            return None;
        }
        self.writing.reserved = Some(Reserved {
            stamp,
            records: batch.records(),
        });
        let stamped = stamp.map(|stamp| StampedBatch {
            stamp,
            first_record: 0,
            record_count: batch.records(),
            compression: compression_number(self.policy.compression),
            acked_through: self.scan.acked_through(&stamp),
            was_sent_before: false,
        });
        let batches = stamped.into_iter().collect();
        let tag = self.lease_tag(batch.max_timestamp_ms(), batches, now);
        Some(tag.encode())
    }

    /// The reserved range is in the tag of this lease: its batch can be sent, unless something
    /// happened meanwhile after which the range may not be used.
    pub(crate) fn assign_reserved(&mut self, lease: LeaseNo) {
        let Some(Reserved { stamp, records }) = self.writing.reserved.take() else {
            return;
        };
        let is_valid = self.identity.allows_stamps()
            && match &stamp {
                Some(stamp) => self.identity.is_current(stamp),
                None => self.identity.is_off(),
            };
        let is_whole = |slot: &&Slot<T>| {
            slot.lease() == Some(lease)
                && slot.first_record() == 0
                && slot.record_count() == records
        };
        let whole = self.window.iter().find(is_whole).map(Slot::no);
        match whole.and_then(|no| self.window.find(no)) {
            Some(slot) if is_valid => slot.assign(stamp, true),
            _ => self.burn(stamp.as_ref()),
        }
    }

    /// Nothing came of the reserved range, and nobody has seen it: it can be used again.
    pub(crate) fn give_reserved_back(&mut self) {
        if let Some(Reserved { stamp, records }) = self.writing.reserved.take()
            && let Some(stamp) = stamp
        {
            self.identity.give_back(&stamp, records);
        }
    }

    /// The reserved range was perhaps written: it is never used.
    pub(crate) fn burn_reserved(&mut self) {
        if let Some(Reserved { stamp, .. }) = self.writing.reserved.take() {
            self.burn(stamp.as_ref());
        }
    }

    fn burn(&mut self, stamp: Option<&Stamp>) {
        if stamp.is_some_and(|stamp| self.identity.is_current(stamp)) {
            self.identity.open_gap();
        }
    }

    /// Stamps are written for batches in a queue on disk; without idempotence that they are sent.
    fn needs_durable_stamps(&self) -> bool {
        self.policy.storage == Storage::Disk
    }

    pub(super) fn can_stamp(&self, now: Instant) -> bool {
        let next = self.window.iter().find(|slot| has_no_range(slot));
        next.is_some_and(|slot| slot.is(&SlotState::Unstamped))
            && self.writing.reserved.is_none()
            && (!self.writing.has_failed || self.retry.is_due(now))
            && self.identity.allows_stamps()
            && self.has_room_for_stamps()
    }

    /// A lease's tag has room for the batches that can be in flight.
    fn has_room_for_stamps(&self) -> bool {
        let stamped = self
            .window
            .iter()
            .filter(|slot| slot.stamp().is_some() && slot.lease().is_some())
            .count();
        stamped < MAX_STAMPED || !self.needs_durable_stamps()
    }

    /// Assigns sequence ranges to the batches that have none, in order. Called after every change,
    /// so that what can be done next is plain to see.
    pub(crate) fn stamp_next(&mut self, now: Instant) {
        self.isolate_next();
        self.make_smaller();
        while self.can_stamp(now) {
            let needs_durable_stamps = self.needs_durable_stamps();
            let Some(slot) = self.window.iter_mut().find(|slot| has_no_range(slot)) else {
                return;
            };
            let stamp = self.identity.stamp(slot.record_count());
            let lease = slot.lease().filter(|_| needs_durable_stamps);
            slot.assign(stamp, lease.is_none());
            if let Some(lease) = lease {
                self.write_tag(lease, now);
            }
        }
    }

    /// Has the tag of a lease written as its slots are now; one that waits to be written is
    /// replaced.
    fn write_tag(&mut self, lease: LeaseNo, now: Instant) {
        let new = self.tag(lease, now).encode();
        let waiting = self
            .writing
            .operations
            .iter_mut()
            .find_map(|operation| match operation {
                LeaseOperation::Stamp { lease: of, tag } if *of == lease => Some(tag),
                _ => None,
            });
        match waiting {
            Some(tag) => *tag = new,
            None => self
                .writing
                .operations
                .push_back(LeaseOperation::Stamp { lease, tag: new }),
        }
    }

    /// The tag of a lease as its slots are now.
    fn tag(&self, lease: LeaseNo, now: Instant) -> LeaseTag {
        let slots = || {
            self.window
                .iter()
                .filter(|slot| slot.lease() == Some(lease))
        };
        let rest_was_sent =
            slots().any(|slot| slot.stamp().is_none() && slot.needs_a_word_in_its_tag());
        let done_records = slots().next().map_or(0, Slot::first_record);
        let batches = slots().filter_map(|slot| {
            let stamp = *slot.stamp()?;
            Some(StampedBatch {
                stamp,
                first_record: slot.first_record(),
                record_count: slot.record_count(),
                compression: compression_number(slot.body().compression()),
                acked_through: self.scan.acked_through(&stamp),
                was_sent_before: slot.is_unresolvable(),
            })
        });
        let newest = slots()
            .map(|slot| slot.body().totals().max_timestamp_ms)
            .max();
        LeaseTag {
            done_records,
            rest_was_sent,
            ..self.lease_tag(newest.unwrap_or(i64::MIN), batches.collect(), now)
        }
    }

    /// The tag of a lease of which nothing is done.
    fn lease_tag(
        &self,
        max_timestamp_ms: i64,
        batches: Vec<StampedBatch>,
        now: Instant,
    ) -> LeaseTag {
        LeaseTag {
            topic_id: self.scan.topic_id().0,
            cluster: self.scan.cluster(),
            floor: self.scan.floor().map_or(-1, |offset| offset.0),
            max_timestamp_ms,
            stamped_at_ms: self.scan.now_ms(now),
            generation: self.identity.generation(),
            done_records: 0,
            // Without numbers nobody can say later what became of it.
            rest_was_sent: batches.is_empty(),
            batches,
        }
    }

    /// The tag of a lease is durable: its batches may be sent.
    pub(crate) fn stamped(&mut self, lease: LeaseNo) {
        let is_outdated = self.writing.operations.iter().any(|operation| {
            matches!(operation, LeaseOperation::Stamp { lease: later, .. } if *later == lease)
        });
        if is_outdated {
            return;
        }
        self.writing.has_failed = false;
        for slot in self.window.iter_mut() {
            if slot.lease() == Some(lease) {
                slot.stamped();
            }
        }
    }

    /// The tag could not be written, or perhaps it was: its sequence ranges are never used. Nothing
    /// behind it was sent, since nothing overtakes a batch that waits for its stamp.
    pub(crate) fn stamp_failed(&mut self, lease: LeaseNo, now: Instant) {
        let is_failed =
            |slot: &Slot<T>| slot.lease() == Some(lease) && slot.is(&SlotState::Stamping);
        if !self.window.iter().any(is_failed) {
            return;
        }
        let behind = self.window.iter_mut().skip_while(|slot| !is_failed(slot));
        for slot in behind {
            if matches!(slot.state(), SlotState::Stamping | SlotState::Ready) {
                slot.unstamp();
            }
        }
        self.writing
            .operations
            .retain(|operation| !matches!(operation, LeaseOperation::Stamp { .. }));
        self.identity.open_gap();
        self.writing.has_failed = true;
        self.retry.failed(Pace::Normal, now);
    }
}

/// Returns whether a batch waits for a sequence range, now or when it is split. Ranges follow the
/// order of the window: none is given to what is behind it.
fn has_no_range<T: Clone>(slot: &Slot<T>) -> bool {
    matches!(
        slot.state(),
        SlotState::Unstamped | SlotState::Splitting(_) | SlotState::Blamed(_)
    )
}
