//! From files and options to a configuration of rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::encrypted_key::EncryptedKey;
use super::material::Material;
use super::options::{TlsOptions, TlsServerName, TlsVerification};
use super::verify::{Lenient, Pinned};
use crate::error::{ConfigError, TlsFileError};

/// Stand-in for the name of a file in errors about PEM that was given in memory.
const IN_MEMORY: &str = "the PEM in memory";

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
            let (roots, pins) = roots(options, material, system_roots)?;
            if pins.is_empty() {
                builder.with_root_certificates(roots)
            } else {
                let verifier = strict(roots, &provider)?;
                let pinned = Pinned::new(provider, verifier, pins);
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(pinned))
            }
        }
        TlsVerification::AnyName => {
            let (roots, pins) = roots(options, material, system_roots)?;
            let verifier = strict(roots, &provider)?;
            let lenient = Lenient::any_name(provider, verifier, pins);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(lenient))
        }
        TlsVerification::DangerouslyNone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient::anybody(provider))),
    };
    let in_memory = Path::new(IN_MEMORY);
    let (cert_file, key_file) = match (&options.identity_pem, &options.identity) {
        (None, Some(files)) => (files.cert_file.as_path(), files.key_file.as_path()),
        _ => (in_memory, in_memory),
    };
    let mut config = match &material.identity {
        Some((chain, key)) => {
            let chain = certificates(chain, cert_file)?;
            let password = material.key_password.as_ref();
            let key = private_key(key, password.map(|password| password.as_slice()), key_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable(
                    key_file,
                    format!("does not go with the certificate: {error}"),
                )
            })?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = options.server_name != TlsServerName::None;
    Ok(config)
}

fn private_key(
    pem: &[u8],
    password: Option<&[u8]>,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let pem = without_mark(pem);
    if let Some(key) = EncryptedKey::find(pem) {
        return key.decrypt(password).map_err(|what| unusable(path, what));
    }
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| unusable(path, format!("holds no key: {}", in_words(&error))))
}

/// The error without the line that it is about, which may be of a private key.
fn in_words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a BEGIN line has no END line that goes with it",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "what is between BEGIN and END is no base64",
        pem::Error::SectionTooLarge => "it is too large",
        pem::Error::NoItemsFound => "no BEGIN line of the kind that is needed",
        _ => "it cannot be read",
    }
}

/// PEM as some editors on Windows write it begins with a byte order mark.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

/// Checks against authorities; `None` where there are none.
fn strict(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, ConfigError> {
    if roots.is_empty() {
        return Ok(None);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(Some)
        .map_err(|error| ConfigError::Tls(error.to_string()))
}

/// The authorities that are trusted, and the certificates that are trusted as they are.
type Trusted = (RootCertStore, Vec<CertificateDer<'static>>);

fn roots(
    options: &TlsOptions,
    material: &Material,
    system_roots: Option<&RootCertStore>,
) -> Result<Trusted, ConfigError> {
    let mut roots = system_roots.cloned().unwrap_or_else(RootCertStore::empty);
    let mut pins = Vec::new();
    let in_memory = options.ca_pem.as_ref().map(|pem| pem.as_bytes());
    let in_memory = in_memory.zip(Some(Path::new(IN_MEMORY)));
    let in_file = material
        .authorities
        .as_deref()
        .zip(options.ca_file.as_deref());
    for (pem, path) in in_file.into_iter().chain(in_memory) {
        for certificate in certificates(pem, path)? {
            // What cannot be an authority, such as a certificate of version 1, can still be pinned.
            if let Err(error) = roots.add(certificate.clone()) {
                tracing::debug!(path = %path.display(), %error, "a certificate is pinned only");
            }
            pins.push(certificate);
        }
    }
    Ok((roots, pins))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(without_mark(pem))
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, format!("is no PEM: {}", in_words(&error))))?;
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
