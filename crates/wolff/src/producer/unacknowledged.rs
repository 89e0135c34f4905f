//! Why `send_and_wait` has no acknowledgement to return.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::send::NoAck;
use crate::completion::{Ack, Receipt};
use crate::error::{DeliveryError, HoldUp, Rejected};

/// [`Producer::send_and_wait`](crate::Producer::send_and_wait) did not end with an acknowledgement.
#[non_exhaustive]
pub enum SendAndWaitError<C> {
    /// The call was not accepted; its records come back.
    Rejected(Rejected<C>),
    /// It was accepted and ended otherwise.
    Delivery(DeliveryError),
    /// It was accepted and has not ended in time: it is still being sent, and the receipt resolves
    /// when it ends.
    TimedOut {
        /// Time for which it was waited.
        after: Duration,
        /// The call's receipt.
        receipt: Receipt,
        /// Last cause that held it up, where one is known.
        reason: Option<Box<HoldUp>>,
    },
}

impl<C> fmt::Debug for SendAndWaitError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => f.debug_tuple("Rejected").field(&rejected.reason).finish(),
            Self::Delivery(error) => f.debug_tuple("Delivery").field(error).finish(),
            Self::TimedOut { after, reason, .. } => f
                .debug_struct("TimedOut")
                .field("after", after)
                .field("reason", reason)
                .finish_non_exhaustive(),
        }
    }
}

impl<C> fmt::Display for SendAndWaitError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => fmt::Display::fmt(rejected, f),
            Self::Delivery(error) => fmt::Display::fmt(error, f),
            Self::TimedOut { after, .. } => write!(
                f,
                "no acknowledgement within {after:?}; the call is accepted and still being sent"
            ),
        }
    }
}

impl<C> Error for SendAndWaitError<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejected) => rejected.reason.source(),
            Self::Delivery(error) => error.source(),
            Self::TimedOut { reason, .. } => {
                let reason = reason.as_deref()?;
                Some(reason)
            }
        }
    }
}

impl<C> From<Rejected<C>> for SendAndWaitError<C> {
    fn from(rejected: Rejected<C>) -> Self {
        Self::Rejected(rejected)
    }
}

impl<C> From<DeliveryError> for SendAndWaitError<C> {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(error)
    }
}

/// The result of a wait for an acknowledgement, with the call handed back where it was refused.
pub(super) fn with_call<C>(
    outcome: Result<Ack, NoAck>,
    call: C,
    timeout: Duration,
) -> Result<Ack, SendAndWaitError<C>> {
    outcome.map_err(|no_ack| match no_ack {
        NoAck::Refused(reason) => SendAndWaitError::Rejected(Rejected::new(reason, call)),
        NoAck::Delivery(error) => SendAndWaitError::Delivery(error),
        NoAck::TimedOut(receipt, reason) => SendAndWaitError::TimedOut {
            after: timeout,
            receipt,
            reason: reason.map(Box::new),
        },
    })
}
