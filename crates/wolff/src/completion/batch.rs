//! The state of one batch that its callers share.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use wolff_codec::{Offset, PartitionId};
use wolff_core::{DoubtReason, FailReason, Outcome};

use super::delivery::{Ack, Callback, Delivery, Observer, delivery};
use super::waiters::{WaiterId, Waiters};
use crate::sync::{AtomicI64, AtomicU32, Mutex};

/// Value of `base_offset` while the batch has no offset.
const NO_OFFSET: i64 = -1;

/// The state of one batch: how its calls ended, and who waits for it.
pub(crate) struct BatchCompletion {
    /// `None` for records that are not routed to a partition yet.
    partition: Option<PartitionId>,
    /// Records below this number are acknowledged, with offsets from `base_offset` on: the fast
    /// path, for a batch that ended as a whole.
    acked_below: AtomicU32,
    base_offset: AtomicI64,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    /// Ends that the fast path cannot represent, by first record of the run.
    ends: BTreeMap<u32, End>,
    waiters: Waiters,
    /// In the order of calls.
    callbacks: Vec<Observed>,
    /// Callbacks of calls that the local queue did not store, while
    /// their senders are not notified.
    parked: Vec<(u32, Callback, Delivery)>,
    /// The end of all that has none of its own: the batch was given up by its producer.
    given_up: Option<Outcome>,
}

struct End {
    last: u32,
    partition: Option<PartitionId>,
    outcome: Outcome,
}

struct Observed {
    first_record: u32,
    callback: Callback,
    sender_waits: bool,
}

/// Callbacks to be called, with what they get, in the order of calls.
pub(crate) type Called = Vec<(Callback, Delivery)>;

impl BatchCompletion {
    pub(crate) fn new(partition: Option<PartitionId>) -> Arc<Self> {
        Arc::new(Self {
            partition,
            acked_below: AtomicU32::new(0),
            base_offset: AtomicI64::new(NO_OFFSET),
            rest: Mutex::new(Rest::default()),
        })
    }

    /// The partition of the call whose first record this is, once it is known.
    pub(crate) fn partition(&self, first_record: u32) -> Option<PartitionId> {
        self.partition.or_else(|| {
            let rest = self.rest.lock();
            rest.end_of(first_record).and_then(|(_, end)| end.partition)
        })
    }

    /// Has the observer called when the records from `first_record` on, those of one call, have
    /// ended. Calls are observed in their order. A sender that waits reports when it no longer
    /// does: [`sender_left`](Self::sender_left).
    pub(crate) fn observe(&self, first_record: u32, observer: Observer) {
        let (callback, sender_waits) = observer.into_parts();
        self.rest.lock().callbacks.push(Observed {
            first_record,
            callback,
            sender_waits,
        });
    }

    /// The verb that handed over a call has returned, or was dropped. Returns the callback of a
    /// call that was not stored: it is to be called if the verb did not return the error itself.
    pub(crate) fn sender_left(&self, first_record: u32) -> Option<(Callback, Delivery)> {
        let mut rest = self.rest.lock();
        if let Ok(at) = rest
            .callbacks
            .binary_search_by_key(&first_record, |observer| observer.first_record)
            && let Some(observer) = rest.callbacks.get_mut(at)
        {
            observer.sender_waits = false;
            return None;
        }
        let at = rest
            .parked
            .iter()
            .position(|(first, ..)| *first == first_record)?;
        let (_, callback, delivery) = rest.parked.swap_remove(at);
        Some((callback, delivery))
    }

    /// The records `first..first + count` have ended. Wakes receipts, and returns the callbacks to
    /// be called, and the number of calls that are not observed here any more: also of those whose
    /// sender learns of the end itself.
    #[must_use = "callbacks have to be called"]
    pub(crate) fn complete(&self, first: u32, count: u32, outcome: &Outcome) -> (Called, usize) {
        self.complete_in(self.partition, first, count, outcome)
    }

    /// The same for records of which the partition became known only when they were routed.
    #[must_use = "callbacks have to be called"]
    pub(crate) fn complete_in(
        &self,
        partition: Option<PartitionId>,
        first: u32,
        count: u32,
        outcome: &Outcome,
    ) -> (Called, usize) {
        let range = first..first.saturating_add(count);
        let mut rest = self.rest.lock();
        if rest.given_up.is_some() {
            // All of it has ended before.
            return (Called::new(), 0);
        }
        match outcome {
            Outcome::Acked {
                base_offset,
                possibly_duplicated: false,
            } if first == 0 && partition == self.partition => {
                let offset = base_offset.map_or(NO_OFFSET, |offset| offset.0);
                self.base_offset.store(offset, Ordering::Relaxed);
                self.acked_below.store(range.end, Ordering::Release);
            }
            _ => {
                let end = End {
                    last: range.end.saturating_sub(1),
                    partition,
                    outcome: outcome.clone(),
                };
                rest.ends.insert(first, end);
            }
        }
        let woken = rest.waiters.end(range.clone());
        let called = rest.called(&range, partition, outcome);
        drop(rest);
        woken.into_iter().for_each(Waker::wake);
        called
    }

