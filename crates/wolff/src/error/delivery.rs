//! Ends of an accepted call other than an acknowledgement.

use std::time::Duration;

use wolff_core::{DoubtReason, FailReason};

use crate::park::WithinRuntime;

/// A call that was accepted did not end with an acknowledgement.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The records are not in Kafka and will not be sent again.
    #[error("not delivered")]
    Failed(#[source] FailReason),
    /// The records were sent, nobody can say whether Kafka has them, and they will not be sent
    /// again.
    #[error("in doubt: sent, and not acknowledged")]
    InDoubt(#[source] DoubtReason),
    /// The producer was stopped; the records are in the queue on disk, and the next run sends them.
    #[error("not delivered yet: the records are in the queue on disk, and the next run sends them")]
    LeftInQueue,
}

/// [`Producer::flush`](crate::Producer::flush) timed out. The records stay accepted and are still
/// being sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not everything was acknowledged within {0:?}; the rest is still queued and still being sent"
)]
pub struct FlushTimeout(pub Duration);

/// [`Receipt::wait`](crate::Receipt::wait) has no acknowledgement to return.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The call ended otherwise.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The call has not ended in time; it is still being sent.
    #[error("no acknowledgement within {0:?}; the call is still being sent")]
    TimedOut(Duration),
    /// Nothing was waited for: the thread belongs to an async runtime.
    #[error(transparent)]
    WithinRuntime(#[from] WithinRuntime),
}
