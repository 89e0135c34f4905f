//! Ends of requests, and who is notified.

use std::time::Duration;

use bytes::Bytes;
use wolff_codec::ApiKey;

use crate::error::{ProtocolViolation, RequestError};

/// End of a request.
pub(super) enum Outcome {
    /// The frame of the answer, without its length prefix.
    Answered(Bytes),
    /// All bytes are with the kernel, and no answer is due.
    Sent,
    /// There will be no answer.
    Failed(RequestError),
}

/// Consequences of a response for the connection.
pub(super) struct Effect {
    /// Time for which the broker will not read (KIP-219).
    pub(super) throttle: Duration,
    /// Bytes after the response, and of which API.
    pub(super) extra: Option<(ApiKey, usize)>,
    /// The answer was none.
    pub(super) violation: Option<ProtocolViolation>,
}

impl Effect {
    pub(super) const NONE: Self = Self {
        throttle: Duration::ZERO,
        extra: None,
        violation: None,
    };
}

/// Whoever waits for the end of a request. Runs outside of the lock, and only once.
pub(super) type Waiter = Box<dyn FnOnce(Outcome) -> Effect + Send>;
