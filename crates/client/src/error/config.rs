//! Errors of a configuration.

use thiserror::Error;

use super::tls::TlsFileError;
use crate::endpoint::{EndpointError, SecurityProtocol};

/// A configuration that cannot work; nothing has been started.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody to ask where the cluster is.
    #[error("no bootstrap endpoint is given")]
    NoEndpoints,
    /// An endpoint string cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Two endpoints, or an endpoint and the option, disagree on how the cluster is secured.
    #[error("different security protocols are asked for: {0} and {1}")]
    MixedProtocols(SecurityProtocol, SecurityProtocol),
    /// Options are given, or missing, that do not go with the security protocol.
    #[error("the security protocol is {protocol}, but {what}")]
    Contradiction {
        /// The protocol that was asked for.
        protocol: SecurityProtocol,
        /// The option that does not go with it.
        what: &'static str,
    },
    /// A mechanism would show a secret to everybody on the way.
    #[error(
        "{mechanism} would send its secret over an unencrypted connection; use SASL_SSL, or allow that by name"
    )]
    UnencryptedSecret {
        /// The mechanism.
        mechanism: String,
    },
    /// TLS is asked for, and this build has none.
    #[error("TLS is not supported: built without the feature `tls`")]
    NoTls,
    /// A file that TLS needs cannot be used.
    #[error("TLS: {0}")]
    TlsFile(TlsFileError),
    /// The system has no authorities that could vouch for brokers.
    #[error(
        "TLS: the system trusts no authority ({0}); install its certificates, or name a file with the cluster's authority"
    )]
    NoSystemRoots(String),
    /// Another option of TLS cannot work.
    #[error("TLS: {0}")]
    Tls(String),
    /// A number or a duration is out of its range.
    #[error("{field} is {value}, but must be {expected}")]
    OutOfRange {
        /// The option's name.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// The values that would be right.
        expected: &'static str,
    },
}
