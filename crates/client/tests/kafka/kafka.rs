//! A real Kafka with all its listeners: `cargo xtask kafka start` prints how it is reached.
//!
//! Without one, each test says that it is skipped, on standard error and in the file that
//! `WOLFF_SKIPS` names.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use tokio::time::Instant;
use wolff_client::codec::messages::{
    MetadataRequest, PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wolff_client::codec::records::{BatchHeader, RecordRef, encode_batch};
use wolff_client::codec::{ErrorCode, Offset, PartitionId};
use wolff_client::{
    Client, ClientBuilder, ConfigResource, Connection, ConnectionFailure, Credentials,
    FetchOptions, HostReason, NewTopic, OAuthToken, OffsetSpec, Sasl, SaslFailure, TlsFailure,
    TlsIdentity, TlsOptions,
};

use crate::certificates::Authority;

/// Says that a test did not run, and gives `None`.
fn skip<T>(variable: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("kafka::{test}: {variable} is not set\n");
    eprint!("skipped: {line}");
    if let Some(path) = std::env::var_os("WOLFF_SKIPS") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    None
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.or_else(|| skip(name))
}

fn credentials() -> Option<Credentials> {
    let password = variable("WOLFF_KAFKA_PASSWORD")?;
    Some(Credentials::new(variable("WOLFF_KAFKA_USER")?, password))
}

fn tls() -> Option<TlsOptions> {
    let mut options = TlsOptions::default();
    options.ca_file = Some(PathBuf::from(variable("WOLFF_KAFKA_CA")?));
    Some(options)
}

/// A client of one listener, by the variable that says where it is.
fn listener(protocol: &str, addresses: &str) -> Option<ClientBuilder> {
    crate::trace::begin();
    let addresses = variable(addresses)?;
    let hosts = addresses.split(',');
    let endpoints: Vec<_> = hosts.map(|host| format!("{protocol}://{host}")).collect();
    Some(Client::builder(endpoints).connect_timeout(Duration::from_secs(20)))
}

/// Asks the cluster for its brokers, one after the other over connections of their own.
async fn assert_reached(builder: ClientBuilder) {
    let client = builder.build().unwrap();
    client.check_connectivity().await.unwrap();
    let cluster = client.cluster().await.unwrap();
    assert!(!cluster.brokers.is_empty());
    client.controller_connection().await.unwrap();
    client.close().await;
}

async fn refusal(builder: ClientBuilder) -> HostReason {
    let client = builder.build().unwrap();
    let mut hosts = client.check_connectivity().await.unwrap_err();
    hosts.remove(0).reason
}

/// All mechanisms, by their names.
fn mechanisms() -> Option<Vec<Sasl>> {
    let credentials = credentials()?;
    Some(vec![
        Sasl::plain(credentials.clone()),
        Sasl::scram_sha_256(credentials.clone()),
        Sasl::scram_sha_512(credentials),
        Sasl::oauth_bearer(|| std::future::ready(Ok(unsecured_token()))),
    ])
}

/// A token that Kafka takes where no authority for tokens is configured (RFC 7515, section A.5).
fn unsecured_token() -> OAuthToken {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = BASE64.encode(r#"{"alg":"none"}"#);
    let (issued, ends) = (now - 10, now + 3_600);
    let claims = BASE64.encode(format!(r#"{{"sub":"wolff","iat":{issued},"exp":{ends}}}"#));
    OAuthToken::new(format!("{header}.{claims}."))
}

#[tokio::test]
async fn plaintext_is_reached() {
    if let Some(builder) = listener("PLAINTEXT", "WOLFF_KAFKA") {
        assert_reached(builder).await;
    }
}

#[tokio::test]
async fn tls_is_reached_with_the_authority_and_not_without() {
    let Some((builder, tls)) = listener("SSL", "WOLFF_KAFKA_TLS").zip(tls()) else {
        return;
    };
    assert_reached(builder.clone().tls(tls)).await;

    let stranger = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(stranger.path(), Authority::new("stranger").pem()).unwrap();
    let mut options = TlsOptions::default();
    options.ca_file = Some(stranger.path().to_owned());
    let reason = refusal(builder.tls(options)).await;
    assert!(
        matches!(reason, HostReason::Tls(TlsFailure::Certificate(_))),
        "{reason}"
    );
}

#[tokio::test]
async fn a_client_certificate_is_wanted_and_shown() {
    let Some((builder, mut tls)) = listener("SSL", "WOLFF_KAFKA_MTLS").zip(tls()) else {
        return;
    };
    let said = refusal(builder.clone().tls(tls.clone())).await.to_string();
    assert!(said.contains("client certificate"), "{said}");

    let (Some(cert_file), Some(key_file)) = (
        variable("WOLFF_KAFKA_CLIENT_CERT"),
        variable("WOLFF_KAFKA_CLIENT_KEY"),
    ) else {
        return;
    };
    tls.identity = Some(TlsIdentity {
        cert_file: cert_file.into(),
        key_file: key_file.into(),
    });
    assert_reached(builder.tls(tls)).await;
}

#[tokio::test]
async fn every_mechanism_is_let_in_over_tls() {
    let (Some(builder), Some(tls), Some(mechanisms)) = (
        listener("SASL_SSL", "WOLFF_KAFKA_SASL_TLS"),
        tls(),
        mechanisms(),
    ) else {
        return;
    };
    for sasl in mechanisms {
        assert_reached(builder.clone().tls(tls.clone()).sasl(sasl)).await;
    }
}

#[tokio::test]
async fn every_mechanism_is_let_in_without_tls_where_that_is_allowed() {
    let (Some(builder), Some(mechanisms)) = (
        listener("SASL_PLAINTEXT", "WOLFF_KAFKA_SASL_PLAINTEXT"),
        mechanisms(),
    ) else {
        return;
    };
    for sasl in mechanisms {
        assert_reached(builder.clone().sasl(sasl.allow_unencrypted_secrets())).await;
    }
}

#[tokio::test]
async fn messages_without_frames_of_kafkas_own_are_taken_as_well() {
    let (Some(builder), Some(credentials)) = (
        listener("SASL_PLAINTEXT", "WOLFF_KAFKA_SASL_PLAINTEXT"),
        credentials(),
    ) else {
        return;
    };
    let builder = builder.query_api_versions(false);
    for sasl in [
        Sasl::scram_sha_256(credentials.clone()),
        Sasl::plain(credentials).allow_unencrypted_secrets(),
    ] {
        let client = builder.clone().sasl(sasl).build().unwrap();
        client.check_connectivity().await.unwrap();
    }
}

#[tokio::test]
async fn wrong_credentials_and_unknown_mechanisms_are_told_apart() {
    let (Some(builder), Some(tls)) = (listener("SASL_SSL", "WOLFF_KAFKA_SASL_TLS"), tls()) else {
        return;
    };
    let builder = builder.tls(tls);
    let wrong = || Credentials::new("wolff", "s3ntinel-of-a-wrong-password");
    for sasl in [
        Sasl::plain(wrong()),
        Sasl::scram_sha_256(wrong()),
        Sasl::scram_sha_512(wrong()),
    ] {
        let reason = refusal(builder.clone().sasl(sasl)).await;
        assert!(
            matches!(reason, HostReason::Sasl(SaslFailure::Refused { .. })),
            "{reason}"
        );
        assert!(!reason.to_string().contains("s3ntinel"));
    }
    let token = || std::future::ready(Ok(OAuthToken::new("no.such.token")));
    let reason = refusal(builder.clone().sasl(Sasl::oauth_bearer(token))).await;
    assert!(matches!(reason, HostReason::Sasl(_)), "{reason}");
    let said = refusal(builder.sasl(Sasl::mechanism(Unheard)))
        .await
        .to_string();
    assert!(said.contains("does not offer UNHEARD-OF, but"), "{said}");
    assert!(said.contains("SCRAM-SHA-512"), "{said}");
}

/// PLAIN, as somebody else would write it who has no need for ours.
#[derive(Debug)]
struct Plugin(Credentials);

struct OneMessage(Option<wolff_client::Secret>);

impl wolff_client::Mechanism for Plugin {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn start<'a>(
        &'a self,
        _broker: &'a wolff_client::Address,
    ) -> wolff_client::SaslFuture<'a, Box<dyn wolff_client::Exchange>> {
        let Credentials { username, password } = &self.0;
        let mut message = format!("\0{username}\0").into_bytes();
        message.extend(password.expose());
        let exchange = OneMessage(Some(message.into()));
        Box::pin(std::future::ready(Ok(Box::new(exchange) as Box<_>)))
    }
}

impl wolff_client::Exchange for OneMessage {
    fn step<'a>(
        &'a mut self,
        _challenge: Option<&'a [u8]>,
    ) -> wolff_client::SaslFuture<'a, wolff_client::Reply> {
        let message = self.0.take();
        let reply = message.map_or(wolff_client::Reply::Done, wolff_client::Reply::Send);
        Box::pin(std::future::ready(Ok(reply)))
    }
}

