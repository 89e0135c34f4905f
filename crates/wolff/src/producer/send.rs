//! From a call to a receipt: the fast path that waits for nothing, and the path that waits for room
//! and for *queued*.

use std::sync::Arc;
use std::time::Duration;

use wolff_codec::PartitionId;
use wolff_core::{DoubtReason, FailReason, Refused};

use crate::completion::{Ack, Callback, Observer, Receipt};
use crate::error::{DeliveryError, HoldUp, SendError};
use crate::partition::{PartitionQueue, Taken};
use crate::record::Call;
use crate::topic::{Destination, RouteError, Topic};

/// The options of one call.
#[derive(Default)]
pub(super) struct CallOptions {
    partition: Option<PartitionId>,
    observer: Option<Observer>,
}

impl CallOptions {
    pub(super) fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    pub(super) fn has_callback(&self) -> bool {
        self.observer.is_some()
    }

    pub(super) fn set_partition(&mut self, partition: PartitionId) {
        self.partition = Some(partition);
    }

    pub(super) fn set_callback(&mut self, callback: Callback) {
        self.observer = Some(Observer::new(callback));
    }
}

/// Condition that a verb waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Until {
    /// The call is accepted.
    Accepted,
    /// It is queued at the durability level.
    Queued,
}

/// A call that was accepted.
struct Accepted {
    receipt: Receipt,
    /// Where the verb waits for *queued* and it is not queued yet.
    unqueued: Option<Unqueued>,
}

/// A call whose verb waits for *queued*. Dropped, the verb waits no longer.
struct Unqueued {
    queue: Destination,
    receipt: Receipt,
    call_no: u64,
    is_observed: bool,
}

impl Accepted {
    #[inline]
    fn new(taken: Taken, queue: Destination, until: Until, is_observed: bool) -> Self {
        let waits = until == Until::Queued && !queue.queues_at_once();
        let unqueued = waits.then(|| Unqueued {
            queue,
            receipt: taken.receipt.clone(),
            call_no: taken.call_no,
            is_observed,
        });
        Self {
            receipt: taken.receipt,
            unqueued,
        }
    }

    #[inline]
    fn at_once(receipt: Receipt) -> Self {
        Self {
            receipt,
            unqueued: None,
        }
    }

    #[inline]
    async fn queued(self) -> Result<Receipt, SendError> {
        if let Some(unqueued) = self.unqueued {
            unqueued.queued().await?;
        }
        Ok(self.receipt)
    }
}

impl Unqueued {
    /// Waits until it is queued, or failed to be.
    async fn queued(mut self) -> Result<(), SendError> {
        self.queue.wait_queued(self.call_no).await;
        match self.receipt.try_delivery() {
            Some(Err(DeliveryError::Failed(FailReason::QueueUnavailable(error)))) => {
                self.refused(SendError::QueueUnavailable(error))
            }
            Some(Err(DeliveryError::InDoubt(DoubtReason::QueueFailed))) => {
                self.refused(SendError::QueueInDoubt)
            }
            Some(Err(DeliveryError::Failed(FailReason::Stopped | FailReason::WorkerCrashed))) => {
                self.refused(SendError::Stopped)
            }
            _ => Ok(()),
        }
    }

    /// The caller learns of it here and now: the callback is not called.
    fn refused(&mut self, error: SendError) -> Result<(), SendError> {
        if std::mem::take(&mut self.is_observed) {
            let (batch, first_record) = self.receipt.place();
            drop(batch.sender_left(first_record));
        }
        Err(error)
    }
}

impl Drop for Unqueued {
    fn drop(&mut self) {
        if self.is_observed {
            let (batch, first_record) = self.receipt.place();
            if let Some(called) = batch.sender_left(first_record) {
                self.queue.callbacks().call(vec![called]);
            }
        }
    }
}

/// Fast path: the receipt of a call whose verb has to wait for nothing. `None`: nothing was
/// accepted, and the fast path does not apply, or the verb waits for the disk.
#[inline]
pub(super) fn at_once<C: Call>(
    topic: &Topic,
    call: &C,
    options: &mut CallOptions,
    until: Until,
) -> Option<Receipt> {
    topic.with_partition(call, options.partition, |queue| {
        if until == Until::Queued && !queue.queues_at_once() {
            return None;
        }
        let taken = queue.accept(call, &mut options.observer, false).ok()?;
        Some(taken.receipt)
    })?
}

/// Hands over a call, waiting for room where the overflow policy says so, and then as long as
/// `until` says.
pub(super) async fn send<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    mut options: CallOptions,
    until: Until,
) -> Result<Receipt, SendError> {
    let accepted = match accept_at_once(topic, call, &mut options, until) {
        Some(accepted) => accepted,
        None => accept(topic, call, options, until).await?,
    };
    accepted.queued().await
}

