//! The seam between connections and the network: something dials, and gives a stream of bytes.
//!
//! Everything above talks to [`Dial`] and [`Stream`] only, so that TLS, a proxy, or a peer made of
//! memory (in tests) can take the place of a TCP socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::endpoint::Address;
use crate::error::HostReason;

/// A connected stream of bytes, in both directions.
///
/// Implemented by everything that fits. Connections write with `poll_write_vectored`, so a stream
/// that supports it spares a copy.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A stream whose kind only its dialer knows.
pub type BoxStream = Box<dyn Stream>;

/// The future of one attempt to dial.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<BoxStream, HostReason>> + Send + 'a>>;

/// Opens streams to brokers.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Makes one attempt to reach `address`, over all network addresses that its name stands for.
    ///
    /// The caller sets the deadline and drops the future when it has passed.
    ///
    /// # Errors
    /// A [`HostReason`] that a person understands.
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a>;
}
