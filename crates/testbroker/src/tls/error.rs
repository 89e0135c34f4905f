//! Errors of certificates.

use std::io;

use thiserror::Error;

/// Why a certificate is not made, or a listener cannot use one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A name cannot stand in a certificate, or the key cannot sign it.
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The bytes that should be a certificate or a key in PEM are none.
    #[error("not a certificate or key in PEM")]
    Pem(#[source] io::Error),
    /// The certificate and the key do not fit together, or not what TLS asks of them.
    #[error("TLS does not accept the certificate")]
    Refused(#[from] rustls::Error),
    /// The certificate of the clients' authority cannot vouch for anybody.
    #[error("the authority for client certificates cannot be used")]
    ClientAuthority(#[source] Box<dyn std::error::Error + Send + Sync>),
}
