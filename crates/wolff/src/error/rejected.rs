//! A refused call, handed back to its owner.

use std::error::Error;
use std::fmt;

use super::send::SendError;

/// A call that was not accepted, with the reason: the records come back to the caller.
///
/// It is an error of its own, and becomes a plain [`SendError`] where only the reason matters, so
/// that `?` works in functions that return either. (A call that borrows its records cannot become a
/// `Box<dyn Error>`, which outlives it: `map_err(SendError::from)` leaves the records behind.)
///
/// ```
/// use wolff::{Producer, Record, Rejected, SendError};
///
/// fn offer(producer: &Producer, record: Record) -> Result<(), SendError> {
///     match producer.try_send(record) {
///         Ok(_receipt) => Ok(()),
///         Err(Rejected { reason: SendError::Full, call, .. }) => {
///             println!("no room now for {:?}, kept for later", call.key);
///             Ok(())
///         }
///         Err(other) => Err(other.into()),
///     }
/// }
/// ```
#[non_exhaustive]
pub struct Rejected<C> {
    /// Why.
    pub reason: SendError,
    /// The call as it was handed over.
    pub call: C,
}

impl<C> Rejected<C> {
    /// A refused call.
    pub(crate) fn new(reason: SendError, call: C) -> Self {
        Self { reason, call }
    }

    /// The records, to be kept or handed over again.
    pub fn into_call(self) -> C {
        self.call
    }
}

impl<C> fmt::Debug for Rejected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Display for Rejected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl<C> Error for Rejected<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

impl<C> From<Rejected<C>> for SendError {
    fn from(rejected: Rejected<C>) -> Self {
        rejected.reason
    }
}
