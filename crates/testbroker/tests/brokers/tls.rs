//! TLS, as a client that checks everything meets it.

#![cfg(feature = "tls")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wolff_codec::messages::MetadataRequest;
use wolff_codec::{CorrelationId, FrameSplitter, encode_request, response_correlation_id};
use wolff_testbroker::{CertificateAuthority, Cluster, Identity, TlsListener};

/// Beyond this a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(trusted: &CertificateAuthority, identity: Option<&Identity>) -> ClientConfig {
    let certificates = |pem: &str| {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(trusted.certificate_pem()) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
            let chain = certificates(identity.certificate_pem());
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// Asks for metadata over TLS.
async fn ask(cluster: &Cluster, config: ClientConfig, name: &'static str) -> io::Result<()> {
    let request = MetadataRequest::default();
    let frame = encode_request(&request, 9, CorrelationId(7), None).unwrap();
    let conversation = async {
        let stream = TcpStream::connect(cluster.bootstrap()).await?;
        let name = ServerName::try_from(name).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(&frame.to_bytes()).await?;
        let mut received = BytesMut::new();
        loop {
            if let Some(frame) = FrameSplitter::new(1 << 20)
                .next_frame(&mut received)
                .unwrap()
            {
                assert_eq!(response_correlation_id(&frame).unwrap(), CorrelationId(7));
                return Ok(());
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    timeout(PATIENCE, conversation).await.unwrap()
}

async fn cluster(listener: TlsListener) -> Cluster {
    Cluster::builder().tls(listener).start().await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_good_for_its_names_and_its_authority() {
    let authority = CertificateAuthority::new("right").unwrap();
    let stranger = CertificateAuthority::new("stranger").unwrap();
    let identity = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let cluster = cluster(TlsListener::new(&identity).unwrap()).await;
    ask(&cluster, config(&authority, None), "localhost")
        .await
        .unwrap();
    ask(&cluster, config(&authority, None), "127.0.0.1")
        .await
        .unwrap();
    let wrong_name = ask(&cluster, config(&authority, None), "example.org").await;
    assert!(
        wrong_name
            .unwrap_err()
            .to_string()
            .contains("not valid for name")
    );
    assert!(
        ask(&cluster, config(&stranger, None), "localhost")
            .await
            .is_err()
    );
    let failed = cluster.wait_for(|stats| stats.tls_failures() == 2);
    timeout(PATIENCE, failed).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = CertificateAuthority::new("right").unwrap();
    let identity = authority.expired_server(&["localhost"]).unwrap();
    let cluster = cluster(TlsListener::new(&identity).unwrap()).await;
    let refused = ask(&cluster, config(&authority, None), "localhost").await;
    assert!(refused.unwrap_err().to_string().contains("xpired"));
}

#[tokio::test]
async fn clients_show_certificates_where_they_must() {
    let authority = CertificateAuthority::new("right").unwrap();
    let stranger = CertificateAuthority::new("stranger").unwrap();
    let identity = authority.server(&["localhost"]).unwrap();
    let listener = TlsListener::mutual(&identity, authority.certificate_pem()).unwrap();
    let cluster = cluster(listener).await;
    let alice = authority.client("alice").unwrap();
    let mallory = stranger.client("alice").unwrap();
    ask(&cluster, config(&authority, Some(&alice)), "localhost")
        .await
        .unwrap();
    for refused in [None, Some(&mallory)] {
        let outcome = ask(&cluster, config(&authority, refused), "localhost").await;
        assert!(outcome.is_err());
    }
}

#[tokio::test]
async fn a_certificate_is_changed_while_the_broker_runs() {
    let [old, new] = ["old", "new"].map(|name| CertificateAuthority::new(name).unwrap());
    let listener = |authority: &CertificateAuthority| {
        TlsListener::new(&authority.server(&["localhost"]).unwrap()).unwrap()
    };
    let cluster = cluster(listener(&old)).await;
    ask(&cluster, config(&old, None), "localhost")
        .await
        .unwrap();
    cluster.set_tls(listener(&new));
    assert!(
        ask(&cluster, config(&old, None), "localhost")
            .await
            .is_err()
    );
    ask(&cluster, config(&new, None), "localhost")
        .await
        .unwrap();
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_not_served() {
    let authority = CertificateAuthority::new("right").unwrap();
    let identity = authority.server(&["localhost"]).unwrap();
    let cluster = cluster(TlsListener::new(&identity).unwrap()).await;
    let mut stream = TcpStream::connect(cluster.bootstrap()).await.unwrap();
    stream.write_all(b"\0\0\0\x17no TLS at all").await.unwrap();
    let mut alert = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut alert))
        .await
        .unwrap();
    let failed = cluster.wait_for(|stats| stats.tls_failures() == 1);
    timeout(PATIENCE, failed).await.unwrap();
}

#[test]
fn what_is_no_certificate_is_refused_with_words() {
    let authority = CertificateAuthority::new("right").unwrap();
    let good = authority.server(&["localhost"]).unwrap();
    let other = authority.server(&["localhost"]).unwrap();
    let no_key = Identity::new(good.certificate_pem(), "nothing");
    assert_eq!(
        TlsListener::new(&no_key).unwrap_err().to_string(),
        "not a certificate or key in PEM"
    );
    let mixed = Identity::new(good.certificate_pem(), other.key_pem());
    assert_eq!(
        TlsListener::new(&mixed).unwrap_err().to_string(),
        "TLS does not accept the certificate"
    );
}
