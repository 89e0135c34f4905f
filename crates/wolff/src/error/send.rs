//! Why a call is refused.

use std::time::Duration;

use wolff_codec::PartitionId;
use wolff_core::{Refused, StorageError};
use wolff_partitioner::ChooseError;

use crate::park::WithinRuntime;

/// A call was not accepted: none of its records is in the producer or in Kafka, and none will be
/// sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue has no room, and the verb or the overflow policy does not wait for it.
    #[error("the producer's queue is full; the records were not accepted")]
    Full,
    /// The queue of the partition named is on disk and not open yet, since no broker has said which
    /// partitions there are. It is being opened: a later attempt finds it open.
    #[error("the queue of partition {} is being opened; the records were not accepted", _0.0)]
    Opening(PartitionId),
    /// The queue had no room for the whole time that the caller was ready to wait.
    #[error("the producer's queue had no room within {0:?}; the records were not accepted")]
    TimedOut(Duration),
    /// The call is larger than any call may be.
    #[error(
        "a call of {bytes} bytes is larger than the limit of {limit} bytes; it was not accepted"
    )]
    TooLarge {
        /// Encoded size of the call, bytes, at least.
        bytes: usize,
        /// The largest size of a call, bytes.
        limit: usize,
    },
    /// A call needs at least one record.
    #[error("the call has no record")]
    Empty,
    /// The caller or a fixed partitioner named a partition that the topic does not have.
    #[error(
        "partition {} does not exist{}; the records were not accepted",
        partition.0,
        Count(*count)
    )]
    InvalidPartition {
        /// The partition named.
        partition: PartitionId,
        /// Partitions of the topic, where they are known.
        count: Option<u32>,
    },
    /// The partitioner chose no partition.
    #[error("the partitioner chose no partition; the records were not accepted")]
    Partitioner(#[source] ChooseError),
    /// The local queue could not store the records.
    #[error("the local queue could not store the records; they were not accepted")]
    QueueUnavailable(#[source] StorageError),
    /// The local queue failed, and cannot say whether it has stored the records: they were not
    /// sent, and the next run may find and send them. Counted as in doubt.
    #[error("the local queue failed, and cannot say whether it has stored the records")]
    QueueInDoubt,
    /// The producer accepts no more calls.
    #[error("the producer is stopped; the records were not accepted")]
    Stopped,
    /// A blocking verb was called in the context of an async runtime.
    #[error(transparent)]
    WithinRuntime(#[from] WithinRuntime),
}

impl From<Refused> for SendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full | Refused::Behind | Refused::NoMemory { .. } => Self::Full,
            Refused::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            Refused::Empty => Self::Empty,
            Refused::Unreadable(error) => Self::QueueUnavailable(StorageError::new(error)),
            _ => Self::Stopped,
        }
    }
}

/// Shows how many partitions there are, where that is known.
struct Count(Option<u32>);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(count) => write!(f, ": the topic has {count} partitions"),
            None => Ok(()),
        }
    }
}
