//! Certificates made on the spot.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a helper of tests, of which each test file uses a part"
)]

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use wolff_client::rustls::pki_types::pem::PemObject;
use wolff_client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wolff_client::rustls::server::WebPkiClientVerifier;
use wolff_client::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion, crypto::ring, version,
};

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// Vouches for others.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::of_servers(name, &[])
    }

    /// An authority whose own certificate is for these servers as well.
    pub fn of_servers(name: &str, servers: &[&str]) -> Self {
        let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(servers).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server that shows the authority's own certificate, as `openssl req -x509` makes it by
    /// default.
    pub fn server(&self) -> ServerConfig {
        let key = self.issuer.key().serialize_pem();
        ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(BOTH)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.der()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn issue(&self, name: &str) -> Certificate {
        self.issue_with(name, |_| {})
    }

    pub fn issue_expired(&self, name: &str) -> Certificate {
        self.issue_with(name, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { certificate, key }
    }
}

/// Stands for a server or a client.
pub struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn server(&self) -> ServerConfig {
        self.server_with(BOTH, None)
    }

    pub fn server_of_tls_1_2(&self) -> ServerConfig {
        self.server_with(&[&version::TLS12], None)
    }

    pub fn server_for_clients_of(&self, authority: &Authority) -> ServerConfig {
        self.server_with(BOTH, Some(authority))
    }

    pub fn server_of_tls_1_2_for_clients_of(&self, authority: &Authority) -> ServerConfig {
        self.server_with(&[&version::TLS12], Some(authority))
    }

    fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients_of: Option<&Authority>,
    ) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients_of {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(self.key_pem().as_bytes()).unwrap();
        let chain = vec![self.certificate.der().clone()];
        builder.with_single_cert(chain, key).unwrap()
    }
}
