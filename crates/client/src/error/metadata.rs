//! Why nothing is known about a topic, or no connection is to be had.

use std::time::Duration;

use thiserror::Error;
use wolff_codec::{BrokerId, ErrorCode, PartitionId, Str};

use super::context::RequestContext;
use super::host::HostError;
use super::request::RequestError;
use super::words::{advice, shown};

/// Why nothing is known about a topic or the cluster.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MetadataError {
    /// No host can be reached.
    #[error("no broker can be reached: {}", list(.0))]
    Unreachable(Vec<HostError>),
    /// The broker refuses to speak about this topic, or has none of that name.
    #[error("topic {topic}: {code}, in response to {context}{}", advice(*code))]
    Topic {
        /// The topic's name.
        topic: Str,
        /// The broker's reason, for example `UNKNOWN_TOPIC_OR_PARTITION`.
        code: ErrorCode,
        /// The request and the broker that responded.
        context: Box<RequestContext>,
    },
    /// The broker refuses to speak about the cluster at all.
    #[error("the broker refuses: {code}, in response to {context}{}", advice(*code))]
    Refused {
        /// The broker's reason.
        code: ErrorCode,
        /// The request and the broker that responded.
        context: Box<RequestContext>,
    },
    /// The response does not contain this topic.
    #[error("topic {topic} is missing in the response to {context}; look it up again")]
    LeftOut {
        /// The topic's name.
        topic: Str,
        /// The request and the broker that responded.
        context: Box<RequestContext>,
    },
    /// The topic was forgotten ([`Client::forget_topic`]) by the time its leader was to be looked
    /// up.
    ///
    /// [`Client::forget_topic`]: crate::Client::forget_topic
    #[error("topic {0} was forgotten while its leader was looked up; look it up again")]
    Forgotten(Str),
    /// The request failed; another attempt will use another connection.
    #[error(transparent)]
    Request(RequestError),
    /// The async runtime in which the question was asked was shut down.
    #[error("the question was abandoned: the async runtime has ended")]
    Abandoned,
    /// There was no answer in time.
    #[error("no metadata within {0:?}")]
    TimedOut(Duration),
    /// No host could be reached in time, though some are still being tried.
    #[error("no metadata within {after:?}: {}", list(hosts))]
    Unanswered {
        /// The time that the search had.
        after: Duration,
        /// The hosts that were tried, with what is known by now.
        hosts: Vec<HostError>,
    },
    /// The brokers belong to another cluster than
    /// [`ClientConfig::cluster_id`](crate::ClientConfig::cluster_id) says.
    #[error(
        "the cluster has the id {}, not {expected}, by the response to {context}; connect to the other cluster, or change `cluster_id`",
        shown(got)
    )]
    OtherCluster {
        /// The id that is configured.
        expected: String,
        /// The id that the broker gives; empty where it gives none.
        got: Str,
        /// The request and the broker that responded.
        context: Box<RequestContext>,
    },
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}

impl MetadataError {
    /// True if the cluster has said something about the topic that waiting does not change. A topic
    /// that is not there may be created at any time, a permission be given: only a name that no
    /// topic can have stays wrong.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Topic { code, .. } => *code == ErrorCode::INVALID_TOPIC_EXCEPTION,
            Self::Unreachable(hosts) => {
                !hosts.is_empty() && hosts.iter().all(|host| host.reason.is_final())
            }
            _ => false,
        }
    }
}

/// Hosts that are listed one by one; nobody reads more.
const LISTED: usize = 8;

fn list(errors: &[HostError]) -> String {
    let listed = errors.iter().take(LISTED);
    let mut words: Vec<_> = listed.map(ToString::to_string).collect();
    if errors.len() > LISTED {
        words.push(format!("and {} more", errors.len() - LISTED));
    }
    words.join("; ")
}

/// Why there is no connection to be had.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The broker cannot be reached.
    #[error(transparent)]
    Host(HostError),
    /// The address of the broker cannot be found out.
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
    #[error("topic {topic} partition {partition} has no leader ({code}){}", advice(*code))]
    NoLeader {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
        /// The broker's reason, if it gave one.
        code: ErrorCode,
    },
    /// The leader's address is not known, or cannot be connected to.
    #[error(
        "topic {topic} partition {partition} is led by broker {broker}, which advertises no address that can be connected to: see its advertised.listeners"
    )]
    NotAdvertised {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
        /// The leader.
        broker: BrokerId,
    },
    /// Metadata names no broker of this id, or no address that can be dialled.
    #[error("the cluster has no broker {0}")]
    UnknownBroker(BrokerId),
    /// The cluster does not tell which broker is its controller.
    #[error("the cluster has no controller at the moment")]
    NoController,
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}
