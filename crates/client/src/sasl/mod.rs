//! SASL: who this side is, and in part who the broker is.
//!
//! Mechanisms take and give messages; they know nothing of connections. Not here: how messages are
//! carried, and when a session is renewed.

mod choice;

mod oauth_bearer;
mod plain;
mod scram;

mod credentials;

mod mechanism;

pub use self::choice::Sasl;
pub use self::credentials::{Credentials, CredentialsFile, CredentialsProvider, PasswordFile};
pub use self::mechanism::{Exchange, Mechanism, Reply, SaslFuture};
pub use self::oauth_bearer::{OAuthToken, TokenProvider};
