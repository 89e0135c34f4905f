//! TLS of a broker's port.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::Identity;
use super::error::TlsError;

/// TLS 1.2 and 1.3 with one certificate; clients must show one of their own if an authority for
/// them is named (mTLS).
#[derive(Clone)]
pub struct TlsListener {
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Shows this certificate to clients, and asks for none of theirs.
    ///
    /// # Errors
    /// When it is not a certificate with its key.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        Self::build(identity, None)
    }

    /// Shows this certificate, and serves only clients that show one that this authority (PEM) has
    /// signed.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn mutual(identity: &Identity, client_authority_pem: &str) -> Result<Self, TlsError> {
        Self::build(identity, Some(client_authority_pem))
    }

    fn build(identity: &Identity, client_authority_pem: Option<&str>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = match client_authority_pem {
            None => config.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem)? {
                    roots.add(certificate)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| TlsError::ClientAuthority(error.into()))?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes())
            .map_err(|error| TlsError::Pem(io::Error::other(error)))?;
        let config = config.with_single_cert(certificates(identity.certificate_pem())?, key)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(stream).await
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener").finish_non_exhaustive()
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Pem(io::Error::other(error)))
}
