//! A broker that acknowledges everything at once and keeps nothing, so that a client's own speed
//! shows.

mod running;

mod server;

mod answers;

pub use self::answers::Received;
pub use self::running::RunningNullBroker;
pub use self::server::NullBroker;
