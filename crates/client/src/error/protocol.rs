//! Violations of the protocol by a broker.

use thiserror::Error;
use wolff_codec::{ApiKey, CorrelationId, DecodeError, FrameError};

/// Violation of the protocol by a broker.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProtocolViolation {
    /// It sent no frame, or one above the limit.
    #[error(transparent)]
    Frame(FrameError),
    /// A frame too short to say to which request it belongs.
    #[error("an answer without a header: {0}")]
    Header(DecodeError),
    /// Answers come in the order of the requests; this one does not.
    #[error("answer {got} where {expected} was due")]
    OutOfOrder {
        /// The correlation id of the oldest request.
        expected: CorrelationId,
        /// The one in the answer.
        got: CorrelationId,
    },
    /// An answer although nothing is asked.
    #[error("answer {got} to no request")]
    Unasked {
        /// The correlation id in the answer.
        got: CorrelationId,
    },
    /// An answer that is not what its version prescribes.
    #[error("answer to {api} cannot be read: {source}")]
    Malformed {
        /// The API of the request.
        api: ApiKey,
        /// Place and cause.
        source: DecodeError,
    },
    /// An answer that can be read, but does not belong to what was asked.
    #[error("answer to {api} does not fit the request: {what}")]
    Mismatch {
        /// The API of the request.
        api: ApiKey,
        /// The part that does not fit.
        what: String,
    },
}
