//! Security of a client's connections: the protocol, and what it takes.

use crate::endpoint::SecurityProtocol;
use crate::error::ConfigError;
use crate::sasl::Sasl;
use crate::tls::{Tls, TlsOptions};

/// Security options as they were given, part by part.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecurityOptions {
    pub(crate) protocol: Option<SecurityProtocol>,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) sasl: Option<Sasl>,
}

/// Options that go together.
#[derive(Debug)]
pub(crate) struct Security {
    /// Present where connections are encrypted.
    pub(crate) tls: Option<Tls>,
    /// Present where this side authenticates.
    pub(crate) sasl: Option<Sasl>,
}

impl SecurityOptions {
    /// Checks that the parts go together.
    ///
    /// Without a protocol, TLS is used where it was given options. SASL alone does not tell whether
    /// it should be encrypted, and has to be named.
    pub(crate) fn finish(self) -> Result<Security, ConfigError> {
        let protocol = self.protocol.unwrap_or(match (&self.tls, &self.sasl) {
            (Some(_), Some(_)) => SecurityProtocol::SaslSsl,
            (Some(_), None) => SecurityProtocol::Ssl,
            (None, _) => SecurityProtocol::Plaintext,
        });
        let contradiction = |what| Err(ConfigError::Contradiction { protocol, what });
        if !protocol.is_encrypted() && self.tls.is_some() {
            return contradiction("options for TLS are given, which it does not use");
        }
        match &self.sasl {
            None if protocol.is_authenticated() => {
                return contradiction("no SASL mechanism is given");
            }
            Some(_) if !protocol.is_authenticated() => {
                return contradiction(
                    "a SASL mechanism is given, which goes with SASL_SSL or SASL_PLAINTEXT",
                );
            }
            Some(sasl) if !protocol.is_encrypted() && !sasl.may_go_unencrypted() => {
                let mechanism = sasl.mechanism_name().to_owned();
                return Err(ConfigError::UnencryptedSecret { mechanism });
            }
            _ => {}
        }
        let tls = match protocol.is_encrypted() {
            true => Some(Tls::new(self.tls.unwrap_or_default())?),
            false => None,
        };
        Ok(Security {
            tls,
            sasl: self.sasl,
        })
    }
}
