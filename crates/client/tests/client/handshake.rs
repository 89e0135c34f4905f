//! The first words on a connection, and what a person is told when they go wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use wolff_client::codec::messages::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest,
};
use wolff_client::codec::{ApiKey, CorrelationId, ErrorCode};
use wolff_client::{Client, HostError, HostReason};

use crate::peer::{Network, all_versions, frame};

/// Reason that the client gives when the peer does that.
async fn reason(peer: impl AsyncFnOnce(crate::peer::Peer)) -> HostReason {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let broker = async { peer(listener.accept().await).await };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let mut errors = outcome.unwrap_err();
    assert_eq!(errors.len(), 1);
    let HostError { host, reason } = errors.remove(0);
    assert_eq!(host.to_string(), "kafka:9092");
    reason
}

fn refusal(offered: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let api = |(api_key, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
        api_key: *api_key,
        min_version: *min_version,
        max_version: *max_version,
        ..Default::default()
    };
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: offered.iter().map(api).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_client_says_who_it_is() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network
        .client("kafka")
        .client_id("client-1")
        .build()
        .unwrap();
    let broker = async {
        let mut peer = listener.accept().await;
        let asked = peer.expect::<ApiVersionsRequest>().await;
        assert_eq!(asked.version, 4);
        assert_eq!(asked.client_id.as_deref(), Some("client-1"));
        assert_eq!(&*asked.request.client_software_name, "wolff");
        let version = &*asked.request.client_software_version;
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        peer.answer(asked.id, 4, &all_versions()).await;
        peer
    };
    let (connection, _peer) = tokio::join!(client.any_connection(), broker);
    assert_eq!(connection.unwrap().version::<ProduceRequest>(), Ok(13));
}

#[tokio::test]
async fn an_older_broker_is_asked_in_a_version_that_it_knows() {
    for (offered, second) in [
        (
            vec![(ApiKey::API_VERSIONS, 0, 3), (ApiKey::PRODUCE, 0, 9)],
            3,
        ),
        (vec![(ApiKey::API_VERSIONS, 0, 2)], 2),
        // Before 2.4 nothing is offered.
        (vec![], 0),
        // A broker that offers what it has just refused is not asked the same again.
        (vec![(ApiKey::API_VERSIONS, 0, 4)], 3),
        (vec![(ApiKey::API_VERSIONS, -7, -5)], 0),
    ] {
        let network = Network::default();
        let mut listener = network.listen("kafka");
        let client = network.client("kafka").build().unwrap();
        let broker = async {
            let mut peer = listener.accept().await;
            let asked = peer.expect::<ApiVersionsRequest>().await;
            peer.answer(asked.id, 0, &refusal(&offered)).await;
            let asked = peer.expect::<ApiVersionsRequest>().await;
            assert_eq!(asked.version, second);
            peer.answer(asked.id, asked.version, &all_versions()).await;
            peer
        };
        let (connection, _peer) = tokio::join!(client.any_connection(), broker);
        assert!(!connection.unwrap().is_closed());
    }
}

#[tokio::test]
async fn a_broker_that_refuses_every_version_is_left_alone() {
    let outcome = reason(async |mut peer| {
        for version in (0..=4).rev() {
            let asked = peer.expect::<ApiVersionsRequest>().await;
            assert_eq!(asked.version, version);
            let offered = [(ApiKey::API_VERSIONS, 0, i16::MAX)];
            peer.answer(asked.id, 0, &refusal(&offered)).await;
        }
        assert_eq!(peer.frame().await, None);
    });
    assert_eq!(
        outcome.await,
        HostReason::Rejected(ErrorCode::UNSUPPORTED_VERSION)
    );
}

#[tokio::test]
async fn without_a_question_the_versions_of_0_11_are_used() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network
        .client("kafka")
        .query_api_versions(false)
        .build()
        .unwrap();
    let connection = client.any_connection().await.unwrap();
    let mut peer = listener.accept().await;
    assert_eq!(connection.version::<ProduceRequest>(), Ok(3));
    let _pending = connection.start(&MetadataRequest::default()).unwrap();
    assert_eq!(peer.expect::<MetadataRequest>().await.version, 4);
}

#[tokio::test]
async fn a_web_server_is_recognised() {
    let outcome = reason(async |mut peer| {
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(peer.frame().await.is_some());
    });
    let said = outcome.await.to_string();
    assert_eq!(said, "not a Kafka port: it answers in HTTP");
}

#[tokio::test]
async fn a_tls_listener_is_recognised() {
    let outcome = reason(async |mut peer| peer.send(&[21, 3, 3, 0, 2, 2, 80]).await);
    let said = outcome.await.to_string();
    assert!(said.contains("speaks TLS"), "{said}");
}

#[tokio::test]
async fn other_noise_is_no_kafka_either() {
    let outcome = reason(async |mut peer| peer.send(b"SSH-2.0-OpenSSH\r\n").await);
    let said = outcome.await.to_string();
    assert!(
        said.starts_with("not a Kafka port: its answer is no frame"),
        "{said}"
    );
    let outcome = reason(async |mut peer| peer.send(&[0xff; 8]).await);
    let said = outcome.await.to_string();
    assert!(
        said.starts_with("not a Kafka port: its answer is no frame"),
        "{said}"
    );
}

