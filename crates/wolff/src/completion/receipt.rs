//! The caller's handle of an accepted call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wolff_codec::PartitionId;

use super::batch::BatchCompletion;
use super::delivery::{Ack, Delivery};
use super::waiters::WaiterId;
use crate::error::WaitError;
use crate::park;

/// A call that was accepted: a future of its end, which comes in every case, also when the producer
/// is dropped.
///
/// Clones can be awaited by any number of tasks, and more than once. Dropping a receipt changes
/// nothing for the records.
#[must_use = "the records are on their way; await the receipt to learn of their end"]
pub struct Receipt {
    batch: Arc<BatchCompletion>,
    first_record: u32,
    /// Where its waker is, while it waits.
    waiter: Option<WaiterId>,
}

impl Receipt {
    /// The receipt of the call whose first record this is.
    #[inline]
    pub(crate) fn new(batch: Arc<BatchCompletion>, first_record: u32) -> Self {
        Self {
            batch,
            first_record,
            waiter: None,
        }
    }

    /// The batch that holds the call, and the call's first record in it.
    pub(crate) fn place(&self) -> (&Arc<BatchCompletion>, u32) {
        (&self.batch, self.first_record)
    }

    /// The partition that the call went to; `None` while the topic's partitions are not known.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.batch.partition(self.first_record)
    }

    /// The end of the call, if it has come: never waits.
    #[inline]
    #[must_use]
    pub fn try_delivery(&self) -> Option<Delivery> {
        match self.batch.poll(self.first_record, &mut None, None) {
            Poll::Ready(delivery) => Some(delivery),
            Poll::Pending => None,
        }
    }

    /// Waits for the end of the call in a plain thread, for `timeout` at most. An async task awaits
    /// the receipt itself.
    ///
    /// # Errors
    /// [`WaitError`]: after a timeout the call is still being sent, and the receipt can be waited
    /// for again.
    pub fn wait(&self, timeout: Duration) -> Result<Ack, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        match park::block_on_until(None, deadline, self.clone())? {
            Some(delivery) => delivery.map_err(WaitError::Delivery),
            None => Err(WaitError::TimedOut(timeout)),
        }
    }
}

impl Future for Receipt {
    type Output = Delivery;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Delivery> {
        let Self {
            batch,
            first_record,
            waiter,
        } = &mut *self;
        batch.poll(*first_record, waiter, Some(context.waker()))
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        Self::new(self.batch.clone(), self.first_record)
    }
}

impl Drop for Receipt {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.batch.leave(self.first_record, waiter);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("partition", &self.partition())
            .field("delivery", &self.try_delivery())
            .finish_non_exhaustive()
    }
}
