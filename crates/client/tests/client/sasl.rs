//! Authentication: the first time on a connection, again and again, and when it fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::time::Instant;
use wolff_client::codec::messages::{
    ApiVersionsResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use wolff_client::codec::{ApiKey, ErrorCode};
use wolff_client::{
    Address, ConnectStage, CredentialsFile, Exchange, HostReason, Mechanism, OAuthToken, Reply,
    Sasl, SaslFailure, SaslFuture,
};

use crate::peer::{all_versions, question};
use crate::sasl_peer::{Authenticator, alice, plain, refusal, scene};

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
