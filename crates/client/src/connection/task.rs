//! The task that moves a connection's bytes. It owns the stream and decides nothing.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Sleep;
use wolff_codec::{FrameSplitter, response_correlation_id};

use super::shared::{Shared, Turn, now};
use crate::error::{ConnectionFailure, ProtocolViolation};
use crate::transport::BoxStream;

/// Pieces given to one vectored write. Linux takes 1,024, but what a socket's buffer holds is
/// rarely in more than a few.
const SLICES: usize = 64;

/// Bytes given to one write. A write that fails may have taken all of them (TLS), so that the fewer
/// there are, the more is known not to have been sent; but 64 KiB a write cost 8 % more processor
/// time a byte than writes without a limit, and 256 KiB cost nothing.
const WRITE_BYTES: usize = 256 * 1024;

/// Room made for one read.
const READ_BYTES: usize = 16 * 1024;

/// A frame of which so much has come is long.
const LONG_FRAME_BYTES: usize = 256 * 1024;

/// Reads in a row before writing gets its turn, on streams that are always ready.
const READS_IN_A_ROW: usize = 16;

/// The longest that an orderly end may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The driver of one connection.
pub(super) struct Task {
    shared: Arc<Shared>,
    stream: BoxStream,
    splitter: FrameSplitter,
    received: BytesMut,
    out: VecDeque<Bytes>,
    is_flushed: bool,
    timer: Pin<Box<Sleep>>,
    /// Time at which the timer rings; earlier than necessary is fine, so it is rarely moved.
    timer_at: Option<Instant>,
}

