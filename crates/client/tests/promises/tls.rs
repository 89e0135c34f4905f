//! A6: TLS.

use std::path::PathBuf;
use std::sync::Arc;

use wolff_client::rustls;
use wolff_client::{
    Client, HostReason, TlsFailure, TlsIdentity, TlsOptions, TlsServerName, TlsVerification,
};
use wolff_testbroker::{CertificateAuthority, Cluster, TlsListener};

use crate::impatience::{client_of, in_time};

struct Files(tempfile::TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn client(cluster: &Cluster, options: TlsOptions) -> Client {
    let builder = client_of(format!("SSL://{}", cluster.bootstrap()));
    builder.tls(options).build().unwrap()
}

async fn refusal(client: &Client) -> HostReason {
    let mut hosts = in_time(client.probe_hosts()).await;
    hosts.remove(0).1.unwrap_err()
}

fn is_certificate(reason: &HostReason) -> bool {
    matches!(reason, HostReason::Tls(TlsFailure::Certificate(_)))
}

#[tokio::test]
async fn a6_tls_with_authorities_names_client_certificates_renewed_files_and_a_configuration_of_ones_own()
 {
    let files = Files(tempfile::tempdir().unwrap());
    let authority = CertificateAuthority::new("authority").unwrap();
    let server = authority.server(&["127.0.0.1"]).unwrap();
    let listener = TlsListener::new(&server).unwrap();
    let cluster = Cluster::builder().tls(listener).start().await.unwrap();

    // Verified by default: the system's authorities do not know this one.
    let reason = refusal(&client(&cluster, TlsOptions::default())).await;
    assert!(is_certificate(&reason), "{reason}");
    let mut anybody = TlsOptions::default();
    anybody.verification = TlsVerification::DangerouslyNone;
    client(&cluster, anybody)
        .check_connectivity()
        .await
        .unwrap();
    let mut own = TlsOptions::default();
    own.ca_file = Some(files.write("ca.pem", authority.certificate_pem()));
    let client_of_own = client(&cluster, own.clone());
    client_of_own.check_connectivity().await.unwrap();

    // The name in the certificate counts: that of the host, or a fixed one.
    let named = authority.server(&["kafka.test"]).unwrap();
    cluster.set_tls(TlsListener::new(&named).unwrap());
    let reason = refusal(&client_of_own).await;
    assert!(is_certificate(&reason), "{reason}");
    for (name, is_right) in [
        (TlsServerName::Fixed("kafka.test".into()), true),
        (TlsServerName::Fixed("other.test".into()), false),
        (TlsServerName::None, false),
    ] {
        let mut options = own.clone();
        options.server_name = name.clone();
        let outcome = in_time(client(&cluster, options).probe_hosts())
            .await
            .remove(0)
            .1;
        assert_eq!(outcome.is_ok(), is_right, "{name:?}: {outcome:?}");
    }

    // A client certificate, where the broker wants one.
    let mutual = TlsListener::mutual(&server, authority.certificate_pem()).unwrap();
    cluster.set_tls(mutual);
    let reason = refusal(&client_of_own).await;
    assert!(matches!(reason, HostReason::Tls(_)), "{reason}");
    let identity = authority.client("alice").unwrap();
    own.identity = Some(TlsIdentity {
        cert_file: files.write("client.pem", identity.certificate_pem()),
        key_file: files.write("client.key", identity.key_pem()),
    });
    let known = client(&cluster, own);
    known.check_connectivity().await.unwrap();

    // Renewed files are used by the same client: another authority, and a certificate of it.
    let next = CertificateAuthority::new("next authority").unwrap();
    let server = next.server(&["127.0.0.1"]).unwrap();
    cluster.set_tls(TlsListener::mutual(&server, next.certificate_pem()).unwrap());
    assert!(is_certificate(&refusal(&known).await));
    files.write("ca.pem", next.certificate_pem());
    let identity = next.client("alice").unwrap();
    files.write("client.pem", identity.certificate_pem());
    files.write("client.key", identity.key_pem());
    assert_eq!(in_time(known.probe_hosts()).await.remove(0).1, Ok(()));

    // Or all of it by somebody else.
    cluster.set_tls(TlsListener::new(&server).unwrap());
    let mut roots = rustls::RootCertStore::empty();
    let pem = next.certificate_pem().as_bytes();
    use rustls::pki_types::pem::PemObject as _;
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut options = TlsOptions::default();
    options.client_config = Some(Arc::new(config));
    client(&cluster, options)
        .check_connectivity()
        .await
        .unwrap();
}
