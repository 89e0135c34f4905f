//! Session of a connection: whether it may send requests, and until when (KIP-152, KIP-368).

use std::time::Duration;

use tokio::time::Instant;
use wolff_codec::ApiKey;

use super::credentials::Sasl;
use super::exchange::Exchange;
use super::lie::ScramLie;
use super::mechanism::SaslMechanism;
use super::step::{Identified, Refusal, Step};

/// The authentication of one connection.
///
/// ```text
///             handshake              done
///   Unknown ────────────▶ Exchanging ─────▶ Known ──┐ expired: any request but a handshake
///      │                    ▲  │ refused      │     ▼ closes the connection
///      │ any other request  │  ▼              │
///      └──────────────────▶ Over ◀── handshake┘ (back to Exchanging, as the same principal)
/// ```
#[derive(Debug, Default)]
pub(crate) struct Session {
    state: State,
    /// User before it began to authenticate again.
    before: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Exchanging {
        exchange: Exchange,
        /// Tokens come without Kafka's headers, as they did before KIP-152.
        is_bare: bool,
    },
    Known {
        principal: String,
        expires_at: Option<Instant>,
    },
    Over,
}

/// Decision about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    Serve,
    /// The client has not authenticated, or it is in the middle of it: the connection is closed.
    Unauthenticated,
    /// It has, too long ago: the connection is closed.
    Expired,
}

/// Response to a message of the client.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) message: Vec<u8>,
    /// Set by the message that ends the exchange.
    pub(crate) success: Option<Success>,
}

/// A client has authenticated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Success {
    /// Time it may stay without doing so again.
    pub(crate) lifetime: Option<Duration>,
    /// It had before, on the same connection.
    pub(crate) is_renewed: bool,
}

impl Session {
    /// The user that the client has authenticated as.
    pub(crate) fn principal(&self) -> Option<&str> {
        match &self.state {
            State::Known { principal, .. } => Some(principal),
            _ => None,
        }
    }

    /// True if the connection is to be closed behind the answer.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// True if the next frame is a token without a header.
    pub(crate) fn expects_bare_token(&self) -> bool {
        matches!(self.state, State::Exchanging { is_bare: true, .. })
    }

    /// Decides if a request of this API may be served now.
    pub(crate) fn admit(&self, api: ApiKey, now: Instant) -> Admission {
        let is_allowed = match &self.state {
            State::Unknown => matches!(api, ApiKey::API_VERSIONS | ApiKey::SASL_HANDSHAKE),
            State::Exchanging { .. } => api == ApiKey::SASL_AUTHENTICATE,
            State::Known { expires_at, .. } => {
                if expires_at.is_some_and(|end| end <= now) && api != ApiKey::SASL_HANDSHAKE {
                    return Admission::Expired;
                }
                api != ApiKey::SASL_AUTHENTICATE
            }
            State::Over => false,
        };
        if is_allowed {
            Admission::Serve
        } else {
            Admission::Unauthenticated
        }
    }

    /// A handshake has named an enabled mechanism.
    pub(crate) fn begin(&mut self, mechanism: SaslMechanism, is_bare: bool) {
        let exchange = Exchange::new(mechanism);
        let begun = State::Exchanging { exchange, is_bare };
        if let State::Known { principal, .. } = std::mem::replace(&mut self.state, begun) {
            self.before = Some(principal);
        }
    }

    /// Nothing can come of this connection any more.
    pub(crate) fn end(&mut self) {
        self.state = State::Over;
    }

    /// Takes a message of the mechanism.
    ///
    /// # Errors
    /// Why the client is refused; the session is over then.
    pub(crate) fn handle(
        &mut self,
        sasl: &Sasl,
        message: &[u8],
        lie: Option<&ScramLie>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let State::Exchanging { exchange, .. } = &mut self.state else {
            self.end();
            return Err(Refusal::NoHandshake);
        };
        match exchange.handle(sasl, message, lie) {
            Step::Continue(message) => Ok(Answer {
                message,
                success: None,
            }),
            Step::Done { message, identity } => {
                let success = self.accept(identity, now)?;
                Ok(Answer {
                    message,
                    success: Some(success),
                })
            }
            Step::Refused(refusal) => {
                self.end();
                Err(refusal)
            }
        }
    }

