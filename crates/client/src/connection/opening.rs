//! A stream before it is a connection: one request at a time, and small answers only.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    CorrelationId, FrameSplitter, Request, Str, encode_request, response_correlation_id,
};
use zeroize::Zeroizing;

use super::answer::decode_front;
use super::authenticate::Line;
use super::handshake::{MAX_FRAME_BYTES, not_a_frame};
use crate::error::{HostReason, NotKafka};
use crate::secret::wiped;
use crate::tls::stream_failure;
use crate::transport::BoxStream;

/// First correlation id of authentication; those of the handshake stay below.
const FIRST_CORRELATION_ID: CorrelationId = CorrelationId(1_000);

/// A stream with what was read from it too early.
pub(super) struct Opening {
    pub(super) stream: BoxStream,
    pub(super) received: BytesMut,
    client_id: Option<Str>,
    next_correlation_id: CorrelationId,
}

impl Opening {
    pub(super) fn new(stream: BoxStream, client_id: Option<Str>) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
            client_id,
            next_correlation_id: FIRST_CORRELATION_ID,
        }
    }

    /// Sends one request and reads one answer.
    pub(super) async fn exchange(&mut self, request: &Chunks) -> Result<Bytes, HostReason> {
        self.exchange_bytes(&request.to_bytes()).await
    }

    async fn exchange_bytes(&mut self, bytes: &[u8]) -> Result<Bytes, HostReason> {
        self.stream.write_all(bytes).await.map_err(closed)?;
        self.stream.flush().await.map_err(closed)?;
        let splitter = FrameSplitter::new(MAX_FRAME_BYTES);
        loop {
            match splitter.next_frame(&mut self.received) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(not_a_frame(&self.received, error)),
            }
            // A peer that sends more than a frame at a time does not make this grow either.
            let read = self.stream.read_buf(&mut self.received);
            if read.await.map_err(closed)? == 0 {
                return Err(HostReason::ClosedInHandshake);
            }
        }
    }
}

impl Line for Opening {
    async fn ask<R>(&mut self, request: &R, version: i16) -> Result<R::Response, HostReason>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let nonsense = |what: String| HostReason::NotKafka(NotKafka::Answer(what));
        let id = self.next_correlation_id;
        self.next_correlation_id = CorrelationId(id.0.wrapping_add(1));
        let request = encode_request(request, version, id, self.client_id.as_deref())
            .map_err(|error| nonsense(error.to_string()))?;
        let frame = self.exchange(&wiped(request)).await?;
        let got = response_correlation_id(&frame).map_err(|error| nonsense(error.to_string()))?;
        if got != id {
            return Err(nonsense(format!("answer {got} to request {id}")));
        }
        let answer = decode_front::<R::Response>(&frame, version);
        let (answer, _extra) = answer.map_err(|error| nonsense(error.to_string()))?;
        Ok(answer)
    }

    async fn ask_bare(&mut self, message: &[u8]) -> Result<Bytes, HostReason> {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut frame = Zeroizing::new(Vec::with_capacity(message.len() + 4));
        frame.put_u32(length);
        frame.extend_from_slice(message);
        self.exchange_bytes(&frame).await
    }
}

fn closed(error: std::io::Error) -> HostReason {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::BrokenPipe
        | std::io::ErrorKind::UnexpectedEof => HostReason::ClosedInHandshake,
        _ => stream_failure(&error).map_or_else(|| HostReason::from(error), HostReason::Tls),
    }
}
