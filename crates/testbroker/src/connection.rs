//! One connection: requests are read and answered one after the other, as Kafka's brokers do.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::time::Instant;
use wolff_codec::ids::BrokerId;
use wolff_codec::{ApiKey, FrameSplitter, decode_request_header};

use crate::handle::{Reply, bare_token, dispatch};
use crate::sasl::{Admission, Session};
use crate::shared::Shared;

/// Bytes that are written at once; what is larger by itself is not copied.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Least room for what comes next, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Serves a client that has just connected, over TLS if the cluster is so set up.
pub(crate) async fn accept<S>(shared: &Arc<Shared>, broker: BrokerId, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[cfg(feature = "tls")]
    if let Some(tls) = shared.tls() {
        match tls.accept(stream).await {
            Ok(stream) => serve(shared, broker, stream).await,
            Err(error) => {
                tracing::debug!(%broker, %error, "TLS failed");
                shared.count(broker, |stats| stats.tls_failures += 1);
            }
        }
        return;
    }
    serve(shared, broker, stream).await;
}

/// Serves a client until it goes away, breaks the protocol, or a fault ends it.
async fn serve<S>(shared: &Arc<Shared>, broker: BrokerId, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = converse(shared, broker, stream).await {
        tracing::debug!(%broker, %error, "connection lost");
    }
}

async fn converse<S>(shared: &Arc<Shared>, broker: BrokerId, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let splitter = FrameSplitter::new(shared.config().max_request_bytes);
    let mut buffer = BytesMut::new();
    let mut stream = BufWriter::with_capacity(WRITE_BUFFER_BYTES, stream);
    let session = shared.sasl().map(|_| Mutex::new(Session::default()));
    while let Some(frame) =
        next_request(shared, broker, &mut stream, &splitter, &mut buffer).await?
    {
        if let Some(session) = &session
            && session.lock().expects_bare_token()
        {
            let reply = bare_token(shared, broker, session, &frame);
            if send(&mut stream, reply).await?.is_break() {
                return Ok(());
            }
            continue;
        }
        let (header, body) = decode_request_header(&frame).map_err(io::Error::other)?;
        let api = header.api_key;
        shared.count(broker, |stats| *stats.requests.entry(api).or_default() += 1);
        if let Some(session) = &session
            && !is_admitted(shared, broker, session, api)
        {
            return stream.shutdown().await;
        }
        let reply = dispatch(shared, broker, session.as_ref(), &header, &body).await;
        if !shared.model().is_alive(broker) {
            // Killed meanwhile: the dead do not answer.
            return Ok(());
        }
        let has_answer = matches!(reply, Reply::Frame { .. });
        let mute = reply.mute();
        if send(&mut stream, reply).await?.is_break() {
            return Ok(());
        }
        if has_answer {
            shared.count(broker, |stats| {
                *stats.responses.entry(api).or_default() += 1
            });
        }
        if session
            .as_ref()
            .is_some_and(|session| session.lock().is_over())
        {
            return stream.shutdown().await;
        }
        if !mute.is_zero() {
            tokio::time::sleep(mute).await;
        }
    }
    Ok(())
}

/// Does what a reply says; breaks when the connection has been closed.
async fn send<S>(stream: &mut S, reply: Reply) -> io::Result<ControlFlow<()>>
where
    S: AsyncWrite + Unpin,
{
    match reply {
        Reply::Nothing => {}
        Reply::Frame { frame, .. } => {
            for chunk in frame.iter() {
                stream.write_all(chunk).await?;
            }
            stream.flush().await?;
        }
        Reply::Close(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// True if the client may ask for this now; counts it if not.
fn is_admitted(shared: &Shared, broker: BrokerId, session: &Mutex<Session>, api: ApiKey) -> bool {
    let admission = session.lock().admit(api, Instant::now());
    match admission {
        Admission::Serve => {}
        Admission::Unauthenticated => {
            shared.count(broker, |stats| stats.unauthenticated_requests += 1);
        }
        Admission::Expired => shared.count(broker, |stats| stats.expired_sessions += 1),
    }
    tracing::debug!(%broker, %api, ?admission, "request of a client that must authenticate");
    admission == Admission::Serve
}

/// The next request; none if the client has gone away in between, or was idle for too long.
async fn next_request<S>(
    shared: &Shared,
    broker: BrokerId,
    stream: &mut S,
    splitter: &FrameSplitter,
    buffer: &mut BytesMut,
) -> io::Result<Option<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(limit) = shared.config().max_idle else {
        return read_frame(stream, splitter, buffer).await;
    };
    let read = tokio::time::timeout(limit, read_frame(stream, splitter, buffer)).await;
    if let Ok(read) = read {
        return read;
    }
    shared.count(broker, |stats| stats.idle_connections_closed += 1);
    stream.shutdown().await?;
    Ok(None)
}

/// The next frame; none if the client has gone away in between.
async fn read_frame<S>(
    stream: &mut S,
    splitter: &FrameSplitter,
    buffer: &mut BytesMut,
) -> io::Result<Option<Bytes>>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(frame) = splitter.next_frame(buffer).map_err(io::Error::other)? {
            return Ok(Some(frame));
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