/// Hands over a call without waiting for anything.
#[inline]
pub(super) fn try_send<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    mut options: CallOptions,
) -> Result<Receipt, SendError> {
    if let Some(accepted) = accept_at_once(topic, call, &mut options, Until::Accepted) {
        return Ok(accepted.receipt);
    }
    loop {
        let queue = match topic.route(call, options.partition) {
            Ok(queue) => queue,
            Err(RouteError::NotOpen(partition)) => {
                Destination::Partition(topic.open_at_once(partition)?)
            }
            Err(RouteError::Refused(error)) => return Err(error),
        };
        match queue.accept(call, &mut options.observer, false) {
            Err(Refused::Stopping) if queue.is_replaced() && !topic.is_stopped() => {}
            Err(refused) => return Err(refused.into()),
            Ok(taken) => return Ok(taken.receipt),
        }
    }
}

/// End of a wait for an acknowledgement without one.
pub(super) enum NoAck {
    /// The call was not accepted.
    Refused(SendError),
    /// It ended otherwise.
    Delivery(DeliveryError),
    /// It was accepted, and the time is over. What holds it up, where that is known.
    TimedOut(Receipt, Option<HoldUp>),
}

impl NoAck {
    /// The time is over: for a call that was accepted, or before it was.
    pub(super) fn timed_out(topic: &Topic, accepted: Option<Receipt>, timeout: Duration) -> Self {
        match accepted {
            Some(receipt) => {
                let hold_up = topic.hold_up(receipt.partition());
                Self::TimedOut(receipt, hold_up)
            }
            None => Self::Refused(SendError::TimedOut(timeout)),
        }
    }
}

/// Hands over a call and waits for its acknowledgement until the timeout.
pub(super) async fn send_and_wait<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    options: CallOptions,
    timeout: Duration,
) -> Result<Ack, NoAck> {
    let mut accepted = None;
    let sending = acknowledged(topic, call, options, &mut accepted);
    let outcome = tokio::time::timeout(timeout, sending).await;
    outcome.unwrap_or_else(|_| Err(NoAck::timed_out(topic, accepted, timeout)))
}

/// Hands over a call and waits for its acknowledgement, for as long as it takes. `receipt` is set
/// when it is accepted.
pub(super) async fn acknowledged<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    options: CallOptions,
    receipt: &mut Option<Receipt>,
) -> Result<Ack, NoAck> {
    let accepted = accept_any(topic, call, options).await;
    let accepted = accepted.map_err(NoAck::Refused)?;
    *receipt = Some(accepted.receipt.clone());
    let queued = accepted.queued().await.map_err(NoAck::Refused)?;
    queued.await.map_err(NoAck::Delivery)
}

async fn accept_any<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    mut options: CallOptions,
) -> Result<Accepted, SendError> {
    match accept_at_once(topic, call, &mut options, Until::Queued) {
        Some(accepted) => Ok(accepted),
        None => accept(topic, call, options, Until::Queued).await,
    }
}

/// Fast path. Returns `None` when it does not apply: no route, no room, a stop.
#[inline]
fn accept_at_once<C: Call>(
    topic: &Topic,
    call: &C,
    options: &mut CallOptions,
    until: Until,
) -> Option<Accepted> {
    let is_observed = options.observer.is_some();
    let is_awaited = until == Until::Queued;
    topic.with_partition(call, options.partition, |queue: &Arc<PartitionQueue>| {
        let taken = queue.accept(call, &mut options.observer, is_awaited).ok()?;
        if !is_awaited || queue.queues_at_once() {
            return Some(Accepted::at_once(taken.receipt));
        }
        let queue = Destination::Partition(queue.clone());
        Some(Accepted::new(taken, queue, until, is_observed))
    })?
}

async fn accept<C: Call>(
    topic: &Arc<Topic>,
    call: &C,
    mut options: CallOptions,
    until: Until,
) -> Result<Accepted, SendError> {
    let is_observed = options.observer.is_some();
    loop {
        let queue = match topic.route(call, options.partition) {
            Err(RouteError::NotOpen(partition)) => {
                Destination::Partition(topic.open_partition(partition).await?)
            }
            Err(RouteError::Refused(error)) => return Err(error),
            Ok(queue) => queue,
        };
        let is_awaited = until == Until::Queued;
        let taken = queue
            .accept_waiting(
                call,
                &mut options.observer,
                is_awaited,
                topic.config().overflow,
            )
            .await;
        match taken {
            // The queue of unrouted records was closed in between: the partitions are known now.
            Err(Refused::Stopping) if queue.is_replaced() && !topic.is_stopped() => {}
            Err(refused) => return Err(refused.into()),
            Ok(taken) => return Ok(Accepted::new(taken, queue, until, is_observed)),
        }
    }
}
