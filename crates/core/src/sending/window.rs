//! The batches that were leased for sending, in the order of the queue, and how many of them may be
//! in flight.

use std::collections::VecDeque;

use super::slot::{Slot, SlotParts, SlotState};
use crate::batch::BatchNo;
use crate::reencode::Piece;

/// The slots. Answers are dealt with from the front only.
#[derive(Clone, Debug)]
pub(crate) struct Window<T> {
    slots: VecDeque<Slot<T>>,
    next_no: u64,
    max_in_flight: usize,
    /// Memory is short: one batch is leased at a time.
    is_short: bool,
}

impl<T: Clone> Window<T> {
    pub(crate) fn new(max_in_flight: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            next_no: 0,
            max_in_flight: max_in_flight.max(1),
            is_short: false,
        }
    }

    /// Returns whether one more batch may be leased.
    pub(crate) fn has_room(&self) -> bool {
        let most = if self.is_short { 1 } else { self.max_in_flight };
        self.slots.len() < most
    }

    /// Limits the window to one batch, or no longer.
    pub(crate) fn set_short(&mut self, is_short: bool) {
        self.is_short = is_short;
    }

    /// Requests that may be in flight: one until the leader is known to know the identity.
    pub(crate) fn in_flight_limit(&self, is_proven: bool) -> usize {
        if is_proven { self.max_in_flight } else { 1 }
    }

    /// From now on one request at a time: without sequence numbers only that keeps the order.
    pub(crate) fn limit_to_one(&mut self) {
        self.max_in_flight = 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn next_no(&mut self) -> BatchNo {
        let no = BatchNo(self.next_no);
        self.next_no += 1;
        no
    }

    pub(crate) fn push(&mut self, parts: SlotParts<T>) {
        let no = self.next_no();
        self.slots.push_back(Slot::new(no, parts));
    }

    /// Replaces a slot by its pieces, in order. Returns the pieces.
    pub(crate) fn replace(
        &mut self,
        no: BatchNo,
        pieces: Vec<Piece>,
    ) -> impl Iterator<Item = &mut Slot<T>> {
        let at = self.slots.iter().position(|slot| slot.no() == no);
        let at = at.unwrap_or(self.slots.len());
        let mut behind = self.slots.split_off(at);
        let parts = behind.pop_front().map(|slot| slot.into_pieces(pieces));
        for parts in parts.into_iter().flatten() {
            self.push(parts);
        }
        let end = self.slots.len();
        self.slots.extend(behind);
        self.slots.range_mut(at..end)
    }

    pub(crate) fn front(&self) -> Option<&Slot<T>> {
        self.slots.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Slot<T>> {
        self.slots.pop_front()
    }

    pub(crate) fn find(&mut self, no: BatchNo) -> Option<&mut Slot<T>> {
        self.slots.iter_mut().find(|slot| slot.no() == no)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot<T>> {
        self.slots.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<T>> {
        self.slots.iter_mut()
    }

    /// Slots whose answer is due.
    pub(crate) fn sent(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.is(&SlotState::Sent))
            .count()
    }

    /// Returns whether a batch has a stamp and is neither acked nor given up.
    pub(crate) fn has_unfinished_stamps(&self) -> bool {
        self.slots.iter().any(|slot| {
            let is_finished = matches!(
                slot.state(),
                SlotState::Acked(_) | SlotState::Condemned(_) | SlotState::Splitting(_)
            );
            slot.stamp().is_some() && !is_finished
        })
    }

    /// Returns whether a refusal, or a batch that is not recognised, waits for those before it:
    /// then nothing is sent that is not about finding out.
    pub(crate) fn has_refusal(&self) -> bool {
        self.slots.iter().any(|slot| {
            matches!(
                slot.state(),
                SlotState::Refused(..) | SlotState::Splitting(_)
            )
        })
    }

    /// Returns whether it is in question what the broker has of the batches at the front.
    pub(crate) fn is_searching(&self) -> bool {
        self.front()
            .is_some_and(|front| front.is(&SlotState::Unrecognised))
    }

    /// The next slot to send: all before it are on their way, acked, or not recognised.
    pub(crate) fn next_ready(&mut self) -> Option<&mut Slot<T>> {
        let next = self.slots.iter_mut().find(|slot| {
            !matches!(
                slot.state(),
                SlotState::Sent
                    | SlotState::Acked(_)
                    | SlotState::Unrecognised
                    | SlotState::Condemned(_)
            )
        })?;
        next.is(&SlotState::Ready).then_some(next)
    }

    /// The same, to look at.
    pub(crate) fn peek_ready(&self) -> Option<&Slot<T>> {
        let next = self.slots.iter().find(|slot| {
            !matches!(
                slot.state(),
                SlotState::Sent
                    | SlotState::Acked(_)
                    | SlotState::Unrecognised
                    | SlotState::Condemned(_)
            )
        })?;
        next.is(&SlotState::Ready).then_some(next)
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.peek_ready().is_some()
    }
}
