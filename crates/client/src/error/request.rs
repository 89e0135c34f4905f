//! Why a request has no response.

use std::fmt;

use thiserror::Error;
use wolff_codec::{EncodeError, UnsupportedApi};

use super::connection::ConnectionFailure;
use super::context::RequestContext;

/// Why a request has no response, and whether the broker may have acted on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestError {
    context: Box<RequestContext>,
    cause: RequestCause,
    is_in_doubt: bool,
}

impl RequestError {
    /// The broker cannot have acted on the request: the kernel never got all of its bytes.
    pub(crate) fn not_sent(context: RequestContext, cause: RequestCause) -> Self {
        Self {
            context: Box::new(context),
            cause,
            is_in_doubt: false,
        }
    }

    /// All bytes were handed to the kernel, and no response came: the request may have been
    /// applied.
    pub(crate) fn in_doubt(context: RequestContext, cause: RequestCause) -> Self {
        Self {
            context: Box::new(context),
            cause,
            is_in_doubt: true,
        }
    }

    /// The request: its API, the broker, and the time until it ended.
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Returns the cause.
    pub fn cause(&self) -> &RequestCause {
        &self.cause
    }

    /// True if the broker may have acted on the request.
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// True if the connection is of no use any more.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self.cause, RequestCause::Connection(_))
    }

    /// True if the request can be submitted again when
    /// [`Connection::ready`](crate::Connection::ready) resolves.
    pub fn is_queue_full(&self) -> bool {
        self.cause == RequestCause::QueueFull
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.is_in_doubt {
            true => "no response:",
            false => "not sent:",
        };
        write!(f, "{what} {}: {}", self.context, self.cause)?;
        if self.is_in_doubt {
            f.write_str("; it may have been carried out")?;
        }
        match self.cause.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RequestError {}

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
    /// A batch with acks=0 was to share a request whose response tells of each: no broker responds
    /// to it.
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

impl RequestCause {
    /// Advice for whoever reads the text; `None` where the text says it, or nothing need be done.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported(_) => {
                Some("use another version of the broker, or raise the limit in `max_versions`")
            }
            Self::QueueFull => Some("wait for `Connection::ready`, then submit it again"),
            Self::Connection(failure) => failure.advice(),
            Self::Encode(_) | Self::Unacknowledged => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wolff_codec::{ApiKey, BrokerId};

    use super::*;
    use crate::endpoint::Address;

    #[test]
    fn the_text_names_host_api_time_and_what_to_do() {
        let context = |broker| {
            let took = Duration::from_micros(30_000_400);
            RequestContext::new(Address::new("b1", 9092), broker, ApiKey::METADATA, took)
        };
        let cause = RequestCause::Connection(ConnectionFailure::ClosedByPeer);
        let error = RequestError::in_doubt(context(Some(BrokerId(3))), cause);
        assert_eq!(
            error.to_string(),
            "no response: Metadata to b1:9092 (broker 3) after 30 s: the broker closed the \
             connection; it may have been carried out; if that repeats, see the broker's log"
        );
        let error = RequestError::not_sent(context(None), RequestCause::QueueFull);
        assert_eq!(
            error.to_string(),
            "not sent: Metadata to b1:9092 after 30 s: the connection's queue is full; wait for \
             `Connection::ready`, then submit it again"
        );
    }
}
