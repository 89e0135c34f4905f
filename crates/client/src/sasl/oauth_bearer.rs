//! OAUTHBEARER: a token that somebody else vouches for (RFC 7628, KIP-255).

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use super::mechanism::{Exchange, Mechanism, Reply, SaslFuture};
use crate::endpoint::Address;
use crate::error::SaslFailure;
use crate::secret::Secret;

/// Separator of the parts of a message.
const SEPARATOR: u8 = 1;

/// A bearer token, and what goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OAuthToken {
    /// The token as the authorization server gave it.
    pub token: Secret,
    /// End of its life, if that is known. A token that has ended is not sent. Default: `None`.
    pub expires_at: Option<SystemTime>,
    /// Names and values for the broker (KIP-342), for example `logicalCluster`. Default: none.
    pub extensions: Vec<(String, String)>,
}

impl OAuthToken {
    /// A token without anything else.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            expires_at: None,
            extensions: Vec::new(),
        }
    }
}

/// Gives a token whenever somebody has to authenticate. A closure that returns a future is one as
/// well.
///
/// It is asked for each connection and each renewal of a session; where getting a token is costly,
/// it should keep one until shortly before that ends.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is valid now.
    ///
    /// # Errors
    /// [`SaslFailure::Credentials`], in words that hold no secret.
    fn token(&self) -> SaslFuture<'_, OAuthToken>;
}

impl<F, T> TokenProvider for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<OAuthToken, SaslFailure>> + Send + 'static,
{
    fn token(&self) -> SaslFuture<'_, OAuthToken> {
        Box::pin(self())
    }
}

/// OAUTHBEARER with the tokens of a provider.
pub(super) struct OAuthBearer {
    provider: Arc<dyn TokenProvider>,
}

impl OAuthBearer {
    pub(super) fn new(provider: Arc<dyn TokenProvider>) -> Self {
        Self { provider }
    }
}

impl Mechanism for OAuthBearer {
    fn name(&self) -> &str {
        "OAUTHBEARER"
    }

    fn start<'a>(&'a self, _broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        Box::pin(async {
            let token = self.provider.token().await?;
            let message = message(&token, wall_clock())?;
            Ok(Box::new(Step::Start(message)) as Box<dyn Exchange>)
        })
    }
}

impl fmt::Debug for OAuthBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearer").finish_non_exhaustive()
    }
}

enum Step {
    Start(Secret),
    Sent,
    /// The broker has said why it refuses, and wants to hear that this was understood.
    Refused(SaslFailure),
}

impl Exchange for Step {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        let (next, reply) = match (std::mem::replace(self, Self::Sent), challenge) {
            (Self::Start(message), _) => (Self::Sent, Ok(Reply::Send(message))),
            (Self::Sent, Some([])) => (Self::Sent, Ok(Reply::Done)),
            (Self::Sent, challenge) => {
                let failure = refusal(challenge.unwrap_or_default());
                let understood = Secret::from(vec![SEPARATOR]);
                (Self::Refused(failure), Ok(Reply::Send(understood)))
            }
            // Commonly the broker's error comes instead of an answer.
            (Self::Refused(failure), _) => (Self::Refused(failure.clone()), Err(failure)),
        };
        *self = next;
        Box::pin(std::future::ready(reply))
    }
}

/// The broker's words, in JSON, as far as they are fit to be shown.
fn refusal(challenge: &[u8]) -> SaslFailure {
    let shown: String = String::from_utf8_lossy(challenge)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .collect();
    SaslFailure::Broker(format!("it refuses the token: {shown}"))
}

/// The time that a token's end is compared with, which is a time of day.
#[expect(
    clippy::disallowed_methods,
    reason = "the end of a token is the only thing here that has a time of day"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn message(token: &OAuthToken, now: SystemTime) -> Result<Secret, SaslFailure> {
    let unfit = |what: String| Err(SaslFailure::Credentials(what));
    if token.expires_at.is_some_and(|end| end <= now) {
        return unfit("the token has expired".into());
    }
    let bytes = token.token.expose();
    if bytes.is_empty() || !bytes.iter().all(|byte| is_of_token(*byte)) {
        return unfit("the token is empty or holds what no token does (RFC 6750)".into());
    }
    for (name, value) in &token.extensions {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_name || name == "auth" {
            return unfit(format!(
                "{name:?} is no name of an extension; take letters only"
            ));
        }
        let is_of_value = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
        if value.is_empty() || !value.bytes().all(is_of_value) {
            return unfit(format!(
                "the extension {name} has a value that cannot be sent"
            ));
        }
    }
    let extensions = token.extensions.iter();
    let length: usize = extensions
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    // In one piece, since growing would leave copies behind.
    let mut message = Vec::with_capacity(bytes.len() + length + 32);
    message.extend_from_slice(b"n,,\x01auth=Bearer ");
    message.extend_from_slice(bytes);
    for (name, value) in &token.extensions {
        message.push(SEPARATOR);
        message.extend_from_slice(name.as_bytes());
        message.push(b'=');
        message.extend_from_slice(value.as_bytes());
    }
    message.extend_from_slice(&[SEPARATOR, SEPARATOR]);
    Ok(message.into())
}

/// `b64token` of RFC 6750, section 2.1.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sent(token: &OAuthToken) -> Result<String, String> {
        let message = message(token, SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        message
            .map(|message| String::from_utf8(message.expose().to_vec()).unwrap())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_message_carries_token_and_extensions() {
        let mut token = OAuthToken::new("a.b-c_d~e+f/g==");
        let expected = "n,,\u{1}auth=Bearer a.b-c_d~e+f/g==\u{1}\u{1}";
        assert_eq!(sent(&token), Ok(expected.into()));
        token.extensions = vec![("one".into(), "1 2".into()), ("two".into(), "x=y".into())];
        let expected = "n,,\u{1}auth=Bearer a.b-c_d~e+f/g==\u{1}one=1 2\u{1}two=x=y\u{1}\u{1}";
        assert_eq!(sent(&token), Ok(expected.into()));
    }

    #[test]
    fn what_would_change_the_meaning_of_the_message_is_refused() {
        for token in ["", "a\u{1}b", "a b", "a\nb"] {
            assert!(sent(&OAuthToken::new(token)).is_err(), "{token:?}");
        }
        for (name, value) in [
            ("auth", "x"),
            ("", "x"),
            ("a1", "x"),
            ("a", ""),
            ("a", "x\u{1}y"),
        ] {
            let mut token = OAuthToken::new("t");
            token.extensions = vec![(name.into(), value.into())];
            assert!(sent(&token).is_err(), "{name:?}={value:?}");
        }
    }

    #[test]
    fn a_token_that_has_ended_is_not_sent() {
        let mut token = OAuthToken::new("t");
        for (end, is_sent) in [(99, false), (100, false), (101, true)] {
            token.expires_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(end));
            assert_eq!(sent(&token).is_ok(), is_sent, "{end}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_understood_and_told() {
        let provider = || std::future::ready(Ok(OAuthToken::new("t")));
        let mechanism = OAuthBearer::new(Arc::new(provider));
        let broker = Address::new("kafka", 9092);
        let mut exchange = mechanism.start(&broker).await.unwrap();
        assert!(matches!(exchange.step(None).await, Ok(Reply::Send(_))));
        let reply = exchange.step(Some(b"{\"status\":\"invalid_token\"}")).await;
        assert_eq!(reply, Ok(Reply::Send(vec![1].into())));
        let said = exchange.step(Some(b"")).await.unwrap_err().to_string();
        assert!(said.ends_with("it refuses the token: {\"status\":\"invalid_token\"}"));
    }
}
