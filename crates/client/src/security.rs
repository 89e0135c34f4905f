//! How connections of a client are secured: the protocol, and what it takes.

use crate::endpoint::SecurityProtocol;
use crate::error::ConfigError;
use crate::tls::{Tls, TlsOptions};

/// What was said about security, part by part.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecurityOptions {
    pub(crate) protocol: Option<SecurityProtocol>,
    pub(crate) tls: Option<TlsOptions>,
}

/// Options that go together.
#[derive(Debug)]
pub(crate) struct Security {
    /// Present where connections are encrypted.
    pub(crate) tls: Option<Tls>,
}

impl SecurityOptions {
    /// Checks that the parts go together.
    ///
    /// Without a protocol, TLS is used where it was given options.
    pub(crate) fn finish(self) -> Result<Security, ConfigError> {
        let protocol = self.protocol.unwrap_or(match &self.tls {
            Some(_) => SecurityProtocol::Ssl,
            None => SecurityProtocol::Plaintext,
        });
        let contradiction = |what| Err(ConfigError::Contradiction { protocol, what });
        if !protocol.is_encrypted() && self.tls.is_some() {
            return contradiction("options for TLS are given, which it does not use");
        }
        let tls = match protocol.is_encrypted() {
            true => Some(Tls::new(self.tls.unwrap_or_default())?),
            false => None,
        };
        Ok(Security { tls })
    }
}
