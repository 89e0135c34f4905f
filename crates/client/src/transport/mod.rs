//! Streams of bytes to brokers, and how to open them.

mod tcp;

mod dial;
mod race;

pub use self::dial::{BoxStream, Dial, DialFuture, Stream};
pub(crate) use self::race::race_staggered;
pub use self::tcp::TcpDialer;
