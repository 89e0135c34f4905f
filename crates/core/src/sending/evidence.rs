//! Evidence: what a success proves of other batches.

use std::time::Instant;

use wolff_codec::{ErrorCode, Offset};

use super::Sending;
use super::slot::{Slot, SlotState};
use crate::batch::BatchNo;

impl<T: Clone> Sending<T> {
    /// The leader has a batch. It can forget the producer of one that is old at any moment, so that
    /// this proves nothing of those behind it.
    pub(super) fn note_success(&mut self, batch: BatchNo, now: Instant) {
        let Some(slot) = self.window.iter().find(|slot| slot.no() == batch) else {
            return;
        };
        let Some(stamp) = slot.stamp().copied() else {
            return;
        };
        if self.is_stale(slot, now) {
            self.link.forget_proof();
        } else {
            self.link.prove(stamp, now);
        }
    }

    /// A log that begins behind the last record that was acknowledged may have lost, with its
    /// records, what it knew of the producer: after a restart the broker takes what is in doubt for
    /// new.
    pub(super) fn compare_log_start(&mut self, log_start: Option<Offset>) {
        let is_behind = |start: Offset| self.scan.floor().is_some_and(|floor| start > floor);
        if log_start.is_some_and(is_behind) {
            let in_doubt = self.window.iter_mut().filter(|slot| slot.is_in_doubt());
            in_doubt.for_each(Slot::let_go_of_proof);
        }
    }

    /// Returns whether a later batch of the same identity, sent after a success of that identity on
    /// the same connection, is in the log: a known producer's log has no gaps. One that is so old
    /// that its producer may be forgotten neither proves nor is proven.
    pub(super) fn is_proven_by_a_later_batch(&self, now: Instant) -> bool {
        let topic_in_question = |slot: &Slot<T>| {
            matches!(slot.state(), SlotState::Refused(answer, _) if matches!(
                answer.code,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::UNKNOWN_TOPIC_ID
                    | ErrorCode::INCONSISTENT_TOPIC_ID
            ))
        };
        let is_open = |front: &&Slot<T>| front.is_in_doubt() && !self.is_stale(front, now);
        let Some(front) = self.window.front().filter(is_open) else {
            return false;
        };
        let Some(stamp) = front.stamp() else {
            return false;
        };
        let mut same_identity = self.window.iter().take_while(|slot| {
            slot.stamp()
                .is_some_and(|other| other.is_same_identity(stamp))
        });
        if self.window.iter().any(topic_in_question) {
            return false;
        }
        same_identity
            .any(|slot| matches!(slot.state(), SlotState::Acked(_)) && slot.was_sent_behind_proof())
    }
}
