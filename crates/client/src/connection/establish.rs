//! From an address to a connection that is ready: dialling, TLS, the handshake and
//! authentication under one deadline.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use wolff_backoff::Random;
use wolff_codec::messages::ApiVersion;
use wolff_codec::{ApiKey, FrameSplitter, Str, VersionRanges};

use super::authenticate::authenticate;
use super::deadlines::Patience;
use super::handle::Connection;
use super::handshake::{AskVersions, Step, assumed_versions, usable};
use super::opening::Opening;
use super::pipeline::Limits;
use super::renewal::Renewal;
use super::shared::Shared;
use super::task::Task;
use crate::config::ClientConfig;
use crate::endpoint::Address;
use crate::error::{ConnectStage, HostError, HostReason, TlsFailure};
use crate::sasl::{Exchange, Sasl};
use crate::security::Security;
use crate::transport::Dial;

/// Brokers that are remembered to take only the oldest version of ApiVersions.
const MOST_OLD_BROKERS: usize = 1_000;

/// Settings that all connections of a client have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    dialer: Arc<dyn Dial>,
    security: Security,
    client_id: Option<Str>,
    connect_timeout: Duration,
    credentials_timeout: Duration,
    credentials_pending: AtomicUsize,
    query_api_versions: bool,
    max_versions: Vec<(ApiKey, i16)>,
    /// Brokers that close the connection at any but the oldest version of ApiVersions.
    asked_in_oldest: Mutex<HashSet<Address>>,
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
            credentials_timeout: config.credentials_timeout,
            credentials_pending: AtomicUsize::new(0),
            query_api_versions: config.query_api_versions,
            max_versions: config.max_versions.clone(),
            asked_in_oldest: Mutex::default(),
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
    /// Attempts that wait for credentials at the moment.
    pub(crate) fn credentials_pending(&self) -> usize {
        self.credentials_pending.load(Ordering::Relaxed)
    }

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
    let attempt = async {
        let after = settings.connect_timeout;
        let deadline = Instant::now() + after;
        let (mut opening, versions) = open(settings, address, deadline).await?;
        let mut session = None;
        if let Some(sasl) = &settings.security.sasl {
            // Whoever hands out credentials may be slower than a broker may be.
            let asked_at = Instant::now();
            let mut exchange = credentials(settings, sasl, address).await?;
            let deadline = deadline + asked_at.elapsed();
            let mechanism = sasl.mechanism_name();
            let login = authenticate(&mut opening, &versions, mechanism, exchange.as_mut());
            let stage = ConnectStage::Authentication;
            let login = timeout_at(deadline, login)
                .await
                .map_err(|_elapsed| HostReason::TimedOut { stage, after })??;
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

/// Dials, encrypts and asks for versions. A broker that closes the connection at the newest version
/// of that request is dialled again and asked in the oldest.
async fn open(
    settings: &Settings,
    address: &Address,
    deadline: Instant,
) -> Result<(Opening, VersionRanges), HostReason> {
    let is_known_old = settings.asked_in_oldest.lock().contains(address);
    let newest = match is_known_old {
        true => AskVersions::OLDEST,
        false => AskVersions::NEWEST,
    };
    let closed = match open_asking(settings, address, deadline, newest).await {
        Err(reason) if reason.is_close() && settings.query_api_versions && !is_known_old => reason,
        Err(reason) => {
            // It may be another broker by now.
            settings.asked_in_oldest.lock().remove(address);
            return Err(reason);
        }
        opened => return opened,
    };
    match open_asking(settings, address, deadline, AskVersions::OLDEST).await {
        Ok(opened) => {
            tracing::debug!(broker = %address, "takes only the oldest version of ApiVersions");
            let mut old = settings.asked_in_oldest.lock();
            if old.len() < MOST_OLD_BROKERS {
                old.insert(address.clone());
            }
            Ok(opened)
        }
        Err(reason @ (HostReason::Rejected(_) | HostReason::NotKafka(_))) => Err(reason),
        // The first one is what the broker does of its own accord.
        Err(_) => Err(closed),
    }
}

async fn open_asking(
    settings: &Settings,
    address: &Address,
    deadline: Instant,
    version: i16,
) -> Result<(Opening, VersionRanges), HostReason> {
    let after = settings.connect_timeout;
    let late = |stage| HostReason::TimedOut { stage, after };
    let mut stream = timeout_at(deadline, settings.dialer.dial(address))
        .await
        .map_err(|_elapsed| late(ConnectStage::Dialling))??;
    if let Some(tls) = &settings.security.tls {
        stream = timeout_at(deadline, tls.handshake(stream, address))
            .await
            .map_err(|_elapsed| late(ConnectStage::Tls))??;
    }
    let mut opening = Opening::new(stream, settings.client_id.clone());
    let api_keys = timeout_at(deadline, shake_hands(settings, &mut opening, version))
        .await
        .map_err(|_elapsed| late(ConnectStage::Handshake))?
        .map_err(|reason| if_encrypted(settings, reason))?;
    Ok((opening, usable(api_keys, &settings.max_versions)))
}

/// One more, until it is dropped.
struct CountedIn<'a>(&'a AtomicUsize);

impl<'a> CountedIn<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for CountedIn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Begins an exchange, which is where credentials are fetched.
async fn credentials(
    settings: &Settings,
    sasl: &Sasl,
    address: &Address,
) -> Result<Box<dyn Exchange>, HostReason> {
    let _pending = CountedIn::new(&settings.credentials_pending);
    let after = settings.credentials_timeout;
    let stage = ConnectStage::Credentials;
    timeout(after, sasl.as_mechanism().start(address))
        .await
        .map_err(|_elapsed| HostReason::TimedOut { stage, after })?
        .map_err(HostReason::Sasl)
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
    version: i16,
) -> Result<Vec<ApiVersion>, HostReason> {
    if !settings.query_api_versions {
        return Ok(assumed_versions());
    }
    let (mut request, mut ask) = AskVersions::start(settings.client_id.clone(), version)?;
    loop {
        let answer = opening.exchange(&request).await?;
        match ask.handle_frame(&answer)? {
            Step::Again(next, with) => (request, ask) = (next, with),
            Step::Ready(api_keys) => return Ok(api_keys),
        }
    }
}
