//! Ends of requests, and who is notified.

use std::time::Duration;

use bytes::Bytes;
use wolff_codec::ApiKey;

use crate::error::{ProtocolViolation, RequestCause};

/// End of a request.
pub(super) enum Outcome {
    /// The frame of the answer, without its length prefix.
    Answered(Bytes),
    /// All bytes are with the kernel, and no answer is due.
    Sent,
    /// There will be no answer.
    Failed(Unanswered),
}

/// End of a request without a response. Whoever waits adds which request it was.
#[derive(Clone, Debug)]
pub(super) enum Unanswered {
    /// The broker cannot have acted on it: the kernel never got all of its bytes.
    NotSent(RequestCause),
    /// All bytes were handed to the kernel, and no response came: it may have been applied.
    InDoubt(RequestCause),
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
