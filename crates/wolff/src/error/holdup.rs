//! Causes that hold up the records of a partition.

use wolff_client::{ConnectError, MetadataError};
use wolff_codec::ErrorCode;

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
    /// The leader refuses the records for now.
    #[error("the leader refuses the records: {code}{}", Words(.message))]
    Refused {
        /// The leader's code.
        code: ErrorCode,
        /// Its words, where it gave any.
        message: Option<String>,
    },
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
