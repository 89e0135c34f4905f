//! Causes that hold up the records of a partition.

use std::time::Duration;

use wolff_client::{Address, ConnectError, MetadataError, RequestCause};
use wolff_codec::{ApiKey, ErrorCode};

/// The last known reason why a call has not ended yet. It may pass by itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldUp {
    /// No broker tells which partitions the topic has.
    #[error("the topic's partitions are not known")]
    NoMetadata(#[source] MetadataError),
    /// There is no connection to the partition's leader.
    #[error("no connection to the partition's leader")]
    NotConnected(#[source] ConnectError),
    /// There was a connection to the partition's leader, and no response on it. The request is sent
    /// again.
    #[error(transparent)]
    Unanswered(Box<RequestFailure>),
    /// The leader refuses the records for now.
    #[error("the leader refuses the records: {code}{}", Words(.message))]
    Refused {
        /// The leader's code.
        code: ErrorCode,
        /// Its words, where it gave any.
        message: Option<String>,
    },
}

/// A request that ended without a response, although its broker had been connected to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("no response to {api} from {broker}, {} after it was sent", Shown(*after))]
pub struct RequestFailure {
    /// Address of the broker.
    pub broker: Address,
    /// The API of the request.
    pub api: ApiKey,
    /// The time from the request to its end.
    pub after: Duration,
    /// Why there is no response.
    #[source]
    pub cause: RequestCause,
}

/// Shows a duration as people read it.
struct Shown(Duration);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_millis() {
            millis @ 0..10_000 => write!(f, "{millis} ms"),
            millis => write!(f, "{} s", millis / 1000),
        }
    }
}

/// Shows words after a code.
struct Words<'a>(&'a Option<String>);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}
