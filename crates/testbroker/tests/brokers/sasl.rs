//! Authentication, as a client meets it message by message.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use wolff_codec::messages::{
    ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest,
};
use wolff_codec::{ErrorCode, Str};
use wolff_testbroker::{Cluster, Fault, Sasl, SaslMechanism, ScramLie};

use crate::client::Client;

/// Beyond this a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

const RIGHT: &[u8] = b"\0alice\0secret";

fn sasl() -> Sasl {
    Sasl::new(SaslMechanism::ALL)
        .user("alice", "secret")
        .token("abc", "alice")
}

async fn cluster(sasl: Sasl) -> Cluster {
    Cluster::builder().sasl(sasl).start().await.unwrap()
}

async fn shake_hands(client: &mut Client, mechanism: &str) -> ErrorCode {
    let mechanism = Str::from(mechanism);
    let answer = client.request(&SaslHandshakeRequest { mechanism }, 1).await;
    answer.error_code
}

async fn say(client: &mut Client, message: &[u8]) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest {
        auth_bytes: Bytes::copy_from_slice(message),
        ..Default::default()
    };
    client.request(&request, 2).await
}

async fn is_served(client: &mut Client) -> bool {
    let answer = client.try_request(&MetadataRequest::default(), 9).await;
    answer.is_some()
}

#[tokio::test]
async fn a_topic_is_denied_to_one_user_alone_and_given_back() {
    let sasl = sasl().user("bob", "secret");
    let cluster = Cluster::builder().sasl(sasl).topic("orders", 1);
    let cluster = cluster.topic("bills", 1).start().await.unwrap();
    let denial = cluster.inject(Fault::deny_topic("orders").principal("alice"));
    let mut clients = Vec::new();
    for token in [RIGHT, b"\0bob\0secret"] {
        let mut client = Client::connect(&cluster, 1).await;
        shake_hands(&mut client, "PLAIN").await;
        assert_eq!(say(&mut client, token).await.error_code, ErrorCode::NONE);
        clients.push(client);
    }
    let [alice, bob] = &mut clients[..] else {
        panic!("two clients");
    };
    let record = || crate::fixture::batch(&["a"]);
    let code = alice.produce("orders", 0, record()).await.error_code;
    assert_eq!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    for (client, topic) in [(&mut *alice, "bills"), (bob, "orders")] {
        let code = client.produce(topic, 0, record()).await.error_code;
        assert_eq!(code, ErrorCode::NONE);
    }
    assert!(cluster.remove_fault(denial));
    let code = alice.produce("orders", 0, record()).await.error_code;
    assert_eq!(code, ErrorCode::NONE);
}

#[tokio::test]
async fn versions_are_told_to_everybody_and_everything_else_to_nobody() {
    let cluster = cluster(sasl()).await;
    let mut client = Client::connect(&cluster, 1).await;
    client.request(&ApiVersionsRequest::default(), 4).await;
    assert!(!is_served(&mut client).await);
    assert_eq!(
        cluster.stats().brokers[&1.into()].unauthenticated_requests,
        1
    );
}

