//! The broker's answers, dealt with in the order of the queue.

use std::time::Instant;

use wolff_codec::records::BATCH_HEADER_BYTES;
use wolff_codec::{ErrorCode, Offset};

use super::Sending;
use super::blame::Blame;
use super::scan_hints::Place;
use super::slot::{Slot, SlotState};
use crate::action::LeaseOperation;
use crate::batch::{BatchNo, Stamp};
use crate::config::Idempotence;
use crate::ends::Ends;
use crate::event::Answer;
use crate::identity::last_sequence;
use crate::outcome::{DoubtReason, FailReason, Outcome};
use crate::retry::Pace;
use crate::split::SplitRule;
use crate::verdict::{Class, Proof, Refusal, Situation, Verdict, classify, verdict};

impl<T: Clone> Sending<T> {
    /// A broker answered a batch.
    pub(crate) fn answered(
        &mut self,
        batch: BatchNo,
        answer: Answer,
        now: Instant,
        ends: &mut Ends<T>,
    ) {
        let (proof, class) = classify(answer.code, self.policy.acks);
        let Some(slot) = self.window.find(batch) else {
            return;
        };
        if !slot.is(&SlotState::Sent) {
            return;
        }
        if answer.names_leader {
            self.link.learn_leader();
        }
        let log_start = answer.log_start;
        slot.answered(answer, proof, class);
        if proof == Proof::Appended {
            let bytes = slot.body().wire_bytes();
            self.policy.link_limit.carried(bytes);
        }
        self.compare_log_start(log_start);
        if proof == Proof::Appended {
            self.note_success(batch, now);
        }
        self.settle(now, ends);
    }

    /// Deals with answers at the front, as far as they are there. A refusal is dealt with only when
    /// nothing is on its way any more: everything behind it then is answered or unsent.
    pub(crate) fn settle(&mut self, now: Instant, ends: &mut Ends<T>) {
        // Nothing is sent in here: one look at the whole window does for all that ends.
        let is_quiet = self.window.sent() == 0;
        while let Some(front) = self.window.front() {
            match front.state().clone() {
                // What is in flight behind one that is not believed would lose its numbers.
                SlotState::Acked(base_offset)
                    if is_quiet || self.place_of_front(base_offset) != Some(Place::Impossible) =>
                {
                    self.finish_acked(base_offset, now, ends);
                }
                SlotState::Condemned(reason) => {
                    let outcome = front.end_of_failed(reason);
                    self.finish_front(outcome, ends);
                }
                SlotState::Refused(..) if self.is_proven_by_a_later_batch(now) => {
                    self.prove_front();
                }
                SlotState::Refused(answer, class) if is_quiet => {
                    if !self.settle_refusal(&answer, class, now, ends) {
                        break;
                    }
                }
                SlotState::Unrecognised if is_quiet => {
                    if !self.settle_unrecognised(now, ends) {
                        break;
                    }
                }
                _ => break,
            }
        }
        // A refusal further back counts only when it comes to the front: the batch is sent again
        // unless it is judged there.
        let is_ready = |front: &Slot<T>| {
            matches!(
                front.state(),
                SlotState::Ready | SlotState::Unstamped | SlotState::Stamping
            )
        };
        if is_quiet && self.window.front().is_some_and(is_ready) {
            self.rewind();
        }
    }

    pub(super) fn prove_front(&mut self) {
        if let Some(front) = self.window.iter_mut().next() {
            front.prove();
        }
    }

    fn finish_acked(&mut self, base_offset: Option<Offset>, now: Instant, ends: &mut Ends<T>) {
        match self.place_of_front(base_offset) {
            Some(Place::Impossible) => return self.disbelieve(now, ends),
            Some(Place::AfterLoss) => ends.counters_mut().lose_in_cluster(),
            Some(Place::Behind) | None => {}
        }
        let Some(front) = self.window.front() else {
            return;
        };
        let last = i64::from(front.record_count()) - 1;
        let last_offset = base_offset.map(|base| Offset(base.0.saturating_add(last)));
        if let Some(stamp) = front.stamp().copied() {
            self.scan
                .acked(stamp, last_sequence(&stamp, front.record_count()));
        }
        self.scan.reached(last_offset);
        self.policy.learned.taken(front.body().wire_bytes());
        self.retry.succeeded();
        self.resuming.rounds = 0;
        self.refusal = None;
        let possibly_duplicated = front.was_perhaps_appended() && !front.is_in_doubt();
        self.finish_front(
            Outcome::Acked {
                base_offset,
                possibly_duplicated,
            },
            ends,
        );
    }

