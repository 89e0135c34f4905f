//! Stand-ins for TLS where the feature `tls` is off: nothing that could be used.

use std::convert::Infallible;
use std::io;

use super::options::TlsOptions;
use crate::endpoint::Address;
use crate::error::{ConfigError, HostReason, TlsFailure};
use crate::transport::BoxStream;

/// Never there.
#[derive(Debug)]
pub(crate) struct Tls(Infallible);

impl Tls {
    /// Refuses.
    pub(crate) fn new(_options: TlsOptions) -> Result<Self, ConfigError> {
        Err(ConfigError::NoTls)
    }

    /// Never called.
    pub(crate) async fn handshake(
        &self,
        _stream: BoxStream,
        _address: &Address,
    ) -> Result<BoxStream, HostReason> {
        match self.0 {}
    }
}

/// No error of a stream comes from TLS.
pub(crate) fn stream_failure(_error: &io::Error) -> Option<TlsFailure> {
    None
}
