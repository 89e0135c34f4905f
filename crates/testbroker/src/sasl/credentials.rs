//! Users of a cluster, and the credentials it wants of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::mechanism::SaslMechanism;

/// Makes every client of a cluster authenticate. Without users and tokens nobody can.
///
/// ```
/// use std::time::Duration;
/// use wolff_testbroker::{Cluster, Sasl, SaslMechanism};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sasl = Sasl::new([SaslMechanism::ScramSha512, SaslMechanism::OAuthBearer])
///     .user("alice", "alice's password")
///     .token("a bearer token", "alice")
///     .session_lifetime(Duration::from_secs(5));
/// let cluster = Cluster::builder().sasl(sasl).start().await?;
/// // Later the password changes: connections that are made from now on need the new one.
/// cluster.change_sasl(|sasl| sasl.user("alice", "another"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Sasl {
    mechanisms: BTreeSet<SaslMechanism>,
    passwords: BTreeMap<String, String>,
    tokens: BTreeMap<String, Token>,
    accepts_any_token: bool,
    session_lifetime: Option<Duration>,
    scram_iterations: u32,
}

/// User and lifetime of a bearer token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) principal: String,
    /// Counted from the moment in which it is shown.
    pub(super) lifetime: Option<Duration>,
}

impl Sasl {
    /// These mechanisms are enabled.
    pub fn new(mechanisms: impl IntoIterator<Item = SaslMechanism>) -> Self {
        Self {
            mechanisms: mechanisms.into_iter().collect(),
            passwords: BTreeMap::new(),
            tokens: BTreeMap::new(),
            accepts_any_token: false,
            session_lifetime: None,
            // The least that RFC 7677 allows, and Kafka's default.
            scram_iterations: 4096,
        }
    }

    /// A user with a password, or a known one with another password.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.passwords.insert(name.into(), password.into());
        self
    }

    /// Nobody of that name is known any more.
    pub fn without_user(mut self, name: &str) -> Self {
        self.passwords.remove(name);
        self
    }

    /// A bearer token, and whose it is.
    pub fn token(mut self, token: impl Into<String>, principal: impl Into<String>) -> Self {
        let principal = principal.into();
        let lifetime = None;
        let token = token.into();
        self.tokens.insert(
            token,
            Token {
                principal,
                lifetime,
            },
        );
        self
    }

    /// The same; sessions that it opens last no longer than that.
    pub fn short_lived_token(
        mut self,
        token: impl Into<String>,
        principal: impl Into<String>,
        lifetime: Duration,
    ) -> Self {
        let principal = principal.into();
        let lifetime = Some(lifetime);
        let token = token.into();
        self.tokens.insert(
            token,
            Token {
                principal,
                lifetime,
            },
        );
        self
    }

    /// The token is not accepted any more.
    pub fn without_token(mut self, token: &str) -> Self {
        self.tokens.remove(token);
        self
    }

    /// With true, accepts every bearer token, whatever it says. Default: false.
    pub fn any_token(mut self, is_accepted: bool) -> Self {
        self.accepts_any_token = is_accepted;
        self
    }

    /// Limits the time that a client may go on before it must authenticate again on its connection:
    /// `connections.max.reauth.ms` (KIP-368). One that does not is disconnected at its next
    /// request. None for no limit, which is the default.
    pub fn session_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.session_lifetime = lifetime.into();
        self
    }

    /// Sets the number of iterations that SCRAM passwords are hashed with; at least one. Default:
    /// 4096.
    pub fn scram_iterations(mut self, iterations: u32) -> Self {
        self.scram_iterations = iterations.max(1);
        self
    }

    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = SaslMechanism> {
        self.mechanisms.iter().copied()
    }

    /// The enabled mechanism of that name.
    pub(crate) fn mechanism(&self, name: &str) -> Option<SaslMechanism> {
        self.mechanisms().find(|mechanism| mechanism.name() == name)
    }

    pub(super) fn password(&self, user: &str) -> Option<&str> {
        self.passwords.get(user).map(String::as_str)
    }

    pub(super) fn holder(&self, token: &str) -> Option<Token> {
        let any = || Token {
            principal: "somebody".to_owned(),
            lifetime: None,
        };
        let known = self.tokens.get(token).cloned();
        known.or_else(|| self.accepts_any_token.then(any))
    }

    pub(super) fn iterations(&self) -> u32 {
        self.scram_iterations
    }

    /// Lifetime of a session that may last that long by its token.
    pub(super) fn lifetime(&self, of_token: Option<Duration>) -> Option<Duration> {
        let limits = [self.session_lifetime, of_token];
        limits.into_iter().flatten().min()
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanisms", &self.mechanisms)
            .field("users", &self.passwords.keys())
            .field("tokens", &self.tokens.len())
            .field("accepts_any_token", &self.accepts_any_token)
            .field("session_lifetime", &self.session_lifetime)
            .field("scram_iterations", &self.scram_iterations)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let sasl = Sasl::new(SaslMechanism::ALL)
            .user("alice", "open sesame")
            .token("bearer of bad news", "alice");
        let printed = format!("{sasl:?}");
        assert!(printed.contains("alice"), "{printed}");
        assert!(!printed.contains("sesame") && !printed.contains("bearer"));
    }
}
