//! Authentication over a connection, the first time and again: what is said, not how it is carried.
//!
//! SaslHandshake names the mechanism; then its messages go back and forth in SaslAuthenticate, or
//! bare after the version 0 of the handshake, which is all that brokers before 1.0 have.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wolff_codec::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use wolff_codec::{ErrorCode, Request, VersionRanges};

use crate::error::{HostReason, SaslFailure};
use crate::sasl::{Exchange, Reply};

/// No mechanism has so many messages.
const MOST_STEPS: u32 = 16;

/// Longer than any session that a broker gives.
const LONGEST_SESSION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Carries requests to a broker, and its answers back.
pub(super) trait Line {
    /// Sends a request and waits for its answer.
    async fn ask<R>(&mut self, request: &R, version: i16) -> Result<R::Response, HostReason>
    where
        R: Request,
        R::Response: Send + 'static;

    /// Sends bytes with their length in front, and waits for the same.
    async fn ask_bare(&mut self, message: &[u8]) -> Result<Bytes, HostReason>;
}

/// Outcome of a successful exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Session {
    /// Time at which the last message went out. The broker's clock for the session starts later,
    /// when it has read it.
    pub(super) since: Instant,
    /// Time until the broker expects another exchange; `None` for never.
    pub(super) lifetime: Option<Duration>,
}

/// Leads an exchange to its end.
pub(super) async fn authenticate(
    line: &mut impl Line,
    versions: &VersionRanges,
    mechanism: &str,
    exchange: &mut dyn Exchange,
) -> Result<Session, HostReason> {
    let outcome = async {
        let carrier = agree(line, versions, mechanism).await?;
        talk(line, carrier, mechanism, exchange).await
    };
    // Some brokers, and all before 1.0, refuse credentials without a word.
    outcome.await.map_err(|reason| match reason {
        HostReason::ClosedInHandshake => HostReason::Sasl(SaslFailure::Closed {
            mechanism: mechanism.to_owned(),
        }),
        reason => reason,
    })
}

/// Form in which the messages of an exchange are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    /// In this version of SaslAuthenticate.
    Authenticate(i16),
    /// With their length in front.
    Bare,
}

/// Has the broker agree to the mechanism.
pub(super) async fn agree(
    line: &mut impl Line,
    versions: &VersionRanges,
    mechanism: &str,
) -> Result<Carrier, HostReason> {
    let authenticate = versions.pick::<SaslAuthenticateRequest>().ok();
    let handshake = match authenticate {
        Some(_) => versions.pick::<SaslHandshakeRequest>(),
        None => versions.pick_within::<SaslHandshakeRequest>(0..=0),
    };
    let handshake = handshake.map_err(|_| HostReason::Sasl(SaslFailure::NotExpected))?;
    let request = SaslHandshakeRequest {
        mechanism: mechanism.into(),
    };
    let answer = line.ask(&request, handshake).await?;
    match answer.error_code {
        ErrorCode::NONE => Ok(match authenticate.filter(|_| handshake > 0) {
            Some(version) => Carrier::Authenticate(version),
            None => Carrier::Bare,
        }),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => Err(HostReason::Sasl(SaslFailure::NotEnabled {
            mechanism: mechanism.to_owned(),
            enabled: answer.mechanisms,
        })),
        ErrorCode::ILLEGAL_SASL_STATE => Err(HostReason::Sasl(SaslFailure::NotExpected)),
        code => Err(HostReason::Rejected(code)),
    }
}

/// Carries the exchange's messages until both sides are content.
pub(super) async fn talk(
    line: &mut impl Line,
    carrier: Carrier,
    mechanism: &str,
    exchange: &mut dyn Exchange,
) -> Result<Session, HostReason> {
    let mut challenge = None;
    let mut lifetime_ms = 0;
    let mut since = Instant::now();
    for _ in 0..MOST_STEPS {
        let reply = exchange.step(challenge.as_deref()).await;
        let message = match reply.map_err(HostReason::Sasl)? {
            Reply::Send(message) => message,
            Reply::Done => {
                return Ok(Session {
                    since,
                    lifetime: lifetime(lifetime_ms),
                });
            }
        };
        since = Instant::now();
        let answered = match carrier {
            Carrier::Bare => line.ask_bare(message.expose()).await?,
            Carrier::Authenticate(version) => {
                let request = SaslAuthenticateRequest {
                    auth_bytes: Bytes::from_owner(message),
                    ..SaslAuthenticateRequest::default()
                };
                let answer = line.ask(&request, version).await?;
                if !answer.error_code.is_ok() {
                    return Err(HostReason::Sasl(SaslFailure::Refused {
                        mechanism: mechanism.to_owned(),
                        code: answer.error_code,
                        message: answer.error_message,
                    }));
                }
                lifetime_ms = answer.session_lifetime_ms;
                answer.auth_bytes
            }
        };
        challenge = Some(answered);
    }
    let endless = format!("{mechanism} came to no end in {MOST_STEPS} messages");
    Err(HostReason::Sasl(SaslFailure::Broker(endless)))
}

fn lifetime(millis: i64) -> Option<Duration> {
    let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    Some(Duration::from_millis(millis).min(LONGEST_SESSION))
}