#[tokio::test]
async fn the_right_password_opens_and_a_wrong_one_closes() {
    let cluster = cluster(sasl()).await;
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(shake_hands(&mut client, "PLAIN").await, ErrorCode::NONE);
    let answer = say(&mut client, RIGHT).await;
    assert_eq!(
        (answer.error_code, answer.session_lifetime_ms),
        (ErrorCode::NONE, 0)
    );
    assert!(is_served(&mut client).await);

    let mut client = Client::connect(&cluster, 1).await;
    shake_hands(&mut client, "PLAIN").await;
    let answer = say(&mut client, b"\0alice\0wrong").await;
    assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert!(!answer.error_message.unwrap().contains("wrong"));
    assert!(!is_served(&mut client).await);
    let stats = cluster.stats();
    assert_eq!(
        (stats.authentications(), stats.authentication_failures()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_mechanism_that_is_not_enabled_is_answered_with_those_that_are() {
    let cluster = cluster(Sasl::new([
        SaslMechanism::ScramSha512,
        SaslMechanism::Plain,
    ]))
    .await;
    let mut client = Client::connect(&cluster, 1).await;
    let mechanism = Str::from("GSSAPI");
    let answer = client.request(&SaslHandshakeRequest { mechanism }, 1).await;
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(answer.mechanisms, ["PLAIN", "SCRAM-SHA-512"].map(Str::from));
    assert!(!is_served(&mut client).await);
}

#[tokio::test]
async fn bare_tokens_follow_the_old_handshake() {
    let cluster = cluster(sasl()).await;
    for (password, is_right) in [("secret", true), ("wrong", false)] {
        let mut client = Client::connect(&cluster, 1).await;
        let mechanism = Str::from("PLAIN");
        let answer = client.request(&SaslHandshakeRequest { mechanism }, 0).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
        let token = [b"\0alice\0", password.as_bytes()].concat();
        let length = u32::try_from(token.len()).unwrap().to_be_bytes();
        client.send_raw(&[&length[..], &token].concat()).await;
        let answer = client.receive().await;
        assert_eq!(answer, is_right.then(Bytes::new));
        assert_eq!(is_served(&mut client).await, is_right);
    }
}

#[tokio::test]
async fn a_session_ends_unless_it_is_renewed() {
    let lifetime = Duration::from_millis(60);
    let cluster = cluster(sasl().session_lifetime(lifetime)).await;
    let mut client = Client::connect(&cluster, 1).await;
    shake_hands(&mut client, "PLAIN").await;
    assert_eq!(say(&mut client, RIGHT).await.session_lifetime_ms, 60);
    tokio::time::sleep(lifetime).await;
    assert_eq!(shake_hands(&mut client, "PLAIN").await, ErrorCode::NONE);
    assert_eq!(say(&mut client, RIGHT).await.error_code, ErrorCode::NONE);
    assert!(is_served(&mut client).await);
    assert_eq!(cluster.stats().reauthentications(), 1);
    tokio::time::sleep(lifetime).await;
    assert!(!is_served(&mut client).await);
    assert_eq!(cluster.stats().expired_sessions(), 1);
}

#[tokio::test]
async fn a_token_limits_its_session() {
    let token = sasl()
        .short_lived_token("short", "alice", Duration::from_secs(7))
        .session_lifetime(Duration::from_secs(3600));
    let cluster = cluster(token).await;
    let mut client = Client::connect(&cluster, 1).await;
    shake_hands(&mut client, "OAUTHBEARER").await;
    let answer = say(&mut client, b"n,,\x01auth=Bearer short\x01\x01").await;
    assert_eq!(answer.session_lifetime_ms, 7000);
}

#[tokio::test]
async fn passwords_are_rotated_and_withdrawn_while_the_cluster_runs() {
    let cluster = cluster(sasl()).await;
    for (change, expected) in [
        (None, ErrorCode::NONE),
        (Some("another"), ErrorCode::SASL_AUTHENTICATION_FAILED),
        (Some("secret"), ErrorCode::NONE),
    ] {
        if let Some(password) = change {
            cluster.change_sasl(|sasl| sasl.user("alice", password));
        }
        let mut client = Client::connect(&cluster, 1).await;
        shake_hands(&mut client, "PLAIN").await;
        assert_eq!(say(&mut client, RIGHT).await.error_code, expected);
    }
    cluster.change_sasl(|sasl| sasl.without_user("alice"));
    let mut client = Client::connect(&cluster, 1).await;
    shake_hands(&mut client, "PLAIN").await;
    let answer = say(&mut client, RIGHT).await;
    assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
}

#[tokio::test]
async fn any_error_can_be_ordered_for_both_steps() {
    let cluster = cluster(sasl()).await;
    let code = ErrorCode::ILLEGAL_SASL_STATE;
    cluster.inject(Fault::error(code).api(wolff_codec::ApiKey::SASL_HANDSHAKE));
    cluster.inject(Fault::error(code).api(wolff_codec::ApiKey::SASL_AUTHENTICATE));
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(shake_hands(&mut client, "PLAIN").await, code);
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(shake_hands(&mut client, "PLAIN").await, ErrorCode::NONE);
    assert_eq!(say(&mut client, RIGHT).await.error_code, code);
    assert!(!is_served(&mut client).await);
}

#[tokio::test]
async fn a_broker_that_lies_sends_a_first_message_of_any_length() {
    let cluster = cluster(sasl()).await;
    let fault = cluster.inject(Fault::scram_lie(ScramLie::LongMessage(1 << 20)));
    let mut client = Client::connect(&cluster, 1).await;
    shake_hands(&mut client, "SCRAM-SHA-256").await;
    let answer = say(&mut client, b"n,,n=alice,r=nonce").await;
    assert_eq!(answer.auth_bytes.len(), 1 << 20);
    assert_eq!(cluster.stats().hits(fault), 1);
}

#[tokio::test]
async fn where_nobody_need_authenticate_nobody_can() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let code = shake_hands(&mut client, "PLAIN").await;
    assert_eq!(code, ErrorCode::ILLEGAL_SASL_STATE);
    assert!(is_served(&mut client).await);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let limit = Duration::from_millis(50);
    let cluster = Cluster::builder().max_idle(limit).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    assert!(is_served(&mut client).await);
    assert_eq!(client.receive().await, None);
    let closed = cluster.wait_for(|stats| stats.idle_connections_closed() == 1);
    timeout(PATIENCE, closed).await.unwrap();
}
