//! One leased batch on its way to Kafka.

use std::sync::Arc;

use wolff_codec::{ErrorCode, Offset};

use super::blame::Blame;
use crate::action::{EndedLease, LeaseNo, Origin, Transmit};
use crate::batch::{BatchBody, BatchNo, Stamp};
use crate::ends::EndedRun;
use crate::event::Answer;
use crate::outcome::{DoubtReason, FailReason, Outcome};
use crate::reencode::Piece;
use crate::verdict::{Class, Proof};

/// State of a slot: `Unstamped → Stamping → Ready → Sent → Acked | Refused`, and back to `Ready` to
/// be sent again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SlotState {
    /// Waits for a sequence range.
    Unstamped,
    /// Its range is being written to the local queue.
    Stamping,
    /// To be sent, or sent again.
    Ready,
    /// Sent, no answer yet.
    Sent,
    /// In Kafka; waits for the ones before it.
    Acked(Option<Offset>),
    /// Refused; waits for the ones before it.
    Refused(Box<Answer>, Class),
    /// Refused as out of order while in doubt: the broker may have forgotten that it has it. If it
    /// knows one behind it, it has this one too.
    Unrecognised,
    /// Being split.
    Splitting(Blame),
    /// A part of a larger batch, with records that the broker has named; it is split when it is the
    /// oldest.
    Blamed(Blame),
    /// Refused for good as a part of a larger batch; waits for the ones before it.
    Condemned(FailReason),
}

/// Knowledge of earlier attempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doubt {
    /// No attempt was perhaps appended.
    None,
    /// An attempt with the present stamp was perhaps appended: a broker can still recognise it.
    Pending,
    /// An attempt that no broker will recognise was perhaps appended.
    Unresolvable,
}

/// A leased batch.
#[derive(Clone, Debug)]
pub(crate) struct Slot<T> {
    no: BatchNo,
    body: Arc<BatchBody>,
    origin: Origin<T>,
    /// First record of the body within the batch that the origin stands for.
    first_record: u32,
    held_bytes: u64,
    /// The lease it belongs to, and whether it is the last one of it.
    lease: Option<(LeaseNo, bool)>,
    state: SlotState,
    stamp: Option<Stamp>,
    doubt: Doubt,
    attempts: Attempts,
}

/// History of a slot's attempts.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    count: u32,
    /// The last one was sent after a success of its identity on the same connection.
    is_behind_proof: bool,
    /// Class of the last refusal, and how many in a row.
    refusals: Option<(Class, u32)>,
}

/// Parts of a slot.
pub(crate) struct SlotParts<T> {
    pub(crate) body: Arc<BatchBody>,
    pub(crate) origin: Origin<T>,
    pub(crate) first_record: u32,
    pub(crate) held_bytes: u64,
    pub(crate) lease: Option<(LeaseNo, bool)>,
    pub(crate) doubt: Doubt,
    pub(crate) resumed: Resumed,
}

/// State in which a previous run has left a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Resumed {
    /// Nothing that matters.
    #[default]
    New,
    /// It was stamped so, and the stamp is durable.
    Stamped(Stamp),
    /// It is in Kafka.
    Delivered,
}

impl<T: Clone> Slot<T> {
    pub(crate) fn new(no: BatchNo, parts: SlotParts<T>) -> Self {
        Self {
            no,
            body: parts.body,
            origin: parts.origin,
            first_record: parts.first_record,
            held_bytes: parts.held_bytes,
            lease: parts.lease,
            state: match parts.resumed {
                Resumed::New => SlotState::Unstamped,
                Resumed::Stamped(_) => SlotState::Ready,
                Resumed::Delivered => SlotState::Acked(None),
            },
            stamp: match parts.resumed {
                Resumed::Stamped(stamp) => Some(stamp),
                Resumed::New | Resumed::Delivered => None,
            },
            doubt: parts.doubt,
            attempts: Attempts::default(),
        }
    }

    pub(crate) fn no(&self) -> BatchNo {
        self.no
    }

    pub(crate) fn body(&self) -> &Arc<BatchBody> {
        &self.body
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.body.record_count()
    }