#[tokio::test]
async fn a_mechanism_of_ones_own_is_let_in() {
    let (Some(builder), Some(tls), Some(credentials)) = (
        listener("SASL_SSL", "WOLFF_KAFKA_SASL_TLS"),
        tls(),
        credentials(),
    ) else {
        return;
    };
    assert_reached(builder.tls(tls).sasl(Sasl::mechanism(Plugin(credentials)))).await;
}

/// A mechanism that no broker has.
#[derive(Debug)]
struct Unheard;

impl wolff_client::Mechanism for Unheard {
    fn name(&self) -> &str {
        "UNHEARD-OF"
    }

    fn start<'a>(
        &'a self,
        _broker: &'a wolff_client::Address,
    ) -> wolff_client::SaslFuture<'a, Box<dyn wolff_client::Exchange>> {
        Box::pin(std::future::ready(Ok(Box::new(Self) as Box<_>)))
    }
}

impl wolff_client::Exchange for Unheard {
    fn step<'a>(
        &'a mut self,
        _challenge: Option<&'a [u8]>,
    ) -> wolff_client::SaslFuture<'a, wolff_client::Reply> {
        Box::pin(std::future::ready(Ok(wolff_client::Reply::Done)))
    }
}

#[tokio::test]
async fn the_wrong_protocol_for_a_listener_is_told_as_such() {
    let (Some(plain), Some(tls)) = (listener("PLAINTEXT", "WOLFF_KAFKA_TLS"), tls()) else {
        return;
    };
    let said = refusal(plain).await.to_string();
    assert!(said.contains("TLS"), "{said}");
    let Some(encrypted) = listener("SSL", "WOLFF_KAFKA") else {
        return;
    };
    let reason = refusal(encrypted.tls(tls.clone())).await;
    assert_eq!(reason, HostReason::Tls(TlsFailure::ClosedInHandshake));
    let (Some(no_sasl), Some(sasl)) = (
        listener("SASL_SSL", "WOLFF_KAFKA_TLS"),
        credentials().map(Sasl::scram_sha_256),
    ) else {
        return;
    };
    let reason = refusal(no_sasl.tls(tls).sasl(sasl)).await;
    assert_eq!(reason, HostReason::Sasl(SaslFailure::NotExpected));
    let Some(no_credentials) = listener("PLAINTEXT", "WOLFF_KAFKA_SASL_PLAINTEXT") else {
        return;
    };
    let said = refusal(no_credentials).await.to_string();
    assert!(said.contains("SASL"), "{said}");
}