    /// The place of the front's acknowledgement among earlier ones. Without sequence numbers no
    /// broker takes a batch for another one.
    fn place_of_front(&self, base_offset: Option<Offset>) -> Option<Place> {
        self.window.front()?.stamp()?;
        base_offset.map(|base| self.scan.place(base))
    }

    /// The front was acknowledged at an offset where nothing of this queue can be any more. The
    /// cluster has lost what it had acknowledged, or takes the batch for another one with the same
    /// numbers: it is sent again under a fresh identity.
    fn disbelieve(&mut self, now: Instant, ends: &mut Ends<T>) {
        ends.counters_mut().lose_in_cluster();
        if let Some(front) = self.window.iter_mut().next() {
            front.disbelieve();
        }
        self.renumber(now);
    }

    /// Returns whether something changed at the front.
    pub(super) fn settle_refusal(
        &mut self,
        answer: &Answer,
        class: Class,
        now: Instant,
        ends: &mut Ends<T>,
    ) -> bool {
        let Some(front) = self.window.front() else {
            return false;
        };
        let situation = Situation {
            in_doubt: front.is_in_doubt(),
            repeats: front.repeats(class),
            is_single_call: front.is_single_call(),
            is_stamped: front.stamp().is_some(),
            may_drop_idempotence: self.may_drop_idempotence(answer.code),
            on_refused: self.policy.on_refused,
        };
        let verdict = verdict(class, &situation);
        self.note_refusal(answer, verdict);
        match verdict {
            Verdict::Delivered => self.prove_front(),
            Verdict::Resend => self.resend(Pace::Normal, now),
            Verdict::Hold => self.resend(Pace::Held, now),
            Verdict::ResendUnclassified => self.resend(Pace::Unknown, now),
            Verdict::ResendToLeader | Verdict::Reconnect => {
                self.rewind();
                self.link.give_up(true);
                self.retry.link_failed(now);
            }
            Verdict::DropIdempotence => {
                self.drop_idempotence();
                self.resend(Pace::Normal, now);
            }
            Verdict::CheckIdentity => return self.check_identity(answer.code, now),
            Verdict::Split => self.split_front(SplitRule::AtMost { bytes: 0 }, Blame::default()),
            Verdict::Isolate => self.isolate(answer),
            Verdict::GiveUp => self.give_up_front(answer, class, ends),
        }
        true
    }

    fn may_drop_idempotence(&self, code: ErrorCode) -> bool {
        code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            && self.policy.idempotence == Idempotence::Auto
            && !self.identity.is_off()
            && !self.window.iter().any(Slot::is_in_doubt)
    }

    pub(super) fn note_refusal(&mut self, answer: &Answer, verdict: Verdict) {
        let count = match &self.refusal {
            Some(last) if last.code == answer.code => last.count,
            _ => 0,
        };
        self.refusal = Some(Refusal {
            code: answer.code,
            message: answer.message.clone(),
            count: count.saturating_add(1),
            is_held: verdict == Verdict::Hold,
        });
    }

    /// The broker does not know the producer, or not this batch of it. Returns whether something
    /// changed at the front.
    ///
    /// A broker remembers the last batches of a producer, after a restart only the very last: an
    /// older one is refused just like one that comes too early. The batches behind a front in doubt
    /// are therefore sent on the same connection before anything is renumbered: one that is taken
    /// proves those before it.
    fn check_identity(&mut self, code: ErrorCode, now: Instant) -> bool {
        let in_doubt = self.window.front().is_some_and(Slot::is_in_doubt);
        if !in_doubt {
            self.renumber(now);
            return true;
        }
        if code != ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER {
            self.ask_again_or_renumber(now);
            return true;
        }
        // Refusals behind it are of no account: those batches are sent again one by one.
        self.rewind();
        self.mark_unrecognised();
        if self.has_witness() {
            return false;
        }
        self.ask_again_or_renumber(now);
        true
    }

    pub(super) fn drop_idempotence(&mut self) {
        self.identity.turn_off();
        // Without sequence numbers only one request at a time keeps the order.
        self.window.limit_to_one();
        self.forget_stamps();
    }