    fn accept(&mut self, identity: Identified, now: Instant) -> Result<Success, Refusal> {
        let Identified {
            principal,
            lifetime,
        } = identity;
        let before = self.before.take();
        if before.as_ref().is_some_and(|before| *before != principal) {
            self.end();
            return Err(Refusal::OtherPrincipal);
        }
        self.state = State::Known {
            principal,
            expires_at: lifetime.map(|lifetime| now + lifetime),
        };
        Ok(Success {
            lifetime,
            is_renewed: before.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(5);

    fn sasl() -> Sasl {
        Sasl::new(SaslMechanism::ALL)
            .user("alice", "secret")
            .user("bob", "secret")
            .session_lifetime(LIFETIME)
    }

    fn authenticate(
        session: &mut Session,
        message: &[u8],
        now: Instant,
    ) -> Result<Answer, Refusal> {
        session.begin(SaslMechanism::Plain, false);
        session.handle(&sasl(), message, None, now)
    }

    #[test]
    fn nothing_is_served_before_the_client_is_known() {
        let now = Instant::now();
        let mut session = Session::default();
        let admitted = |session: &Session, api| session.admit(api, now) == Admission::Serve;
        assert!(admitted(&session, ApiKey::API_VERSIONS));
        assert!(!admitted(&session, ApiKey::METADATA));
        assert!(!admitted(&session, ApiKey::SASL_AUTHENTICATE));
        session.begin(SaslMechanism::Plain, false);
        assert!(!admitted(&session, ApiKey::API_VERSIONS));
        assert!(!admitted(&session, ApiKey::SASL_HANDSHAKE));
        assert!(admitted(&session, ApiKey::SASL_AUTHENTICATE));
        let answer = session.handle(&sasl(), b"\0alice\0secret", None, now);
        assert!(!answer.unwrap().success.unwrap().is_renewed);
        assert!(admitted(&session, ApiKey::METADATA));
    }

    #[test]
    fn a_session_that_has_expired_admits_only_another_handshake() {
        let start = Instant::now();
        let mut session = Session::default();
        authenticate(&mut session, b"\0alice\0secret", start).unwrap();
        let late = start + LIFETIME;
        assert_eq!(session.admit(ApiKey::METADATA, start), Admission::Serve);
        assert_eq!(session.admit(ApiKey::METADATA, late), Admission::Expired);
        assert_eq!(
            session.admit(ApiKey::API_VERSIONS, late),
            Admission::Expired
        );
        assert_eq!(
            session.admit(ApiKey::SASL_HANDSHAKE, late),
            Admission::Serve
        );
        let answer = authenticate(&mut session, b"\0alice\0secret", late).unwrap();
        assert!(answer.success.unwrap().is_renewed);
        assert_eq!(session.admit(ApiKey::METADATA, late), Admission::Serve);
    }

    #[test]
    fn nobody_becomes_somebody_else() {
        let now = Instant::now();
        let mut session = Session::default();
        authenticate(&mut session, b"\0alice\0secret", now).unwrap();
        let refused = authenticate(&mut session, b"\0bob\0secret", now);
        assert_eq!(refused, Err(Refusal::OtherPrincipal));
        assert!(session.is_over());
    }

    #[test]
    fn wrong_credentials_end_it() {
        let now = Instant::now();
        let mut session = Session::default();
        let refused = authenticate(&mut session, b"\0alice\0wrong", now);
        assert_eq!(refused, Err(Refusal::WrongCredentials));
        assert!(session.is_over());
        let again = session.handle(&sasl(), b"\0alice\0secret", None, now);
        assert_eq!(again, Err(Refusal::NoHandshake));
    }
}
