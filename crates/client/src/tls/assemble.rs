//! From files and options to a configuration of rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::material::Material;
use super::options::{TlsOptions, TlsServerName, TlsVerification};
use super::verify::Lenient;
use crate::error::{ConfigError, TlsFileError};

/// The authorities that the system trusts. Waits for the disk, and takes its time.
pub(super) fn system_roots() -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What the system trusts in a form that nobody can read is of no use, but no reason to fail.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(ConfigError::NoSystemRoots(errors.join("; ")));
    }
    Ok(roots)
}

/// The configuration that belongs to these files.
pub(super) fn assemble(
    options: &TlsOptions,
    material: &Material,
    system_roots: Option<&RootCertStore>,
) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rejected = |error: rustls::Error| ConfigError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(rejected)?;
    let builder = match options.verification {
        TlsVerification::Full => {
            builder.with_root_certificates(roots(options, material, system_roots)?)
        }
        TlsVerification::AnyName => {
            let roots = Arc::new(roots(options, material, system_roots)?);
            let verifier = strict(roots, &provider)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient::any_name(provider, verifier)))
        }
        TlsVerification::DangerouslyNone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient::anybody(provider))),
    };
    let mut config = match (&material.identity, &options.identity) {
        (Some((chain, key)), Some(files)) => {
            let chain = certificates(chain, &files.cert_file)?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| unusable(&files.key_file, format!("holds no key: {error}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable(
                    &files.key_file,
                    format!("does not go with the certificate: {error}"),
                )
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    config.enable_sni = options.server_name != TlsServerName::None;
    Ok(config)
}

fn strict(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, ConfigError> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| ConfigError::Tls(error.to_string()))
}

fn roots(
    options: &TlsOptions,
    material: &Material,
    system_roots: Option<&RootCertStore>,
) -> Result<RootCertStore, ConfigError> {
    let mut roots = system_roots.cloned().unwrap_or_else(RootCertStore::empty);
    if let (Some(pem), Some(path)) = (&material.authorities, &options.ca_file) {
        for certificate in certificates(pem, path)? {
            roots.add(certificate).map_err(|error| {
                unusable(
                    path,
                    format!("holds a certificate that is no authority's: {error}"),
                )
            })?;
        }
    }
    Ok(roots)
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, format!("is no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable(path, "holds no certificate in PEM".into()));
    }
    Ok(certificates)
}

fn unusable(path: &Path, what: String) -> ConfigError {
    ConfigError::TlsFile(TlsFileError {
        path: path.to_owned(),
        what,
    })
}
