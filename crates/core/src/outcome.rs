//! How an accepted call ends. Every call ends in exactly one [`Outcome`], or stays in the queue.

use wolff_codec::{ErrorCode, Offset};

/// The end of a run of records of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Kafka has them. The offset is that of the run's first record; `None` where the broker does not say (acks=none,
    /// or a duplicate whose first answer was lost and which the broker no longer remembers exactly).
    Acked {
        /// Offset of the first record of the run.
        base_offset: Option<Offset>,
    },
    /// They are not in Kafka, or not provably so, and will not be tried again.
    Failed(FailReason),
    /// The producer was stopped; they wait in the local queue on disk and are sent when it is opened again.
    LeftInQueue,
}

/// Why records were given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailReason {
    /// A single call is larger than the topic (`max.message.bytes`) or the broker allows.
    #[error(
        "message too large: {bytes} bytes in one call; the topic's max.message.bytes or the broker's limit is smaller"
    )]
    MessageTooLarge {
        /// Encoded size of the call.
        bytes: usize,
    },
    /// The broker refuses the records for good.
    #[error("the broker rejects the records: {0}")]
    Rejected(ErrorCode),
    /// The producer may not write to the topic.
    #[error("not authorized: {0}; ask for WRITE on the topic")]
    Unauthorized(ErrorCode),
    /// The local queue could not take them; they were never reported as queued.
    #[error("the local queue could not store the records: {0}")]
    QueueUnavailable(String),
    /// The local queue lost them to damage.
    #[error("the local queue's copy of the records is damaged")]
    QueueDamaged,
    /// The producer was stopped before they could be sent, and nothing keeps them.
    #[error("the producer was stopped first")]
    Stopped,
}