#[tokio::test]
async fn a_frame_above_64_kib_is_refused_before_the_handshake_is_over() {
    let outcome = reason(async |mut peer| {
        peer.send(&65_537_u32.to_be_bytes()).await;
        while peer.frame().await.is_some() {}
    });
    let said = outcome.await.to_string();
    assert!(said.contains("a frame claims 65537 bytes"), "{said}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_told_with_what_that_may_mean() {
    for cut in [0, 1, 20] {
        let network = Network::default();
        let mut listener = network.listen("kafka");
        let client = network.client("kafka").build().unwrap();
        let broker = async {
            // In the newest version, and on another connection in the oldest.
            for version in [4, 0] {
                let mut peer = listener.accept().await;
                let asked = peer.expect::<ApiVersionsRequest>().await;
                assert_eq!(asked.version, version);
                let answer = frame(asked.id, asked.version, &all_versions());
                peer.send(&answer[..cut]).await;
            }
        };
        let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
        let reason = outcome.unwrap_err().remove(0).reason;
        assert_eq!(reason, HostReason::ClosedInHandshake);
        assert!(!reason.is_final(), "a broker that restarts does that");
    }
}

#[tokio::test]
async fn a_broker_that_closes_at_the_newest_version_is_asked_in_the_oldest_and_remembered() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let broker = async {
        let mut peer = listener.accept().await;
        assert_eq!(peer.expect::<ApiVersionsRequest>().await.version, 4);
        drop(peer);
        for _ in 0..2 {
            let mut peer = listener.accept().await;
            let asked = peer.expect::<ApiVersionsRequest>().await;
            assert_eq!(asked.version, 0);
            peer.answer(asked.id, 0, &all_versions()).await;
        }
    };
    let connections = async {
        let first = client.any_connection().await.unwrap();
        first.closed().await;
        client.any_connection().await.unwrap()
    };
    let (connection, ()) = tokio::join!(connections, broker);
    assert_eq!(connection.version::<ProduceRequest>(), Ok(13));
}

#[tokio::test]
async fn a_refusal_in_any_shape_is_followed_by_the_oldest_version() {
    let refusal_of = |version| {
        let refusal = refusal(&[(ApiKey::API_VERSIONS, 0, 2)]);
        frame(CorrelationId(0), version, &refusal).to_vec()
    };
    // Of version 1 with a throttle time, flexible, with nothing after the code, with half an array.
    let mut cut = refusal_of(0);
    cut.truncate(15);
    let length = u32::try_from(cut.len() - 4).unwrap();
    cut[..4].copy_from_slice(&length.to_be_bytes());
    let code_only = [0, 0, 0, 6, 0, 0, 0, 0, 0, 35].to_vec();
    for shape in [refusal_of(1), refusal_of(3), code_only, cut] {
        let network = Network::default();
        let mut listener = network.listen("kafka");
        let client = network.client("kafka").build().unwrap();
        let broker = async {
            let mut peer = listener.accept().await;
            peer.expect::<ApiVersionsRequest>().await;
            peer.send(&shape).await;
            let asked = peer.expect::<ApiVersionsRequest>().await;
            assert_eq!(asked.version, 0);
            peer.answer(asked.id, 0, &all_versions()).await;
            peer
        };
        let (connection, _peer) = tokio::join!(client.any_connection(), broker);
        assert!(!connection.unwrap().is_closed(), "{shape:?}");
    }
}

#[tokio::test]
async fn no_newer_version_of_an_api_is_used_than_is_configured() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").max_version(ApiKey::PRODUCE, 9);
    let client = client.max_version(ApiKey::PRODUCE, 7).build().unwrap();
    let (connection, _peer) = tokio::join!(client.any_connection(), listener.accept_ready());
    let connection = connection.unwrap();
    assert_eq!(connection.version::<ProduceRequest>(), Ok(7));
    assert!(connection.version::<MetadataRequest>().unwrap() > 7);
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_with_where_it_fell() {
    let outcome = reason(async |mut peer| {
        peer.expect::<ApiVersionsRequest>().await;
        assert_eq!(peer.frame().await, None);
    });
    let said = outcome.await.to_string();
    assert!(
        said.starts_with("timed out after 5s: connected, but no answer"),
        "{said}"
    );

    let network = Network::default();
    network.black_hole("kafka");
    let timeout = Duration::from_secs(2);
    let client = network
        .client("kafka")
        .connect_timeout(timeout)
        .build()
        .unwrap();
    let errors = client.check_connectivity().await.unwrap_err();
    let said = errors[0].to_string();
    assert_eq!(
        said,
        "kafka:9092: timed out after 2s: no answer from that host"
    );
}

