//! Options of TLS.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::secret::Secret;

/// Options of TLS: how brokers are recognised, and what this side shows them.
///
/// The files are looked at again before every connection, so that renewed certificates are used
/// without a restart. While a new file cannot be used, for example because it is half written, what
/// was read before stays in use.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificates of the authorities that vouch for brokers, PEM. A broker that shows exactly one
    /// of these certificates is trusted as well, whatever kind it is and whatever its dates are, as
    /// Java does: that is how a self-signed one is pinned. Default: `None`, those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// As `ca_file`, the certificates themselves, PEM; both count. Default: `None`.
    pub ca_pem: Option<String>,
    /// True if the authorities that the system trusts count as well as those in `ca_file`. Default:
    /// false: with a file, only the file.
    pub with_system_roots: bool,
    /// The certificate that this side shows (mTLS). Default: `None`.
    pub identity: Option<TlsIdentity>,
    /// As `identity`, the certificates and the key themselves; it takes the place of files.
    /// Default: `None`.
    pub identity_pem: Option<TlsPemIdentity>,
    /// The password of the private key, where that is encrypted (`BEGIN ENCRYPTED PRIVATE KEY`:
    /// PKCS #8 with PBES2, as `openssl genpkey -aes256` and `openssl pkcs8 -topk8` write it).
    /// Default: `None`.
    pub key_password: Option<Secret>,
    /// As `key_password`, the file that holds it, read anew together with the key; a line break at
    /// its end does not count. It has no effect beside `key_password`. Default: `None`.
    pub key_password_file: Option<PathBuf>,
    /// The name that brokers are called by, and that their certificates must be for. Default:
    /// [`TlsServerName::Auto`].
    pub server_name: TlsServerName,
    /// The parts of a broker's certificate that are checked. Default: [`TlsVerification::Full`].
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
            .field("key_password", &self.key_password)
            .field("key_password_file", &self.key_password_file)
            .field("server_name", &self.server_name)
            .field("verification", &self.verification)
            .finish_non_exhaustive()
    }
}

/// A client certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsIdentity {
    /// The certificate and those between it and its authority, PEM, the certificate first.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM: PKCS #8, PKCS #1 or SEC 1. One that is encrypted needs
    /// [`TlsOptions::key_password`].
    pub key_file: PathBuf,
}

/// A client certificate and its key, in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsPemIdentity {
    /// The certificate and those between it and its authority, PEM, the certificate first.
    pub certificates: String,
    /// The certificate's private key, PEM: PKCS #8, PKCS #1 or SEC 1. One that is encrypted needs
    /// [`TlsOptions::key_password`].
    pub key: Secret,
}

/// The name of a broker in TLS: what is sent as server name indication (SNI), and what its
/// certificate must be for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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

/// Parts of a broker's certificate that are checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TlsVerification {
    /// An authority that is trusted, and the broker's name.
    #[default]
    Full,
    /// An authority that is trusted, not the name: any holder of a certificate by that authority
    /// can pass itself off as a broker. The same as Kafka's empty
    /// `ssl.endpoint.identification.algorithm`.
    AnyName,
    /// Nothing: anybody between here and the broker can read and change everything. For
    /// experiments. A warning is logged when a client is built with it.
    DangerouslyNone,
}
