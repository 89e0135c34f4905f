//! Choice of the mechanism that a client uses.

use std::fmt;
use std::sync::Arc;

use super::credentials::CredentialsProvider;
use super::mechanism::Mechanism;
use super::oauth_bearer::{OAuthBearer, TokenProvider};
use super::plain::Plain;
use super::scram::Scram;

/// A SASL mechanism with its credentials, for [`ClientBuilder::sasl`](crate::ClientBuilder::sasl).
///
/// ```
/// use wolff_client::{Credentials, Sasl};
///
/// let sasl = Sasl::scram_sha_512(Credentials::new("alice", "alices-password"));
/// assert_eq!(sasl.mechanism_name(), "SCRAM-SHA-512");
/// ```
#[derive(Clone)]
pub struct Sasl {
    mechanism: Arc<dyn Mechanism>,
    is_unencrypted_allowed: bool,
}

impl Sasl {
    /// PLAIN: the password itself is sent, so that an encrypted connection is needed.
    pub fn plain(credentials: impl CredentialsProvider) -> Self {
        Self::mechanism(Plain::new(Arc::new(credentials)))
    }

    /// SCRAM-SHA-256: broker and client prove to each other that they know the password.
    pub fn scram_sha_256(credentials: impl CredentialsProvider) -> Self {
        Self::mechanism(Scram::sha_256(Arc::new(credentials)))
    }

    /// SCRAM-SHA-512: broker and client prove to each other that they know the password.
    pub fn scram_sha_512(credentials: impl CredentialsProvider) -> Self {
        Self::mechanism(Scram::sha_512(Arc::new(credentials)))
    }

    /// OAUTHBEARER: the token itself is sent, so that an encrypted connection is needed.
    pub fn oauth_bearer(tokens: impl TokenProvider) -> Self {
        Self::mechanism(OAuthBearer::new(Arc::new(tokens)))
    }

    /// A mechanism of one's own.
    pub fn mechanism(mechanism: impl Mechanism) -> Self {
        Self {
            mechanism: Arc::new(mechanism),
            is_unencrypted_allowed: false,
        }
    }

    /// Lets passwords and tokens go over unencrypted connections, where everybody on the way can
    /// read them. Without this, [`ClientBuilder::build`](crate::ClientBuilder::build) refuses PLAIN
    /// and OAUTHBEARER with `SASL_PLAINTEXT`.
    pub fn allow_unencrypted_secrets(mut self) -> Self {
        self.is_unencrypted_allowed = true;
        self
    }

    /// The name by which brokers know the mechanism.
    pub fn mechanism_name(&self) -> &str {
        self.mechanism.name()
    }

    /// The mechanism itself, for one of one's own that wraps it.
    pub fn as_mechanism(&self) -> &dyn Mechanism {
        &*self.mechanism
    }

    /// True if it may go over an unencrypted connection.
    pub(crate) fn may_go_unencrypted(&self) -> bool {
        self.is_unencrypted_allowed || !self.mechanism.reveals_secret()
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sasl").field(&self.mechanism_name()).finish()
    }
}
