//! The ends of calls, on their way from the partition to those who wait for them.
//!
//! One shared state per batch, of which a receipt is an index: nothing is allocated per call.
//! Callbacks, which have to be kept per call, are the exception.

mod open_batches;

mod callback;
mod receipt;

mod batch;

mod waiters;

mod delivery;

pub(crate) use batch::{BatchCompletion, Called};
pub(crate) use callback::{CallbackLane, Panics};
pub use delivery::{Ack, Delivery};
pub(crate) use delivery::{Callback, Observer};
pub(crate) use open_batches::OpenBatches;
pub use receipt::Receipt;

#[cfg(test)]
mod tests;
