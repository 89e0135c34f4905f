//! Renewal of SASL sessions (KIP-368), in virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::messages::{
    InitProducerIdRequest, MetadataRequest, ProduceRequest, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use wolff_client::codec::{ApiKey, ErrorCode};
use wolff_client::{
    Address, ConnectStage, ConnectionFailure, Exchange, HostReason, Mechanism, Pending, Reply,
    RequestCause, Sasl, SaslFailure, SaslFuture,
};

use crate::peer::{produce, question};
use crate::sasl_peer::{Authenticator, alice, connected, header, plain, scene};

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
    let error = after.await.unwrap_err();
    assert!(!error.is_in_doubt());
    match error.cause() {
        RequestCause::Connection(ConnectionFailure::Reauthentication(HostReason::Sasl(
            SaslFailure::Refused { message, .. },
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
