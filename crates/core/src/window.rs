//! The batches that were leased for sending, in order: at most `max_in_flight` of them are on their way.

use std::collections::VecDeque;
use std::sync::Arc;

use wolff_codec::{ErrorCode, Offset};

use crate::batch::{BatchBody, BatchNo, Stamp};

/// What the broker said of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok(Option<Offset>),
    Error(ErrorCode),
}

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// To be sent, or sent again.
    Ready,
    /// Sent, fate unknown.
    Sent,
    /// Answered; waits for the ones before it.
    Answered(Answer),
    /// Refused as out of order, and perhaps because the broker forgot that it has it: a broker that reloaded its state knows
    /// only the last batch. If it knows one behind it, it has this one too.
    Forgotten,
}

/// A leased batch.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    pub(crate) no: BatchNo,
    pub(crate) body: Arc<BatchBody>,
    pub(crate) token: Option<T>,
    /// Where the body begins within the batch that the token stands for.
    pub(crate) first_record: u32,
    /// What it counts for in the bytes held. The bytes of a body that was encoded anew differ a little from that.
    pub(crate) held_bytes: u64,
    /// The lease to acknowledge with it: on the last slot of each lease.
    pub(crate) lease: Option<u64>,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) state: SlotState,
    pub(crate) attempts: u32,
    /// An earlier attempt got no answer: it may be in Kafka already.
    pub(crate) in_doubt: bool,
}

/// The slots in order of the queue. Answers are dealt with from the front only.
#[derive(Debug)]
pub(crate) struct Window<T> {
    slots: VecDeque<Slot<T>>,
    next_no: u64,
}

impl<T> Window<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            next_no: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn next_no(&mut self) -> BatchNo {
        let no = BatchNo(self.next_no);
        self.next_no += 1;
        no
    }

    pub(crate) fn push(&mut self, slot: Slot<T>) {
        self.slots.push_back(slot);
    }

    /// Puts a slot in front: a piece of a batch that was cut.
    pub(crate) fn push_front(&mut self, slot: Slot<T>) {
        self.slots.push_front(slot);
    }

    pub(crate) fn front(&self) -> Option<&Slot<T>> {
        self.slots.front()
    }

    /// Whether it is in question what the broker has of the batches at the front.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.front()
            .is_some_and(|front| front.state == SlotState::Forgotten)
    }

    /// The first slot that is not taken for forgotten, when it may prove that those before it are in Kafka: an earlier
    /// attempt of it, with a number of the same identity, got no answer.
    pub(crate) fn witness(&self) -> Option<&Slot<T>> {
        let identity = |slot: &Slot<T>| slot.stamp.map(|stamp| (stamp.producer_id, stamp.epoch));
        let front = identity(self.front()?)?;
        let witness = self
            .slots
            .iter()
            .find(|slot| slot.state != SlotState::Forgotten)?;
        (witness.in_doubt && identity(witness) == Some(front)).then_some(witness)
    }

    pub(crate) fn pop(&mut self) -> Option<Slot<T>> {
        self.slots.pop_front()
    }

    pub(crate) fn find(&mut self, no: BatchNo) -> Option<&mut Slot<T>> {
        self.slots.iter_mut().find(|slot| slot.no == no)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot<T>> {
        self.slots.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<T>> {
        self.slots.iter_mut()
    }

    /// Slots on their way.
    pub(crate) fn sent(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.state == SlotState::Sent)
            .count()
    }

    /// Whether an error stands anywhere: then nothing more is sent until it is dealt with.
    pub(crate) fn has_error(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.state, SlotState::Answered(Answer::Error(_))))
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == SlotState::Ready)
    }

    /// The next slot to send: the first that is ready, all before it being on their way or answered.
    pub(crate) fn next_ready(&mut self) -> Option<&mut Slot<T>> {
        self.slots
            .iter_mut()
            .find(|slot| slot.state == SlotState::Ready)
    }
}
