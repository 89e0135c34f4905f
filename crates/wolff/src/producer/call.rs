//! One call with its options.

use std::fmt;
use std::time::Duration;

use wolff_codec::PartitionId;

use super::handle::Producer;
use super::send::{self, CallOptions, Until};
use super::unacknowledged::{SendAndWaitError, with_call};
use crate::completion::{Ack, Delivery, Receipt};
use crate::error::Rejected;
use crate::record::Call;

impl Producer {
    /// A call with options of its own, to be handed over by the same verbs as one without: see
    /// [`PreparedCall`].
    pub fn call<C: Call>(&self, records: C) -> PreparedCall<'_, C> {
        PreparedCall {
            producer: self,
            records,
            options: CallOptions::default(),
        }
    }
}

/// A call with options, not handed over yet.
///
/// | option | effect | default |
/// |---|---|---|
/// | [`partition`](Self::partition) | all records go to this partition | the producer's partitioner chooses |
/// | [`callback`](Self::callback) | called once with the end of the call | none |
///
/// ```
/// use wolff::{PartitionId, Producer, Record, SendError};
///
/// async fn audit(producer: &Producer) -> Result<(), SendError> {
///     let records = vec![Record::new().value("opened"), Record::new().value("closed")];
///     let _receipt = producer
///         .call(records)
///         .partition(PartitionId(0))
///         .callback(|delivery| println!("the audit records ended: {delivery:?}"))
///         .send()
///         .await?;
///     Ok(())
/// }
/// ```
#[must_use = "a call is handed over by one of its verbs: send, enqueue, try_send, send_and_wait"]
pub struct PreparedCall<'p, C> {
    producer: &'p Producer,
    records: C,
    options: CallOptions,
}

impl<'p, C: Call> PreparedCall<'p, C> {
    /// Names the partition: the partitioner is not consulted.
    pub fn partition(mut self, partition: PartitionId) -> Self {
        self.options.set_partition(partition);
        self
    }

    /// Has `callback` called with the end of the call: exactly once for a call that was accepted,
    /// and never for one whose verb returned an error.
    ///
    /// Callbacks run in the runtime that the producer was started in, per partition one after the
    /// other in the order of acknowledgements. A slow one delays the callbacks of its own
    /// partition; it should not block the thread. A panic in it is contained, logged and counted
    /// ([`ProducerStats::callback_panics`](crate::ProducerStats::callback_panics)).
    pub fn callback(mut self, callback: impl FnOnce(Delivery) + Send + 'static) -> Self {
        self.options.set_callback(Box::new(callback));
        self
    }

    /// As [`Producer::send`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted; the callback is dropped without being
    /// called.
    #[doc(alias = "send_with")]
    #[doc(alias = "send_to")]
    pub async fn send(self) -> Result<Receipt, Rejected<C>> {
        self.hand_over(Until::Queued).await
    }

    /// As [`Producer::enqueue`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted; the callback is dropped without being
    /// called.
    #[doc(alias = "cast")]
    #[doc(alias = "cast_to")]
    pub async fn enqueue(self) -> Result<Receipt, Rejected<C>> {
        self.hand_over(Until::Accepted).await
    }

    /// As [`Producer::try_send`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted; the callback is dropped without being
    /// called.
    pub fn try_send(self) -> Result<Receipt, Rejected<C>> {
        let sent = send::try_send(self.producer.shared(), &self.records, self.options);
        sent.map_err(|reason| Rejected::new(reason, self.records))
    }

    /// As [`Producer::send_and_wait`].
    ///
    /// # Errors
    /// [`SendAndWaitError`] says whether the call was accepted.
    #[doc(alias = "send_sync")]
    pub async fn send_and_wait(self, timeout: Duration) -> Result<Ack, SendAndWaitError<C>> {
        let topic = self.producer.shared();
        let outcome = send::send_and_wait(topic, &self.records, self.options, timeout).await;
        with_call(outcome, self.records, timeout)
    }

    /// The parts of the call, for the blocking verbs.
    pub(super) fn into_parts(self) -> (&'p Producer, C, CallOptions) {
        (self.producer, self.records, self.options)
    }

    async fn hand_over(self, until: Until) -> Result<Receipt, Rejected<C>> {
        let topic = self.producer.shared();
        let sent = send::send(topic, &self.records, self.options, until).await;
        sent.map_err(|reason| Rejected::new(reason, self.records))
    }
}

impl<C> fmt::Debug for PreparedCall<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedCall")
            .field("topic", &self.producer.topic())
            .field("partition", &self.options.partition())
            .field("callback", &self.options.has_callback())
            .finish_non_exhaustive()
    }
}
