//! What callers wait for: one shared state per batch, of which a receipt is an index.
//!
//! Nothing is allocated per call: a receipt holds the batch's state and the position of its first record. Callbacks, which
//! have to be kept per call, are the exception.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wolff_codec::{Offset, PartitionId};
use wolff_core::{FailReason, Outcome};

use crate::error::{DeliveryError, WaitError};
use crate::park;

/// Kafka has the call's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// The partition that the records are in.
    pub partition: PartitionId,
    /// Offset of the call's first record; the others follow it. `None` where the broker did not say: acks=none, or a
    /// duplicate whose first answer was lost.
    pub offset: Option<Offset>,
}

/// What a callback gets.
pub type Delivery = Result<Ack, DeliveryError>;

/// What is called with the end of a call.
pub(crate) type Callback = Box<dyn FnOnce(Delivery) + Send>;

/// Value of `base_offset` while the batch has no offset.
const NO_OFFSET: i64 = -1;

/// The state of one batch that its callers share.
pub(crate) struct BatchCompletion {
    /// None for records that are not routed to a partition yet.
    partition: Option<PartitionId>,
    /// Records below this number are acked with `base_offset`: the fast path, for a batch that ended as a whole.
    acked_below: AtomicU32,
    base_offset: AtomicI64,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    /// Ends that the fast path cannot say.
    ends: Vec<(Range<u32>, Option<PartitionId>, Outcome)>,
    waiting: Vec<(u32, Waker)>,
    callbacks: Vec<(u32, Callback)>,
}

impl BatchCompletion {
    pub(crate) fn new(partition: Option<PartitionId>) -> Arc<Self> {
        Arc::new(Self {
            partition,
            acked_below: AtomicU32::new(0),
            base_offset: AtomicI64::new(NO_OFFSET),
            rest: Mutex::default(),
        })
    }

    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// Calls `callback` when the records from `first_record` on, those of one call, have come to their end.
    pub(crate) fn observe(&self, first_record: u32, callback: Callback) {
        self.rest.lock().callbacks.push((first_record, callback));
    }

    /// The records `first..first + count` have come to their end. Runs callbacks in the caller's thread.
    pub(crate) fn complete(&self, first: u32, count: u32, outcome: &Outcome) {
        self.complete_in(self.partition, first, count, outcome);
    }

    /// The same for records of which the partition became known only when they were routed.
    pub(crate) fn complete_in(
        &self,
        partition: Option<PartitionId>,
        first: u32,
        count: u32,
        outcome: &Outcome,
    ) {
        let end = first.saturating_add(count);
        let range = first..end;
        let (woken, called) = {
            let mut rest = self.rest.lock();
            match outcome {
                Outcome::Acked {
                    base_offset,
                    possibly_duplicated: false,
                } if first == 0 && partition == self.partition => {
                    let offset = base_offset.map_or(NO_OFFSET, |offset| offset.0);
                    self.base_offset.store(offset, Ordering::Relaxed);
                    self.acked_below.store(end, Ordering::Release);
                }
                _ => rest.ends.push((range.clone(), partition, outcome.clone())),
            }
            (
                take_in_range(&mut rest.waiting, &range),
                take_in_range(&mut rest.callbacks, &range),
            )
        };
        woken.into_iter().for_each(|(_, waker)| waker.wake());
        for (first_record, callback) in called {
            let delivery = deliver(partition, outcome, first_record.saturating_sub(first));
            // A panic of the user's code is the user's: it must not take the partition with it.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| callback(delivery)))
                .is_err()
            {
                tracing::error!("a delivery callback panicked");
            }
        }
    }

    /// The end of the call whose first record this is, if it has come.
    fn poll(&self, first_record: u32, waker: Option<&Waker>) -> Poll<Delivery> {
        if let Some(delivery) = self.fast(first_record) {
            return Poll::Ready(delivery);
        }
        let mut rest = self.rest.lock();
        if let Some(delivery) = self.fast(first_record) {
            return Poll::Ready(delivery);
        }
        if let Some((range, partition, outcome)) = rest
            .ends
            .iter()
            .find(|(range, ..)| range.contains(&first_record))
        {
            return Poll::Ready(deliver(
                *partition,
                outcome,
                first_record.saturating_sub(range.start),
            ));
        }
        if let Some(waker) = waker {
            match rest
                .waiting
                .iter_mut()
                .find(|(first, _)| *first == first_record)
            {
                Some((_, waiting)) => waiting.clone_from(waker),
                None => rest.waiting.push((first_record, waker.clone())),
            }
        }
        Poll::Pending
    }

    #[inline]
    fn fast(&self, first_record: u32) -> Option<Delivery> {
        if first_record >= self.acked_below.load(Ordering::Acquire) {
            return None;
        }
        let base = self.base_offset.load(Ordering::Relaxed);
        let base_offset = (base != NO_OFFSET).then_some(Offset(base));
        Some(deliver(
            self.partition,
            &Outcome::acked(base_offset),
            first_record,
        ))
    }
}

impl fmt::Debug for BatchCompletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchCompletion")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

