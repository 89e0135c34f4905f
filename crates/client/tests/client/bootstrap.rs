//! Hosts and brokers that are asked for metadata: which, in which order, and what a search says, in
//! virtual time.

use std::time::Duration;

use tokio::time::{Instant, advance};
use wolff_client::codec::messages::{MetadataRequest, MetadataResponse};
use wolff_client::codec::{BrokerId, ErrorCode};
use wolff_client::{Address, BackoffPolicy, MetadataError};

use crate::peer::{Listener, Network, metadata, topic};

use crate::single_broker::Single;

#[tokio::test(start_paused = true)]
async fn a_stuck_broker_is_left_for_another_one() {
    let mut single = Single::start(|builder| builder).await;
    let network = single.network.clone();
    let mut two = network.listen("two");
    let answer = metadata(&[(1, "one"), (2, "two")], [topic("t", &[(2, 0)])]);
    single.lookup(&answer).await.unwrap();
    single.client.mark_stale("t");
    advance(Duration::from_secs(1)).await;
    let brokers = async {
        // It takes the question, but does nothing any more.
        single.peer.expect::<MetadataRequest>().await;
        let mut peer = two.accept_ready().await;
        peer.answer_metadata(&answer).await;
        peer
    };
    let start = Instant::now();
    let (outcome, _peer) = tokio::join!(single.client.topic("t"), brokers);
    assert_eq!(outcome.unwrap().partitions.len(), 1);
    let stagger = Duration::from_millis(1_500);
    assert_eq!(start.elapsed(), stagger, "another one is asked beside it");
    assert!(single.listener.is_quiet(), "it is not dialled again");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_whatever_is_asked_is_left_for_another_one_and_for_the_bootstrap_hosts()
 {
    for code in [
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode(9_999),
    ] {
        let network = Network::default();
        let (mut seed, mut bad) = (network.listen("seed"), network.listen("bad"));
        let client = network.client("seed").build().unwrap();
        let good = metadata(&[(1, "bad")], [topic("t", &[(1, 0)])]);
        let refusal = MetadataResponse {
            error_code: code,
            ..metadata(&[], [])
        };
        let brokers = async {
            let mut peer = seed.accept_ready().await;
            peer.answer_metadata(&good).await;
            drop(peer);
            for _ in 0..2 {
                // All that is known is the broker that refuses.
                let mut peer = bad.accept_ready().await;
                peer.answer_metadata(&refusal).await;
                assert_eq!(peer.frame().await, None, "closed");
                let mut peer = seed.accept_ready().await;
                peer.answer_metadata(&good).await;
                drop(peer);
            }
        };
        let lookups = async {
            for _ in 0..3 {
                client.topic("t").await.unwrap();
                client.mark_stale("t");
            }
        };
        tokio::join!(lookups, brokers);
    }
}

#[tokio::test(start_paused = true)]
async fn when_every_broker_refuses_that_is_told_after_a_few_of_them() {
    let network = Network::default();
    let listeners = ["one", "two", "three"].map(|host| network.listen(host));
    let client = network.client("one,two,three").build().unwrap();
    let serve = |mut listener: Listener| async move {
        let refusal = MetadataResponse {
            error_code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ..metadata(&[], [])
        };
        let mut peer = listener.accept_ready().await;
        peer.answer_metadata(&refusal).await;
    };
    let [one, two, three] = listeners.map(serve);
    let (error, ..) = tokio::join!(client.topic("t"), one, two, three);
    let Err(MetadataError::Refused { code, context }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(code, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    assert!(
        ["one", "two", "three"].contains(&context.address().host()),
        "{context}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_healthy_host_among_99_silent_ones_is_found_within_two_seconds() {
    let network = Network::default();
    let mut names = Vec::new();
    for number in 0..99 {
        let name = format!("hole-{number}");
        network.black_hole(&name);
        names.push(name);
    }
    names.push("healthy".to_owned());
    let mut healthy = network.listen("healthy");
    tokio::spawn(async move {
        let mut serving = Vec::new();
        while let Some(peer) = healthy.accept_or_end().await {
            serving.push(tokio::spawn(peer.serve(metadata(&[(1, "healthy")], []))));
        }
    });
    for _ in 0..20 {
        let client = network.client(&names.join(",")).build().unwrap();
        let start = Instant::now();
        client.check_connectivity().await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        let connection = client.any_connection().await.unwrap();
        assert_eq!(connection.address(), &Address::new("healthy", 9092));
    }
}

#[tokio::test(start_paused = true)]
async fn bootstrap_hosts_are_tried_in_any_order_and_a_dead_one_is_remembered() {
    let network = Network::default();
    network.black_hole("hole");
    let mut firsts = std::collections::BTreeSet::new();
    let mut two = network.listen("two");
    for _ in 0..40 {
        let client = network.client("hole,two").build().unwrap();
        let start = Instant::now();
        let (connection, peer) = tokio::join!(client.any_connection(), two.accept_ready());
        firsts.insert(start.elapsed());
        assert_eq!(connection.unwrap().address(), &Address::new("two", 9092));
        drop(peer);
    }
    let stagger = Duration::from_millis(250);
    assert_eq!(
        firsts.into_iter().collect::<Vec<_>>(),
        [Duration::ZERO, stagger]
    );

    let client = network.client("refused,two").build().unwrap();
    for _ in 0..40 {
        let (connection, peer) = tokio::join!(client.any_connection(), two.accept_ready());
        let connection = connection.unwrap();
        drop(peer);
        connection.closed().await;
    }
    let states = client.host_states();
    assert!(states[0].failures <= 1, "{states:?}");
    assert!(states[1].last_failure.is_none(), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_shakes_hands_and_hangs_does_not_hide_a_healthy_one() {
    let network = Network::default();
    let (mut hung, mut healthy) = (network.listen("hung"), network.listen("healthy"));
    let answer = metadata(&[(1, "healthy")], [topic("t", &[(1, 0)])]);
    let served = answer.clone();
    tokio::spawn(async move {
        while let Some(peer) = healthy.accept_or_end().await {
            tokio::spawn(peer.serve(served.clone()));
        }
    });
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(hung.accept_ready().await);
        }
    });
    for _ in 0..10 {
        let client = network.client("hung,healthy").build().unwrap();
        let start = Instant::now();
        client.check_connectivity().await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
        let client = network.client("hung,healthy").build().unwrap();
        let start = Instant::now();
        client.topic("t").await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn any_number_of_hosts_that_shake_hands_and_hang_do_not_hide_a_healthy_one() {
    for count in [3, 10, 99] {
        let network = Network::default();
        let mut names = vec!["healthy".to_owned()];
        for number in 0..count {
            let name = format!("hung-{number}");
            let mut hung = network.listen(&name);
            names.push(name);
            tokio::spawn(async move {
                let mut held = Vec::new();
                loop {
                    held.push(hung.accept_ready().await);
                }
            });
        }
        let mut healthy = network.listen("healthy");
        let answer = metadata(&[(1, "healthy")], [topic("t", &[(1, 0)])]);
        tokio::spawn(async move {
            while let Some(peer) = healthy.accept_or_end().await {
                tokio::spawn(peer.serve(answer.clone()));
            }
        });
        for round in 0..10 {
            let client = network.client(&names.join(",")).build().unwrap();
            let start = Instant::now();
            match round % 3 {
                0 => drop(client.topic("t").await.unwrap()),
                1 => drop(client.topics().await.unwrap()),
                _ => drop(client.cluster().await.unwrap()),
            }
            let took = start.elapsed();
            assert!(took < Duration::from_secs(2), "{count}: {took:?}");
            let connection = client.any_connection().await.unwrap();
            assert_eq!(connection.address(), &Address::new("healthy", 9092));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_takes_too_long_names_the_hosts_that_were_tried_and_no_other() {
    let network = Network::default();
    network.black_hole("hole");
    let mut hung = network.listen("hung");
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(hung.accept().await);
        }
    });
    let timeout = Duration::from_secs(2);
    let client = network
        .client("refused,hole,hung")
        .metadata_timeout(timeout);
    let client = client.build().unwrap();
    let said = client.topic("t").await.unwrap_err().to_string();
    assert!(said.starts_with("no metadata within 2s: "), "{said}");
    for part in [
        "refused:9092: connection refused",
        "hole:9092: no response after ",
        "hung:9092: no response after ",
        "still trying",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_of_another_cluster_is_refused_where_the_id_is_configured() {
    let network = Network::default();
    let (mut one, mut two) = (network.listen("one"), network.listen("two"));
    let answer = |id: &str| MetadataResponse {
        cluster_id: Some(id.into()),
        ..metadata(&[(1, "one")], [topic("t", &[(1, 0)])])
    };
    let (of_one, of_two) = (answer("other"), answer("mine"));
    tokio::spawn(async move { one.accept().await.serve(of_one).await });
    tokio::spawn(async move { two.accept().await.serve(of_two).await });
    let client = network
        .client("one,two")
        .cluster_id("mine")
        .build()
        .unwrap();
    client.topic("t").await.unwrap();
    assert_eq!(client.cluster_id().as_deref(), Some("mine"));
    let mut three = network.listen("three");
    tokio::spawn(async move {
        while let Some(peer) = three.accept_or_end().await {
            tokio::spawn(peer.serve(answer("other")));
        }
    });
    let client = network.client("three").cluster_id("mine").build().unwrap();
    let said = client.topic("t").await.unwrap_err().to_string();
    assert_eq!(
        said,
        "the cluster has the id other, not mine, by the response to Metadata to three:9092 after 0 ms; \
         connect to the other cluster, or change `cluster_id`"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_to_reach_is_told_host_by_host_and_paced() {
    let network = Network::default();
    network.black_hole("hole");
    let policy = BackoffPolicy {
        jitter: 0.0,
        ..BackoffPolicy::default()
    };
    let client = network
        .client("refused,hole")
        .reconnect_backoff(policy)
        .build()
        .unwrap();
    let mut waited = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        let error = client.topic("t").await.unwrap_err();
        waited.push(start.elapsed().as_millis());
        assert_eq!(
            error.to_string(),
            "no broker can be reached: refused:9092: connection refused: nothing listens on that \
             port; hole:9092: timed out after 5s: no answer from that host"
        );
    }
    assert_eq!(waited, [5_000, 5_000, 5_050, 5_100]);
}

#[tokio::test(start_paused = true)]
async fn when_all_known_brokers_are_gone_the_bootstrap_hosts_are_asked_again() {
    let network = Network::default();
    let mut seed = network.listen("seed");
    let mut old = network.listen("old");
    let client = network.client("seed").build().unwrap();
    let brokers = async {
        let mut peer = seed.accept_ready().await;
        peer.answer_metadata(&metadata(&[(1, "old")], [topic("t", &[(1, 0)])]))
            .await;
        // The seed goes; what is left is what it told.
        drop(peer);
        let mut peer = old.accept_ready().await;
        peer.answer_metadata(&metadata(&[(1, "old")], [topic("t", &[(1, 0)])]))
            .await;
        drop((peer, old));
        let mut peer = seed.accept_ready().await;
        peer.answer_metadata(&metadata(&[(2, "new")], [topic("t", &[(2, 1)])]))
            .await;
        peer
    };
    let lookups = async {
        for _ in 0..3 {
            client.topic("t").await.unwrap();
            client.mark_stale("t");
        }
    };
    let ((), _peer) = tokio::join!(lookups, brokers);
    assert_eq!(client.known_cluster().brokers[0].id, BrokerId(2));
}

#[tokio::test(start_paused = true)]
async fn a_broker_can_send_the_client_back_to_its_bootstrap_hosts() {
    let network = Network::default();
    let mut seed = network.listen("seed");
    let mut lost = network.listen("lost");
    let client = network.client("seed").build().unwrap();
    let brokers = async {
        let mut first = seed.accept_ready().await;
        first.answer_metadata(&metadata(&[(1, "lost")], [])).await;
        drop(first);
        let mut peer = lost.accept_ready().await;
        let answer = MetadataResponse {
            error_code: ErrorCode::REBOOTSTRAP_REQUIRED,
            ..metadata(&[(1, "lost")], [])
        };
        peer.answer_metadata(&answer).await;
        let mut again = seed.accept_ready().await;
        again.answer_metadata(&metadata(&[(2, "two")], [])).await;
        again
    };
    let questions = async {
        client.cluster().await.unwrap();
        client.cluster().await.unwrap()
    };
    let (cluster, _peer) = tokio::join!(questions, brokers);
    assert_eq!(cluster.brokers[0].id, BrokerId(2));
    assert_eq!(cluster.controller, Some(BrokerId(2)));
}
