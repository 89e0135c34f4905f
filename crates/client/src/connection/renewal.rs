//! Authenticating again on a connection that is in use, before the session ends (KIP-368).
//!
//! From the handshake on, the broker takes nothing but the exchange's messages. So the handshake goes
//! out behind everything that was sent before, whose answers still come in their order; what is
//! started meanwhile is held, and goes out afterwards in the order it was started.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use wolff_codec::Request;

use super::authenticate::{Line, Session, authenticate};
use super::shared::{Lane, Shared};
use crate::error::{ConnectStage, ConnectionFailure, HostReason, IoFailure, RequestError};
use crate::random::Random;
use crate::sasl::{Exchange, Sasl};

/// The part of a session after which it is renewed, in per cent, and how much later it may be at
/// random: connections that were opened together should not be renewed together. The rest is for what
/// the broker has to read first.
const RENEWED_AFTER_PERCENT: u32 = 70;
const SPREAD_PERCENT: u32 = 15;

/// The pause before credentials are asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// Renews the sessions of one connection, one after the other.
pub(super) struct Renewal {
    pub(super) shared: Arc<Shared>,
    pub(super) sasl: Sasl,
    /// The time that an exchange may take.
    pub(super) timeout: Duration,
    pub(super) random: Random,
}

impl Renewal {
    /// Runs until the connection has ended.
    pub(super) async fn run(mut self, first: Duration) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            _failure = shared.wait_for_failure() => {}
            reason = self.renew(first) => {
                if let Err(reason) = reason {
                    shared.fail(ConnectionFailure::Reauthentication(reason));
                }
            }
        }
    }

    async fn renew(&mut self, first: Duration) -> Result<(), HostReason> {
        let mut lifetime = Some(first);
        while let Some(current) = lifetime {
            let begin = Instant::now();
            let end = begin + current;
            sleep_until(begin + self.when(current)).await;
            // Other requests go on while this takes its time.
            let mut exchange = self.begin_exchange(end).await?;
            self.shared.hold();
            let after = self.timeout;
            let exchange = self.exchange(exchange.as_mut());
            let session = timeout_at(Instant::now() + after, exchange)
                .await
                .map_err(|_elapsed| {
                    let stage = ConnectStage::Authentication;
                    HostReason::TimedOut { stage, after }
                })??;
            self.shared.resume();
            tracing::debug!(broker = %self.shared.address, "session renewed");
            lifetime = session.lifetime;
        }
        Ok(())
    }

    fn when(&mut self, lifetime: Duration) -> Duration {
        let spread = u32::try_from(self.random.next() % u64::from(SPREAD_PERCENT)).unwrap_or(0);
        let percent = RENEWED_AFTER_PERCENT + spread;
        lifetime / 100 * percent
    }

    /// Gets credentials; as long as the session lasts, it tries again.
    async fn begin_exchange(&self, end: Instant) -> Result<Box<dyn Exchange>, HostReason> {
        loop {
            let start = self.sasl.as_mechanism().start(&self.shared.address);
            let reason = match timeout_at(end, start).await {
                Ok(Ok(exchange)) => return Ok(exchange),
                Ok(Err(failure)) => HostReason::Sasl(failure),
                Err(_elapsed) => HostReason::TimedOut {
                    stage: ConnectStage::Authentication,
                    after: self.timeout,
                },
            };
            if Instant::now() + PAUSE >= end {
                return Err(reason);
            }
            tracing::warn!(broker = %self.shared.address, %reason, "session not renewed yet");
            sleep(PAUSE).await;
        }
    }

    async fn exchange(&self, exchange: &mut dyn Exchange) -> Result<Session, HostReason> {
        let mut line = Renewing(&self.shared);
        let mechanism = self.sasl.mechanism_name();
        authenticate(&mut line, &self.shared.versions, mechanism, exchange).await
    }
}

/// The way of the exchange's messages: past all that waits.
struct Renewing<'a>(&'a Shared);

impl Line for Renewing<'_> {
    async fn ask<R>(&mut self, request: &R, version: i16) -> Result<R::Response, HostReason>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let pending = self.0.ask(Lane::Renewal, request, version, |_| Ok(()));
        pending.map_err(lost)?.await.map_err(lost)
    }

    async fn ask_bare(&mut self, _message: &[u8]) -> Result<Bytes, HostReason> {
        // Sessions end only where SaslAuthenticate tells when.
        Err(HostReason::ClosedInHandshake)
    }
}

/// The connection has failed by then, for a reason of its own, which is the one that counts.
fn lost(error: RequestError) -> HostReason {
    HostReason::Io(IoFailure {
        kind: std::io::ErrorKind::BrokenPipe,
        message: error.to_string(),
    })
}
