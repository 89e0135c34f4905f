//! TCP that counts how often its streams are polled: a busy loop shows, however fast the machine
//! is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wolff_client::{
    Address, BackoffPolicy, BoxStream, Client, ClientBuilder, Dial, DialFuture, TcpDialer,
};

/// Beyond this a test is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Dials, and counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingDialer {
    tcp: TcpDialer,
    polls: Arc<AtomicUsize>,
    dials: Arc<AtomicUsize>,
}

impl CountingDialer {
    /// Polls of all streams so far.
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    /// Attempts to connect so far.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

impl Dial for CountingDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let stream = self.tcp.dial(address).await?;
            let polls = Arc::clone(&self.polls);
            Ok(Box::new(CountingStream { stream, polls }) as BoxStream)
        })
    }
}

struct CountingStream {
    stream: BoxStream,
    polls: Arc<AtomicUsize>,
}

impl CountingStream {
    fn counted(&mut self) -> Pin<&mut BoxStream> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.counted().poll_read(context, buffer)
    }
}

impl AsyncWrite for CountingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.counted().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.counted().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counted().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counted().poll_shutdown(context)
    }
}

/// A client that is impatient, so that what is tested is not how long a pause is.
pub(crate) fn client_of(bootstrap: String) -> (ClientBuilder, CountingDialer) {
    let dialer = CountingDialer::default();
    let backoff = BackoffPolicy {
        initial: Duration::from_millis(5),
        ceiling: Duration::from_millis(20),
        ..BackoffPolicy::default()
    };
    crate::trace::begin();
    let builder = Client::builder([bootstrap])
        .min_metadata_refresh_interval(Duration::from_millis(5))
        .reconnect_backoff(backoff)
        .dialer(dialer.clone());
    (builder, dialer)
}
