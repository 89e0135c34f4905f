//! Batches that a leader does not recognise: another leader is asked before they get other numbers.

use std::time::Instant;

use wolff_codec::ErrorCode;

use super::Sending;
use super::slot::{Slot, SlotState};
use crate::ends::Ends;
use crate::retry::Pace;
use crate::verdict::{Class, Verdict};

/// Connections, each after fresh metadata but the first, on which a leader has to say that it knows
/// nothing of what is in doubt.
const ROUNDS: u32 = 3;

impl<T: Clone> Sending<T> {
    /// The leader knows nothing of what is in doubt. A broker that leads no more, and does not know
    /// it, says the same: fresh metadata names the leader, and only after some rounds it is
    /// believed.
    pub(super) fn ask_again_or_renumber(&mut self, now: Instant) {
        self.resuming.rounds = self.resuming.rounds.saturating_add(1);
        if self.resuming.rounds >= ROUNDS {
            self.renumber(now);
            return;
        }
        self.rewind();
        self.link.give_up(true);
        self.retry.failed(Pace::Normal, now);
    }

    /// Marks the first that is not marked yet.
    pub(super) fn mark_unrecognised(&mut self) {
        let mut slots = self.window.iter_mut();
        if let Some(slot) = slots.find(|slot| !slot.is(&SlotState::Unrecognised)) {
            slot.mark_unrecognised();
        }
    }

    /// The first slot that was not found unrecognised, when it can prove those before it: it is in
    /// doubt under the same identity.
    fn witness(&self) -> Option<&Slot<T>> {
        let stamp = self.window.front()?.stamp()?;
        let witness = self
            .window
            .iter()
            .find(|slot| !slot.is(&SlotState::Unrecognised))?;
        let is_same = witness
            .stamp()
            .is_some_and(|other| other.is_same_identity(stamp));
        (is_same && (witness.is_in_doubt() || matches!(witness.state(), SlotState::Acked(_))))
            .then_some(witness)
    }

    pub(super) fn has_witness(&self) -> bool {
        self.witness().is_some()
    }

    /// Concludes what can be said of unrecognised batches by now; false as long as that is nothing.
    pub(super) fn settle_unrecognised(&mut self, now: Instant, ends: &mut Ends<T>) -> bool {
        let Some(state) = self.witness().map(|slot| slot.state().clone()) else {
            self.ask_again_or_renumber(now);
            return true;
        };
        match state {
            // It is in the log, and so is everything before it.
            SlotState::Acked(_) => self.prove_front(),
            SlotState::Refused(answer, _)
                if answer.code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER =>
            {
                self.mark_unrecognised();
            }
            // From the start, once the broker is well again.
            SlotState::Refused(answer, class) => match class {
                Class::ProducerUnknown => self.ask_again_or_renumber(now),
                Class::Leadership | Class::Version => {
                    self.settle_refusal(&answer, class, now, ends);
                }
                _ => {
                    self.note_refusal(&answer, Verdict::Resend);
                    self.resend(Pace::Normal, now);
                }
            },
            _ => return false,
        }
        true
    }

    /// Takes a fresh identity and renumbers everything that is not known to be in Kafka. What was
    /// in doubt is counted as possibly duplicated when it is acked.
    pub(super) fn renumber(&mut self, now: Instant) {
        self.identity.discard();
        self.scan.question_offsets();
        self.resuming.rounds = 0;
        self.forget_stamps();
        self.resend(Pace::Normal, now);
    }
}
