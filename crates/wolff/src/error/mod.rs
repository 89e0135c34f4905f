//! Errors of a producer, one type per operation. Each names the fate of the records.
//!
//! `Display` is one line without the cause; the cause is in `source()`, with its type.

mod rejected;
mod start;
mod stop;

mod config;
mod delivery;
mod holdup;
mod leftover;
mod send;

mod chain;

pub(crate) use chain::with_causes;
pub use config::ConfigError;
pub use delivery::{DeliveryError, FlushTimeout, WaitError};
pub use holdup::{HoldUp, RequestFailure};
pub use leftover::LeftoverError;
pub use rejected::Rejected;
pub use send::SendError;
pub use start::StartError;
pub use stop::{CloseError, StopError};
