//! The cluster that the environment names, and what is done to it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use wolff_client::{Client, ClientBuilder, Credentials, OAuthToken, Sasl, TlsIdentity, TlsOptions};
use wolff_end_to_end::admin;

use crate::trace;

/// Longest time that anything may take before a test has failed. Machines can be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Nodes of the cluster.
pub(crate) const COUNT: usize = 3;

/// Listeners of each node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Listener {
    Plaintext,
    Tls,
    MutualTls,
    SaslPlaintext,
    SaslTls,
}

impl Listener {
    fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Tls | Self::MutualTls => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslTls => "SASL_SSL",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Plaintext => "WOLFF_KAFKA",
            Self::Tls => "WOLFF_KAFKA_TLS",
            Self::MutualTls => "WOLFF_KAFKA_MTLS",
            Self::SaslPlaintext => "WOLFF_KAFKA_SASL_PLAINTEXT",
            Self::SaslTls => "WOLFF_KAFKA_SASL_TLS",
        }
    }
}

/// The cluster, as long as a test uses it.
pub(crate) struct Nodes {
    xtask: OsString,
    _turn: Turn,
}

/// Tests that leave the nodes in peace run side by side, others alone.
enum Turn {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Nodes {
    /// For a test that leaves the nodes in peace; `None`, and told, where there are none.
    pub(crate) async fn in_peace() -> Option<Self> {
        let xtask = xtask()?;
        let guard = everybody().read_owned().await;
        Some(Self {
            xtask,
            _turn: Turn::Shared { _guard: guard },
        })
    }

    /// For a test that kills nodes and the like; `None`, and told, where there are none.
    pub(crate) async fn alone() -> Option<Self> {
        let xtask = xtask()?;
        let guard = everybody().write_owned().await;
        Some(Self {
            xtask,
            _turn: Turn::Alone { _guard: guard },
        })
    }

    /// The addresses of all nodes, in the order of their numbers.
    pub(crate) fn addresses(&self, listener: Listener) -> Vec<String> {
        let addresses = variable(listener.variable()).unwrap_or_default();
        addresses.split(',').map(str::to_owned).collect()
    }

    /// A client that is told all nodes.
    pub(crate) fn client(&self, listener: Listener) -> ClientBuilder {
        self.client_of(listener, &self.addresses(listener))
    }

    /// A client that is told this node only.
    pub(crate) fn client_of_node(&self, listener: Listener, number: usize) -> ClientBuilder {
        self.client_of(listener, &[self.addresses(listener)[number - 1].clone()])
    }

    fn client_of(&self, listener: Listener, addresses: &[String]) -> ClientBuilder {
        trace::begin();
        let protocol = listener.protocol();
        let endpoints: Vec<String> = addresses
            .iter()
            .map(|address| format!("{protocol}://{address}"))
            .collect();
        let builder = Client::builder(endpoints)
            .connect_timeout(Duration::from_secs(20))
            .min_metadata_refresh_interval(Duration::from_millis(100));
        match listener {
            Listener::Plaintext | Listener::SaslPlaintext => builder,
            Listener::Tls | Listener::SaslTls => builder.tls(tls()),
            Listener::MutualTls => {
                let mut tls = tls();
                tls.identity = Some(TlsIdentity {
                    cert_file: path("WOLFF_KAFKA_CLIENT_CERT"),
                    key_file: path("WOLFF_KAFKA_CLIENT_KEY"),
                });
                builder.tls(tls)
            }
        }
    }

    /// Makes a topic that no other test uses, on all nodes.
    pub(crate) async fn topic(&self, name: &str, partitions: i32) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let topic = format!("{name}-{}-{number}", std::process::id());
        let brokers = self.addresses(Listener::Plaintext).join(",");
        let replication = i32::try_from(COUNT).unwrap();
        admin::create_topic(&brokers, &topic, partitions, replication, &[])
            .await
            .unwrap();
        topic
    }

    /// Has xtask do something with a node: `kill`, `pause`, `resume`, `restart`.
    pub(crate) async fn control(&self, action: &str, number: i32) {
        self.control_with(action, number, &[]).await;
    }

