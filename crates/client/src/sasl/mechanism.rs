//! Mechanisms: the seam for those that this crate does not have.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::endpoint::Address;
use crate::error::SaslFailure;
use crate::secret::Secret;

/// The future of a step of authentication.
pub type SaslFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SaslFailure>> + Send + 'a>>;

/// A SASL mechanism with the credentials that go with it.
///
/// PLAIN, SCRAM and OAUTHBEARER are in [`Sasl`](crate::Sasl). For others, such as GSSAPI or
/// AWS_MSK_IAM, implement this trait; the example `sasl_plugin` shows one.
pub trait Mechanism: fmt::Debug + Send + Sync + 'static {
    /// The name by which brokers know it, for example `AWS_MSK_IAM`.
    fn name(&self) -> &str;

    /// True if somebody who reads along learns enough to pass himself off as the user. Then an
    /// unencrypted connection is refused, unless that was allowed by name. True unless overridden.
    fn reveals_secret(&self) -> bool {
        true
    }

    /// Begins an exchange with a broker. This is where credentials are fetched anew, for every
    /// connection and every renewal of a session, while other requests go on.
    ///
    /// # Errors
    /// [`SaslFailure::Credentials`] where there are none to be had.
    fn start<'a>(&'a self, broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>>;
}

/// One authentication, message by message.
pub trait Exchange: Send {
    /// Takes what the broker has said, nothing before the first message, and answers it.
    ///
    /// While a session is renewed, requests wait for this: what takes its time belongs into
    /// [`Mechanism::start`].
    ///
    /// # Errors
    /// [`SaslFailure::Broker`] where the broker does not do its part.
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply>;
}

/// Response to a message of a broker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// This message; the broker will answer it.
    Send(Secret),
    /// Both sides have said everything, and this side is content.
    Done,
}
