//! The user's handle of a producer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use wolff_codec::PartitionId;

use super::send::{self, CallOptions, Until};
use super::unacknowledged::{SendAndWaitError, with_call};
use crate::completion::{Ack, Receipt};
use crate::error::{FlushTimeout, HoldUp, Rejected, StopError};
use crate::record::Call;
use crate::stats::ProducerStats;
use crate::stopped::Leftover;
use crate::topic::Topic;

/// Produces to one topic. Cheap to clone; all clones are the same producer.
///
/// A call (what one verb hands over: a record, or several) is atomic: all its records go to one
/// partition, in order and together. Dropping a future never loses or reorders what was accepted.
///
/// | verb | waits for | returns |
/// |---|---|---|
/// | [`send`](Self::send) | room, and *queued* at the durability level | a [`Receipt`] to await the acknowledgement with |
/// | [`enqueue`](Self::enqueue) | room | a receipt; *queued* follows, in order |
/// | [`try_send`](Self::try_send) | nothing | a receipt, or the reason why not |
/// | [`send_and_wait`](Self::send_and_wait) | Kafka's acknowledgement | partition and offset |
///
/// A refused call comes back with the error ([`Rejected`]). Options of a single call (its
/// partition, a callback) go through [`call`](Self::call); plain threads use
/// [`blocking`](Self::blocking).
#[derive(Clone)]
#[doc(alias = "producers")]
pub struct Producer {
    topic: Arc<Topic>,
    /// The runtime that the producer was started in.
    runtime: Handle,
}

impl Producer {
    pub(super) fn new(topic: Arc<Topic>, runtime: Handle) -> Self {
        Self { topic, runtime }
    }

    pub(super) fn shared(&self) -> &Arc<Topic> {
        &self.topic
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.name()
    }

    /// Partitions of the topic; `None` while no broker has answered.
    #[must_use]
    pub fn partition_count(&self) -> Option<usize> {
        self.topic.partition_count()
    }

    /// Hands over a call and waits until it is *queued*: with a queue on disk, until the kernel has
    /// its bytes.
    ///
    /// ```
    /// use wolff::{Producer, Record};
    ///
    /// async fn publish(producer: &Producer) -> Result<(), Box<dyn std::error::Error>> {
    ///     let receipt = producer.send(Record::new().key("device-7").value("21.5 C")).await?;
    ///     let ack = receipt.await?;
    ///     println!("partition {}, offset {:?}", ack.partition, ack.offset);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted, and its records come back.
    pub async fn send<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        let mut options = CallOptions::default();
        if let Some(receipt) = send::at_once(&self.topic, &call, &mut options, Until::Queued) {
            return Ok(receipt);
        }
        let sent = send::send(&self.topic, &call, options, Until::Queued).await;
        sent.map_err(|reason| Rejected::new(reason, call))
    }

    /// Hands over a call and waits for room only; *queued* follows soon after, in order.
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted, and its records come back.
    #[doc(alias = "cast")]
    pub async fn enqueue<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        let mut options = CallOptions::default();
        if let Some(receipt) = send::at_once(&self.topic, &call, &mut options, Until::Accepted) {
            return Ok(receipt);
        }
        let sent = send::send(&self.topic, &call, options, Until::Accepted).await;
        sent.map_err(|reason| Rejected::new(reason, call))
    }

    /// Hands over a call without waiting for anything.
    ///
    /// A partition that the caller names while no broker has answered yet may have no open queue:
    /// in memory it is opened at once, on disk the first attempt is refused with
    /// [`SendError::Opening`](crate::SendError::Opening), and later ones find it open.
    ///
    /// # Errors
    /// [`Rejected`], with [`SendError::Full`](crate::SendError::Full) where there is no room:
    /// nothing of the call was accepted, and its records come back.
    pub fn try_send<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        let sent = send::try_send(&self.topic, &call, CallOptions::default());
        sent.map_err(|reason| Rejected::new(reason, call))
    }

    /// Hands over a call and waits for Kafka's acknowledgement, all in all for `timeout` at most.
    /// Zero looks once.
    ///
    /// # Errors
    /// [`SendAndWaitError`] says whether the call was accepted. After a timeout an accepted call is
    /// still being sent, and its receipt comes with the error.
    #[doc(alias = "send_sync")]
    pub async fn send_and_wait<C: Call>(
        &self,
        call: C,
        timeout: Duration,
    ) -> Result<Ack, SendAndWaitError<C>> {
        let options = CallOptions::default();
        let outcome = send::send_and_wait(&self.topic, &call, options, timeout).await;
        with_call(outcome, call, timeout)
    }

    /// Waits until everything accepted before this call is queued at the durability level.
    pub async fn queued(&self) {
        self.topic.queued().await;
    }

    /// Waits until everything accepted before this call, and what previous runs left on disk, has
    /// ended. None of it lingers any longer.
    ///
    /// # Errors
    /// [`FlushTimeout`]: something has not ended; it is still being sent.
    pub async fn flush(&self, timeout: Duration) -> Result<(), FlushTimeout> {
        tokio::time::timeout(timeout, self.flushed())
            .await
            .map_err(|_| FlushTimeout(timeout))
    }

    /// Waits as [`flush`](Self::flush), for as long as it takes.
    pub(super) async fn flushed(&self) {
        self.topic.flush().await;
    }

    /// Flushes, for `timeout` at most, and then stops at once. Nothing is left behind when
    /// everything was acknowledged in time.
    ///
    /// # Errors
    /// [`StopError`], as with [`stop`](Self::stop).
    pub async fn drain(&self, timeout: Duration) -> Result<Leftover, StopError> {
        // What a flush that timed out has left is in the return value.
        let _ = self.flush(timeout).await;
        self.stop(Duration::ZERO).await
    }

    /// Stops: no call is accepted any more, and every call that was accepted ends. With queues on
    /// disk, what is not acknowledged stays there for the next run; with queues in memory it fails,
    /// or is in doubt where it was sent. [`drain`](Self::drain) waits for the acknowledgements of
    /// all that was accepted first.
    ///
    /// Responses to requests already sent are awaited for `deadline` at most. After the return no
    /// callback is called any more and the queue directories are free. A second stop returns
    /// nothing left.
    ///
    /// # Errors
    /// [`StopError`]: the producer is stopped, but queues could not be closed cleanly.
    #[doc(alias = "stop_producers")]
    #[doc(alias = "stop_and_delete_supervised_producers")]
    #[doc(alias = "close")]
    pub async fn stop(&self, deadline: Duration) -> Result<Leftover, StopError> {
        self.topic.stop(deadline).await
    }

    /// The last known reason why records of a partition have not ended yet; with `None`, of those
    /// whose partition is not known. `None` where nothing holds them up.
    #[must_use]
    pub fn hold_up(&self, partition: Option<PartitionId>) -> Option<HoldUp> {
        self.topic.hold_up(partition)
    }

    /// Counts of this producer.
    #[must_use]
    pub fn stats(&self) -> ProducerStats {
        self.topic.stats()
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic.name())
            .finish_non_exhaustive()
    }
}
