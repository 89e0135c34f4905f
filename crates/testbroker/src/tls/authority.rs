//! A certificate authority of one's own, and what it signs.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::error::TlsError;

/// A certificate authority with a fresh key, known to nobody: what it signs is good for one test.
///
/// ```
/// use wolff_testbroker::CertificateAuthority;
///
/// let authority = CertificateAuthority::new("tests")?;
/// let server = authority.server(&["localhost", "127.0.0.1"])?;
/// let client = authority.client("alice")?;
/// // What the client trusts, and what it shows.
/// let ca_pem = authority.certificate_pem();
/// let (cert_pem, key_pem) = (client.certificate_pem(), client.key_pem());
/// # assert!(ca_pem.contains("CERTIFICATE") && cert_pem.contains("CERTIFICATE"));
/// # assert!(key_pem.contains("PRIVATE KEY"));
/// # drop(server);
/// # Ok::<(), wolff_testbroker::TlsError>(())
/// ```
pub struct CertificateAuthority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// An authority of that name.
    ///
    /// # Errors
    /// When the machine has no randomness to offer.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate_pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            certificate_pem,
            issuer,
        })
    }

    /// Its own certificate: whom clients have to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for brokers that are reached by these host names or IP addresses.
    ///
    /// # Errors
    /// When one of them is neither.
    pub fn server(&self, names: &[&str]) -> Result<Identity, TlsError> {
        self.sign(server_params(names)?)
    }

    /// A certificate for brokers that ran out in 2001.
    ///
    /// # Errors
    /// When one of the names is neither a host name nor an IP address.
    pub fn expired_server(&self, names: &[&str]) -> Result<Identity, TlsError> {
        let mut params = server_params(names)?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    /// A certificate for a client of that name (its common name).
    ///
    /// # Errors
    /// When the machine has no randomness to offer.
    pub fn client(&self, name: &str) -> Result<Identity, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Identity, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

fn server_params(names: &[&str]) -> Result<CertificateParams, TlsError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "wolff test broker");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A certificate and its private key, as files have them.
#[derive(Clone)]
pub struct Identity {
    certificate_pem: String,
    key_pem: String,
}

impl Identity {
    /// A certificate (with its chain, if there is one) and its private key, made elsewhere. Whether
    /// they fit is seen when they are used.
    pub fn new(certificate_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        Self {
            certificate_pem: certificate_pem.into(),
            key_pem: key_pem.into(),
        }
    }

    /// The certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, in PKCS #8.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate_pem", &self.certificate_pem)
            .field("key_pem", &"[redacted]")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_not_printed() {
        let authority = CertificateAuthority::new("tests").unwrap();
        let identity = authority.client("alice").unwrap();
        let printed = format!("{authority:?} {identity:?}");
        assert!(!printed.contains("PRIVATE"), "{printed}");
        assert!(printed.contains("[redacted]"));
    }
}
