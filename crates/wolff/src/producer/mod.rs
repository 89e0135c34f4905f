//! The producer of one topic.

mod blocking;

mod call;

mod builder;

mod handle;

mod unacknowledged;

mod send;

pub use blocking::{BlockingCall, BlockingError, BlockingProducer};
pub use builder::ProducerBuilder;
pub use call::PreparedCall;
pub use handle::Producer;
pub use unacknowledged::SendAndWaitError;
