//! Connections to single brokers: from the first byte dialled to the last request answered.
//!
//! ```text
//! establish: dial -> handshake -> Connection (for users) + Task (the driver)
//! Connection --submit--> Shared { Pipeline } <--turn, frames-- Task <--> stream
//! ```
//! [`Pipeline`](pipeline::Pipeline) decides, without I/O; everything around it moves bytes.

mod establish;

mod handle;
mod handshake;
mod task;

mod shared;

mod pipeline;
mod throttle;

pub(crate) use self::establish::{Settings, establish};
pub(crate) use self::handle::WeakConnection;
pub use self::handle::{Connection, Pending};