impl Task {
    /// Drives `stream`, from which the bytes in `received` have been read already.
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: BoxStream,
        splitter: FrameSplitter,
        received: BytesMut,
    ) -> Self {
        Self {
            shared,
            stream,
            splitter,
            received,
            out: VecDeque::new(),
            is_flushed: true,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_at: None,
        }
    }

    /// Runs until the connection has ended; then everybody who waited has been told.
    pub(super) async fn run(mut self) {
        // A runtime that shuts down drops this future at its await point.
        let _told = NotifyWhenDropped(Arc::clone(&self.shared));
        let failure = poll_fn(|context| self.poll(context)).await;
        let is_orderly = failure.is_intended();
        tracing::debug!(broker = %self.shared.address, reason = %failure, "connection ended");
        self.shared.fail(failure);
        if is_orderly {
            // Says goodbye where the stream has words for that (TLS); nobody waits for it.
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.stream.shutdown()).await;
        }
    }

    /// Moves what can be moved; ready when the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionFailure> {
        if let Poll::Ready(failure) = self.poll_read(context) {
            return Poll::Ready(failure);
        }
        let wake_at = loop {
            let wake_at = match self.shared.turn(now(), context.waker(), &mut self.out) {
                Turn::Go { wake_at } => wake_at,
                Turn::Stop => return Poll::Ready(ConnectionFailure::ClosedHere),
            };
            if self.out.is_empty() {
                break wake_at;
            }
            match self.poll_write(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(ConnectionFailure::Io(error.into()));
                }
                Poll::Pending => break wake_at,
            }
        };
        if let Poll::Ready(Err(error)) = self.poll_flush(context) {
            return Poll::Ready(ConnectionFailure::Io(error.into()));
        }
        self.poll_timer(context, wake_at)
    }

    /// Reads until there is nothing; ready when the connection is over.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<ConnectionFailure> {
        // What came together with the handshake's last answer.
        if let Err(violation) = self.handle_frames() {
            return Poll::Ready(ConnectionFailure::Protocol(violation));
        }
        for _ in 0..READS_IN_A_ROW {
            self.make_room();
            let read = pin!(self.stream.read_buf(&mut self.received));
            match std::task::ready!(read.poll(context)) {
                Ok(0) => return Poll::Ready(ConnectionFailure::ClosedByPeer),
                Ok(_) => {}
                // TLS without a goodbye. A frame that was cut off is no frame, so nothing is
                // believed.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(ConnectionFailure::ClosedByPeer);
                }
                Err(error) => return Poll::Ready(ConnectionFailure::Io(error.into())),
            }
            if let Err(violation) = self.handle_frames() {
                return Poll::Ready(ConnectionFailure::Protocol(violation));
            }
            // Only bytes that have just come are progress: this is polled for other reasons, too.
            if !self.received.is_empty() {
                self.shared.handle_received(now());
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Makes room for one read. A frame that is long already gets as much room again as it has by
    /// now, and no more than it claims: doubling would give a frame of 65 MiB 128.
    fn make_room(&mut self) {
        let (there, free) = (
            self.received.len(),
            self.received.capacity() - self.received.len(),
        );
        let missing = self.splitter.missing_bytes(&self.received);
        if there < LONG_FRAME_BYTES || missing == 0 {
            self.received.reserve(READ_BYTES);
        } else if free < missing.min(READ_BYTES) {
            let mut room = BytesMut::with_capacity(there + missing.min(there));
            room.extend_from_slice(&self.received);
            self.received = room;
        }
    }

    fn handle_frames(&mut self) -> Result<(), ProtocolViolation> {
        while let Some(frame) = self
            .splitter
            .next_frame(&mut self.received)
            .map_err(ProtocolViolation::Frame)?
        {
            let correlation_id =
                response_correlation_id(&frame).map_err(ProtocolViolation::Header)?;
            self.shared.handle_frame(now(), correlation_id, frame)?;
        }
        Ok(())
    }

    /// Writes all of `out`; pending when the stream takes no more.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        let outcome = loop {
            if self.out.is_empty() {
                break Poll::Ready(Ok(()));
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            let mut given = 0;
            for (slice, chunk) in slices.iter_mut().zip(&self.out) {
                let room = WRITE_BYTES - given;
                *slice = IoSlice::new(chunk.get(..room).unwrap_or(chunk));
                given += slice.len();
                used += 1;
                if given == WRITE_BYTES {
                    break;
                }
            }
            let slices = slices.get(..used).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
                Poll::Ready(Ok(0)) => {
                    break Poll::Ready(Err((io::ErrorKind::WriteZero.into(), 0)));
                }
                Poll::Ready(Ok(count)) => {
                    written += count;
                    self.is_flushed = false;
                    advance(&mut self.out, count);
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err((error, given))),
                Poll::Pending => break Poll::Pending,
            }
        };
        if written > 0 {
            self.shared.handle_written(now(), written);
        }
        outcome.map_err(|(error, given)| {
            self.shared.handle_write_error(given);
            error
        })
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushed {
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.is_flushed = matches!(outcome, Poll::Ready(Ok(())));
        outcome
    }

    fn poll_timer(
        &mut self,
        context: &mut Context<'_>,
        wake_at: Option<Instant>,
    ) -> Poll<ConnectionFailure> {
        let Some(wake_at) = wake_at else {
            return Poll::Pending;
        };
        loop {
            if self.timer_at.is_none_or(|timer_at| wake_at < timer_at) {
                self.timer.as_mut().reset(wake_at.into());
                self.timer_at = Some(wake_at);
            }
            std::task::ready!(self.timer.as_mut().poll(context));
            self.timer_at = None;
            let now = now();
            if let Some(failure) = self.shared.handle_timeout(now) {
                return Poll::Ready(failure);
            }
            if wake_at <= now {
                // The end of a mute: there is something to write again.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

/// Tells everybody that the runtime has gone, unless they have been told something else before.
struct NotifyWhenDropped(Arc<Shared>);

impl Drop for NotifyWhenDropped {
    fn drop(&mut self) {
        self.0.fail(ConnectionFailure::RuntimeEnded);
    }
}

/// Takes `count` bytes away at the front.
fn advance(out: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(front) = out.front_mut() {
        if count < front.len() {
            front.advance(count);
            return;
        }
        count -= front.len();
        out.pop_front();
    }
}
