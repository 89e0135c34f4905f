//! The traffic with the local queue: appending frames, leasing batches, acknowledging.

use std::sync::Arc;
use std::time::Instant;

use super::machine::Partition;
use crate::action::{AppendFrame, EndedLease, QueueOperation};
use crate::backlog::Entry;
use crate::config::Durability;
use crate::open_batch::CutFrame;
use crate::outcome::{FailReason, Outcome, StorageError};
use crate::split::{LeasedBatches, Piece};
use crate::window::{Slot, SlotState};

impl<T: Clone> Partition<T> {
    /// The next thing to do with the local queue, if there is any.
    ///
    /// With [`Durability::Queue`], `cuts` says whether the open batch is cut now. The driver decides how long small frames may
    /// wait to become larger ones; a batch that closes takes no part in that.
    pub fn poll_queue(&mut self, now: Instant, cuts: bool) -> Option<QueueOperation> {
        if !self.appending.is_empty() || self.leasing {
            return None;
        }
        if !self.acks.is_empty() {
            return Some(QueueOperation::Ack(std::mem::take(&mut self.acks)));
        }
        if self.open_batch_is_due(now) {
            self.close_open_batch();
        }
        if cuts
            && self.config.durability == Durability::Queue
            && let Some(frame) = self.open.cut(false)
        {
            self.push_cut(frame);
        }
        if !self.cut.is_empty() {
            self.appending.extend(self.cut.drain(..));
            self.cut_bytes = 0;
            let frames = self
                .appending
                .iter()
                .map(|frame| AppendFrame {
                    payload: frame.payload.clone(),
                })
                .collect();
            return Some(QueueOperation::Append(frames));
        }
        if self.could_lease_more() && self.backlog.has_closed_batch() {
            self.leasing = true;
            let items = self
                .backlog
                .next_items()
                .map(|items| usize::try_from(items).unwrap_or(usize::MAX));
            return Some(QueueOperation::Lease { items });
        }
        None
    }

    /// Bytes of the open batch that were not cut yet.
    #[inline]
    #[must_use]
    pub fn uncut_bytes(&self) -> usize {
        self.open.uncut_bytes()
    }

    /// Whether [`poll_queue`](Self::poll_queue) would have something, without changing anything.
    #[must_use]
    pub fn wants_queue(&self, now: Instant) -> bool {
        self.appending.is_empty()
            && !self.leasing
            && (!self.acks.is_empty()
                || !self.cut.is_empty()
                || (self.config.durability == Durability::Queue && self.open.uncut_bytes() > 0)
                || self.open_batch_is_due(now)
                || (self.could_lease_more() && self.backlog.has_closed_batch()))
    }

    /// When the open batch has waited long enough for more records.
    pub(super) fn linger_ends(&self) -> Option<Instant> {
        let opened_at = self.open.opened_at()?;
        let flushing = self
            .open
            .first_call()
            .is_some_and(|call| call < self.flush_through);
        Some(if flushing || self.stopping {
            opened_at
        } else {
            opened_at + self.config.linger
        })
    }

    /// Whether the open batch should be closed and sent: it is its turn, there is room, and it has waited long enough.
    fn open_batch_is_due(&self, now: Instant) -> bool {
        self.linger_ends().is_some_and(|at| at <= now)
            && self.could_lease_more()
            && self.cut.is_empty()
            && self.backlog.holds_only_the_open_batch()
    }

    /// The frames of the last [`QueueOperation::Append`] are in the local queue, under consecutive ids from `first_item`.
    pub fn handle_appended(&mut self, first_item: u64) {
        for (item, frame) in (first_item..).zip(std::mem::take(&mut self.appending)) {
            self.counters.queued_calls += frame.calls;
            let bytes = as_u64(frame.bytes);
            if frame.first_record == 0 {
                self.backlog.push(Entry {
                    token: frame.token,
                    first_item: item,
                    frames: 1,
                    records: frame.records,
                    calls: frame.calls,
                    bytes,
                    closed: frame.closes,
                });
            } else {
                self.backlog
                    .extend_open(frame.records, frame.calls, bytes, frame.closes);
            }
        }
    }

    /// The local queue took none of the frames of the last [`QueueOperation::Append`]. Nothing of them was reported as
    /// queued; they fail, and so does what came in behind them meanwhile, because it continues their batch.
    pub fn handle_append_failed(&mut self, reason: &StorageError) {
        if let Some(frame) = self.open.cut(true) {
            self.push_cut(frame);
        }
        let mut lost: Vec<CutFrame<T>> = std::mem::take(&mut self.appending);
        lost.extend(self.cut.drain(..));
        self.cut_bytes = 0;
        if let Some(entry) = self.backlog.open_entry() {
            entry.closed = true;
        }
        for frame in lost {
            // Not queued, but no longer waiting to be: the calls before them are all that count from here on.
            self.counters.queued_calls += frame.calls;
            let outcome = Outcome::Failed(FailReason::QueueUnavailable(reason.clone()));
            self.complete(
                Some(frame.token),
                frame.first_record,
                frame.records,
                frame.calls,
                as_u64(frame.bytes),
                outcome,
            );
        }
    }

