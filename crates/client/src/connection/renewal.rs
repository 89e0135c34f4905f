//! Authenticating again on a connection that is in use, before the session ends (KIP-368).
//!
//! From the handshake on, the broker takes nothing but the exchange's messages. So the handshake
//! goes out behind everything that was sent before, whose answers still come in their order; what
//! is started meanwhile is held, and goes out afterwards in the order it was started.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use wolff_backoff::Random;
use wolff_codec::Request;

use super::authenticate::{Line, Session, agree, talk};
use super::shared::{Lane, Shared};
use crate::error::{
    ConnectStage, ConnectionFailure, HostReason, IoFailure, RequestError, SaslFailure,
};
use crate::sasl::{Exchange, Sasl};

/// The part of a session after which it is renewed, in per cent, and how much later it may be at
/// random: connections that were opened together should not be renewed together. The rest is for
/// what the broker has to read first.
const RENEWED_AFTER_PERCENT: u32 = 70;
const SPREAD_PERCENT: u32 = 15;

/// A broker disconnects whoever it reads an ordinary request from after the session's end, however
/// long ago that was written. So this many times the time that requests take is kept free before
/// the end, …
const LATENCIES: u32 = 2;

/// … but no more than the rest of the session after this part of it, in per cent.
const EARLIEST_PERCENT: u32 = 30;

/// Kafka refuses to renew what is younger than a second
/// (`KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`). Whoever lets sessions end sooner than
/// that cannot be Kafka.
const YOUNGEST: Duration = Duration::from_millis(1_050);

/// No broker keeps this side busy with nothing but renewals, whatever it says about its sessions.
const SHORTEST: Duration = Duration::from_millis(10);

/// Number of times in a session that the latency of requests is looked at.
const LOOKS: u32 = 20;

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
    pub(super) async fn run(mut self, first: Session) {
        let shared = Arc::clone(&self.shared);
        // A mechanism of somebody else may panic, and nothing would go out any more.
        let _ended = FailWhenDropped(Arc::clone(&shared));
        tokio::select! {
            biased;
            _failure = shared.wait_for_failure() => {}
            reason = self.renew(first) => {
                if let Err(reason) = reason {
                    shared.abort(ConnectionFailure::Reauthentication(reason));
                }
            }
        }
    }

    async fn renew(&mut self, first: Session) -> Result<(), HostReason> {
        let mut session = first;
        while let Some(lifetime) = session.lifetime {
            let end = session.since + lifetime;
            let usual = session.since + self.usual_age(lifetime);
            self.wait_until(session.since, lifetime, usual).await;
            // Other requests go on while this takes its time, but not for too long.
            let mut exchange = {
                let mut start = pin!(self.begin_exchange(end));
                tokio::select! {
                    biased;
                    exchange = &mut start => exchange?,
                    () = self.wait_until(session.since, lifetime, end) => {
                        self.shared.hold();
                        start.await?
                    }
                }
            };
            self.shared.hold();
            session = self.exchange(exchange.as_mut()).await?;
            self.shared.resume();
            tracing::debug!(broker = %self.shared.address, "session renewed");
        }
        Ok(())
    }

    fn usual_age(&mut self, lifetime: Duration) -> Duration {
        let spread = u32::try_from(self.random.next_u64() % u64::from(SPREAD_PERCENT)).unwrap_or(0);
        percent(lifetime, RENEWED_AFTER_PERCENT + spread)
    }

    /// Waits until `latest`, or until no more time is left than what is in flight needs.
    async fn wait_until(&self, since: Instant, lifetime: Duration, latest: Instant) {
        let youngest = if lifetime > YOUNGEST {
            YOUNGEST
        } else {
            SHORTEST
        };
        let earliest = since + percent(lifetime, EARLIEST_PERCENT).max(youngest);
        loop {
            let now = Instant::now();
            let needed = self.shared.latency().saturating_mul(LATENCIES);
            let spare = lifetime.saturating_sub(needed);
            let due = (since + spare).min(latest).max(earliest);
            if now >= due {
                return;
            }
            sleep_until(due.min(now + lifetime / LOOKS)).await;
        }
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
        let after = self.timeout;
        let late = HostReason::TimedOut {
            stage: ConnectStage::Authentication,
            after,
        };
        let carrier = {
            let mut agree = pin!(agree(&mut line, &self.shared.versions, mechanism));
            let mut deadline = Instant::now() + after;
            loop {
                tokio::select! {
                    biased;
                    carrier = &mut agree => break carrier?,
                    () = sleep_until(deadline) => {}
                }
                // The broker answers first what was there first, for which the deadline of requests
                // counts, and reads nothing while it mutes the connection.
                let since = self.shared.renewing_since().unwrap_or_else(Instant::now);
                deadline = since + after;
                if deadline <= Instant::now() {
                    return Err(late);
                }
            }
        };
        let talk = talk(&mut line, carrier, mechanism, exchange);
        timeout_at(Instant::now() + after, talk)
            .await
            .unwrap_or(Err(late))
    }
}

/// Ends the connection that nobody renews any more.
struct FailWhenDropped(Arc<Shared>);

impl Drop for FailWhenDropped {
    fn drop(&mut self) {
        if self.0.failure().is_none() && std::thread::panicking() {
            let what = "the mechanism panicked".to_owned();
            let reason = HostReason::Sasl(SaslFailure::Credentials(what));
            self.0.abort(ConnectionFailure::Reauthentication(reason));
        }
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

fn percent(whole: Duration, percent: u32) -> Duration {
    whole / 100 * percent
}
