//! Errors of starting and steering a cluster.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use wolff_codec::ids::{BrokerId, PartitionId};
use wolff_codec::{ErrorCode, Str};

/// Why a cluster does not start, or does not do what its owner asks.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A broker cannot listen: the address is in use, not of this machine, or not permitted.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// So many brokers do not fit into the ports from the listen address on, or there is none at
    /// all.
    #[error("{brokers} brokers cannot listen on {listen} and the ports after it")]
    Brokers {
        /// The number of brokers.
        brokers: i32,
        /// Where the first one should listen.
        listen: SocketAddr,
    },
    /// The cluster has no such broker.
    #[error("there is no broker {broker}")]
    UnknownBroker {
        /// The broker.
        broker: BrokerId,
    },
    /// The broker was killed and not revived.
    #[error("broker {broker} is not running")]
    BrokerDown {
        /// The broker.
        broker: BrokerId,
    },
    /// The cluster has no such topic.
    #[error("there is no topic {topic}")]
    UnknownTopic {
        /// The topic.
        topic: Str,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: PartitionId,
    },
    /// A topic cannot be created or changed as asked.
    #[error("topic {topic}: {message} ({code})")]
    Topic {
        /// The topic.
        topic: Str,
        /// The code that a client would get.
        code: ErrorCode,
        /// The defect.
        message: String,
    },
}

impl ClusterError {
    pub(crate) fn topic(topic: &Str, error: TopicError) -> Self {
        Self::Topic {
            topic: topic.clone(),
            code: error.code,
            message: error.message,
        }
    }
}

/// Why a topic is not created, enlarged or deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TopicError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl TopicError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub(crate) fn unknown() -> Self {
        Self::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "there is no such topic",
        )
    }
}
