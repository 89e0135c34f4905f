//! What is wrong with a configuration.

use thiserror::Error;

use crate::endpoint::{EndpointError, SecurityProtocol};

/// A configuration that cannot work; nothing has been started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody to ask where the cluster is.
    #[error("no bootstrap endpoint is given")]
    NoEndpoints,
    /// An endpoint string cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Two endpoints disagree on how the cluster is secured.
    #[error("the endpoints name different security protocols: {0} and {1}")]
    MixedProtocols(SecurityProtocol, SecurityProtocol),
    /// An endpoint asks for what this version cannot do.
    #[error("security protocol {0} is not supported")]
    UnsupportedProtocol(SecurityProtocol),
    /// A number or a duration is out of its range.
    #[error("{field} is {value}, but must be {expected}")]
    OutOfRange {
        /// The option's name.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}
