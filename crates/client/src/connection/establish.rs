//! From an address to a connection that is ready: dialling and the handshake under one deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use wolff_codec::wire::Chunks;
use wolff_codec::{FrameSplitter, Str, VersionRanges};

use super::handle::Connection;
use super::handshake::{AskVersions, MAX_FRAME_BYTES, Step, assumed_versions, not_a_frame};
use super::pipeline::Limits;
use super::shared::Shared;
use super::task::Task;
use crate::config::ClientConfig;
use crate::endpoint::Address;
use crate::error::{ConnectStage, HostError, HostReason, TlsFailure};
use crate::security::Security;
use crate::tls::stream_failure;
use crate::transport::{BoxStream, Dial};

/// What all connections of a client have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    dialer: Arc<dyn Dial>,
    security: Security,
    client_id: Option<Str>,
    connect_timeout: Duration,
    query_api_versions: bool,
    max_frame_bytes: usize,
    limits: Limits,
}

impl Settings {
    /// Takes what concerns connections from a configuration.
    pub(crate) fn new(config: &ClientConfig, dialer: Arc<dyn Dial>, security: Security) -> Self {
        Self {
            dialer,
            security,
            client_id: Some(config.client_id.as_str().into()),
            connect_timeout: config.connect_timeout,
            query_api_versions: config.query_api_versions,
            max_frame_bytes: usize::try_from(config.max_frame_bytes).unwrap_or(usize::MAX),
            limits: Limits {
                requests: config.max_queued_requests,
                waiting_bytes: config.max_queued_bytes,
                request_timeout: config.request_timeout,
            },
        }
    }
}

/// Connects to the broker at `address`. Dropping the future gives up the attempt.
pub(crate) async fn establish(
    settings: &Settings,
    address: &Address,
) -> Result<Connection, HostError> {
    let after = settings.connect_timeout;
    let deadline = Instant::now() + after;
    let late = |stage| HostReason::TimedOut { stage, after };
    let attempt = async {
        let mut stream = timeout_at(deadline, settings.dialer.dial(address))
            .await
            .map_err(|_elapsed| late(ConnectStage::Dialling))??;
        if let Some(tls) = &settings.security.tls {
            stream = timeout_at(deadline, tls.handshake(stream, address))
                .await
                .map_err(|_elapsed| late(ConnectStage::Tls))??;
        }
        let mut received = BytesMut::new();
        let handshake = shake_hands(settings, &mut stream, &mut received);
        let versions = timeout_at(deadline, handshake)
            .await
            .map_err(|_elapsed| late(ConnectStage::Handshake))?
            .map_err(|reason| if_encrypted(settings, reason))?;
        Ok((stream, received, versions))
    };
    let (stream, received, versions) = attempt.await.map_err(|reason: HostReason| HostError {
        host: address.clone(),
        reason,
    })?;
    tracing::debug!(broker = %address, "connected");
    let client_id = settings.client_id.clone();
    let shared = Shared::new(address.clone(), versions, client_id, settings.limits);
    let shared = Arc::new(shared);
    let splitter = FrameSplitter::new(settings.max_frame_bytes);
    let task = Task::new(Arc::clone(&shared), stream, splitter, received);
    tokio::spawn(task.run());
    Ok(Connection::new(shared))
}

/// A broker that wants a client certificate says so only after this side's part of the handshake
/// (TLS 1.3), and by then often just goes.
fn if_encrypted(settings: &Settings, reason: HostReason) -> HostReason {
    match reason {
        HostReason::ClosedInHandshake if settings.security.tls.is_some() => {
            HostReason::Tls(TlsFailure::ClosedAfterHandshake)
        }
        reason => reason,
    }
}

async fn shake_hands(
    settings: &Settings,
    stream: &mut BoxStream,
    received: &mut BytesMut,
) -> Result<VersionRanges, HostReason> {
    if !settings.query_api_versions {
        return Ok(assumed_versions());
    }
    let (mut request, mut ask) = AskVersions::start(settings.client_id.clone())?;
    loop {
        let answer = exchange(stream, received, &request).await?;
        match ask.handle_frame(&answer)? {
            Step::Again(next, with) => (request, ask) = (next, with),
            Step::Ready(versions) => return Ok(versions),
        }
    }
}

/// Sends one request and reads one answer.
async fn exchange(
    stream: &mut BoxStream,
    received: &mut BytesMut,
    request: &Chunks,
) -> Result<Bytes, HostReason> {
    let closed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::BrokenPipe
        | std::io::ErrorKind::UnexpectedEof => HostReason::ClosedInHandshake,
        _ => stream_failure(&error).map_or_else(|| HostReason::from(error), HostReason::Tls),
    };
    stream
        .write_all(&request.to_bytes())
        .await
        .map_err(closed)?;
    stream.flush().await.map_err(closed)?;
    let splitter = FrameSplitter::new(MAX_FRAME_BYTES);
    loop {
        match splitter.next_frame(received) {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(error) => return Err(not_a_frame(received, error)),
        }
        // A peer that sends more than a frame at a time does not make this grow either.
        if stream.read_buf(received).await.map_err(closed)? == 0 {
            return Err(HostReason::ClosedInHandshake);
        }
    }
}