    /// Takes the stamps from batches that are not acked and not being split.
    pub(super) fn forget_stamps(&mut self) {
        for slot in self.window.iter_mut() {
            let is_unfinished = !matches!(
                slot.state(),
                SlotState::Acked(_) | SlotState::Condemned(_) | SlotState::Splitting(_)
            );
            if is_unfinished && slot.stamp().is_some() {
                slot.unstamp();
            }
        }
        self.writing
            .operations
            .retain(|operation| !matches!(operation, LeaseOperation::Stamp { .. }));
    }

    /// Everything that is not in Kafka is sent again in order.
    pub(super) fn rewind(&mut self) {
        self.window.iter_mut().for_each(Slot::rewind);
    }

    pub(super) fn resend(&mut self, pace: Pace, now: Instant) {
        self.retry.failed(pace, now);
        self.rewind();
    }

    /// A batch with this stamp is not sent any more. Where it is definitely not in the log, neither
    /// is anything of its identity behind it, and the next epoch closes the gap. Where it was
    /// perhaps appended, nothing is known of those behind it: they get a fresh identity, which no
    /// later run takes for a proof that they are not in the log.
    pub(super) fn close_gap(&mut self, stamp: &Stamp, was_perhaps_appended: bool) {
        let behind = self.window.iter_mut().filter(|_| !was_perhaps_appended);
        for slot in behind {
            let is_same = slot
                .stamp()
                .is_some_and(|other| other.is_same_identity(stamp));
            if is_same && !matches!(slot.state(), SlotState::Acked(_)) {
                slot.disprove();
            }
        }
        self.rewind();
        self.forget_stamps();
        if !self.identity.is_current(stamp) {
            return;
        }
        if was_perhaps_appended {
            self.identity.discard();
        } else {
            self.identity.open_gap();
        }
    }

    /// The front is too large: learns the limit and has it split.
    pub(super) fn split_front(&mut self, rule: SplitRule, blame: Blame) {
        let Some(front) = self.window.front() else {
            return;
        };
        let (no, body) = (front.no(), front.body().clone());
        let rule = match rule {
            SplitRule::AtMost { .. } => {
                let half = body.records_bytes() / 2;
                let wire_half = (body.wire_bytes() / 2).saturating_add(BATCH_HEADER_BYTES);
                self.policy.learned.wire_bytes = self.policy.learned.wire_bytes.min(wire_half);
                self.policy.learned.batch_bytes = self.policy.learned.batch_bytes.min(half);
                SplitRule::AtMost { bytes: half }
            }
            other => other,
        };
        if let Some(front) = self.window.iter_mut().next() {
            front.start_split(blame);
        }
        self.writing.operations.push_back(LeaseOperation::Split {
            batch: no,
            body,
            rule,
        });
    }

    fn give_up_front(&mut self, answer: &Answer, class: Class, ends: &mut Ends<T>) {
        let Some(front) = self.window.front() else {
            return;
        };
        let stamp = front.stamp().copied();
        let code = answer.code;
        let reason = match class {
            Class::TooLarge => FailReason::MessageTooLarge {
                bytes: front
                    .body()
                    .records_bytes()
                    .saturating_add(BATCH_HEADER_BYTES),
                limit: self.policy.learned.taken_below(front.body().wire_bytes()),
            },
            Class::NotAllowed if is_authorization(code) => FailReason::Unauthorized { code },
            _ => FailReason::Rejected {
                code,
                message: answer
                    .record_errors
                    .iter()
                    .find_map(|(_, own)| own.clone())
                    .or_else(|| answer.message.clone()),
            },
        };
        let was_perhaps_appended = front.was_perhaps_appended();
        let outcome = if was_perhaps_appended {
            Outcome::InDoubt(DoubtReason::Refused(code))
        } else {
            Outcome::Failed(reason)
        };
        self.finish_front(outcome, ends);
        if let Some(stamp) = stamp {
            self.close_gap(&stamp, was_perhaps_appended);
        } else {
            self.rewind();
        }
    }

    fn finish_front(&mut self, outcome: Outcome, ends: &mut Ends<T>) {
        if let Some(slot) = self.window.pop() {
            let (run, lease) = slot.finish();
            ends.end(run, outcome, lease);
        }
    }
}

fn is_authorization(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    )
}
