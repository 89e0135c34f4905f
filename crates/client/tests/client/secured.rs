//! TLS and SASL against the test broker: every mechanism, sessions that end, servers that lie.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use wolff_client::codec::messages::MetadataRequest;
use wolff_client::codec::{ErrorCode, PartitionId};
use wolff_client::{
    Client, ClientBuilder, Credentials, HostReason, OAuthToken, Sasl, SaslFailure, TlsIdentity,
    TlsOptions,
};
use wolff_testbroker::{
    CertificateAuthority, Cluster, Fault, Sasl as Users, SaslMechanism, ScramLie, TlsListener,
};

const PASSWORD: &str = "s3ntinel-of-alice-5d1c";
const TOKEN: &str = "s3ntinel-token.of-alice.88";

fn users() -> Users {
    Users::new([
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
        SaslMechanism::OAuthBearer,
    ])
    .user("alice", PASSWORD)
    .token(TOKEN, "alice")
}

fn alice() -> Credentials {
    Credentials::new("alice", PASSWORD)
}

fn mechanisms() -> [Sasl; 4] {
    let tokens = || std::future::ready(Ok(OAuthToken::new(TOKEN)));
    [
        Sasl::plain(alice()),
        Sasl::scram_sha_256(alice()),
        Sasl::scram_sha_512(alice()),
        Sasl::oauth_bearer(tokens),
    ]
}

fn client(cluster: &Cluster, sasl: Sasl) -> ClientBuilder {
    crate::trace::begin();
    let endpoint = format!("SASL_PLAINTEXT://{}", cluster.bootstrap());
    Client::builder([endpoint]).sasl(sasl.allow_unencrypted_secrets())
}

async fn refusal(builder: ClientBuilder) -> SaslFailure {
    let client = builder.build().unwrap();
    let reason = client.check_connectivity().await.unwrap_err().remove(0);
    match reason.reason {
        HostReason::Sasl(failure) => failure,
        other => SaslFailure::Broker(format!("another reason: {other}")),
    }
}

#[tokio::test]
async fn every_mechanism_is_let_in_over_mutual_tls() {
    let directory = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::new("authority").unwrap();
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let identity = authority.client("alice").unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut tls = TlsOptions::default();
    tls.ca_file = Some(file("ca.pem", authority.certificate_pem()));
    tls.identity = Some(TlsIdentity {
        cert_file: file("client.pem", identity.certificate_pem()),
        key_file: file("client.key", identity.key_pem()),
    });
    let cluster = Cluster::builder()
        .topic("t", 1)
        .sasl(users())
        .tls(TlsListener::mutual(&server, authority.certificate_pem()).unwrap())
        .start()
        .await
        .unwrap();
    for sasl in mechanisms() {
        let client = Client::builder([cluster.bootstrap()])
            .tls(tls.clone())
            .sasl(sasl)
            .build()
            .unwrap();
        client.check_connectivity().await.unwrap();
        let leader = client.leader_connection("t", PartitionId(0)).await;
        assert!(!leader.unwrap().connection.is_closed());
    }
}

#[tokio::test]
async fn a_scram_server_that_lies_is_not_believed() {
    let cluster = Cluster::builder().sasl(users()).start().await.unwrap();
    for (lie, word) in [
        (ScramLie::WrongSignature, "does not know the user's secret"),
        (ScramLie::NoSignature, "no signature"),
        (ScramLie::Iterations(1), "iteration count"),
        (ScramLie::Iterations(4_095), "iteration count"),
        (ScramLie::Iterations(i64::from(i32::MAX)), "iteration count"),
        (ScramLie::Iterations(-1), "iteration count"),
        (ScramLie::NonceNotExtended, "nonce"),
        (ScramLie::ForeignNonce, "nonce"),
        (ScramLie::SaltNotBase64, "salt"),
        (ScramLie::LongMessage(32 * 1024), "bytes"),
        (ScramLie::LongMessage(1024 * 1024), "no frame"),
        (ScramLie::ServerError("other-error".into()), "other-error"),
    ] {
        let fault = cluster.inject(Fault::scram_lie(lie.clone()));
        for sasl in [Sasl::scram_sha_256(alice()), Sasl::scram_sha_512(alice())] {
            let failure = refusal(client(&cluster, sasl)).await;
            assert!(
                matches!(failure, SaslFailure::Broker(_)),
                "{lie:?}: {failure}"
            );
            assert!(failure.to_string().contains(word), "{lie:?}: {failure}");
        }
        cluster.remove_fault(fault);
    }
    // A server that lets everybody in still has to know the secret.
    cluster.inject(Fault::scram_lie(ScramLie::AnyProof));
    let wrong = Credentials::new("alice", "another");
    let failure = refusal(client(&cluster, Sasl::scram_sha_256(wrong))).await;
    assert!(matches!(failure, SaslFailure::Broker(_)), "{failure}");
}

