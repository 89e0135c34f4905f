//! Why an administrative request was not carried out.

use thiserror::Error;
use wolff_codec::{ErrorCode, Str};

use super::metadata::ConnectError;
use super::request::RequestError;
use super::words::shown;

/// Why an administrative request, such as creating a topic, was not carried out.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no connection to the broker that decides.
    #[error(transparent)]
    Connect(ConnectError),
    /// The request failed.
    #[error(transparent)]
    Request(RequestError),
    /// The broker refused it.
    #[error("{code}{}", message.as_ref().map(|text| format!(": {}", shown(text))).unwrap_or_default())]
    Refused {
        /// The broker's reason.
        code: ErrorCode,
        /// The broker's words.
        message: Option<Str>,
    },
    /// The answer does not speak about what was asked.
    #[error("the broker's answer leaves the topic out")]
    LeftOut,
}
