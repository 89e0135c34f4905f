//! Reasons for the end of a connection.

use std::time::Duration;

use thiserror::Error;
use wolff_codec::ApiKey;

use super::host::HostReason;
use super::io::IoFailure;
use super::protocol::ProtocolViolation;

/// Reason for the end of a connection. Everybody who waits on the connection gets it, and it stays.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// The broker closed it.
    #[error("the broker closed the connection")]
    ClosedByPeer,
    /// This side closed it: the client was closed, or a newer connection took its place.
    #[error("the connection was closed by this client")]
    ClosedHere,
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(IoFailure),
    /// The oldest request had no answer in time, so that nothing behind it can have one either.
    #[error("no answer to {api} within {after:?}")]
    TimedOut {
        /// The API of the oldest request.
        api: ApiKey,
        /// The time it had.
        after: Duration,
    },
    /// The connection was lost while it was idle: the probe that preceded the next request had no
    /// response. Nothing of what waited for it was sent.
    #[error(
        "the connection was lost while it was idle for {idle:?}: no response to a probe within {after:?}"
    )]
    LostWhileIdle {
        /// The time since something was last sent.
        idle: Duration,
        /// The time that the probe had.
        after: Duration,
    },
    /// This side closed the connection, which nobody had used for so long.
    #[error("closed by this client after {after:?} without a request")]
    Idle {
        /// [`ClientConfig::idle_limit`](crate::ClientConfig::idle_limit).
        after: Duration,
    },
    /// The broker was silent, and metadata by then named another leader.
    #[error("no response to {api}, and the cluster names another leader by now")]
    LeaderMoved {
        /// The API of the oldest request.
        api: ApiKey,
    },
    /// Bytes could not be written for as long as an answer may take.
    #[error("the broker did not take a byte for {after:?}")]
    WriteStalled {
        /// The time without progress.
        after: Duration,
    },
    /// The session could not be renewed before its end (KIP-368).
    #[error("the session could not be renewed: {0}")]
    Reauthentication(HostReason),
    /// The broker broke the protocol.
    #[error("the broker broke the protocol: {0}")]
    Protocol(ProtocolViolation),
    /// The runtime that drove the connection was shut down.
    #[error("the async runtime of the connection has ended")]
    RuntimeEnded,
}

impl ConnectionFailure {
    /// Advice for whoever reads the text; `None` where the text says it, or nothing need be done.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::ClosedByPeer => Some("if that repeats, see the broker's log"),
            Self::Io(_) => Some("if that repeats, look at the network and at the broker's log"),
            Self::TimedOut { .. } | Self::WriteStalled { .. } => Some(
                "see whether the broker or the network is overloaded; `request_timeout` sets the time",
            ),
            Self::LostWhileIdle { .. } => Some(
                "something on the way drops idle connections: set `idle_limit` below its limit",
            ),
            Self::Reauthentication(_) => Some("check the credentials"),
            Self::Protocol(_) => {
                Some("see whether something on the way, or the broker, alters what is sent")
            }
            Self::ClosedHere
            | Self::Idle { .. }
            | Self::LeaderMoved { .. }
            | Self::RuntimeEnded => None,
        }
    }

    /// True if this side ended a connection that was in order.
    pub fn is_intended(&self) -> bool {
        matches!(self, Self::ClosedHere | Self::Idle { .. })
    }
}
