//! Why an administrative request was not carried out.

use thiserror::Error;
use wolff_codec::{ErrorCode, Str};

use super::context::RequestContext;
use super::metadata::ConnectError;
use super::request::RequestError;
use super::words::{advice, shown};

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
    #[error(
        "{code}{}, in response to {context}{}",
        message.as_ref().map(|text| format!(": {}", shown(text))).unwrap_or_default(),
        advice(*code)
    )]
    Refused {
        /// The broker's reason.
        code: ErrorCode,
        /// The broker's words.
        message: Option<Str>,
        /// The request and the broker that refused it.
        context: Box<RequestContext>,
    },
    /// The response does not contain what was asked for.
    #[error("what was asked for is missing in the response to {context}; ask again")]
    LeftOut {
        /// The request and the broker that responded.
        context: Box<RequestContext>,
    },
}
