//! What a user can say about TLS.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::secret::Secret;

/// How brokers are recognised, and what this side shows them.
///
/// The files are looked at again before every connection, so that renewed certificates are used
/// without a restart. While a new file cannot be used, for example because it is half written, what
/// was read before stays in use.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificates of the authorities that vouch for brokers, PEM. A broker that shows exactly one of
    /// these certificates is trusted as well, whatever kind it is and whatever its dates are, as Java
    /// does: that is how a self-signed one is pinned. Default: `None`, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// As `ca_file`, the certificates themselves, PEM; both count. Default: `None`.
    pub ca_pem: Option<String>,
    /// Whether the authorities that the system trusts count as well as those in `ca_file`. Default:
    /// false: with a file, only the file.
    pub with_system_roots: bool,
    /// The certificate that this side shows (mTLS). Default: `None`.
    pub identity: Option<TlsIdentity>,
    /// As `identity`, the certificates and the key themselves; it takes the place of files. Default:
    /// `None`.
    pub identity_pem: Option<TlsPemIdentity>,
    /// The name that brokers are called by, and that their certificates must be for. Default:
    /// [`TlsServerName::Auto`].
    pub server_name: TlsServerName,
    /// What of a broker's certificate is checked. Default: [`TlsVerification::Full`].
    pub verification: TlsVerification,
    /// A configuration of the user's own, for what the other options cannot say. `ca_file`,
    /// `with_system_roots`, `identity` and `verification` have no effect then. Default: `None`.
    #[cfg(feature = "tls")]
    pub client_config: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the user's own configuration, which may hold keys.
        f.debug_struct("TlsOptions")
            .field("ca_file", &self.ca_file)
            .field("with_system_roots", &self.with_system_roots)
            .field("identity", &self.identity)
            .field("identity_pem", &self.identity_pem)
            .field("server_name", &self.server_name)
            .field("verification", &self.verification)
            .finish_non_exhaustive()
    }
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate and those between it and its authority, PEM, the certificate first.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM, not encrypted: PKCS #8, PKCS #1 or SEC 1.
    pub key_file: PathBuf,
}

/// A client certificate and its key, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPemIdentity {
    /// The certificate and those between it and its authority, PEM, the certificate first.
    pub certificates: String,
    /// The certificate's private key, PEM, not encrypted: PKCS #8, PKCS #1 or SEC 1.
    pub key: Secret,
}

/// The name of a broker in TLS: what is sent as server name indication (SNI), and what its
/// certificate must be for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsServerName {
    /// The host that is dialled, for both.
    #[default]
    Auto,
    /// The certificate must be for the host that is dialled; no name is sent.
    None,
    /// This name, for both, whatever host is dialled.
    Fixed(String),
}

/// What of a broker's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVerification {
    /// An authority that is trusted, and the broker's name.
    #[default]
    Full,
    /// An authority that is trusted, not the name: any holder of a certificate by that authority
    /// can pass itself off as a broker. The same as Kafka's empty
    /// `ssl.endpoint.identification.algorithm`.
    AnyName,
    /// Nothing: anybody between here and the broker can read and change everything. For experiments.
    /// A warning is logged when a client is built with it.
    DangerouslyNone,
}
