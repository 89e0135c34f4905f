//! What can go wrong for the user of a producer. Each error says what became of the records.

use std::path::PathBuf;
use std::time::Duration;

use wolff_core::{DoubtReason, FailReason};

/// The producer could not be started. Nothing was accepted, and what is on disk is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself or is out of range.
    #[error("invalid configuration: {0}")]
    Config(String),
    /// A broker says that there is no such topic.
    #[error(
        "topic {topic:?} does not exist on the cluster; create it, or allow automatic creation"
    )]
    UnknownTopic {
        /// The name asked for.
        topic: String,
    },
    /// The user may not use the topic.
    #[error("not allowed to use topic {topic:?}: {reason}")]
    Unauthorized {
        /// The name asked for.
        topic: String,
        /// The broker's words.
        reason: String,
    },
    /// A queue directory could not be opened.
    #[error("cannot open the queue directory {}", path.display())]
    Queue {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: replayq::OpenError,
    },
    /// The base of the queue directories could not be made or read.
    #[error("cannot use the queue directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A call was not accepted: none of its records is anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No room, and the policy is not to wait for it.
    #[error("the producer's queue is full; the records were not accepted")]
    Full,
    /// The call is larger than any call may be.
    #[error(
        "a call of {bytes} bytes is larger than the limit of {limit} bytes; it was not accepted"
    )]
    TooLarge {
        /// Encoded size, at least.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A call needs a record.
    #[error("the call has no record")]
    Empty,
    /// The partitioner chose a partition that the topic does not have.
    #[error("{0}; the records were not accepted")]
    Partition(String),
    /// The local queue could not store the records.
    #[error("the local queue could not store the records, they were not accepted: {0}")]
    Queue(String),
    /// The producer takes no more calls.
    #[error("the producer is stopped; the records were not accepted")]
    Stopped,
}

/// A call that was accepted did not end with an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The records were given up.
    #[error("not delivered: {0}")]
    Failed(FailReason),
    /// The records were sent, and nobody can say whether Kafka has them.
    #[error("in doubt: {0}")]
    InDoubt(DoubtReason),
    /// The producer was stopped; the records wait on disk and are sent when the queue is opened again.
    #[error("not delivered yet: the records wait in the queue on disk")]
    LeftInQueue,
}

/// [`Producer::flush`](crate::Producer::flush) did not come to its end in time. The records stay accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not everything was acknowledged within {0:?}; the rest is still queued and still being sent"
)]
pub struct FlushTimeout(pub Duration);

/// An error with its causes, in one line. A cause that the error has told already is not repeated.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let told = next.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = next.source();
    }
    text
}
