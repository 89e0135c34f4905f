//! Sequence ranges for leased batches, written to the lease's tag before anything is sent.

use wolff_codec::{Offset, TopicId};

use super::Sending;
use super::slot::{Blame, Slot, SlotState};
use crate::action::{LeaseNo, LeaseOperation};
use crate::batch::{BatchNo, Stamp};
use crate::config::Storage;
use crate::ends::Ends;
use crate::link::Leader;
use crate::outcome::FailReason;
use crate::reencode::Piece;
use crate::retry::Pace;
use crate::split::SplitRule;
use crate::stamp_tag::{LeaseTag, MAX_STAMPED, StampedBatch, compression_number};

/// Facts about the log that a scan after a crash starts from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScanHints {
    topic_id: TopicId,
    last_acked: Option<Offset>,
    /// The identity of the last batch that was acked, and the highest sequence number of it that is in
    /// Kafka.
    acked_through: Option<(Stamp, i32)>,
}

impl ScanHints {
    pub(super) fn meet(&mut self, leader: Leader) {
        self.topic_id = leader.topic_id;
    }

    /// A batch with this stamp is in Kafka; its last sequence number.
    pub(super) fn acked(&mut self, stamp: Stamp, last_sequence: i32) {
        self.acked_through = Some((stamp, last_sequence));
    }

    /// Offset of the last acked record, where it is known.
    pub(super) fn reached(&mut self, last: Option<Offset>) {
        self.last_acked = last.or(self.last_acked);
    }

    /// The highest sequence number of the stamp's identity that is in Kafka; -1: none.
    fn acked_through(&self, stamp: &Stamp) -> i32 {
        self.acked_through
            .filter(|(acked, _)| acked.is_same_identity(stamp))
            .map_or(-1, |(_, last_sequence)| last_sequence)
    }
}

impl<T: Clone> Sending<T> {
    /// Stamps are written for what lies in a queue on disk.
    fn needs_durable_stamps(&self) -> bool {
        self.policy.storage == Storage::Disk && !self.identity.is_off()
    }

