//! Authentication: the first time on a connection, again and again, and when it fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;
use wolff_client::codec::messages::{
    ApiVersionsResponse, InitProducerIdRequest, MetadataRequest, ProduceRequest,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use wolff_client::codec::{ApiKey, ErrorCode, RequestHeader, decode_request_header};
use wolff_client::{
    Address, Client, ClientBuilder, ConnectStage, Connection, ConnectionFailure, Credentials,
    CredentialsFile, Exchange, HostReason, Mechanism, OAuthToken, Pending, Reply, RequestCause,
    RequestError, Sasl, SaslFailure, SaslFuture,
};

use crate::peer::{Listener, Network, Peer, all_versions, produce, question};

fn alice() -> Credentials {
    Credentials::new("alice", "s3ntinel")
}

fn plain() -> Sasl {
    Sasl::plain(alice()).allow_unencrypted_secrets()
}

fn scene(sasl: Sasl) -> (ClientBuilder, Listener) {
    let network = Network::default();
    let listener = network.listen("kafka");
    (
        network.client("SASL_PLAINTEXT://kafka").sasl(sasl),
        listener,
    )
}

/// The broker's side of the messages of authentication.
trait Authenticator {
    /// Takes the choice of a mechanism.
    async fn choose(&mut self, mechanism: &str);
    /// Takes a message.
    async fn message(&mut self) -> Bytes;
    /// Takes a message and answers it, for a session of so many milliseconds.
    async fn accept(&mut self, bytes: &'static [u8], session_lifetime_ms: i64) -> Bytes;
    /// Takes a message and refuses.
    async fn refuse(&mut self, code: ErrorCode, message: &str);
    /// Takes everything, from the choice of PLAIN on.
    async fn let_in(&mut self, session_lifetime_ms: i64) -> Bytes;
}

impl Authenticator for Peer {
    async fn choose(&mut self, mechanism: &str) {
        let asked = self.expect::<SaslHandshakeRequest>().await;
        assert_eq!(&*asked.request.mechanism, mechanism);
        let answer = SaslHandshakeResponse {
            mechanisms: vec![mechanism.into()],
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
    }

    async fn message(&mut self) -> Bytes {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        asked.request.auth_bytes
    }

    async fn accept(&mut self, bytes: &'static [u8], session_lifetime_ms: i64) -> Bytes {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        let answer = SaslAuthenticateResponse {
            auth_bytes: Bytes::from_static(bytes),
            session_lifetime_ms,
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
        asked.request.auth_bytes
    }

    async fn refuse(&mut self, code: ErrorCode, message: &str) {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        let answer = SaslAuthenticateResponse {
            error_code: code,
            error_message: Some(message.into()),
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
    }

    async fn let_in(&mut self, session_lifetime_ms: i64) -> Bytes {
        self.choose("PLAIN").await;
        self.accept(b"", session_lifetime_ms).await
    }
}

/// The next request, whatever it is.
async fn header(peer: &mut Peer) -> RequestHeader {
    let frame = peer.frame().await.unwrap();
    decode_request_header(&frame).unwrap().0
}

/// Reason that the client gives when the peer does that.
async fn refusal(sasl: Sasl, peer: impl AsyncFnOnce(Peer)) -> HostReason {
    let (builder, mut listener) = scene(sasl);
    let client = builder.build().unwrap();
    let broker = async { peer(listener.accept_ready().await).await };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    outcome.unwrap_err().remove(0).reason
}

/// A connection with PLAIN, whose session lasts that long.
async fn connected(sasl: Sasl, session_lifetime_ms: i64) -> (Client, Connection, Peer) {
    let (builder, mut listener) = scene(sasl);
    let client = builder.idle_probe(None).build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.let_in(session_lifetime_ms).await;
        peer
    };
    let (connection, peer) = tokio::join!(client.any_connection(), broker);
    (client, connection.unwrap(), peer)
}

#[tokio::test]
async fn plain_goes_in_one_message_and_then_requests_are_answered() {
    let (builder, mut listener) = scene(plain());
    let client = builder.build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        assert_eq!(peer.let_in(0).await, "\0alice\0s3ntinel");
        peer.answer_number(7).await;
        peer
    };
    let asking = async {
        let connection = client.any_connection().await.unwrap();
        connection.request(&question()).await.unwrap()
    };
    let (answer, _peer) = tokio::join!(asking, broker);
    assert_eq!(answer.producer_id.0, 7);
}

fn bare_frame(bytes: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(bytes.len()).unwrap());
    frame.put_slice(bytes);
    frame
}

/// Only version 0 of the handshake, after which messages are bare.
fn old_versions() -> ApiVersionsResponse {
    let mut versions = all_versions();
    versions
        .api_keys
        .retain(|api| api.api_key != ApiKey::SASL_AUTHENTICATE);
    versions
}

#[tokio::test]
async fn old_brokers_take_bare_messages() {
    for is_asked in [true, false] {
        let (builder, mut listener) = scene(plain());
        let client = builder.query_api_versions(is_asked).build().unwrap();
        let broker = async {
            let mut peer = listener.accept().await;
            if is_asked {
                let asked = peer.expect().await;
                let _: &wolff_client::codec::messages::ApiVersionsRequest = &asked.request;
                peer.answer(asked.id, asked.version, &old_versions()).await;
            }
            let asked = peer.expect::<SaslHandshakeRequest>().await;
            assert_eq!(asked.version, 0);
            let answer = SaslHandshakeResponse::default();
            peer.answer(asked.id, 0, &answer).await;
            assert_eq!(peer.frame().await.unwrap(), "\0alice\0s3ntinel");
            peer.send(&bare_frame(b"")).await;
            peer
        };
        let (connection, _peer) = tokio::join!(client.any_connection(), broker);
        assert!(!connection.unwrap().is_closed());
    }
}

#[tokio::test]
async fn an_old_broker_refuses_by_going_away() {
    let (builder, mut listener) = scene(plain());
    let client = builder.query_api_versions(false).build().unwrap();
    let broker = async {
        let mut peer = listener.accept().await;
        peer.choose("PLAIN").await;
        peer.frame().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let said = outcome.unwrap_err().remove(0).reason.to_string();
    assert!(
        said.contains("as some brokers refuse credentials"),
        "{said}"
    );
}

#[tokio::test]
async fn a_close_at_any_step_of_the_authentication_is_a_refusal_and_still_a_kafka_port() {
    let expected = "SASL: closed the connection during PLAIN authentication without a reason, as some brokers refuse \
                    credentials";
    let at_the_choice = refusal(plain(), async |mut peer| {
        peer.expect::<SaslHandshakeRequest>().await;
    });
    assert_eq!(at_the_choice.await.to_string(), expected);
    let at_the_message = refusal(plain(), async |mut peer| {
        peer.choose("PLAIN").await;
        peer.message().await;
    });
    assert_eq!(at_the_message.await.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn credentials_have_a_time_of_their_own_beside_the_time_to_connect() {
    let after = |seconds| {
        move || async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(alice())
        }
    };
    // The time to connect is 5 s by default.
    let slow = Sasl::plain(after(25)).allow_unencrypted_secrets();
    let (builder, mut listener) = scene(slow);
    let client = builder.build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.let_in(0).await;
        peer
    };
    let (connection, _peer) = tokio::join!(client.any_connection(), broker);
    connection.unwrap();

    let start = Instant::now();
    let slower = Sasl::plain(after(31)).allow_unencrypted_secrets();
    let outcome = refusal(slower, async |mut peer| {
        assert_eq!(peer.frame().await, None)
    });
    assert_eq!(
        outcome.await.to_string(),
        "timed out after 30s: connected, but no credentials to authenticate with"
    );
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_mechanism_that_is_not_enabled_is_told_with_those_that_are() {
    let outcome = refusal(plain(), async |mut peer| {
        let asked = peer.expect::<SaslHandshakeRequest>().await;
        let answer = SaslHandshakeResponse {
            error_code: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            mechanisms: vec!["SCRAM-SHA-256".into(), "OAUTHBEARER".into()],
        };
        peer.answer(asked.id, asked.version, &answer).await;
    });
    assert_eq!(
        outcome.await.to_string(),
        "SASL: the broker does not offer PLAIN, but SCRAM-SHA-256, OAUTHBEARER"
    );
}

#[tokio::test]
async fn a_listener_without_sasl_is_recognised() {
    let outcome = refusal(plain(), async |mut peer| {
        let asked = peer.expect::<SaslHandshakeRequest>().await;
        let answer = SaslHandshakeResponse {
            error_code: ErrorCode::ILLEGAL_SASL_STATE,
            ..Default::default()
        };
        peer.answer(asked.id, asked.version, &answer).await;
    });
    assert_eq!(outcome.await, HostReason::Sasl(SaslFailure::NotExpected));
}

#[tokio::test]
async fn refused_credentials_are_told_in_the_brokers_words() {
    let outcome = refusal(plain(), async |mut peer| {
        peer.choose("PLAIN").await;
        peer.refuse(ErrorCode::SASL_AUTHENTICATION_FAILED, "go away")
            .await;
    });
    let said = outcome.await.to_string();
    assert!(said.starts_with("SASL: PLAIN authentication refused with SASL_AUTHENTICATION_FAILED"));
    assert!(said.ends_with(": go away"), "{said}");
}

#[tokio::test]
async fn a_scram_server_without_proof_is_not_believed() {
    let scram = || Sasl::scram_sha_512(alice());
    let outcome = refusal(scram(), async |mut peer| {
        peer.choose("SCRAM-SHA-512").await;
        peer.accept(b"", 0).await;
        assert_eq!(peer.frame().await, None);
    });
    assert!(matches!(
        outcome.await,
        HostReason::Sasl(SaslFailure::Broker(_))
    ));
    let outcome = refusal(scram(), async |mut peer| {
        peer.choose("SCRAM-SHA-512").await;
        peer.accept(b"r=short,s=AAAA,i=2147483647", 0).await;
        assert_eq!(peer.frame().await, None);
    });
    let said = outcome.await.to_string();
    assert!(said.contains("does not extend"), "{said}");
}

#[tokio::test]
async fn no_answer_before_the_end_of_authentication_is_larger_than_64_kib() {
    let outcome = refusal(Sasl::scram_sha_256(alice()), async |mut peer| {
        peer.choose("SCRAM-SHA-256").await;
        peer.message().await;
        peer.send(&(1_u32 << 20).to_be_bytes()).await;
        assert_eq!(peer.frame().await, None);
    });
    let said = outcome.await.to_string();
    assert!(said.contains("no frame"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_silent_in_the_middle_is_given_up_in_time() {
    let outcome = refusal(plain(), async |mut peer| {
        peer.choose("PLAIN").await;
        peer.message().await;
        assert_eq!(peer.frame().await, None);
    });
    let (stage, after) = (ConnectStage::Authentication, Duration::from_secs(5));
    assert_eq!(outcome.await, HostReason::TimedOut { stage, after });
}

#[tokio::test]
async fn a_provider_without_credentials_is_quoted() {
    let nothing = || async { Err(SaslFailure::Credentials("the vault is sealed".into())) };
    let sasl = Sasl::plain(nothing).allow_unencrypted_secrets();
    let outcome = refusal(sasl, async |mut peer| assert_eq!(peer.frame().await, None));
    assert_eq!(
        outcome.await.to_string(),
        "SASL: no credentials: the vault is sealed"
    );
}

#[tokio::test]
async fn a_changed_password_is_used_the_next_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "alice\nold\n").unwrap();
    let provider = CredentialsFile::new(file.path());
    let (builder, mut listener) = scene(Sasl::plain(provider).allow_unencrypted_secrets());
    let client = builder.build().unwrap();
    for (password, expected) in [
        ("s3ntinel-old", "\0alice\0s3ntinel-old"),
        ("s3ntinel-new", "\0alice\0s3ntinel-new"),
    ] {
        std::fs::write(file.path(), format!("alice\n{password}\n")).unwrap();
        let broker = async {
            let mut peer = listener.accept_ready().await;
            peer.let_in(0).await
        };
        let (connection, message) = tokio::join!(client.any_connection(), broker);
        assert_eq!(message, expected);
        connection.unwrap().close();
    }
}

#[tokio::test]
async fn a_token_goes_as_oauthbearer_wants_it() {
    let tokens = || async {
        let mut token = OAuthToken::new("s3ntinel.abc");
        token.extensions = vec![("tenant".into(), "seven".into())];
        Ok(token)
    };
    let (builder, mut listener) = scene(Sasl::oauth_bearer(tokens).allow_unencrypted_secrets());
    let client = builder.build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.choose("OAUTHBEARER").await;
        (peer.accept(b"", 0).await, peer)
    };
    let (connection, (message, _peer)) = tokio::join!(client.any_connection(), broker);
    assert!(connection.is_ok());
    assert_eq!(
        message,
        "n,,\u{1}auth=Bearer s3ntinel.abc\u{1}tenant=seven\u{1}\u{1}"
    );
}

/// A mechanism of somebody else: it says how far it has counted, for ever.
#[derive(Debug)]
struct Counting;

struct Count(u32);

impl Mechanism for Counting {
    fn name(&self) -> &str {
        "COUNTING"
    }

    fn reveals_secret(&self) -> bool {
        false
    }

    fn start<'a>(&'a self, broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        assert_eq!(broker.host(), "kafka");
        Box::pin(async { Ok(Box::new(Count(0)) as Box<dyn Exchange>) })
    }
}

impl Exchange for Count {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        assert_eq!(challenge.is_none(), self.0 == 0);
        self.0 += 1;
        let done = challenge == Some(b"done");
        let reply = match done {
            true => Reply::Done,
            false => Reply::Send(self.0.to_string().into()),
        };
        Box::pin(std::future::ready(Ok(reply)))
    }
}

#[tokio::test]
async fn a_mechanism_of_ones_own_takes_as_many_messages_as_it_needs_but_not_for_ever() {
    let (builder, mut listener) = scene(Sasl::mechanism(Counting));
    let client = builder.build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.choose("COUNTING").await;
        assert_eq!(peer.accept(b"more", 0).await, "1");
        assert_eq!(peer.accept(b"", 0).await, "2");
        assert_eq!(peer.accept(b"done", 0).await, "3");
        peer
    };
    let (connection, _peer) = tokio::join!(client.any_connection(), broker);
    assert!(connection.is_ok());

    let outcome = refusal(Sasl::mechanism(Counting), async |mut peer| {
        peer.choose("COUNTING").await;
        for _ in 0..16 {
            peer.accept(b"more", 0).await;
        }
        assert_eq!(peer.frame().await, None);
    });
    assert!(outcome.await.to_string().contains("came to no end"));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_in_time_and_nothing_is_lost_or_reordered() {
    let (_client, connection, mut peer) = connected(plain(), 10_000).await;
    for _ in 0..3 {
        let begin = Instant::now();
        // In flight when the time comes.
        tokio::time::sleep(Duration::from_millis(6_800)).await;
        let before: Vec<_> = (0..3)
            .map(|_| connection.start(&question()).unwrap())
            .collect();
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(peer.expect::<InitProducerIdRequest>().await);
        }
        // The handshake comes behind them, although they are not answered yet.
        let handshake = peer.expect::<SaslHandshakeRequest>().await;
        let elapsed = begin.elapsed().as_millis();
        assert!((7_000..8_500).contains(&elapsed), "{elapsed} ms of 10 s");

        // What is started now waits.
        let after: Vec<_> = (0..3)
            .map(|_| connection.start(&question()).unwrap())
            .collect();
        for (number, asked) in (0..).zip(asked) {
            let answer = crate::peer::numbered(number);
            peer.answer(asked.id, asked.version, &answer).await;
        }
        let answer = SaslHandshakeResponse::default();
        peer.answer(handshake.id, handshake.version, &answer).await;
        assert_eq!(peer.accept(b"", 10_000).await, "\0alice\0s3ntinel");
        for number in 3..6 {
            peer.answer_number(number).await;
        }
        for (number, pending) in (0..).zip(before.into_iter().chain(after)) {
            assert_eq!(pending.await.unwrap().producer_id.0, number);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_slower_the_broker_the_earlier_a_session_is_renewed() {
    const IN_FLIGHT: usize = 8;
    let session = Duration::from_secs(10);
    let (_client, connection, mut peer) = connected(plain(), 10_000).await;
    let begin = Instant::now();
    let load = tokio::spawn(async move {
        let mut in_flight = VecDeque::new();
        for _ in 0..60 {
            if in_flight.len() == IN_FLIGHT {
                let oldest: Pending<_> = in_flight.pop_front().unwrap();
                oldest.await.unwrap();
            }
            in_flight.push_back(connection.start(&question()).unwrap());
        }
    });
    let mut asked = 0;
    let handshake = loop {
        let asking = header(&mut peer).await;
        // Brokers look at the time when they read a request, and read one after the other.
        assert!(begin.elapsed() < session, "after {asked} requests");
        if asking.api_key == ApiKey::SASL_HANDSHAKE {
            break asking;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let answer = crate::peer::numbered(asked);
        peer.answer(asking.correlation_id, asking.api_version, &answer)
            .await;
        asked += 1;
    };
    let answer = SaslHandshakeResponse::default();
    peer.answer(handshake.correlation_id, handshake.api_version, &answer)
        .await;
    peer.accept(b"", 0).await;
    while asked < 60 {
        peer.answer_number(asked).await;
        asked += 1;
    }
    load.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_read_before_the_end_however_long_credentials_take() {
    let calls = Arc::new(AtomicUsize::new(0));
    let provider = move || {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if !is_first {
                tokio::time::sleep(Duration::from_millis(4_400)).await;
            }
            Ok(alice())
        }
    };
    let sasl = Sasl::plain(provider).allow_unencrypted_secrets();
    let (_client, connection, mut peer) = connected(sasl, 30_000).await;
    let begin = Instant::now();
    let mut before = 0;
    // One request takes two seconds.
    let handshake = loop {
        let pending = connection.start(&question()).unwrap();
        let asking = header(&mut peer).await;
        if asking.api_key == ApiKey::SASL_HANDSHAKE {
            let answer = SaslHandshakeResponse::default();
            peer.answer(asking.correlation_id, asking.api_version, &answer)
                .await;
            peer.accept(b"", 0).await;
            peer.answer_number(before).await;
            break pending;
        }
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_secs(29), "{elapsed:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let answer = crate::peer::numbered(before);
        peer.answer(asking.correlation_id, asking.api_version, &answer)
            .await;
        assert_eq!(pending.await.unwrap().producer_id.0, before);
        before += 1;
    };
    assert_eq!(handshake.await.unwrap().producer_id.0, before);
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_leaves_what_waited_unsent() {
    let (_client, connection, mut peer) = connected(plain(), 10_000).await;
    let before = connection.start(&question()).unwrap();
    let asked = peer.expect::<InitProducerIdRequest>().await;
    let handshake = peer.expect::<SaslHandshakeRequest>().await;
    let after = connection.start(&question()).unwrap();
    peer.answer(asked.id, asked.version, &crate::peer::numbered(1))
        .await;
    let answer = SaslHandshakeResponse::default();
    peer.answer(handshake.id, handshake.version, &answer).await;
    peer.refuse(ErrorCode::SASL_AUTHENTICATION_FAILED, "no more")
        .await;
    assert_eq!(before.await.unwrap().producer_id.0, 1);
    match after.await {
        Err(RequestError::NotSent(RequestCause::Connection(
            ConnectionFailure::Reauthentication(HostReason::Sasl(SaslFailure::Refused {
                message,
                ..
            })),
        ))) => assert_eq!(message.as_deref(), Some("no more")),
        other => panic!("{other:?}"),
    }
    assert_eq!(peer.frame().await, None, "closed");
}

#[tokio::test(start_paused = true)]
async fn credentials_are_asked_for_again_while_the_session_lasts() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    // There are some the first time, and the third time that the session is to be renewed.
    let provider = move || {
        let call = count.fetch_add(1, Ordering::Relaxed);
        let outcome = match call {
            0 | 3 => Ok(alice()),
            _ => Err(SaslFailure::Credentials("the vault is sealed".into())),
        };
        std::future::ready(outcome)
    };
    let sasl = Sasl::plain(provider).allow_unencrypted_secrets();
    let (_client, connection, mut peer) = connected(sasl, 20_000).await;
    let handshake = peer.expect::<SaslHandshakeRequest>().await;
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    let answer = SaslHandshakeResponse::default();
    peer.answer(handshake.id, handshake.version, &answer).await;
    peer.accept(b"", 20_000).await;

    // And then there are none until the session ends.
    let failure = connection.closed().await;
    assert_eq!(
        failure.to_string(),
        "the session could not be renewed: SASL: no credentials: the vault is sealed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_silent_in_a_renewal_is_given_up_in_time() {
    let (_client, connection, mut peer) = connected(plain(), 10_000).await;
    peer.expect::<SaslHandshakeRequest>().await;
    let failure = connection.closed().await;
    let (stage, after) = (ConnectStage::Authentication, Duration::from_secs(5));
    let reason = HostReason::TimedOut { stage, after };
    assert_eq!(failure, ConnectionFailure::Reauthentication(reason));
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_has_to_do_first_is_not_taken_from_the_time_for_a_renewal() {
    let (_client, connection, mut peer) = connected(plain(), 10_000).await;
    let before: Vec<_> = (0..3)
        .map(|_| connection.start(&produce(-1)).unwrap())
        .collect();
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(peer.expect::<ProduceRequest>().await);
    }
    let handshake = peer.expect::<SaslHandshakeRequest>().await;
    let after = connection.start(&question()).unwrap();
    // Its replicas are slow: each request takes longer than a whole renewal may, and one is
    // throttled on top.
    for (asked, throttle_time_ms) in asked.into_iter().zip([0, 0, 30_000]) {
        tokio::time::sleep(Duration::from_secs(12)).await;
        let answer = crate::peer::produced(throttle_time_ms);
        peer.answer(asked.id, asked.version, &answer).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let answer = SaslHandshakeResponse::default();
    peer.answer(handshake.id, handshake.version, &answer).await;
    peer.accept(b"", 0).await;
    peer.answer_number(7).await;
    for pending in before {
        pending.await.unwrap();
    }
    assert_eq!(after.await.unwrap().producer_id.0, 7);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_at_once_are_not_renewed_in_a_loop() {
    let (_client, _connection, mut peer) = connected(plain(), 1).await;
    let begin = Instant::now();
    for _ in 0..50 {
        peer.let_in(1).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(500));
}

/// A mechanism of somebody else, with a bug.
#[derive(Debug)]
struct Panicking(AtomicUsize);

struct PanicInStep(bool);

impl Mechanism for Panicking {
    fn name(&self) -> &str {
        "PANICKING"
    }

    fn reveals_secret(&self) -> bool {
        false
    }

    fn start<'a>(&'a self, _broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        let is_first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move { Ok(Box::new(PanicInStep(!is_first)) as Box<dyn Exchange>) })
    }
}

impl Exchange for PanicInStep {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        assert!(!self.0, "a bug in a mechanism");
        let reply = match challenge {
            None => Reply::Send("let me in".into()),
            Some(_) => Reply::Done,
        };
        Box::pin(std::future::ready(Ok(reply)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_mechanism_that_panics_in_a_renewal_leaves_nobody_waiting() {
    let (builder, mut listener) = scene(Sasl::mechanism(Panicking(AtomicUsize::new(0))));
    let client = builder.build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.choose("PANICKING").await;
        peer.accept(b"", 10_000).await;
        peer
    };
    let (connection, mut peer) = tokio::join!(client.any_connection(), broker);
    let connection = connection.unwrap();
    let handshake = peer.expect::<SaslHandshakeRequest>().await;
    let held = connection.start(&question()).unwrap();
    let answer = SaslHandshakeResponse::default();
    peer.answer(handshake.id, handshake.version, &answer).await;
    let failure = tokio::time::timeout(Duration::from_secs(60), held).await;
    let error = failure.unwrap().unwrap_err();
    assert!(!error.is_in_doubt(), "{error}");
    let said = connection.closed().await.to_string();
    assert!(said.contains("the mechanism panicked"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_ends_with_its_renewal() {
    let (client, connection, mut peer) = connected(plain(), 10_000).await;
    let pending = connection.start(&MetadataRequest::default()).unwrap();
    peer.expect::<MetadataRequest>().await;
    client.close().await;
    drop(connection);
    assert!(pending.await.is_err());
    assert_eq!(peer.frame().await, None);
}