/// Keeps requests in flight for a while, and counts the answers.
async fn load(connection: &Connection, until: Instant) -> Result<usize, ConnectionFailure> {
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    let mut answered = 0;
    while Instant::now() < until {
        let started: Vec<_> = (0..20)
            .map(|_| connection.start(&request).unwrap())
            .collect();
        for pending in started {
            match pending.await {
                Ok(_) => answered += 1,
                Err(_) => return Err(connection.closed().await),
            }
        }
    }
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_renewed_under_load_without_losing_a_request() {
    let (Some(session_ms), Some(builder), Some(tls), Some(credentials)) = (
        variable("WOLFF_KAFKA_SESSION_MS"),
        listener("SASL_SSL", "WOLFF_KAFKA_SASL_TLS"),
        tls(),
        credentials(),
    ) else {
        return;
    };
    let session = Duration::from_millis(session_ms.parse().unwrap());
    // Without renewal the broker closes after one session; this is more than two.
    let until = Instant::now() + session * 5 / 2;
    let logins = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    let counted = |sasl: fn(Credentials) -> Sasl| sasl(credentials.clone());
    let count = Arc::clone(&logins);
    let tokens = move || {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(unsecured_token()))
    };
    for sasl in [
        counted(Sasl::plain),
        counted(Sasl::scram_sha_256),
        counted(Sasl::scram_sha_512),
        Sasl::oauth_bearer(tokens),
    ] {
        let client = builder.clone().tls(tls.clone()).sasl(sasl).build().unwrap();
        tasks.push(tokio::spawn(async move {
            let connection = client.any_connection().await.unwrap();
            let answered = load(&connection, until).await;
            (client, answered)
        }));
    }
    for task in tasks {
        let (client, answered) = task.await.unwrap();
        assert!(answered.unwrap() > 0, "{client:?}");
    }
    let logins = logins.load(Ordering::Relaxed);
    // Two renewals at least; on a busy machine more, since sessions are renewed earlier there.
    assert!((3..=12).contains(&logins), "{logins}");
}

