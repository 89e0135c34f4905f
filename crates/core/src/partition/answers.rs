//! The broker's answers, dealt with in the order in which the batches stand in the queue.

use std::sync::Arc;
use std::time::Instant;

use wolff_codec::{ErrorCode, Offset};

use super::machine::Partition;
use crate::action::EndedLease;
use crate::batch::BatchNo;
use crate::outcome::{FailReason, Outcome};
use crate::split::{self, Piece};
use crate::verdict::{Verdict, verdict};
use crate::window::{Answer, Slot, SlotState};

impl<T: Clone> Partition<T> {
    /// The broker's answer to a batch. The base offset is `None` where the answer has none.
    pub fn handle_answer(
        &mut self,
        batch: BatchNo,
        code: ErrorCode,
        base_offset: Option<Offset>,
        now: Instant,
    ) {
        let answer = if code == ErrorCode::NONE {
            Answer::Ok(base_offset)
        } else {
            Answer::Error(code)
        };
        if let Some(slot) = self.window.find(batch)
            && slot.state == SlotState::Sent
        {
            slot.state = SlotState::Answered(answer);
            self.settle_front(now);
        }
    }

    /// A batch got no answer. `not_sent`: none of its bytes can have reached the broker. The link is taken for lost.
    pub fn handle_request_failed(&mut self, batch: BatchNo, not_sent: bool, now: Instant) {
        if let Some(slot) = self.window.find(batch)
            && slot.state == SlotState::Sent
        {
            slot.state = SlotState::Ready;
            slot.in_doubt |= !not_sent;
        }
        if self.link.is_up() {
            self.link.fail(now);
            self.disconnect = true;
        }
        self.settle_front(now);
    }

    /// Deals with answers at the front, as far as they are there. An error is dealt with only when nothing is on its way any
    /// more: what stands behind it then is known to be answered or unsent.
    pub(super) fn settle_front(&mut self, now: Instant) {
        while let Some(front) = self.window.front() {
            match front.state {
                SlotState::Answered(Answer::Ok(base_offset)) => {
                    self.link.prove();
                    self.finish_front(Outcome::acked(base_offset));
                }
                SlotState::Answered(Answer::Error(code)) if self.window.sent() == 0 => {
                    self.settle_error(code, now)
                }
                SlotState::Forgotten if self.window.sent() == 0 => {
                    if !self.settle_forgotten(now) {
                        break;
                    }
                }
                _ => break,
            }
        }
        // An error further back counts only when it comes to the front: the batch is sent again unless it is judged there.
        if self.window.sent() == 0
            && self
                .window
                .front()
                .is_some_and(|front| front.state == SlotState::Ready)
        {
            self.rewind();
        }
    }

    fn settle_error(&mut self, code: ErrorCode, now: Instant) {
        match verdict(code) {
            Verdict::Duplicate => self.finish_front(Outcome::acked(None)),
            Verdict::Retry => self.retry(now),
            Verdict::RefreshAndRetry => {
                // The delay, if any, is that of the reconnection: another leader is asked at once.
                self.rewind();
                self.link.refresh_metadata = true;
                if self.link.is_up() {
                    self.link.fail(now);
                    self.disconnect = true;
                }
            }
            Verdict::NewIdentity if self.is_perhaps_forgotten(code) => {}
            Verdict::NewIdentity => self.renumber(now),
            Verdict::Split => self.split_front(code),
            Verdict::GiveUp(reason) => {
                self.finish_front(Outcome::Failed(reason));
                self.close_gap();
            }
        }
    }

    /// The front was refused as out of order. Where it may be in Kafka all the same, it is for the next one to tell.
    ///
    /// A broker knows the last batches of a producer, after a restart only the very last: what is older it refuses just like
    /// what comes too early. The batches in doubt behind the front are therefore sent before anything is numbered anew: one
    /// that is taken cannot be new, since its predecessor would then have been known, or taken.
    fn is_perhaps_forgotten(&mut self, code: ErrorCode) -> bool {
        let in_doubt = self.window.front().is_some_and(|front| front.in_doubt);
        if code != ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER || !in_doubt {
            return false;
        }
        // Errors behind it are of no account: those batches are asked about one by one.
        self.rewind();
        self.mark_forgotten();
        self.window.witness().is_some()
    }

    /// The first that is not marked yet.
    fn mark_forgotten(&mut self) {
        let mut slots = self.window.iter_mut();
        if let Some(slot) = slots.find(|slot| slot.state != SlotState::Forgotten) {
            slot.state = SlotState::Forgotten;
        }
    }

