//! PLAIN: the name and the password as they are (RFC 4616).

use std::fmt;
use std::sync::Arc;

use super::credentials::{Credentials, CredentialsProvider};
use super::mechanism::{Exchange, Mechanism, Reply, SaslFuture};
use crate::endpoint::Address;
use crate::error::SaslFailure;
use crate::secret::Secret;

/// PLAIN with the credentials of a provider.
pub(super) struct Plain {
    provider: Arc<dyn CredentialsProvider>,
}

impl Plain {
    pub(super) fn new(provider: Arc<dyn CredentialsProvider>) -> Self {
        Self { provider }
    }
}

impl Mechanism for Plain {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn start<'a>(&'a self, _broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        Box::pin(async {
            let message = message(&self.provider.credentials().await?)?;
            Ok(Box::new(Only(Some(message))) as Box<dyn Exchange>)
        })
    }
}

/// The one message, until it was sent.
struct Only(Option<Secret>);

impl Exchange for Only {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        let reply = match (self.0.take(), challenge) {
            (Some(message), _) => Ok(Reply::Send(message)),
            (None, Some([])) => Ok(Reply::Done),
            (None, _) => Err(SaslFailure::Broker("PLAIN has no challenges".into())),
        };
        Box::pin(std::future::ready(reply))
    }
}

fn message(credentials: &Credentials) -> Result<Secret, SaslFailure> {
    let Credentials { username, password } = credentials;
    let (username, password) = (username.as_bytes(), password.expose());
    for (what, value) in [("name", username), ("password", password)] {
        if value.is_empty() || value.contains(&0) {
            let what = format!("the user's {what} must not be empty, nor contain a zero byte");
            return Err(SaslFailure::Credentials(what));
        }
    }
    // In one piece, since growing would leave copies behind.
    let mut message = Vec::with_capacity(username.len() + password.len() + 2);
    for part in [&b"\0"[..], username, b"\0", password] {
        message.extend_from_slice(part);
    }
    Ok(message.into())
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_message_is_two_zeros_with_name_and_password_behind_them() {
        let plain = Plain::new(Arc::new(Credentials::new("tim", "tanstaaftanstaaf")));
        let broker = Address::new("kafka", 9092);
        let mut exchange = plain.start(&broker).await.unwrap();
        let sent = Reply::Send("\0tim\0tanstaaftanstaaf".into());
        assert_eq!(exchange.step(None).await, Ok(sent));
        assert_eq!(exchange.step(Some(b"")).await, Ok(Reply::Done));
        assert!(exchange.step(Some(b"more")).await.is_err());
    }

    #[test]
    fn what_the_message_cannot_carry_is_refused() {
        for (username, password) in [("", "pw"), ("u", ""), ("u\0v", "pw"), ("u", "p\0w")] {
            let said = message(&Credentials::new(username, password)).unwrap_err();
            assert!(matches!(said, SaslFailure::Credentials(_)));
        }
    }
}