    pub(crate) fn state(&self) -> &SlotState {
        &self.state
    }

    pub(crate) fn is(&self, state: &SlotState) -> bool {
        self.state == *state
    }

    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    pub(crate) fn lease(&self) -> Option<LeaseNo> {
        self.lease.map(|(lease, _)| lease)
    }

    pub(crate) fn first_record(&self) -> u32 {
        self.first_record
    }

    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.origin, Origin::Foreign(_))
    }

    pub(crate) fn is_previous_run(&self) -> bool {
        matches!(self.origin, Origin::PreviousRun)
    }

    /// Some attempt was perhaps appended, and a broker can still say.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt == Doubt::Pending
    }

    /// It was sent and not answered.
    pub(crate) fn is_awaiting_answer(&self) -> bool {
        self.state == SlotState::Sent
    }

    /// Some attempt was perhaps appended, and no broker can say.
    pub(crate) fn is_unresolvable(&self) -> bool {
        self.doubt == Doubt::Unresolvable
    }

    /// Has no stamp, and the next run must know that it was perhaps sent: it was, or it is about
    /// to be sent without one.
    pub(crate) fn needs_a_word_in_its_tag(&self) -> bool {
        self.was_perhaps_appended() || self.state == SlotState::Stamping
    }

    /// Some attempt was perhaps appended.
    pub(crate) fn was_perhaps_appended(&self) -> bool {
        self.doubt != Doubt::None
    }

    /// The end of records that will not be sent again for this reason.
    pub(crate) fn end_of_failed(&self, reason: FailReason) -> Outcome {
        if !self.was_perhaps_appended() {
            return Outcome::Failed(reason);
        }
        Outcome::InDoubt(match reason {
            FailReason::Rejected { code, .. } | FailReason::Unauthorized { code } => {
                DoubtReason::Refused(code)
            }
            FailReason::MessageTooLarge { .. } => {
                DoubtReason::Refused(ErrorCode::MESSAGE_TOO_LARGE)
            }
            _ => DoubtReason::QueueDamaged,
        })
    }

    pub(crate) fn was_sent_behind_proof(&self) -> bool {
        self.attempts.is_behind_proof
    }

    /// Refusals of this class in a row.
    pub(crate) fn repeats(&self, class: Class) -> u32 {
        match self.attempts.refusals {
            Some((last, count)) if last == class => count,
            _ => 0,
        }
    }

    /// Gets a sequence range. `is_durable`: it need not be written before it is used.
    pub(crate) fn assign(&mut self, stamp: Option<Stamp>, is_durable: bool) {
        self.stamp = stamp;
        self.state = if is_durable {
            SlotState::Ready
        } else {
            SlotState::Stamping
        };
    }

    /// Its range is durable.
    pub(crate) fn stamped(&mut self) {
        if self.state == SlotState::Stamping {
            self.state = SlotState::Ready;
        }
    }

    /// Loses its range, for another one. What was perhaps appended with it will not be recognised.
    pub(crate) fn unstamp(&mut self) {
        if self.doubt == Doubt::Pending || self.state == SlotState::Sent {
            self.doubt = Doubt::Unresolvable;
        }
        self.stamp = None;
        self.state = SlotState::Unstamped;
        self.attempts.is_behind_proof = false;
    }

    /// An attempt starts. Its count before, and the request.
    pub(crate) fn send(&mut self, is_behind_proof: bool) -> Transmit {
        let attempt = self.attempts.count;
        self.attempts.count = attempt.saturating_add(1);
        self.attempts.is_behind_proof = is_behind_proof;
        if self.stamp.is_none() && self.doubt == Doubt::Pending {
            // Without a stamp no broker recognises what it already has.
            self.doubt = Doubt::Unresolvable;
        }
        self.state = SlotState::Sent;
        Transmit {
            batch: self.no,
            body: self.body.clone(),
            stamp: self.stamp,
            attempt,
        }
    }

    /// A broker answered the attempt.
    pub(crate) fn answered(&mut self, answer: Answer, proof: Proof, class: Class) {
        if proof == Proof::Appended {
            self.state = SlotState::Acked(answer.base_offset);
            return;
        }
        if proof == Proof::Perhaps {
            self.put_in_doubt();
        }
        let repeats = self.repeats(class).saturating_add(1);
        self.attempts.refusals = Some((class, repeats));
        self.state = SlotState::Refused(Box::new(answer), class);
    }

    /// The attempt got no answer.
    pub(crate) fn lost(&mut self, not_sent: bool) {
        if self.state == SlotState::Sent {
            self.state = SlotState::Ready;
            if !not_sent {
                self.put_in_doubt();
            }
        }
    }

    fn put_in_doubt(&mut self) {
        if self.doubt == Doubt::None {
            self.doubt = Doubt::Pending;
        }
    }

    /// A broker may have forgotten it, and take it a second time.
    pub(crate) fn let_go_of_proof(&mut self) {
        self.doubt = Doubt::Unresolvable;
    }

    /// It is proven not to be in the log under its stamp.
    pub(crate) fn disprove(&mut self) {
        if self.doubt == Doubt::Pending {
            self.doubt = Doubt::None;
        }
    }

    /// Its acknowledgement is not believed: it is perhaps in the log, and no broker can say.
    pub(crate) fn disbelieve(&mut self) {
        self.state = SlotState::Ready;
        self.doubt = Doubt::Unresolvable;
    }

    /// It is proven to be in the log by a later batch.
    pub(crate) fn prove(&mut self) {
        self.state = SlotState::Acked(None);
    }

    /// To be sent again.
    pub(crate) fn rewind(&mut self) {
        if matches!(self.state, SlotState::Refused(..) | SlotState::Unrecognised) {
            self.state = SlotState::Ready;
        }
    }

    pub(crate) fn mark_unrecognised(&mut self) {
        self.state = SlotState::Unrecognised;
    }

    /// It is cut into pieces, of which those that are to blame are not sent.
    pub(crate) fn start_split(&mut self, blame: Blame) {
        self.state = SlotState::Splitting(blame);
    }

    /// The broker has named records of it, which are not sent.
    pub(crate) fn blame(&mut self, blame: Blame) {
        self.state = SlotState::Blamed(blame);
    }

    /// It will not be sent: the broker has named it as the one at fault.
    pub(crate) fn condemn(&mut self, reason: FailReason) {
        self.state = SlotState::Condemned(reason);
    }

    /// Parts of the slots of its pieces.
    pub(crate) fn into_pieces(self, pieces: Vec<Piece>) -> Vec<SlotParts<T>> {
        let last = pieces.len().saturating_sub(1);
        let mut held_left = self.held_bytes;
        pieces
            .into_iter()
            .enumerate()
            .map(|(index, piece)| {
                let is_last = index == last;
                let first_record = self.first_record.saturating_add(piece.first_record());
                let body = Arc::new(piece.into_body());
                let bytes = u64::try_from(body.records_bytes()).unwrap_or(u64::MAX);
                let held_bytes = if is_last {
                    held_left
                } else {
                    bytes.min(held_left)
                };
                held_left = held_left.saturating_sub(held_bytes);
                SlotParts {
                    body,
                    origin: self.origin.clone(),
                    first_record,
                    held_bytes,
                    lease: self.lease.map(|(lease, ends)| (lease, ends && is_last)),
                    doubt: self.doubt,
                    resumed: Resumed::New,
                }
            })
            .collect()
    }

    /// The slot's end: its records, and the lease that ends with it.
    pub(crate) fn finish(self) -> (EndedRun<T>, Option<EndedLease>) {
        let lease = match self.lease {
            Some((lease, true)) => Some(lease),
            _ => None,
        };
        let run = EndedRun {
            origin: self.origin,
            first_record: self.first_record,
            records: self.body.record_count(),
            calls: u64::from(self.body.call_count()),
            held_bytes: self.held_bytes,
        };
        let lease = lease.map(|lease| EndedLease {
            lease,
            body: Some(self.body),
        });
        (run, lease)
    }

    /// Records in a single call cannot be divided.
    pub(crate) fn is_single_call(&self) -> bool {
        self.body.call_count() < 2
    }
}