#[tokio::test]
async fn an_answer_to_something_else_is_nonsense() {
    let outcome = reason(async |mut peer| {
        let asked = peer.expect::<ApiVersionsRequest>().await;
        let other = CorrelationId(asked.id.0 + 1);
        peer.answer(other, asked.version, &all_versions()).await;
    });
    assert!(matches!(outcome.await, HostReason::NotKafka(_)));
    let outcome = reason(async |mut peer| peer.send(&[0, 0, 0, 2, 1, 2]).await);
    assert!(matches!(outcome.await, HostReason::NotKafka(_)));
    let outcome = reason(async |mut peer| {
        let asked = peer.expect::<ApiVersionsRequest>().await;
        let answer = ApiVersionsResponse {
            error_code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ..Default::default()
        };
        peer.answer(asked.id, asked.version, &answer).await;
    });
    assert_eq!(
        outcome.await,
        HostReason::Rejected(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)
    );
}

#[tokio::test]
async fn every_host_that_fails_has_its_own_reason() {
    let network = Network::default();
    let mut web = network.listen("web");
    let mut kafka = network.listen("kafka");
    let client = network.client("gone,web,kafka").build().unwrap();
    let brokers = async {
        web.accept().await.send(b"HTTP/1.1 400").await;
        let mut peer = kafka.accept_ready().await;
        let answer = crate::peer::metadata(&[(1, "kafka"), (2, "inner"), (3, "")], []);
        peer.answer_metadata(&answer).await;
    };
    let (probes, ()) = tokio::join!(client.probe_hosts(), brokers);
    let said: Vec<_> = probes
        .into_iter()
        .map(|(host, outcome)| match outcome {
            Ok(()) => format!("{host} is fine"),
            Err(reason) => format!("{host}: {reason}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "gone:9092: connection refused: nothing listens on that port",
            "web:9092: not a Kafka port: it answers in HTTP",
            "kafka:9092 is fine",
        ]
    );
}

#[tokio::test]
async fn advertised_addresses_are_examined_as_well() {
    let network = Network::default();
    let mut kafka = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let broker = async {
        let mut peer = kafka.accept_ready().await;
        let answer = crate::peer::metadata(&[(1, "kafka"), (2, "inner"), (3, "")], []);
        peer.answer_metadata(&answer).await;
    };
    let (reports, ()) = tokio::join!(client.examine_hosts(), broker);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].outcome, Ok(()));
    let brokers: Vec<_> = (reports[0].brokers.iter())
        .map(|broker| {
            (
                broker.id.0,
                broker.address.is_some(),
                broker.outcome.clone(),
            )
        })
        .collect();
    let refused = Err(HostReason::Refused);
    assert_eq!(
        brokers,
        [(1, true, Ok(())), (2, true, refused), (3, false, Ok(()))]
    );
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_is_not_fine() {
    let backwards = |api: &mut ApiVersion| (api.min_version, api.max_version) = (9, 3);
    let mut no_apis = all_versions();
    no_apis.api_keys.clear();
    let mut min_above_max = all_versions();
    min_above_max.api_keys.iter_mut().for_each(backwards);
    let named = crate::peer::metadata(&[(1, "kafka")], []);
    let cases = [
        (no_apis, None, "Produce"),
        (min_above_max, None, "Produce"),
        (
            all_versions(),
            Some(crate::peer::metadata(&[], [])),
            "no brokers",
        ),
        (all_versions(), Some(named), ""),
    ];
    for (versions, metadata, words) in cases {
        let network = Network::default();
        let mut listener = network.listen("kafka");
        let client = network.client("kafka").build().unwrap();
        let broker = async {
            let mut peer = listener.accept().await;
            let asked = peer.expect::<ApiVersionsRequest>().await;
            peer.answer(asked.id, asked.version, &versions).await;
            if let Some(metadata) = &metadata {
                peer.answer_metadata(metadata).await;
            }
            peer
        };
        let (probes, _peer) = tokio::join!(client.probe_hosts(), broker);
        match &probes[0].1 {
            Ok(()) => assert_eq!(words, ""),
            Err(reason) => {
                let said = reason.to_string();
                assert!(said.starts_with("a broker that cannot be used"), "{said}");
                assert!(!words.is_empty() && said.contains(words), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_listener_for_sasl_is_recognised_at_the_first_question() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let broker = async {
        // Twice: a broker that has just started may do it once.
        for _ in 0..2 {
            let mut peer = listener.accept_ready().await;
            peer.expect::<MetadataRequest>().await;
        }
    };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let reason = outcome.unwrap_err().remove(0).reason;
    assert_eq!(reason, HostReason::ClosedAtFirstQuestion);
    assert!(!reason.is_final(), "a broker that shuts down does that");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_shakes_hands_and_answers_nothing_else_is_told_as_such() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.expect::<MetadataRequest>().await;
        assert_eq!(peer.frame().await, None);
    };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    let said = outcome.unwrap_err().remove(0).reason.to_string();
    assert!(said.contains("no answer to a question"), "{said}");
}

#[test]
fn a_client_needs_neither_broker_nor_runtime_to_be_made() {
    let client = Client::builder(["no-such-host.invalid"]).build().unwrap();
    assert!(client.known_topic("t").is_none());
    assert!(client.known_cluster().brokers.is_empty());
}