    fn can_stamp(&self) -> bool {
        let next = self
            .window
            .iter()
            .find(|slot| slot.is(&SlotState::Unstamped));
        next.is_some() && self.identity.allows_stamps() && self.has_room_for_stamps()
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

    /// Gives sequence ranges to the batches that have none, in order. Called after every change, so
    /// that what can be done next is plain to see.
    pub(crate) fn stamp_next(&mut self) {
        self.split_oversized();
        while self.can_stamp() {
            let needs_durable_stamps = self.needs_durable_stamps();
            let Some(slot) = self
                .window
                .iter_mut()
                .find(|slot| slot.is(&SlotState::Unstamped))
            else {
                return;
            };
            let stamp = self.identity.stamp(slot.record_count());
            let lease = slot.lease().filter(|_| needs_durable_stamps);
            slot.assign(stamp, lease.is_none());
            if let Some(lease) = lease {
                self.write_tag(lease);
            }
        }
    }

    /// Has the tag of a lease written as its slots are now; one that waits to be written is replaced.
    fn write_tag(&mut self, lease: LeaseNo) {
        let new = self.tag(lease).encode();
        let waiting = self
            .operations
            .iter_mut()
            .find_map(|operation| match operation {
                LeaseOperation::Stamp { lease: of, tag } if *of == lease => Some(tag),
                _ => None,
            });
        match waiting {
            Some(tag) => *tag = new,
            None => self
                .operations
                .push_back(LeaseOperation::Stamp { lease, tag: new }),
        }
    }

    /// The tag of a lease as its slots are now.
    fn tag(&self, lease: LeaseNo) -> LeaseTag {
        let slots = || {
            self.window
                .iter()
                .filter(|slot| slot.lease() == Some(lease))
        };
        let done_records = slots().next().map_or(0, Slot::first_record);
        let batches = slots().filter_map(|slot| {
            let stamp = *slot.stamp()?;
            Some(StampedBatch {
                stamp,
                first_record: slot.first_record(),
                record_count: slot.record_count(),
                compression: compression_number(slot.body().compression()),
                acked_through: self.scan.acked_through(&stamp),
            })
        });
        let newest = slots()
            .map(|slot| slot.body().totals().max_timestamp_ms)
            .max();
        LeaseTag {
            topic_id: self.scan.topic_id.0,
            cluster: 0,
            floor: self.scan.last_acked.map_or(-1, |offset| offset.0),
            max_timestamp_ms: newest.unwrap_or(i64::MIN),
            done_records,
            batches: batches.collect(),
        }
    }

    /// The tag of a lease is durable: its batches may be sent.
    pub(crate) fn stamped(&mut self, lease: LeaseNo) {
        let is_outdated = self.operations.iter().any(|operation| {
            matches!(operation, LeaseOperation::Stamp { lease: later, .. } if *later == lease)
        });
        if is_outdated {
            return;
        }
        for slot in self.window.iter_mut() {
            if slot.lease() == Some(lease) {
                slot.stamped();
            }
        }
    }

    /// The tag could not be written, or perhaps it was: its sequence ranges are never used. Nothing
    /// behind it was sent, since nothing overtakes a batch that waits for its stamp.
    pub(crate) fn stamp_failed(&mut self, lease: LeaseNo, now: std::time::Instant) {
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
        self.operations
            .retain(|operation| !matches!(operation, LeaseOperation::Stamp { .. }));
        self.identity.open_gap();
        self.retry.failed(Pace::Normal, now);
    }

    /// Splits what the broker is known to refuse before it is sent.
    fn split_oversized(&mut self) {
        let limit = self.learned.wire_bytes;
        for slot in self.window.iter_mut() {
            let wire_bytes = slot.body().wire_bytes();
            if wire_bytes <= limit || slot.is_single_call() || !slot.is(&SlotState::Unstamped) {
                continue;
            }
            slot.start_split(Blame::default());
            self.operations.push_back(LeaseOperation::Split {
                batch: slot.no(),
                body: slot.body().clone(),
                rule: SplitRule::AtMost {
                    bytes: share(slot.body().records_bytes(), limit, wire_bytes),
                },
            });
        }
    }

    /// The pieces of a batch have been made.
    pub(crate) fn split(&mut self, batch: BatchNo, pieces: Vec<Piece>, ends: &mut Ends<T>) {
        let Some(slot) = self.window.find(batch) else {
            return;
        };
        let SlotState::Splitting(blame) = slot.state().clone() else {
            return;
        };
        let (records, stamp) = (slot.record_count(), slot.stamp().copied());
        let blame = blame.shifted(slot.first_record());
        let found: u32 = pieces.iter().map(|piece| piece.body().record_count()).sum();
        if found == records {
            for no in self.window.replace(batch, pieces) {
                if let Some(piece) = self.window.find(no) {
                    condemn(piece, &blame);
                }
            }
        } else {
            // Its bytes cannot be read back: nothing smaller can be made of it.
            ends.counters_mut().damage(u64::from(records));
            slot.condemn(FailReason::QueueDamaged);
        }
        if let Some(stamp) = stamp {
            self.close_gap(&stamp);
        }
    }
}

/// Condemns a single call that the broker has named.
fn condemn<T: Clone>(piece: &mut Slot<T>, blame: &Blame) {
    let end = piece.first_record().saturating_add(piece.record_count());
    let named = blame
        .records
        .iter()
        .find(|(record, _)| (piece.first_record()..end).contains(record));
    if let Some((_, message)) = named.filter(|_| piece.is_single_call()) {
        piece.condemn(FailReason::Rejected {
            code: blame.code,
            message: message.clone(),
        });
    }
}

/// The part of `whole` that `limit` is of `size`; at least one byte.
fn share(whole: usize, limit: usize, size: usize) -> usize {
    let wide = |length: usize| u128::try_from(length).unwrap_or(u128::MAX);
    let part = wide(whole).saturating_mul(wide(limit)) / wide(size.max(1));
    usize::try_from(part).unwrap_or(usize::MAX).max(1)
}