fn take_in_range<V>(items: &mut Vec<(u32, V)>, range: &Range<u32>) -> Vec<(u32, V)> {
    if items.iter().all(|(first, _)| range.contains(first)) {
        return std::mem::take(items);
    }
    items
        .extract_if(.., |(first, _)| range.contains(first))
        .collect()
}

/// What the caller is told: `distance` is how far behind the run's first record its own first record is.
fn deliver(partition: Option<PartitionId>, outcome: &Outcome, distance: u32) -> Delivery {
    match outcome {
        Outcome::Acked { base_offset, .. } => Ok(Ack {
            partition: partition.unwrap_or(PartitionId(-1)),
            offset: base_offset.map(|base| Offset(base.0.saturating_add(i64::from(distance)))),
        }),
        Outcome::LeftInQueue => Err(DeliveryError::LeftInQueue),
        Outcome::Failed(reason) => Err(DeliveryError::Failed(reason.clone())),
        Outcome::InDoubt(reason) => Err(DeliveryError::InDoubt(*reason)),
        _ => Err(DeliveryError::Failed(FailReason::Stopped)),
    }
}

/// A call that was accepted. A future of its end; dropping it changes nothing for the records.
#[derive(Debug, Clone)]
#[must_use = "the records are on their way; await the receipt to learn of their end"]
pub struct Receipt {
    pub(crate) batch: Arc<BatchCompletion>,
    pub(crate) first_record: u32,
}

impl Receipt {
    /// The partition that the call went to; `None` while the topic's partitions are not known.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.batch.partition()
    }

    /// Waits for the end of the call in a plain thread, for `timeout` at most. An async task awaits the receipt itself.
    ///
    /// # Errors
    /// [`WaitError`]: after a timeout the call is still being sent, and the receipt can be waited for again.
    pub fn wait(&self, timeout: Duration) -> Result<Ack, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        match park::block_on_until(None, deadline, self.clone())? {
            Some(delivery) => delivery.map_err(WaitError::Delivery),
            None => Err(WaitError::TimedOut(timeout)),
        }
    }

    /// The end of the call, if it has come: a look that does not wait.
    #[must_use]
    pub fn try_delivery(&self) -> Option<Delivery> {
        match self.batch.poll(self.first_record, None) {
            Poll::Ready(delivery) => Some(delivery),
            Poll::Pending => None,
        }
    }
}

impl Future for Receipt {
    type Output = Delivery;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Delivery> {
        self.batch.poll(self.first_record, Some(context.waker()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn receipt(batch: &Arc<BatchCompletion>, first_record: u32) -> Receipt {
        Receipt {
            batch: batch.clone(),
            first_record,
        }
    }

    #[test]
    fn each_call_gets_its_own_offset() {
        let batch = BatchCompletion::new(Some(PartitionId(3)));
        assert!(receipt(&batch, 0).try_delivery().is_none());
        batch.complete(0, 5, &Outcome::acked(Some(Offset(100))));
        assert_eq!(
            receipt(&batch, 0).try_delivery().unwrap().unwrap().offset,
            Some(Offset(100))
        );
        assert_eq!(
            receipt(&batch, 4).try_delivery().unwrap().unwrap().offset,
            Some(Offset(104))
        );
        assert!(receipt(&batch, 5).try_delivery().is_none());
    }

    #[test]
    fn pieces_of_a_batch_end_each_in_its_own_way() {
        let batch = BatchCompletion::new(Some(PartitionId(0)));
        batch.complete(0, 2, &Outcome::acked(Some(Offset(7))));
        batch.complete(
            2,
            1,
            &Outcome::Failed(FailReason::MessageTooLarge {
                bytes: 9,
                limit: None,
            }),
        );
        batch.complete(3, 2, &Outcome::acked(Some(Offset(9))));
        assert_eq!(
            receipt(&batch, 1).try_delivery().unwrap().unwrap().offset,
            Some(Offset(8))
        );
        assert!(receipt(&batch, 2).try_delivery().unwrap().is_err());
        assert_eq!(
            receipt(&batch, 4).try_delivery().unwrap().unwrap().offset,
            Some(Offset(10))
        );
    }

    #[test]
    fn callbacks_run_once_in_order_and_a_panic_stays_theirs() {
        let batch = BatchCompletion::new(Some(PartitionId(0)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let panicked = Arc::new(AtomicUsize::new(0));
        for first in 0..4u32 {
            let (seen, panicked) = (seen.clone(), panicked.clone());
            batch.observe(
                first,
                Box::new(move |delivery| {
                    if first == 2 {
                        panicked.fetch_add(1, Ordering::Relaxed);
                        panic!("the user's");
                    }
                    seen.lock()
                        .push((first, delivery.unwrap().offset.unwrap().0));
                }),
            );
        }
        batch.complete(0, 2, &Outcome::acked(Some(Offset(10))));
        batch.complete(2, 2, &Outcome::acked(Some(Offset(12))));
        assert_eq!(*seen.lock(), vec![(0, 10), (1, 11), (3, 13)]);
        assert_eq!(panicked.load(Ordering::Relaxed), 1);
    }
}
