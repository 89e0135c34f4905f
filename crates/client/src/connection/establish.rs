//! From an address to a connection that is ready: dialling, TLS, the handshake and
//! authentication under one deadline.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use wolff_backoff::Random;
use wolff_codec::{FrameSplitter, Str, VersionRanges};

use super::authenticate::{Session, authenticate};
use super::deadlines::Patience;
use super::handle::Connection;
use super::handshake::{AskVersions, Step, assumed_versions};
use super::opening::Opening;
use super::pipeline::Limits;
use super::renewal::Renewal;
use super::shared::Shared;
use super::task::Task;
use crate::config::ClientConfig;
use crate::endpoint::Address;
use crate::error::{ConnectStage, HostError, HostReason, TlsFailure};
use crate::sasl::Sasl;
use crate::security::Security;
use crate::transport::Dial;

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
    /// The source of each connection's own random numbers.
    random: Mutex<Random>,
}

impl Settings {
    /// Takes what concerns connections from a configuration.
    pub(crate) fn new(
        config: &ClientConfig,
        dialer: Arc<dyn Dial>,
        security: Security,
        random: Random,
    ) -> Self {
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
                patience: Patience {
                    request_timeout: config.request_timeout,
                    idle_probe: config.idle_probe,
                    idle_limit: config.idle_limit,
                },
            },
            random: Mutex::new(random),
        }
    }
}

impl Settings {
    /// The time that a broker has until it can be used.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
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
        let mut opening = Opening::new(stream, settings.client_id.clone());
        let versions = timeout_at(deadline, shake_hands(settings, &mut opening))
            .await
            .map_err(|_elapsed| late(ConnectStage::Handshake))?
            .map_err(|reason| if_encrypted(settings, reason))?;
        let mut session = None;
        if let Some(sasl) = &settings.security.sasl {
            let login = log_in(sasl, address, &versions, &mut opening);
            let login = timeout_at(deadline, login)
                .await
                .map_err(|_elapsed| late(ConnectStage::Authentication))??;
            session = Some(login);
        }
        Ok((opening, versions, session))
    };
    let (opening, versions, session) = attempt.await.map_err(|reason: HostReason| HostError {
        host: address.clone(),
        reason,
    })?;
    tracing::debug!(broker = %address, "connected");
    let client_id = settings.client_id.clone();
    let shared = Shared::new(address.clone(), versions, client_id, settings.limits);
    let shared = Arc::new(shared);
    if let Some((session, sasl)) = session.zip(settings.security.sasl.clone()) {
        let renewal = Renewal {
            shared: Arc::clone(&shared),
            sasl,
            timeout: settings.connect_timeout,
            random: settings.random.lock().fork(),
        };
        tokio::spawn(renewal.run(session));
    }
    let splitter = FrameSplitter::new(settings.max_frame_bytes);
    let Opening {
        stream, received, ..
    } = opening;
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
    opening: &mut Opening,
) -> Result<VersionRanges, HostReason> {
    if !settings.query_api_versions {
        return Ok(assumed_versions());
    }
    let (mut request, mut ask) = AskVersions::start(settings.client_id.clone())?;
    loop {
        let answer = opening.exchange(&request).await?;
        match ask.handle_frame(&answer)? {
            Step::Again(next, with) => (request, ask) = (next, with),
            Step::Ready(versions) => return Ok(versions),
        }
    }
}

async fn log_in(
    sasl: &Sasl,
    address: &Address,
    versions: &VersionRanges,
    opening: &mut Opening,
) -> Result<Session, HostReason> {
    let exchange = sasl.as_mechanism().start(address).await;
    let mut exchange = exchange.map_err(HostReason::Sasl)?;
    authenticate(opening, versions, sasl.mechanism_name(), exchange.as_mut()).await
}