    /// What is known of those at the front by now; false as long as that is nothing.
    fn settle_forgotten(&mut self, now: Instant) -> bool {
        let witness = self.window.witness();
        let Some(state) = witness.map(|slot| slot.state) else {
            self.renumber(now);
            return true;
        };
        match state {
            SlotState::Answered(Answer::Ok(_)) => {
                // It is in the log, and so is all before it.
                self.finish_front(Outcome::acked(None));
                true
            }
            SlotState::Answered(Answer::Error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)) => {
                self.mark_forgotten();
                true
            }
            SlotState::Answered(Answer::Error(code)) => {
                match verdict(code) {
                    // As good as taken.
                    Verdict::Duplicate => self.finish_front(Outcome::acked(None)),
                    // From the start, once the broker is well again.
                    Verdict::Retry | Verdict::RefreshAndRetry => self.settle_error(code, now),
                    _ => self.renumber(now),
                }
                true
            }
            _ => false,
        }
    }

    /// Takes a fresh identity and numbers everything anew that is not known to be in Kafka.
    fn renumber(&mut self, now: Instant) {
        self.count_doubts();
        self.identity.discard();
        self.restamp();
        self.retry(now);
    }

    /// Everything that is not in Kafka is to be sent again, in order.
    fn rewind(&mut self) {
        for slot in self.window.iter_mut() {
            if matches!(
                slot.state,
                SlotState::Answered(Answer::Error(_)) | SlotState::Forgotten
            ) {
                slot.state = SlotState::Ready;
            }
        }
    }

    fn retry(&mut self, now: Instant) {
        self.resend_at = Some(now + self.link.retry_delay());
        self.rewind();
    }

    /// A batch was given up: the sequence has a gap, so what stands behind it is numbered anew at the next epoch.
    fn close_gap(&mut self) {
        self.identity.next_epoch();
        self.restamp();
        self.rewind();
    }

    fn restamp(&mut self) {
        for slot in self.window.iter_mut() {
            if !matches!(slot.state, SlotState::Answered(Answer::Ok(_))) {
                slot.stamp = None;
            }
        }
    }

    /// Numbering a batch anew gives up what tells a resend from its first attempt.
    fn count_doubts(&mut self) {
        let doubtful = self
            .window
            .iter()
            .filter(|slot| slot.in_doubt)
            .map(|slot| u64::from(slot.body.record_count()))
            .sum::<u64>();
        self.counters.possibly_duplicated_records += doubtful;
    }

    /// The front is too large: cut it between calls, or give up the call that is too large alone.
    fn split_front(&mut self, code: ErrorCode) {
        self.count_doubts();
        let Some(front) = self.window.front() else {
            return;
        };
        let body = front.body.clone();
        let bytes = body.totals.records_len;
        match split::halve(&body) {
            Some(halves) => {
                self.shrink_batches_below(bytes);
                self.replace_front(halves);
            }
            None if body.call_count() > 1 => {
                // Its bytes cannot be read back: nothing smaller can be made of it.
                self.finish_front(Outcome::Failed(FailReason::Rejected {
                    code,
                    message: None,
                }));
            }
            None => self.finish_front(Outcome::Failed(FailReason::MessageTooLarge {
                bytes,
                limit: None,
            })),
        }
        self.close_gap();
    }

    /// The front is sent as two batches instead. The lease ends with the second.
    fn replace_front(&mut self, [left, right]: [Piece; 2]) {
        let Some(front) = self.window.pop() else {
            return;
        };
        let left_bytes = u64::try_from(left.body.totals.records_len)
            .unwrap_or(u64::MAX)
            .min(front.held_bytes);
        let halves = [
            (left, left_bytes, None),
            (right, front.held_bytes - left_bytes, front.lease),
        ];
        for (piece, held_bytes, lease) in halves.into_iter().rev() {
            let slot = Slot {
                no: self.window.next_no(),
                body: Arc::new(piece.body),
                token: front.token.clone(),
                first_record: front.first_record.saturating_add(piece.first_record),
                held_bytes,
                lease,
                stamp: None,
                state: SlotState::Ready,
                attempts: 0,
                in_doubt: false,
            };
            self.window.push_front(slot);
        }
    }

    /// The front came to its end.
    fn finish_front(&mut self, outcome: Outcome) {
        let Some(slot) = self.window.pop() else {
            return;
        };
        if slot.token.is_none() {
            self.counters.held_bytes = self.counters.held_bytes.saturating_sub(slot.held_bytes);
        }
        let (records, calls) = (slot.body.record_count(), u64::from(slot.body.call_count()));
        self.complete(
            slot.token,
            slot.first_record,
            records,
            calls,
            slot.held_bytes,
            outcome,
        );
        self.acks.extend(slot.lease.map(|lease| EndedLease {
            lease,
            body: Some(slot.body),
        }));
    }
}