    /// As [`Nodes::control`], with further arguments.
    pub(crate) async fn control_with(&self, action: &str, number: i32, further: &[&str]) {
        let status = tokio::process::Command::new(&self.xtask)
            .args(["kafka", action, &number.to_string()])
            .args(further)
            .status()
            .await
            .unwrap();
        assert!(status.success(), "xtask kafka {action} {number}: {status}");
    }

    /// Everything that a node has logged.
    pub(crate) fn log(&self, number: usize) -> String {
        let files = variable("WOLFF_KAFKA_LOGS").unwrap();
        let bytes = std::fs::read(files.split(',').nth(number - 1).unwrap()).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Options that trust the authority of all TLS listeners.
pub(crate) fn tls() -> TlsOptions {
    let mut options = TlsOptions::default();
    options.ca_file = Some(path("WOLFF_KAFKA_CA"));
    options
}

/// The user whom every SASL listener knows.
pub(crate) fn credentials() -> Credentials {
    let password = variable("WOLFF_KAFKA_PASSWORD").unwrap();
    Credentials::new(variable("WOLFF_KAFKA_USER").unwrap(), password)
}

/// All mechanisms; the counter says how often one of them has authenticated.
pub(crate) fn mechanisms() -> Vec<(Sasl, Arc<AtomicUsize>)> {
    let counted = |mechanism: fn(Counted) -> Sasl| {
        let count = Arc::new(AtomicUsize::new(0));
        (mechanism(Counted(Arc::clone(&count))), count)
    };
    let logins = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&logins);
    let tokens = move || {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(unsecured_token()))
    };
    vec![
        counted(Sasl::plain),
        counted(Sasl::scram_sha_256),
        counted(Sasl::scram_sha_512),
        (Sasl::oauth_bearer(tokens), logins),
    ]
}

/// Credentials that count how often they are asked for.
struct Counted(Arc<AtomicUsize>);

impl wolff_client::CredentialsProvider for Counted {
    fn credentials(&self) -> wolff_client::SaslFuture<'_, Credentials> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(credentials())))
    }
}

/// A token as Kafka accepts it where no authority for tokens is configured (RFC 7515, section A.5).
fn unsecured_token() -> OAuthToken {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let header = BASE64.encode(r#"{"alg":"none"}"#);
    let (issued, ends) = (now - 10, now + 3_600);
    let claims = BASE64.encode(format!(r#"{{"sub":"wolff","iat":{issued},"exp":{ends}}}"#));
    OAuthToken::new(format!("{header}.{claims}."))
}

/// Duration of a session over SASL and TLS.
pub(crate) fn session() -> Duration {
    let millis = variable("WOLFF_KAFKA_SESSION_MS").unwrap();
    Duration::from_millis(millis.parse().unwrap())
}

/// Duration of load: the short time in the ordinary suite, a minute in the long one.
pub(crate) fn load_time(short: Duration) -> Duration {
    match variable("WOLFF_TEST_LONG") {
        Some(_) => Duration::from_secs(60),
        None => short,
    }
}

/// Awaits a future, within the time that a test may take.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes too long")
}

fn everybody() -> Arc<RwLock<()>> {
    static LOCK: OnceLock<Arc<RwLock<()>>> = OnceLock::new();
    LOCK.get_or_init(Arc::default).clone()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(variable(name).unwrap())
}

/// The program that controls the nodes, where there are three and they may be killed.
fn xtask() -> Option<OsString> {
    let nodes = variable("WOLFF_KAFKA").map_or(0, |addresses| addresses.split(',').count());
    let xtask = variable("WOLFF_KAFKA_CLUSTER").and_then(|_| std::env::var_os("WOLFF_XTASK"));
    if nodes == COUNT && xtask.is_some() {
        return xtask;
    }
    skip("no real Kafka of three nodes that may be killed");
    None
}

/// Says that a test did not run: to people, and to xtask's tally.
fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("real_cluster::{test}: {reason}\n");
    // Not with `eprint`, which is silent in a test that passes.
    let _ = write!(std::io::stderr(), "skipped: {line}");
    if let Some(file) = std::env::var_os("WOLFF_SKIPS") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