#[tokio::test]
async fn a_rotated_password_is_picked_up_and_the_old_one_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |path: &Path, password: &str| {
        std::fs::write(path, format!("alice\n{password}\n")).unwrap();
    };
    write(file.path(), PASSWORD);
    let cluster = Cluster::builder().sasl(users()).start().await.unwrap();
    let provider = wolff_client::CredentialsFile::new(file.path());
    let client = client(&cluster, Sasl::scram_sha_512(provider))
        .build()
        .unwrap();
    let connection = client.any_connection().await.unwrap();
    cluster.change_sasl(|users| users.user("alice", "s3ntinel-rotated"));
    connection.close();

    let refused = client.check_connectivity().await.unwrap_err().remove(0);
    assert!(matches!(
        refused.reason,
        HostReason::Sasl(SaslFailure::Refused {
            code: ErrorCode::SASL_AUTHENTICATION_FAILED,
            ..
        })
    ));
    write(file.path(), "s3ntinel-rotated");
    client.check_connectivity().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_renewed_while_requests_are_in_flight() {
    let lifetime = Duration::from_secs(4);
    let users = users().session_lifetime(lifetime);
    let cluster = Cluster::builder().sasl(users).start().await.unwrap();
    let mut loads = Vec::new();
    for sasl in mechanisms() {
        let client = client(&cluster, sasl).build().unwrap();
        loads.push(tokio::spawn(async move {
            let connection = client.any_connection().await.unwrap();
            let question = MetadataRequest::default();
            let begin = std::time::Instant::now();
            // A session that is not renewed ends in less than half of this time.
            while begin.elapsed() < lifetime * 9 / 4 {
                let started: Vec<_> = (0..10)
                    .map(|_| connection.start(&question).unwrap())
                    .collect();
                for pending in started {
                    pending.await.unwrap();
                }
            }
        }));
    }
    for load in loads {
        load.await.unwrap();
    }
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Keeps everything that this thread logs, until it is dropped.
struct Recording {
    log: Log,
    _here: DefaultGuard,
    /// While there is but one subscriber, the thread that meets an event first decides whether
    /// anybody wants it: another test's, which has none, would say no for this one.
    _second: Dispatch,
}

impl Recording {
    fn start() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish();
        Self {
            log,
            _second: Dispatch::new(tracing_subscriber::registry()),
            _here: tracing::subscriber::set_default(subscriber),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn an_event_that_another_thread_meets_first_is_recorded_all_the_same() {
    let recording = Recording::start();
    let say = || tracing::debug!("met by two threads");
    std::thread::spawn(say).join().unwrap();
    say();
    assert_eq!(recording.text().matches("met by two threads").count(), 1);
}

#[tokio::test]
async fn a_secret_is_in_no_log_no_error_and_no_debug_output() {
    let recording = Recording::start();
    let cluster = Cluster::builder().sasl(users()).start().await.unwrap();
    let mut shown = String::new();
    for is_known in [true, false] {
        if !is_known {
            cluster.change_sasl(|users| users.without_user("alice").without_token(TOKEN));
        }
        for sasl in mechanisms() {
            let builder = client(&cluster, sasl.clone());
            shown += &format!("{sasl:?} {builder:?}");
            let client = builder.build().unwrap();
            let outcome = client.check_connectivity().await;
            assert_eq!(outcome.is_ok(), is_known, "{outcome:?}");
            shown += &format!("{client:?} {outcome:?}");
            shown += &outcome.map_or_else(|hosts| hosts[0].to_string(), |()| String::new());
        }
    }
    let logged = recording.text();
    assert!(logged.contains("connected"), "something was logged");
    for text in [shown, logged] {
        assert!(!text.contains("s3ntinel"), "{text}");
    }
}
