//! Records that a broker names as invalid (KIP-467): their calls are separated from the others, a
//! limited number at a time, so that the window stays short however many are named.

use super::Sending;
use super::blame::Blame;
use super::slot::{Slot, SlotState};
use crate::batch::BatchNo;
use crate::ends::Ends;
use crate::event::Answer;
use crate::outcome::FailReason;
use crate::reencode::Piece;
use crate::split::SplitRule;

impl<T: Clone> Sending<T> {
    /// One of the front's records is invalid: separates the calls that the broker names, or halves.
    pub(super) fn isolate(&mut self, answer: &Answer) {
        let count = self.window.front().map_or(0, Slot::record_count);
        let blame = Blame::of(answer, count);
        // A broker that names records that are not there names none.
        if blame.is_empty() {
            return self.split_front(SplitRule::Halves, Blame::default());
        }
        self.split_front(blame.rule(), blame);
    }

    /// Goes on to separate named records, where the oldest batch has some.
    pub(super) fn isolate_next(&mut self) {
        let blame = match self.window.front().map(Slot::state) {
            Some(SlotState::Blamed(blame)) => blame.clone(),
            _ => return,
        };
        self.split_front(blame.rule(), blame);
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
        let was_perhaps_appended = slot.was_perhaps_appended();
        let first_record = slot.first_record();
        let found: u32 = pieces.iter().map(|piece| piece.body().record_count()).sum();
        if found == records {
            for piece in self.window.replace(batch, pieces) {
                let start = piece.first_record().saturating_sub(first_record);
                let end = start.saturating_add(piece.record_count());
                put_blame(piece, blame.of_piece(start..end));
            }
        } else {
            // Its bytes cannot be read back: nothing smaller can be made of it.
            ends.counters_mut().damage(u64::from(records));
            slot.condemn(FailReason::QueueDamaged);
        }
        if let Some(stamp) = stamp {
            self.close_gap(&stamp, was_perhaps_appended);
        }
    }
}

/// Condemns a single call that the broker has named. Several are separated later.
fn put_blame<T: Clone>(piece: &mut Slot<T>, blame: Blame) {
    match blame.reason() {
        Some(reason) if piece.is_single_call() => piece.condemn(reason),
        Some(_) => piece.blame(blame),
        None => {}
    }
}