    /// The lease that was asked for. Nothing in it: the queue has nothing.
    pub fn handle_leased(&mut self, lease: u64, leased: LeasedBatches) {
        self.leasing = false;
        let Some(first_item) = leased.first_item else {
            self.acks.push(EndedLease { lease, body: None });
            return self.handle_nothing_leased();
        };
        let (token, held) = if self.backlog.recovered_items > 0 {
            self.backlog
                .take_recovered(leased.items, leased.payload_bytes);
            let held = leased.pieces.iter().map(piece_bytes).sum::<u64>();
            self.counters.held_bytes = self.counters.held_bytes.saturating_add(held);
            (None, held)
        } else {
            self.take_entry(first_item, &leased.pieces)
        };
        self.push_leased(lease, token, held, leased.pieces);
    }

    /// The lease that was asked for cannot be had now; it is asked for again after a delay.
    pub fn handle_lease_failed(&mut self, now: Instant) {
        self.leasing = false;
        self.resend_at = Some(now + self.link.retry_delay());
    }

    /// The local queue has nothing although something is expected: it was lost to damage.
    fn handle_nothing_leased(&mut self) {
        self.backlog.take_recovered(u64::MAX, u64::MAX);
        while self.backlog.front().is_some_and(|entry| entry.closed) {
            let Some(entry) = self.backlog.pop() else {
                break;
            };
            self.fail_damaged(&entry, 0, entry.records, entry.calls);
        }
    }

    /// The token of the batch that starts with `first_item`, and the bytes it still counts for; older batches, and parts that
    /// no piece covers, are lost.
    fn take_entry(&mut self, first_item: u64, pieces: &[Piece]) -> (Option<T>, u64) {
        while let Some(entry) = self.backlog.pop() {
            if entry.first_item.saturating_add(entry.frames) <= first_item || pieces.is_empty() {
                self.fail_damaged(&entry, 0, entry.records, entry.calls);
                continue;
            }
            let mut held = entry.bytes;
            let mut next = 0u32;
            for piece in pieces {
                held = held.saturating_sub(self.fail_damaged(
                    &entry,
                    next,
                    piece.first_record.saturating_sub(next),
                    0,
                ));
                next = piece.first_record.saturating_add(piece.body.record_count());
            }
            let covered: u64 = pieces
                .iter()
                .map(|piece| u64::from(piece.body.call_count()))
                .sum();
            let (records, calls) = (
                entry.records.saturating_sub(next),
                entry.calls.saturating_sub(covered),
            );
            held = held.saturating_sub(self.fail_damaged(&entry, next, records, calls));
            return (Some(entry.token), held);
        }
        (None, 0)
    }

    /// Reports records that the local queue has lost; returns the bytes they counted for.
    fn fail_damaged(
        &mut self,
        entry: &Entry<T>,
        first_record: u32,
        records: u32,
        calls: u64,
    ) -> u64 {
        if records == 0 && calls == 0 {
            return 0;
        }
        let share =
            u64::from(records).saturating_mul(entry.bytes) / u64::from(entry.records.max(1));
        let outcome = Outcome::Failed(FailReason::QueueDamaged);
        self.complete(
            Some(entry.token.clone()),
            first_record,
            records,
            calls,
            share,
            outcome,
        );
        share
    }

    fn push_leased(&mut self, lease: u64, token: Option<T>, held_bytes: u64, pieces: Vec<Piece>) {
        if pieces.is_empty() {
            self.acks.push(EndedLease { lease, body: None });
        }
        let last = pieces.len().saturating_sub(1);
        let mut held_left = held_bytes;
        for (index, piece) in pieces.into_iter().enumerate() {
            let held_bytes = if index == last {
                held_left
            } else {
                piece_bytes(&piece).min(held_left)
            };
            held_left -= held_bytes;
            let slot = Slot {
                no: self.window.next_no(),
                body: Arc::new(piece.body),
                token: token.clone(),
                first_record: piece.first_record,
                held_bytes,
                lease: (index == last).then_some(lease),
                stamp: None,
                state: SlotState::Ready,
                attempts: 0,
                in_doubt: false,
            };
            self.window.push(slot);
        }
    }
}

fn piece_bytes(piece: &Piece) -> u64 {
    as_u64(piece.body.totals.records_len)
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
