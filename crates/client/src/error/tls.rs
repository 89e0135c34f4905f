//! Errors of TLS.

use std::path::PathBuf;

use thiserror::Error;

use super::words::shown;

/// Why a broker and this side do not come to an encrypted connection.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The broker's certificate is not accepted.
    #[error("the broker's certificate is not accepted: {}", shown(_0))]
    Certificate(String),
    /// The broker refused, in TLS's own words.
    #[error("the broker refused with the TLS alert {alert}: {advice}")]
    Alert {
        /// The alert's name in the standard (RFC 8446, section 6).
        alert: String,
        /// The usual cause.
        advice: &'static str,
    },
    /// Somebody answers, but not in TLS.
    #[error("it does not speak TLS; that may be a listener for plaintext")]
    NotTls,
    /// The peer went away in the middle of the handshake.
    #[error("closed the connection during the TLS handshake; that may be a listener for plaintext")]
    ClosedInHandshake,
    /// The peer went away as soon as the handshake was over, as brokers do that want to see a
    /// certificate and saw none.
    #[error(
        "closed the connection right after the TLS handshake: it may want a client certificate, or another one"
    )]
    ClosedAfterHandshake,
    /// No version or cipher that both sides have.
    #[error("no common version of TLS: {}", shown(_0))]
    Incompatible(String),
    /// The host cannot be the name of a TLS server.
    #[error(
        "{0:?} cannot stand in a certificate (an underscore, or not a name at all); give the name that the broker's certificate is for (--tls-server-name)"
    )]
    Name(String),
    /// Anything else.
    #[error("{}", shown(_0))]
    Other(String),
}

/// A file with certificates or a key that cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{} {what}", path.display())]
pub struct TlsFileError {
    /// The file.
    pub path: PathBuf,
    /// The defect of it. Never what is in it.
    pub what: String,
}
