//! The verbs of a producer for plain threads, which wait instead of returning a future.

use std::time::{Duration, Instant};

use super::call::PreparedCall;
use super::handle::Producer;
use super::send::{self, NoAck, Until};
use super::unacknowledged::{SendAndWaitError, with_call};
use crate::completion::{Ack, Receipt};
use crate::error::{FlushTimeout, Rejected, SendError, StopError};
use crate::park::{self, WithinRuntime};
use crate::record::Call;
use crate::stats::ProducerStats;
use crate::stopped::Leftover;

impl Producer {
    /// The same producer for plain threads: its verbs block the calling thread instead of returning
    /// futures.
    ///
    /// The runtime that the producer was started in must keep running meanwhile, in threads of its
    /// own.
    #[must_use]
    pub fn blocking(&self) -> BlockingProducer {
        BlockingProducer {
            producer: self.clone(),
        }
    }
}

impl<'p, C: Call> PreparedCall<'p, C> {
    /// The same call, with verbs that block the calling thread.
    pub fn blocking(self) -> BlockingCall<'p, C> {
        BlockingCall(self)
    }
}

/// A producer for plain threads. Its verbs and their promises are those of [`Producer`].
///
/// In the context of an async runtime, where waiting could block what is waited for, they refuse:
/// with [`SendError::WithinRuntime`] or [`BlockingError::WithinRuntime`]. That context includes
/// `spawn_blocking`; there `Handle::block_on` runs the async verbs.
///
/// ```
/// use std::time::Duration;
/// use wolff::{Producer, Record};
///
/// fn publish(producer: &Producer) -> Result<(), Box<dyn std::error::Error>> {
///     let receipt = producer.blocking().send(Record::new().value("from a thread"))?;
///     let ack = receipt.wait(Duration::from_secs(30))?;
///     println!("offset {:?}", ack.offset);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct BlockingProducer {
    producer: Producer,
}

impl BlockingProducer {
    /// Waits for room and until the call is *queued*; see [`Producer::send`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted.
    pub fn send<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        self.producer.call(call).blocking().send()
    }

    /// Waits for room; see [`Producer::enqueue`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted.
    #[doc(alias = "cast")]
    pub fn enqueue<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        self.producer.call(call).blocking().enqueue()
    }

    /// Waits for nothing; see [`Producer::try_send`].
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted.
    pub fn try_send<C: Call>(&self, call: C) -> Result<Receipt, Rejected<C>> {
        self.producer.try_send(call)
    }

    /// Waits for Kafka's acknowledgement; see [`Producer::send_and_wait`].
    ///
    /// # Errors
    /// [`SendAndWaitError`] says whether the call was accepted.
    #[doc(alias = "send_sync")]
    pub fn send_and_wait<C: Call>(
        &self,
        call: C,
        timeout: Duration,
    ) -> Result<Ack, SendAndWaitError<C>> {
        self.producer.call(call).blocking().send_and_wait(timeout)
    }

    /// Waits until everything accepted before is queued; see [`Producer::queued`].
    ///
    /// # Errors
    /// [`WithinRuntime`].
    pub fn queued(&self) -> Result<(), WithinRuntime> {
        self.block_on(self.producer.queued())
    }

    /// Waits until everything accepted before has ended; see [`Producer::flush`].
    ///
    /// # Errors
    /// [`FlushTimeout`]: something has not ended; it is still being sent.
    pub fn flush(&self, timeout: Duration) -> Result<(), BlockingError<FlushTimeout>> {
        let (runtime, deadline) = (self.producer.runtime(), deadline(timeout));
        let flushed = park::block_on_until(Some(runtime), deadline, self.producer.flushed())?;
        flushed.ok_or(BlockingError::Failed(FlushTimeout(timeout)))
    }

    /// Flushes and stops; see [`Producer::drain`].
    ///
    /// # Errors
    /// [`StopError`]: the producer is stopped, but queues could not be closed cleanly.
    pub fn drain(&self, timeout: Duration) -> Result<Leftover, BlockingError<StopError>> {
        match self.flush(timeout) {
            Err(BlockingError::WithinRuntime(error)) => Err(error.into()),
            // What a flush that timed out has left is in the return value.
            Ok(()) | Err(BlockingError::Failed(_)) => self.stop(Duration::ZERO),
        }
    }

    /// Stops; see [`Producer::stop`].
    ///
    /// # Errors
    /// [`StopError`]: the producer is stopped, but queues could not be closed cleanly.
    pub fn stop(&self, deadline: Duration) -> Result<Leftover, BlockingError<StopError>> {
        let stopped = self.block_on(self.producer.stop(deadline))?;
        stopped.map_err(BlockingError::Failed)
    }

    /// Counts of this producer.
    #[must_use]
    pub fn stats(&self) -> ProducerStats {
        self.producer.stats()
    }

    /// The producer with async verbs.
    #[must_use]
    pub fn into_async(self) -> Producer {
        self.producer
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, WithinRuntime> {
        park::block_on(Some(self.producer.runtime()), future)
    }
}

/// A call with options, for plain threads; made by [`PreparedCall::blocking`].
#[derive(Debug)]
#[must_use = "a call is handed over by one of its verbs: send, enqueue, send_and_wait"]
pub struct BlockingCall<'p, C>(PreparedCall<'p, C>);

impl<C: Call> BlockingCall<'_, C> {
    /// Waits for room and until the call is *queued*.
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted; a callback is dropped without being called.
    pub fn send(self) -> Result<Receipt, Rejected<C>> {
        self.hand_over(Until::Queued)
    }

    /// Waits for room.
    ///
    /// # Errors
    /// [`Rejected`]: nothing of the call was accepted; a callback is dropped without being called.
    #[doc(alias = "cast")]
    pub fn enqueue(self) -> Result<Receipt, Rejected<C>> {
        self.hand_over(Until::Accepted)
    }

    /// Waits for Kafka's acknowledgement, all in all for `timeout` at most.
    ///
    /// # Errors
    /// [`SendAndWaitError`] says whether the call was accepted.
    #[doc(alias = "send_sync")]
    pub fn send_and_wait(self, timeout: Duration) -> Result<Ack, SendAndWaitError<C>> {
        let (producer, records, options) = self.0.into_parts();
        let mut accepted = None;
        let sending = send::acknowledged(producer.shared(), &records, options, &mut accepted);
        let waited = park::block_on_until(Some(producer.runtime()), deadline(timeout), sending);
        let outcome = match waited {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(NoAck::timed_out(producer.shared(), accepted, timeout)),
            Err(error) => Err(NoAck::Refused(error.into())),
        };
        with_call(outcome, records, timeout)
    }

    fn hand_over(self, until: Until) -> Result<Receipt, Rejected<C>> {
        let (producer, records, options) = self.0.into_parts();
        let sending = send::send(producer.shared(), &records, options, until);
        let sent = match park::block_on(Some(producer.runtime()), sending) {
            Ok(sent) => sent,
            Err(error) => Err(SendError::from(error)),
        };
        sent.map_err(|reason| Rejected::new(reason, records))
    }
}

/// A blocking verb failed, or was called where it must not block.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError<E> {
    /// It did nothing: the thread belongs to an async runtime.
    #[error(transparent)]
    WithinRuntime(#[from] WithinRuntime),
    /// The verb's own error.
    #[error(transparent)]
    Failed(E),
}

/// The end of a wait that begins now; `None` where it is further than a clock can say.
fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