    /// Returns whether a callback has still to be called.
    pub(crate) fn is_observed(&self) -> bool {
        let rest = self.rest.lock();
        !rest.callbacks.is_empty() || !rest.parked.is_empty()
    }

    /// Ends all that has not ended: nobody will. Wakes receipts, and returns the callbacks to be
    /// called.
    #[must_use = "callbacks have to be called"]
    pub(crate) fn give_up(&self, outcome: &Outcome) -> (Called, usize) {
        let mut rest = self.rest.lock();
        if rest.given_up.is_some() {
            return (Called::new(), 0);
        }
        rest.given_up = Some(outcome.clone());
        let woken = rest.waiters.end_all();
        let called = rest.called(&(0..u32::MAX), self.partition, outcome);
        drop(rest);
        woken.into_iter().for_each(Waker::wake);
        called
    }

    /// The end of the call whose first record this is, if it has come. Else `waker` is woken when
    /// it comes; `waiter` is the place from an earlier poll.
    #[inline]
    pub(crate) fn poll(
        &self,
        first_record: u32,
        waiter: &mut Option<WaiterId>,
        waker: Option<&Waker>,
    ) -> Poll<Delivery> {
        match self.acked(first_record) {
            Some(delivery) => Poll::Ready(delivery),
            None => self.poll_locked(first_record, waiter, waker),
        }
    }

    #[inline(never)]
    fn poll_locked(
        &self,
        first_record: u32,
        waiter: &mut Option<WaiterId>,
        waker: Option<&Waker>,
    ) -> Poll<Delivery> {
        let mut rest = self.rest.lock();
        // It may have come before the lock was held.
        if let Some(delivery) = self.acked(first_record) {
            return Poll::Ready(delivery);
        }
        if let Some((start, end)) = rest.end_of(first_record) {
            let distance = first_record.saturating_sub(start);
            return Poll::Ready(delivery(end.partition, &end.outcome, distance));
        }
        if let Some(outcome) = &rest.given_up {
            return Poll::Ready(delivery(self.partition, outcome, 0));
        }
        if let Some(waker) = waker {
            *waiter = Some(rest.waiters.wait(first_record, *waiter, waker));
        }
        Poll::Pending
    }

    /// Forgets a receipt that waits no longer.
    pub(crate) fn leave(&self, first_record: u32, waiter: WaiterId) {
        if self.acked(first_record).is_none() {
            self.rest.lock().waiters.leave(first_record, waiter);
        }
    }

    #[inline]
    fn acked(&self, first_record: u32) -> Option<Delivery> {
        if first_record >= self.acked_below.load(Ordering::Acquire) {
            return None;
        }
        let base = self.base_offset.load(Ordering::Relaxed);
        let offset = base.saturating_add(i64::from(first_record));
        Some(Ok(Ack {
            partition: self.partition.unwrap_or(PartitionId(-1)),
            offset: (base != NO_OFFSET).then_some(Offset(offset)),
            possibly_duplicated: false,
        }))
    }
}

impl Rest {
    /// The end of the run that has this record, and the run's first record.
    fn end_of(&self, record: u32) -> Option<(u32, &End)> {
        let (start, end) = self.ends.range(..=record).next_back()?;
        (record <= end.last).then_some((*start, end))
    }

    /// The callbacks of these records, and the number of observers. Those whose sender learns of
    /// the failure itself are parked.
    fn called(
        &mut self,
        range: &Range<u32>,
        partition: Option<PartitionId>,
        outcome: &Outcome,
    ) -> (Called, usize) {
        let is_not_stored = matches!(
            outcome,
            Outcome::Failed(
                FailReason::QueueUnavailable(_) | FailReason::Stopped | FailReason::WorkerCrashed
            ) | Outcome::InDoubt(DoubtReason::QueueFailed)
        );
        let from = self
            .callbacks
            .partition_point(|observer| observer.first_record < range.start);
        let to = self
            .callbacks
            .partition_point(|observer| observer.first_record < range.end);
        let mut called = Called::new();
        for observer in self.callbacks.drain(from..to) {
            let distance = observer.first_record.saturating_sub(range.start);
            let delivery = delivery(partition, outcome, distance);
            if is_not_stored && observer.sender_waits {
                let parked = (observer.first_record, observer.callback, delivery);
                self.parked.push(parked);
            } else {
                called.push((observer.callback, delivery));
            }
        }
        (called, to.saturating_sub(from))
    }
}

impl fmt::Debug for BatchCompletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchCompletion")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