/// A broker learns of a change a moment after the controller has made it: asks until it has.
async fn once_known<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let known = async {
        loop {
            match look().await {
                Some(outcome) => return outcome,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), known)
        .await
        .unwrap()
}

/// The calls of a client that administers topics and reads them, on a topic of its own.
#[tokio::test]
async fn topics_are_created_written_read_and_deleted() {
    let Some(builder) = listener("PLAINTEXT", "WOLFF_KAFKA") else {
        return;
    };
    const WAIT: Duration = Duration::from_secs(30);
    let client = builder.build().unwrap();
    let unique = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let topic = format!("client-calls-{}", unique.as_nanos());
    let (first, second) = (PartitionId(0), PartitionId(1));
    let new = NewTopic {
        partitions: Some(1),
        configs: vec![("max.message.bytes".into(), "123456".into())],
        ..NewTopic::new(&topic)
    };
    client.create_topic(&new, WAIT).await.unwrap();
    client.create_partitions(&topic, 2, WAIT).await.unwrap();
    let refused = client.create_partitions(&topic, 2, WAIT).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("INVALID_PARTITIONS")
    );

    let resource = ConfigResource::topic(&topic);
    let entries = once_known(async || {
        let mut described = client
            .describe_configs(std::slice::from_ref(&resource), None)
            .await;
        described.remove(0).1.ok()
    });
    let entries = entries.await;
    let entry = entries
        .iter()
        .find(|entry| *entry.name == *"max.message.bytes");
    assert_eq!(entry.unwrap().value.as_deref(), Some("123456"));

    for value in [&b"one"[..], b"two", b"three"] {
        let record = RecordRef {
            timestamp_ms: 1_700_000_000_000,
            value: Some(value),
            ..RecordRef::default()
        };
        let batch = encode_batch(&BatchHeader::default(), [record]).unwrap();
        let leader = once_known(async || client.leader_connection(&topic, second).await.ok()).await;
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: topic.as_str().into(),
                topic_id: leader.topic_id,
                partition_data: vec![PartitionProduceData {
                    index: second,
                    records: Some(batch.into()),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let not_yet = [
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::UNKNOWN_TOPIC_ID,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ];
        let code = once_known(async || {
            let response = leader.connection.request(&request).await.unwrap();
            let code = response.responses[0].partition_responses[0].error_code;
            (!not_yet.contains(&code)).then_some(code)
        });
        let code = code.await;
        assert!(code.is_ok(), "{code}");
    }

    let offsets = async |spec| {
        let listed = client.list_offsets(&topic, &[(second, spec)]).await;
        listed[0].1.as_ref().unwrap().offset
    };
    assert_eq!(offsets(OffsetSpec::Latest).await, Offset(3));
    let deleted = client
        .delete_records(&topic, &[(second, Offset(1))], WAIT)
        .await;
    assert_eq!(*deleted[0].1.as_ref().unwrap(), Offset(1));
    assert_eq!(offsets(OffsetSpec::Earliest).await, Offset(1));
    let wanted = [first, PartitionId(7)].map(|partition| (partition, OffsetSpec::Latest));
    let listed = client.list_offsets(&topic, &wanted).await;
    assert_eq!(listed[0].1.as_ref().unwrap().offset, Offset(0));
    assert!(listed[1].1.is_err());

    let from = [(second, Offset(1))];
    let fetched = client.fetch(&topic, &from, &FetchOptions::default()).await;
    let mut values = Vec::new();
    for batch in fetched[0].1.as_ref().unwrap().batches() {
        for record in batch.unwrap().records(1 << 20).unwrap() {
            values.push(record.unwrap().value.unwrap());
        }
    }
    assert_eq!(values, ["two", "three"]);
    let gone = client
        .fetch(&topic, &[(second, Offset(0))], &FetchOptions::default())
        .await;
    let error = gone[0].1.as_ref().unwrap_err().to_string();
    assert!(error.contains("OFFSET_OUT_OF_RANGE"), "{error}");

    let names = [topic.as_str(), "no-such-topic-at-all"];
    let deleted = client.delete_topics(&names, WAIT).await.unwrap();
    assert!(deleted[0].1.is_ok(), "{deleted:?}");
    assert!(deleted[1].1.is_err(), "{deleted:?}");
    client.close().await;
}
