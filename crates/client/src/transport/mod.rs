//! Streams of bytes to brokers, and how to open them.

mod remap;
mod tcp;

mod dial;
mod race;
mod resolve;

pub use self::dial::{BoxStream, Dial, DialFuture, Stream};
pub(crate) use self::race::{Growth, race_staggered};
pub use self::remap::RemapDialer;
pub use self::resolve::{Resolve, ResolveFuture, SystemResolver};
pub use self::tcp::TcpDialer;
