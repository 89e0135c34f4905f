//! The producer of one topic: what a user holds.

mod builder;

mod refresh;
mod router;

mod topic;

mod moved;
mod pending;
mod routes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wolff_codec::PartitionId;
use wolff_core::{FailReason, Refused};

use crate::completion::{Ack, Callback, Delivery, Receipt};
use crate::config::Overflow;
use crate::error::{DeliveryError, FlushTimeout, SendError};
use crate::queue::{PartitionQueue, Taken};
use crate::record::Call;
use crate::stats::ProducerStats;
use routes::RouteError;
use topic::Topic;

pub use builder::ProducerBuilder;

/// Produces to one topic. Cheap to clone; all clones are the same producer.
///
/// A call (what one `send` hands over) is atomic: all its records go to one partition, in order and together. Dropping a
/// future never loses or reorders what was accepted.
///
/// | method | waits for | then you have |
/// |---|---|---|
/// | [`send`](Self::send) | room, and *queued* at the durability level | a [`Receipt`] to await the ack with |
/// | [`cast`](Self::cast) | room | a receipt; queued soon after |
/// | [`try_send`](Self::try_send) | nothing | the same, or the reason why not |
/// | [`send_sync`](Self::send_sync) | Kafka's ack | partition and offset |
/// | [`send_with`](Self::send_with) | room, and *queued* | your callback is called at the end |
#[derive(Clone)]
pub struct Producer {
    topic: Arc<Topic>,
}

impl Producer {
    fn new(topic: Arc<Topic>) -> Self {
        Self { topic }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.name()
    }

    /// Partitions of the topic, as far as they are known.
    #[must_use]
    pub fn partition_count(&self) -> Option<usize> {
        self.topic.partition_count()
    }

    /// Hands over a call and waits until it is queued: with a queue on disk, until the kernel has its bytes.
    ///
    /// # Errors
    /// [`SendError`]: nothing of the call was accepted.
    pub async fn send<C: Call>(&self, call: C) -> Result<Receipt, SendError> {
        self.take_in(&call, None, None, Until::Queued).await
    }

    /// The same to a partition of the caller's choice.
    ///
    /// # Errors
    /// [`SendError`]: nothing of the call was accepted.
    pub async fn send_to<C: Call>(
        &self,
        partition: PartitionId,
        call: C,
    ) -> Result<Receipt, SendError> {
        self.take_in(&call, Some(partition), None, Until::Queued)
            .await
    }

    /// Hands over a call and waits for room only, not until it is queued: that comes soon after, in order.
    ///
    /// # Errors
    /// [`SendError`]: nothing of the call was accepted.
    pub async fn cast<C: Call>(&self, call: C) -> Result<Receipt, SendError> {
        self.take_in(&call, None, None, Until::Accepted).await
    }

    /// The same to a partition of the caller's choice.
    ///
    /// # Errors
    /// [`SendError`]: nothing of the call was accepted.
    pub async fn cast_to<C: Call>(
        &self,
        partition: PartitionId,
        call: C,
    ) -> Result<Receipt, SendError> {
        self.take_in(&call, Some(partition), None, Until::Accepted)
            .await
    }

    /// Hands over a call without waiting for anything.
    ///
    /// # Errors
    /// [`SendError::Full`] where there is no room; nothing of the call was accepted.
    pub fn try_send<C: Call>(&self, call: C) -> Result<Receipt, SendError> {
        if let Some(accepted) = self.take_in_at_once(&call, None, &mut None, Until::Accepted) {
            return Ok(accepted.receipt);
        }
        loop {
            let queue = self.topic.route(&call, None).map_err(|error| match error {
                RouteError::NotOpen(_) => SendError::Full,
                RouteError::Refused(error) => error,
            })?;
            match queue.accept(&call, &mut None) {
                Err(Refused::Stopping) if !self.topic.is_stopped() => {}
                Err(refused) => return Err(refusal(refused)),
                Ok(taken) => return Ok(taken.receipt),
            }
        }
    }

    /// Hands over a call, waits until it is queued, and calls `callback` when it has come to its end. The callback runs in a
    /// worker of the producer: it should be short and must not block.
    ///
    /// # Errors
    /// [`SendError`]: nothing of the call was accepted, and the callback is not called.
    pub async fn send_with<C, F>(&self, call: C, callback: F) -> Result<(), SendError>
    where
        C: Call,
        F: FnOnce(Delivery) + Send + 'static,
    {
        self.take_in(&call, None, Some(Box::new(callback)), Until::Queued)
            .await
            .map(drop)
    }

    /// Hands over a call and waits for Kafka's acknowledgement.
    ///
    /// # Errors
    /// [`SendSyncError`]; after a timeout the call stays accepted and is still sent.
    pub async fn send_sync<C: Call>(
        &self,
        call: C,
        timeout: Duration,
    ) -> Result<Ack, SendSyncError> {
        let send = async { Ok(self.send(call).await?.await?) };
        match tokio::time::timeout(timeout, send).await {
            Ok(result) => result,
            Err(_) => Err(SendSyncError::Timeout(timeout)),
        }
    }

