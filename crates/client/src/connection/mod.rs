//! Connections to single brokers: from the first byte dialled to the last request answered.
//!
//! ```text
//! establish: dial -> TLS -> handshake -> authenticate -> Connection (for users) + Task (driver)
//! Connection --submit--> Shared { Pipeline } <--turn, frames-- Task <--> stream
//! ```
//! [`Pipeline`](pipeline::Pipeline) decides, without I/O; everything around it moves bytes.
//! [`Renewal`](renewal::Renewal) authenticates again before a session ends.

mod establish;

mod handle;
mod opening;
mod renewal;
mod task;

mod authenticate;
mod handshake;
mod question;

mod shared;

mod probe;
mod produce;

mod answer;

mod gather;
mod outcome;
mod pipeline;
mod throttle;

mod deadlines;
mod unwanted;
mod window;

pub use self::answer::Pending;
pub(crate) use self::answer::Submitted;
pub(crate) use self::establish::{Settings, establish};
pub use self::gather::ProduceBatch;
pub use self::handle::Connection;
pub(crate) use self::handle::WeakConnection;
pub use self::produce::ProduceAnswer;
pub use self::window::LinkStats;
