//! Errors of a producer, one type per operation. Each says what became of the records.
//!
//! `Display` is one line without the cause; the cause is in `source()`, with its type.

mod rejected;
mod stop;

mod delivery;
mod send;
mod start;

mod chain;

pub(crate) use chain::with_causes;
pub use delivery::{DeliveryError, FlushTimeout, WaitError};
pub use rejected::Rejected;
pub use send::SendError;
pub use start::StartError;
pub use stop::{CloseError, StopError};
