//! Encrypted connections: who is believed, what is shown, and what a person is told when it fails.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use wolff_client::rustls;
use wolff_client::rustls::ServerConfig;
use wolff_client::{
    Client, ClientBuilder, ConfigError, ConnectStage, HostReason, MetadataError, SecurityProtocol,
    TlsFailure, TlsIdentity, TlsOptions, TlsPemIdentity, TlsServerName, TlsVerification,
};

use crate::certificates::{Authority, Certificate};
use crate::peer::{Listener, Network, Peer};

/// A place with an authority's certificate in `ca.pem`, and a broker that has one by it.
struct Scene {
    directory: tempfile::TempDir,
    authority: Authority,
    network: Network,
    listener: Listener,
}

/// Connection as a broker saw it.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    server_name: Option<String>,
    has_certificate: bool,
    version: rustls::ProtocolVersion,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("authority");
        fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        let network = Network::default();
        let listener = network.listen("kafka.test");
        Self {
            directory,
            authority,
            network,
            listener,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write_identity(&self, certificate: &Certificate) {
        fs::write(self.file("client.pem"), certificate.pem()).unwrap();
        fs::write(self.file("client.key"), certificate.key_pem()).unwrap();
    }

    fn options(&self) -> TlsOptions {
        let mut options = TlsOptions::default();
        options.ca_file = Some(self.file("ca.pem"));
        options
    }

    fn options_with_identity(&self) -> TlsOptions {
        let mut options = self.options();
        options.identity = Some(TlsIdentity {
            cert_file: self.file("client.pem"),
            key_file: self.file("client.key"),
        });
        options
    }

    fn builder(&self, options: TlsOptions) -> ClientBuilder {
        self.network.client("SSL://kafka.test").tls(options)
    }

    fn client(&self, options: TlsOptions) -> Client {
        self.builder(options).build().unwrap()
    }

    fn server(&self) -> ServerConfig {
        self.authority.issue("kafka.test").server()
    }

    /// Connects a client to a broker with that configuration.
    async fn connect(
        &mut self,
        client: &Client,
        server: ServerConfig,
    ) -> (Result<(), HostReason>, Option<Seen>) {
        let broker = async {
            let stream = self.listener.accept_stream().await;
            let acceptor = TlsAcceptor::from(Arc::new(server));
            let stream = acceptor.accept(stream).await.ok()?;
            let (_, session) = stream.get_ref();
            let seen = Seen {
                server_name: session.server_name().map(str::to_owned),
                has_certificate: session.peer_certificates().is_some(),
                version: session.protocol_version().unwrap(),
            };
            let mut peer = Peer::over(stream);
            peer.shake_hands().await;
            peer.answer_number(7).await;
            Some(seen)
        };
        let asking = async {
            let connection = match client.any_connection().await {
                Ok(connection) => connection,
                Err(MetadataError::Unreachable(mut hosts)) => return Err(hosts.remove(0).reason),
                Err(error) => panic!("{error}"),
            };
            let answer = connection.request(&crate::peer::question()).await.unwrap();
            assert_eq!(answer.producer_id.0, 7);
            connection.close();
            Ok(())
        };
        tokio::join!(asking, broker)
    }

    async fn refusal(&mut self, options: TlsOptions, server: ServerConfig) -> TlsFailure {
        let client = self.client(options);
        match self.connect(&client, server).await.0 {
            Err(HostReason::Tls(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_broker_that_the_named_authority_vouches_for_is_talked_to() {
    let mut scene = Scene::new();
    let (client, server) = (scene.client(scene.options()), scene.server());
    let (outcome, seen) = scene.connect(&client, server).await;
    outcome.unwrap();
    assert_eq!(
        seen,
        Some(Seen {
            server_name: Some("kafka.test".into()),
            has_certificate: false,
            version: rustls::ProtocolVersion::TLSv1_3,
        })
    );
}

#[tokio::test]
async fn tls_1_2_is_spoken_with_those_who_have_nothing_newer() {
    let mut scene = Scene::new();
    let server = scene.authority.issue("kafka.test").server_of_tls_1_2();
    let client = scene.client(scene.options());
    let (outcome, seen) = scene.connect(&client, server).await;
    outcome.unwrap();
    assert_eq!(seen.unwrap().version, rustls::ProtocolVersion::TLSv1_2);
}

#[tokio::test]
async fn a_broker_that_another_authority_vouches_for_is_refused() {
    let mut scene = Scene::new();
    let stranger = Authority::new("stranger").issue("kafka.test").server();
    let said = scene.refusal(scene.options(), stranger).await.to_string();
    assert!(said.contains("an authority that is not trusted"), "{said}");
}

#[tokio::test]
async fn a_broker_of_another_name_is_refused_unless_any_name_will_do() {
    let mut scene = Scene::new();
    let other = |scene: &Scene| scene.authority.issue("other.test").server();
    let server = other(&scene);
    let said = scene.refusal(scene.options(), server).await.to_string();
    assert!(said.contains("for another name"), "{said}");

    let mut options = scene.options();
    options.verification = TlsVerification::AnyName;
    let (client, server) = (scene.client(options.clone()), other(&scene));
    scene.connect(&client, server).await.0.unwrap();

    let stranger = Authority::new("stranger").issue("kafka.test").server();
    let failure = scene.refusal(options, stranger).await;
    assert!(matches!(failure, TlsFailure::Certificate(_)), "{failure}");
}

#[tokio::test]
async fn without_verification_anybody_is_talked_to() {
    let mut scene = Scene::new();
    let mut options = TlsOptions::default();
    options.verification = TlsVerification::DangerouslyNone;
    let stranger = Authority::new("stranger").issue("who.test").server();
    let client = scene.client(options);
    scene.connect(&client, stranger).await.0.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let mut scene = Scene::new();
    let server = scene.authority.issue_expired("kafka.test").server();
    let said = scene.refusal(scene.options(), server).await.to_string();
    assert!(said.contains("expired"), "{said}");
}

#[tokio::test]
async fn the_server_name_is_the_host_or_nothing_or_another_one() {
    let mut scene = Scene::new();
    for (server_name, certificate, sent) in [
        (TlsServerName::Auto, "kafka.test", Some("kafka.test")),
        (TlsServerName::None, "kafka.test", None),
        (
            TlsServerName::Fixed("inside.test".into()),
            "inside.test",
            Some("inside.test"),
        ),
    ] {
        let mut options = scene.options();
        options.server_name = server_name;
        let (client, server) = (
            scene.client(options),
            scene.authority.issue(certificate).server(),
        );
        let (outcome, seen) = scene.connect(&client, server).await;
        outcome.unwrap();
        assert_eq!(seen.unwrap().server_name.as_deref(), sent);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_it() {
    let mut scene = Scene::new();
    scene.write_identity(&scene.authority.issue("client"));
    let server = scene.authority.issue("kafka.test");
    for server in [
        server.server_for_clients_of(&scene.authority),
        server.server_of_tls_1_2_for_clients_of(&scene.authority),
    ] {
        let client = scene.client(scene.options_with_identity());
        let (outcome, seen) = scene.connect(&client, server).await;
        outcome.unwrap();
        assert!(seen.unwrap().has_certificate);
    }
}

#[tokio::test]
async fn a_missing_client_certificate_is_told_as_such() {
    let mut scene = Scene::new();
    let server = scene.authority.issue("kafka.test");
    for server in [
        server.server_for_clients_of(&scene.authority),
        server.server_of_tls_1_2_for_clients_of(&scene.authority),
    ] {
        let said = scene.refusal(scene.options(), server).await.to_string();
        assert!(said.contains("client certificate"), "{said}");
    }
}

#[tokio::test]
async fn renewed_files_are_used_without_a_restart_and_broken_ones_are_not() {
    let mut scene = Scene::new();
    let other = Authority::new("other");
    let server_key = scene.authority.issue("kafka.test");
    scene.write_identity(&scene.authority.issue("client"));
    let client = scene.client(scene.options_with_identity());
    let server = server_key.server_for_clients_of(&scene.authority);
    scene.connect(&client, server).await.0.unwrap();

    // The brokers change their minds about whose clients they want.
    let server = server_key.server_for_clients_of(&other);
    scene.connect(&client, server).await.0.unwrap_err();

    // Half of a renewal: the key does not go with the certificate any more.
    let renewed = other.issue("client");
    fs::write(scene.file("client.pem"), renewed.pem()).unwrap();
    let server = server_key.server_for_clients_of(&scene.authority);
    scene.connect(&client, server).await.0.unwrap();

    fs::write(scene.file("client.key"), renewed.key_pem()).unwrap();
    let server = server_key.server_for_clients_of(&other);
    scene.connect(&client, server).await.0.unwrap();

    // And the brokers' own authority.
    fs::write(scene.file("ca.pem"), other.pem()).unwrap();
    let server = other.issue("kafka.test").server_for_clients_of(&other);
    scene.connect(&client, server).await.0.unwrap();
}

#[tokio::test]
async fn a_configuration_of_the_users_own_is_taken_as_it_is() {
    let mut scene = Scene::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(scene.authority.der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut options = TlsOptions::default();
    options.client_config = Some(Arc::new(config));
    let (client, server) = (scene.client(options), scene.server());
    let (outcome, seen) = scene.connect(&client, server).await;
    outcome.unwrap();
    assert_eq!(seen.unwrap().version, rustls::ProtocolVersion::TLSv1_2);
}

#[tokio::test]
async fn a_listener_for_plaintext_is_recognised() {
    let mut scene = Scene::new();
    let client = scene.client(scene.options());
    // Kafka takes the first bytes for a frame that is too long, and goes.
    let broker = async { drop(scene.listener.accept_stream().await) };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let reason = outcome.unwrap_err().remove(0).reason;
    assert_eq!(reason, HostReason::Tls(TlsFailure::ClosedInHandshake));

    let broker = async {
        let mut peer = scene.listener.accept().await;
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert_ne!(peer.frame().await, Some(bytes::Bytes::new()));
    };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let reason = outcome.unwrap_err().remove(0).reason;
    assert_eq!(reason, HostReason::Tls(TlsFailure::NotTls));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_after_the_hello_is_given_up_in_time() {
    let scene = Scene::new();
    let client = scene.client(scene.options());
    let reason = client
        .check_connectivity()
        .await
        .unwrap_err()
        .remove(0)
        .reason;
    let (stage, after) = (ConnectStage::Tls, Duration::from_secs(5));
    assert_eq!(reason, HostReason::TimedOut { stage, after });
}

#[test]
fn files_that_cannot_be_used_are_named_at_once() {
    let scene = Scene::new();
    let problem = |options| match scene.builder(options).build() {
        Err(ConfigError::TlsFile(problem)) => problem.to_string(),
        other => panic!("{other:?}"),
    };
    let mut options = scene.options();
    options.ca_file = Some(scene.file("nowhere.pem"));
    assert!(problem(options.clone()).contains("nowhere.pem cannot be read"));
    fs::write(scene.file("empty.pem"), "hello").unwrap();
    options.ca_file = Some(scene.file("empty.pem"));
    assert!(problem(options).ends_with("empty.pem holds no certificate in PEM"));

    scene.write_identity(&scene.authority.issue("client"));
    fs::write(scene.file("client.key"), "no key").unwrap();
    assert!(problem(scene.options_with_identity()).contains("client.key holds no key"));
    let another = scene.authority.issue("another");
    fs::write(scene.file("client.key"), another.key_pem()).unwrap();
    let said = problem(scene.options_with_identity());
    assert!(said.contains("does not go with the certificate"), "{said}");
}

#[test]
fn the_protocol_alone_is_enough_to_be_encrypted() {
    let mut options = TlsOptions::default();
    options.verification = TlsVerification::DangerouslyNone;
    let network = Network::default();
    let builder = network.client("kafka.test").tls(options);
    assert!(builder.clone().build().is_ok());
    assert!(
        builder
            .security_protocol(SecurityProtocol::Plaintext)
            .build()
            .is_err()
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_exactly_it_is_named() {
    let mut scene = Scene::new();
    let own = Authority::of_servers("self-signed", &["kafka.test"]);
    fs::write(scene.file("ca.pem"), own.pem()).unwrap();
    for verification in [TlsVerification::Full, TlsVerification::AnyName] {
        let mut options = scene.options();
        options.verification = verification;
        let client = scene.client(options);
        scene.connect(&client, own.server()).await.0.unwrap();
    }
    // In memory, and as an editor on Windows writes it.
    let mut options = TlsOptions::default();
    options.ca_pem = Some(format!("\u{feff}{}", own.pem()));
    let client = scene.client(options.clone());
    scene.connect(&client, own.server()).await.0.unwrap();

    // The name still counts, and another certificate of the same kind is not trusted.
    let elsewhere = Authority::of_servers("self-signed", &["other.test"]);
    options.ca_pem = Some(elsewhere.pem());
    let said = scene
        .refusal(options.clone(), elsewhere.server())
        .await
        .to_string();
    assert!(said.contains("it is for another name"), "{said}");
    options.ca_pem = Some(own.pem());
    let impostor = Authority::of_servers("self-signed", &["kafka.test"]);
    let said = scene.refusal(options, impostor.server()).await.to_string();
    assert!(said.contains("not accepted"), "{said}");
    for word in ["CaUsedAsEndEntity", "Other(", "UnixTime"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() {
    let mut scene = Scene::new();
    let server = scene.authority.issue_expired("kafka.test").server();
    let said = scene.refusal(scene.options(), server).await.to_string();
    assert!(said.contains("it has expired on "), "{said}");
    assert!(said.contains(" UTC; here it is 20"), "{said}");
}

#[tokio::test]
async fn an_identity_may_be_given_in_memory() {
    let mut scene = Scene::new();
    let certificate = scene.authority.issue("client");
    let mut options = scene.options();
    options.identity_pem = Some(TlsPemIdentity {
        certificates: certificate.pem(),
        key: certificate.key_pem().into(),
    });
    assert!(!format!("{options:?}").contains("PRIVATE"));
    let server = scene.authority.issue("kafka.test");
    let server = server.server_for_clients_of(&scene.authority);
    let client = scene.client(options);
    let (outcome, seen) = scene.connect(&client, server).await;
    outcome.unwrap();
    assert!(seen.unwrap().has_certificate);
}

#[test]
fn a_key_that_is_encrypted_is_told_as_such() {
    let scene = Scene::new();
    scene.write_identity(&scene.authority.issue("client"));
    let pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(scene.file("client.key"), pem).unwrap();
    let error = scene.builder(scene.options_with_identity()).build();
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("client.key holds a key that is encrypted"),
        "{said}"
    );
    assert!(said.contains("openssl pkey"), "{said}");
}