    /// Waits until all that was accepted before is queued at the durability level.
    pub async fn queued(&self) {
        self.topic.queued().await;
    }

    /// Waits until all that was accepted before, and what an earlier life left on disk, has come to its end. Nothing of it
    /// lingers any more.
    ///
    /// # Errors
    /// [`FlushTimeout`]: there is something left; it is still being sent.
    pub async fn flush(&self, timeout: Duration) -> Result<(), FlushTimeout> {
        let deadline = Instant::now() + timeout;
        tokio::time::timeout_at(deadline, self.topic.flush())
            .await
            .map_err(|_| FlushTimeout(timeout))
    }

    /// Stops: no call is accepted any more, what is accepted is queued, and what is not acknowledged yet stays on disk
    /// (or fails, with a queue in memory). Flush first to wait for the acknowledgements.
    ///
    /// After it has returned no callback is called any more and the queue directories are free.
    pub async fn stop(&self) {
        self.topic.stop().await;
    }

    /// Counts of this producer.
    #[must_use]
    pub fn stats(&self) -> ProducerStats {
        self.topic.stats()
    }

    /// Takes in a call where nothing stands in the way. `None`: something does, and is to be found out at leisure.
    #[inline]
    fn take_in_at_once<C: Call>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
        callback: &mut Option<Callback>,
        until: Until,
    ) -> Option<Accepted> {
        let taken = self.topic.routed(call, partition, |queue| {
            let taken = queue.accept(call, callback).ok()?;
            Some(Accepted::new(taken, queue, until))
        });
        taken.ok()?
    }

    #[inline]
    async fn take_in<C: Call>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
        mut callback: Option<Callback>,
        until: Until,
    ) -> Result<Receipt, SendError> {
        let accepted = match self.take_in_at_once(call, partition, &mut callback, until) {
            Some(accepted) => accepted,
            None => {
                self.take_in_waiting(call, partition, callback, until)
                    .await?
            }
        };
        match accepted.unqueued {
            None => Ok(accepted.receipt),
            Some((queue, call_no)) => until_queued(&queue, call_no, accepted.receipt).await,
        }
    }

    async fn take_in_waiting<C: Call>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
        mut callback: Option<Callback>,
        until: Until,
    ) -> Result<Accepted, SendError> {
        loop {
            let queue = match self.topic.route(call, partition) {
                Err(RouteError::NotOpen(partition)) => self.topic.open_partition(partition).await?,
                Err(RouteError::Refused(error)) => return Err(error),
                Ok(queue) => queue,
            };
            let taken = match self.topic.config().overflow {
                Overflow::Block => queue.accept_waiting(call, &mut callback).await,
                Overflow::Reject => queue.accept(call, &mut callback),
            };
            match taken {
                // The queue of what is not routed was closed behind us: the partitions are known now.
                Err(Refused::Stopping) if !self.topic.is_stopped() => {}
                Err(refused) => return Err(refusal(refused)),
                Ok(taken) => return Ok(Accepted::new(taken, &queue, until)),
            }
        }
    }
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The call is accepted.
    Accepted,
    /// It is queued at the durability level.
    Queued,
}

/// A call that was accepted.
struct Accepted {
    receipt: Receipt,
    /// Where, and as which call, it is not queued yet as far as the caller wants it to be.
    unqueued: Option<(Arc<PartitionQueue>, u64)>,
}

impl Accepted {
    #[inline]
    fn new(taken: Taken, queue: &Arc<PartitionQueue>, until: Until) -> Self {
        let waits = until == Until::Queued && !queue.queues_at_once();
        Self {
            receipt: taken.receipt,
            unqueued: waits.then(|| (queue.clone(), taken.call_no)),
        }
    }
}

async fn until_queued(
    queue: &Arc<PartitionQueue>,
    call_no: u64,
    receipt: Receipt,
) -> Result<Receipt, SendError> {
    queue.wait_queued(call_no).await;
    match receipt.try_delivery() {
        Some(Err(DeliveryError::Failed(FailReason::QueueUnavailable(error)))) => {
            Err(SendError::Queue(crate::error::with_causes(&error)))
        }
        _ => Ok(receipt),
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic.name())
            .finish_non_exhaustive()
    }
}

/// [`Producer::send_sync`] did not end with an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendSyncError {
    /// The call was not accepted.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It was accepted and did not get through.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// No answer in time. The call may have been accepted and is then still being sent.
    #[error("no acknowledgement within {0:?}; if the call was accepted it is still being sent")]
    Timeout(Duration),
}

/// Why a call was refused, in the user's words.
fn refusal(refused: Refused) -> SendError {
    match refused {
        Refused::Full => SendError::Full,
        Refused::TooLarge { bytes, limit } => SendError::TooLarge { bytes, limit },
        Refused::Empty => SendError::Empty,
        _ => SendError::Stopped,
    }
}
