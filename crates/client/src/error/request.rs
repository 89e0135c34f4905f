//! Why a request has no answer.

use thiserror::Error;
use wolff_codec::{EncodeError, UnsupportedApi};

use super::connection::ConnectionFailure;

/// Why a request has no answer, and whether the broker may have acted on it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum RequestError {
    /// The broker cannot have acted on it: the kernel never got all of its bytes.
    #[error("request not sent: {0}")]
    NotSent(RequestCause),
    /// All bytes were handed to the kernel, and no answer came: it may have been applied.
    #[error("request in doubt: {0}")]
    InDoubt(RequestCause),
}

impl RequestError {
    /// Returns the cause.
    pub fn cause(&self) -> &RequestCause {
        match self {
            Self::NotSent(cause) | Self::InDoubt(cause) => cause,
        }
    }

    /// True if the broker may have acted on the request.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// True if the connection is of no use any more.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self.cause(), RequestCause::Connection(_))
    }
}

/// Reason why a request has no response.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RequestCause {
    /// The broker has no version of the API that this client speaks.
    #[error(transparent)]
    Unsupported(UnsupportedApi),
    /// The request cannot be encoded in the version that the broker speaks.
    #[error(transparent)]
    Encode(EncodeError),
    /// A batch with acks=0 was to share a request whose answer tells of each: no broker answers it.
    #[error(
        "a batch with acks=0 has no answer to wait for: send it by `Connection::start_unacknowledged`"
    )]
    Unacknowledged,
    /// As many requests or bytes as may wait on one connection are waiting already.
    #[error("the connection's queue is full")]
    QueueFull,
    /// The connection has failed.
    #[error(transparent)]
    Connection(ConnectionFailure),
}
