//! Why nothing is known about a topic, or no connection is to be had.

use std::time::Duration;

use thiserror::Error;
use wolff_codec::{ErrorCode, PartitionId, Str};

use super::host::HostError;
use super::request::RequestError;

/// Why nothing is known about a topic or the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// No host can be reached.
    #[error("no broker can be reached: {}", list(.0))]
    Unreachable(Vec<HostError>),
    /// The broker refuses to speak about this topic, or has none of that name.
    #[error("topic {topic}: {code}")]
    Topic {
        /// The topic's name.
        topic: Str,
        /// The broker's reason, for example `UNKNOWN_TOPIC_OR_PARTITION`.
        code: ErrorCode,
    },
    /// The broker refuses to speak about the cluster at all.
    #[error("the broker refuses: {0}")]
    Refused(ErrorCode),
    /// The answer did not speak about this topic.
    #[error("topic {0}: the broker's answer leaves it out")]
    LeftOut(Str),
    /// The request failed; another attempt will use another connection.
    #[error("metadata {0}")]
    Request(RequestError),
    /// The async runtime in which the question was asked was shut down.
    #[error("the question was abandoned: the async runtime has ended")]
    Abandoned,
    /// There was no answer in time.
    #[error("no metadata within {0:?}")]
    TimedOut(Duration),
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}

fn list(errors: &[HostError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// Why there is no connection to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The broker cannot be reached.
    #[error(transparent)]
    Host(HostError),
    /// Where the broker is cannot be found out.
    #[error(transparent)]
    Metadata(MetadataError),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
    },
    /// The partition has no leader at the moment.
    #[error("topic {topic} partition {partition} has no leader ({code})")]
    NoLeader {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
        /// The broker's reason, if it gave one.
        code: ErrorCode,
    },
    /// The cluster does not tell which broker is its controller.
    #[error("the cluster has no controller at the moment")]
    NoController,
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}
