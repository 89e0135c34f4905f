//! Errors of authentication.

use thiserror::Error;
use wolff_codec::{ErrorCode, Str};

use super::words::shown;

/// Why a broker does not let this side in, or is not believed itself.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SaslFailure {
    /// The broker does not offer the mechanism.
    #[error("the broker does not offer {mechanism}, but {}", offered(enabled))]
    NotEnabled {
        /// The mechanism that was asked for.
        mechanism: String,
        /// Those that the broker offers.
        enabled: Vec<Str>,
    },
    /// The listener does without authentication.
    #[error("the listener takes no SASL; use the security protocol PLAINTEXT or SSL")]
    NotExpected,
    /// The broker refuses the credentials.
    #[error("{mechanism} authentication refused with {code}{}", words(message.as_ref()))]
    Refused {
        /// The mechanism that was used.
        mechanism: String,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words, if it has any.
        message: Option<Str>,
    },
    /// The broker closed the connection in the middle of the exchange, as brokers before 1.0
    /// refuse.
    #[error(
        "closed the connection during {mechanism} authentication without a reason, as some brokers refuse credentials"
    )]
    Closed {
        /// The mechanism that was used.
        mechanism: String,
    },
    /// There are no credentials to be had, or none that could be used.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// The broker's message is not what the mechanism prescribes, or does not prove that the broker
    /// knows the user's secret: it may be somebody else.
    #[error("the broker fails its part of the authentication: {}", shown(_0))]
    Broker(String),
}

fn offered(enabled: &[Str]) -> String {
    let names: Vec<_> = enabled.iter().map(|name| &**name).collect();
    match names.is_empty() {
        true => "nothing".into(),
        false => shown(&names.join(", ")),
    }
}

fn words(message: Option<&Str>) -> String {
    message.map_or_else(String::new, |text| format!(": {}", shown(text)))
}
