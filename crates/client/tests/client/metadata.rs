//! Metadata of a client, and how it is learnt, in virtual time.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, advance};
use wolff_client::codec::messages::{MetadataRequest, MetadataResponse, MetadataResponseTopic};
use wolff_client::codec::{BrokerId, ErrorCode, LeaderEpoch, PartitionId};
use wolff_client::{
    Address, BackoffPolicy, Client, ClientBuilder, ClientConfig, ConnectError, ConnectionFailure,
    ConnectionStrategy, HostReason, MetadataError,
};

use crate::peer::{Listener, Network, Peer, metadata, question, topic};

const P0: PartitionId = PartitionId(0);

/// A cluster of one broker that is told what to say.
struct Single {
    network: Network,
    client: Client,
    listener: Listener,
    peer: Peer,
}

impl Single {
    async fn start(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let network = Network::default();
        let mut listener = network.listen("one");
        let client = configure(network.client("one")).build().unwrap();
        let (connection, peer) = tokio::join!(client.any_connection(), listener.accept_ready());
        connection.unwrap();
        Self {
            network,
            client,
            listener,
            peer,
        }
    }

    /// Lets the client look the topic up while the broker answers.
    async fn lookup(&mut self, answer: &MetadataResponse) -> Result<usize, MetadataError> {
        let (outcome, _) = tokio::join!(self.client.topic("t"), self.peer.answer_metadata(answer));
        outcome.map(|topic| topic.partitions.len())
    }
}

fn refused(code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code,
        name: Some("t".into()),
        ..Default::default()
    }
}

fn one(topics: impl IntoIterator<Item = MetadataResponseTopic>) -> MetadataResponse {
    metadata(&[(1, "one")], topics)
}

#[tokio::test(start_paused = true)]
async fn a_known_topic_is_not_asked_for_again() {
    let mut single = Single::start(|builder| builder).await;
    assert_eq!(
        single.lookup(&one([topic("t", &[(1, 0), (1, 0)])])).await,
        Ok(2)
    );
    // Nobody answers now, so that these would hang if they asked.
    assert_eq!(single.client.topic("t").await.unwrap().partitions.len(), 2);
    assert_eq!(single.client.known_topic("t").unwrap().partitions.len(), 2);
    assert_eq!(single.client.known_cluster().brokers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lookups_are_one_question() {
    let mut single = Single::start(|builder| builder).await;
    let lookups: Vec<_> = (0..1_000)
        .map(|number| {
            let client = single.client.clone();
            tokio::spawn(async move { client.topic(["t", "u"][number % 2]).await })
        })
        .collect();
    let first = single.peer.expect::<MetadataRequest>().await;
    let answer = one([topic("t", &[(1, 0)]), topic("u", &[(1, 0)])]);
    single.peer.answer(first.id, first.version, &answer).await;
    // The first question left when only the first lookup was there; the second has all others.
    let asked = first.request.topics.unwrap().len();
    if asked == 1 {
        single.peer.answer_metadata(&answer).await;
    }
    for lookup in lookups {
        assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn stale_metadata_is_refreshed_once_per_interval() {
    let mut single = Single::start(|builder| builder).await;
    let start = Instant::now();
    for round in 0..5 {
        let partitions = vec![(1, 0); round + 1];
        let answer = one([topic("t", &partitions)]);
        assert_eq!(single.lookup(&answer).await, Ok(round + 1));
        assert_eq!(
            start.elapsed(),
            Duration::from_secs(u64::try_from(round).unwrap())
        );
        single.client.mark_stale("t");
        single.client.mark_stale("t");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_told_and_what_was_known_stays() {
    let mut single = Single::start(|builder| builder).await;
    single
        .lookup(&one([topic("t", &[(1, 0), (1, 0)])]))
        .await
        .unwrap();
    single.client.mark_stale("t");
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let refusal = MetadataError::Topic {
        topic: "t".into(),
        code,
    };
    assert_eq!(
        single.lookup(&one([refused(code)])).await,
        Err(refusal.clone())
    );
    assert_eq!(
        single.client.topic("t").await.unwrap_err(),
        refusal,
        "without asking"
    );
    assert_eq!(single.client.known_topic("t").unwrap().partitions.len(), 2);
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        single.lookup(&one([topic("t", &[(1, 1)])])).await,
        Ok(2),
        "the same topic id"
    );
    assert_eq!(single.client.topic_exists("t").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_the_answer_leaves_out_is_an_error() {
    let mut single = Single::start(|builder| builder).await;
    let outcome = single.lookup(&one([topic("other", &[(1, 0)])])).await;
    assert_eq!(outcome, Err(MetadataError::LeftOut("t".into())));
}

#[tokio::test(start_paused = true)]
async fn with_auto_creation_a_lookup_waits_for_the_new_topic() {
    let mut single = Single::start(|builder| builder.allow_auto_topic_creation(true)).await;
    let client = single.client.clone();
    let lookup = tokio::spawn(async move { client.topic("t").await });
    let start = Instant::now();
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
    ] {
        let asked = single.peer.answer_metadata(&one([refused(code)])).await;
        assert!(asked.allow_auto_topic_creation);
    }
    single
        .peer
        .answer_metadata(&one([topic("t", &[(1, 0)])]))
        .await;
    assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_being_created_is_not_asked_for_in_haste_however_short_the_interval_is() {
    let mut single = Single::start(|builder| {
        builder
            .allow_auto_topic_creation(true)
            .min_metadata_refresh_interval(Duration::ZERO)
    })
    .await;
    let client = single.client.clone();
    let lookup = tokio::spawn(async move { client.topic("t").await });
    let not_yet = one([refused(ErrorCode::LEADER_NOT_AVAILABLE)]);
    let begin = Instant::now();
    for _ in 0..10 {
        single.peer.answer_metadata(&not_yet).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(450));
    single
        .peer
        .answer_metadata(&one([topic("t", &[(1, 0)])]))
        .await;
    assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn auto_creation_is_given_up_after_the_metadata_timeout() {
    let single = Single::start(|builder| {
        builder
            .allow_auto_topic_creation(true)
            .metadata_timeout(Duration::from_secs(5))
    })
    .await;
    tokio::spawn(
        single
            .peer
            .serve(one([refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)])),
    );
    let start = Instant::now();
    let timeout = Duration::from_secs(5);
    let outcome = single.client.topic("t").await.unwrap_err();
    assert_eq!(outcome, MetadataError::TimedOut(timeout));
    assert_eq!(start.elapsed(), timeout);
}

#[tokio::test(start_paused = true)]
async fn an_idle_metadata_connection_that_was_closed_is_no_error() {
    let mut single = Single::start(|builder| builder).await;
    drop(single.peer);
    // Closed without the client having noticed yet.
    let lookup = single.client.topic("t");
    let broker = async {
        let mut peer = single.listener.accept_ready().await;
        peer.answer_metadata(&one([topic("t", &[(1, 0)])])).await;
        peer
    };
    let (outcome, _peer) = tokio::join!(lookup, broker);
    assert_eq!(outcome.unwrap().partitions.len(), 1);
}

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
    assert_eq!(
        error.unwrap_err(),
        MetadataError::Refused(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)
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
async fn metadata_that_names_another_leader_ends_the_wait_for_a_silent_one() {
    for strategy in [
        ConnectionStrategy::PerPartition,
        ConnectionStrategy::PerBroker,
    ] {
        let network = Network::default();
        let (mut one, mut two) = (network.listen("one"), network.listen("two"));
        let client = network.client("two").connection_strategy(strategy);
        let client = client.build().unwrap();
        // The cluster takes five seconds to elect another leader.
        let elected = Instant::now() + Duration::from_secs(5);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = move || {
            count.fetch_add(1, Ordering::Relaxed);
            match Instant::now() < elected {
                true => metadata(&[(1, "one"), (2, "two")], [topic("t", &[(1, 0)])]),
                false => metadata(&[(2, "two")], [topic("t", &[(2, 1)])]),
            }
        };
        tokio::spawn(async move {
            while let Some(peer) = two.accept_or_end().await {
                tokio::spawn(peer.serve_by(answer.clone()));
            }
        });
        let (leader, swallowed) =
            tokio::join!(client.leader_connection("t", P0), one.accept_ready());
        let leader = leader.unwrap();
        let pending = leader.connection.start(&question()).unwrap();
        let error = pending.await.unwrap_err();
        assert!(error.is_in_doubt());
        assert!(error.to_string().contains("another leader"), "{error}");
        let late = Instant::now() - elected;
        assert!(late < Duration::from_secs(2), "{late:?} after the election");
        let count = asked.load(Ordering::Relaxed);
        assert!(count <= 10, "asked {count} times in seven seconds");
        drop(swallowed);
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
    assert_eq!(said, "the cluster has the id other, not mine");
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_used_although_the_connection_to_the_former_leader_was_lost() {
    let network = Network::default();
    let (mut one, mut two) = (network.listen("one"), network.listen("two"));
    let client = network.client("one").build().unwrap();
    let brokers = [(1, "one"), (2, "two")];
    let (leader, (mut asked, peer)) = tokio::join!(client.leader_connection("t", P0), async {
        let mut asked = one.accept_ready().await;
        asked
            .answer_metadata(&metadata(&brokers, [topic("t", &[(1, 0)])]))
            .await;
        (asked, one.accept_ready().await)
    });
    let leader = leader.unwrap();
    drop(peer);
    leader.connection.closed().await;
    client.mark_stale("t");
    assert!(client.update_leader("t", P0, BrokerId(2), LeaderEpoch(1), None));
    let (leader, _peer) = tokio::join!(client.leader_connection("t", P0), two.accept_ready());
    let leader = leader.unwrap();
    assert_eq!(
        (leader.broker, leader.leader_epoch),
        (BrokerId(2), LeaderEpoch(1))
    );
    let asked = tokio::time::timeout(Duration::from_secs(5), asked.frame());
    assert!(asked.await.is_err(), "no question for metadata");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_advertises_no_address_is_named_and_its_reason_kept() {
    let mut single = Single::start(|builder| builder).await;
    let client = single.client.clone();
    assert_eq!(client.last_failure("t", P0), None);
    let mut answer = one([topic("t", &[(2, 0)])]);
    let (outcome, _) = tokio::join!(
        client.leader_connection("t", P0),
        single.peer.answer_metadata(&answer)
    );
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic t partition 0 is led by broker 2, which advertises no address that can be connected to: \
         see its advertised.listeners"
    );
    assert_eq!(client.last_failure("t", P0), Some(error));
    answer.topics = vec![topic("t", &[(1, 1)])];
    let (outcome, _) = tokio::join!(client.leader_connection("t", P0), async {
        single.peer.answer_metadata(&answer).await;
        single.listener.accept_ready().await
    });
    outcome.unwrap();
    assert_eq!(client.last_failure("t", P0), None);
}

/// Partitions of one broker that the network allows so many connections.
async fn crowded(most: usize, configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> usize {
    let network = Network::default();
    let mut listener = network.listen("one");
    let client = configure(network.client("one")).build().unwrap();
    let answer = one([topic("t", &[(1, 0); 20])]);
    let open = tokio::spawn(async move {
        let mut count = 0;
        while let Some(peer) = listener.accept_or_end().await {
            if count < most {
                count += 1;
                tokio::spawn(peer.serve(answer.clone()));
            }
        }
        count
    });
    let mut connections = Vec::new();
    for partition in 0..20 {
        let leader = client.leader_connection("t", PartitionId(partition)).await;
        connections.push(leader.unwrap().connection);
    }
    for connection in &connections {
        connection.request(&question()).await.unwrap();
    }
    client.topic("t").await.unwrap();
    drop((connections, client, network));
    open.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn partitions_share_connections_where_the_broker_or_the_user_allows_no_more() {
    assert_eq!(
        crowded(100, |builder| builder).await,
        21,
        "one for metadata"
    );
    assert_eq!(crowded(5, |builder| builder).await, 5);
    let limited = |builder: ClientBuilder| builder.max_connections_per_broker(Some(3));
    assert_eq!(crowded(100, limited).await, 4);
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

#[tokio::test(start_paused = true)]
async fn all_who_want_a_leader_share_the_attempt_and_each_partition_has_its_connection() {
    let mut single = Single::start(|builder| builder).await;
    single
        .lookup(&one([topic("t", &[(1, 3), (1, 4)])]))
        .await
        .unwrap();
    let client = &single.client;
    let (a, b, peer) = tokio::join!(
        client.leader_connection("t", P0),
        client.leader_connection("t", P0),
        single.listener.accept_ready(),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(single.listener.is_quiet());
    assert_eq!((a.broker, a.leader_epoch), (BrokerId(1), LeaderEpoch(3)));
    let (other, other_peer) = tokio::join!(
        client.leader_connection("t", PartitionId(1)),
        single.listener.accept_ready(),
    );
    assert_eq!(other.unwrap().leader_epoch, LeaderEpoch(4));
    drop(other_peer);
    // The last user of the first partition leaves: its connection ends, though an answer is due.
    let pending = a.connection.start(&question()).unwrap();
    let mut peer = peer;
    drop((a, b));
    peer.answer_number(1).await;
    assert_eq!(pending.await.unwrap().producer_id.0, 1);
    assert_eq!(peer.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn per_broker_all_partitions_of_a_broker_share_its_connection() {
    let strategy = ConnectionStrategy::PerBroker;
    let mut single = Single::start(|builder| builder.connection_strategy(strategy)).await;
    single
        .lookup(&one([topic("t", &[(1, 0), (1, 0)])]))
        .await
        .unwrap();
    let client = &single.client;
    let (a, b, _peer) = tokio::join!(
        client.leader_connection("t", P0),
        client.leader_connection("t", PartitionId(1)),
        single.listener.accept_ready(),
    );
    let (_a, _b) = (a.unwrap(), b.unwrap());
    assert!(single.listener.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn a_black_holed_broker_delays_nobody_else() {
    let network = Network::default();
    let (mut seed, mut two) = (network.listen("seed"), network.listen("two"));
    network.black_hole("hole");
    let client = network.client("seed").build().unwrap();
    let answer = metadata(&[(1, "hole"), (2, "two")], [topic("t", &[(1, 0), (2, 0)])]);
    tokio::spawn(async move { seed.accept().await.serve(answer).await });
    client.topic("t").await.unwrap();
    let start = Instant::now();
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.leader_connection("t", P0).await }
    });
    let partition = PartitionId(1);
    let (leader, _peer) =
        tokio::join!(client.leader_connection("t", partition), two.accept_ready());
    leader.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let outcome = stuck.await.unwrap().unwrap_err();
    let said = outcome.to_string();
    assert_eq!(
        said,
        "hole:9092: timed out after 5s: no answer from that host"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_lost_leader_is_looked_for_before_anybody_reconnects() {
    let network = Network::default();
    let (mut one, mut two) = (network.listen("one"), network.listen("two"));
    let client = network.client("one").build().unwrap();
    let brokers = [(1, "one"), (2, "two")];
    let (leader, (mut asked, peer)) = tokio::join!(client.leader_connection("t", P0), async {
        let mut asked = one.accept_ready().await;
        asked
            .answer_metadata(&metadata(&brokers, [topic("t", &[(1, 0)])]))
            .await;
        (asked, one.accept_ready().await)
    });
    let leader = leader.unwrap();
    drop(peer);
    assert_eq!(
        leader.connection.closed().await,
        ConnectionFailure::ClosedByPeer
    );
    drop(leader);
    let start = Instant::now();
    let (leader, (_metadata, _peer)) = tokio::join!(client.leader_connection("t", P0), async {
        asked
            .answer_metadata(&metadata(&brokers, [topic("t", &[(2, 1)])]))
            .await;
        (asked, two.accept_ready().await)
    });
    assert_eq!(leader.unwrap().broker, BrokerId(2));
    assert_eq!(
        start.elapsed(),
        Duration::from_millis(100),
        "not the whole interval"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_at_the_new_leader_spares_the_question() {
    let mut single = Single::start(|builder| builder).await;
    single.lookup(&one([topic("t", &[(1, 3)])])).await.unwrap();
    let client = single.client.clone();
    let there = Address::new("one", 9092);
    let hint = |epoch, address: Option<&Address>| {
        client.update_leader("t", P0, BrokerId(2), LeaderEpoch(epoch), address.cloned())
    };
    assert!(!hint(3, Some(&there)), "not newer than what is known");
    assert!(!hint(4, None), "nobody knows where that broker is");
    assert!(hint(4, Some(&there)));
    let (leader, _peer) = tokio::join!(
        client.leader_connection("t", P0),
        single.listener.accept_ready()
    );
    let leader = leader.unwrap();
    assert_eq!(
        (leader.broker, leader.leader_epoch),
        (BrokerId(2), LeaderEpoch(4))
    );
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_a_leader_is_asked_for_again() {
    let mut single = Single::start(|builder| builder).await;
    let client = single.client.clone();
    let leaderless = one([topic("t", &[(-1, 0)])]);
    let (outcome, _) = tokio::join!(
        client.leader_connection("t", P0),
        single.peer.answer_metadata(&leaderless)
    );
    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    let expected = ConnectError::NoLeader {
        topic: "t".into(),
        partition: P0,
        code,
    };
    assert_eq!(outcome.unwrap_err(), expected);
    let start = Instant::now();
    let (outcome, _peer) = tokio::join!(client.leader_connection("t", P0), async {
        single
            .peer
            .answer_metadata(&one([topic("t", &[(1, 1)])]))
            .await;
        single.listener.accept_ready().await
    });
    outcome.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let missing = PartitionId(7);
    let outcome = client.leader_connection("t", missing).await.unwrap_err();
    assert_eq!(outcome.to_string(), "topic t has no partition 7");
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_says_so_to_everybody() {
    let mut single = Single::start(|builder| builder).await;
    single.lookup(&one([topic("t", &[(1, 0)])])).await.unwrap();
    let client = single.client.clone();
    client.mark_stale("t");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.topic("t").await }
    });
    tokio::task::yield_now().await;
    client.close().await;
    assert_eq!(waiting.await.unwrap(), Err(MetadataError::ClientClosed));
    assert_eq!(client.topic("t").await, Err(MetadataError::ClientClosed));
    let outcome = client.leader_connection("t", P0).await.unwrap_err();
    assert_eq!(outcome, ConnectError::ClientClosed);
    let errors = client.check_connectivity().await.unwrap_err();
    assert_eq!(errors[0].to_string(), "one:9092: the client is closed");
    assert_eq!(single.peer.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_attempts_to_connect_at_once_and_tells_who_waits_for_them() {
    let hour = Duration::from_secs(60 * 60);
    let network = Network::default();
    let mut listener = network.listen("one");
    network.black_hole("deaf");
    let mut config = ClientConfig::default();
    config.reconnect_backoff.initial = hour;
    config.reconnect_backoff.ceiling = hour;
    let client = network.client("one").config(config).build().unwrap();
    let known = metadata(
        &[(1, "one"), (2, "deaf"), (3, "gone")],
        [topic("t", &[(2, 0), (3, 0)])],
    );
    tokio::spawn(async move { listener.accept().await.serve(known).await });
    // The second refusal makes the third attempt wait for most of an hour.
    for _ in 0..2 {
        let refused = client.leader_connection("t", PartitionId(1)).await;
        assert!(matches!(refused, Err(ConnectError::Host(_))), "{refused:?}");
    }
    let waiting: Vec<_> = [0, 1]
        .map(|partition| {
            let client = client.clone();
            tokio::spawn(async move { client.leader_connection("t", PartitionId(partition)).await })
        })
        .into();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    let begin = Instant::now();
    client.close().await;
    for waiting in waiting {
        let outcome = waiting.await.unwrap().unwrap_err();
        assert_eq!(outcome, ConnectError::ClientClosed);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_search_for_a_broker_and_probes_at_once() {
    let network = Network::default();
    network.black_hole("deaf");
    let client = network.client("deaf").build().unwrap();
    let (search, probe) = (client.clone(), client.clone());
    let search = tokio::spawn(async move { search.check_connectivity().await });
    let probe = tokio::spawn(async move { probe.probe_hosts().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    client.close().await;
    let searched = search.await.unwrap().unwrap_err().remove(0).reason;
    let (_, probed) = probe.await.unwrap().remove(0);
    assert_eq!(
        (searched, probed),
        (HostReason::ClientClosed, Err(HostReason::ClientClosed))
    );
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn whether_a_topic_exists_is_asked_and_not_remembered() {
    let mut single = Single::start(|builder| builder).await;
    let here = one([topic("t", &[(1, 0)])]);
    let gone = one([refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]);
    for (answer, expected) in [(&here, true), (&gone, false), (&here, true)] {
        let exists = single.client.topic_exists("t");
        let (exists, _) = tokio::join!(exists, single.peer.answer_metadata(answer));
        assert_eq!(exists, Ok(expected));
        // Within the interval nobody is asked: nobody answers here.
        assert_eq!(single.client.topic_exists("t").await, Ok(expected));
        advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_lookups_leave_nothing_behind() {
    let mut single = Single::start(|builder| builder).await;
    for _ in 0..3 {
        let lookup = tokio::spawn({
            let client = single.client.clone();
            async move { client.topic("t").await }
        });
        tokio::task::yield_now().await;
        lookup.abort();
        assert!(lookup.await.unwrap_err().is_cancelled());
    }
    assert_eq!(single.lookup(&one([topic("t", &[(1, 0)])])).await, Ok(1));
}

#[test]
fn a_question_outside_of_a_runtime_does_not_keep_later_ones_from_being_asked() {
    let network = Network::default();
    let mut listener = network.listen("one");
    let client = network.client("one").build().unwrap();
    let outside = std::panic::AssertUnwindSafe(|| {
        let mut context = Context::from_waker(Waker::noop());
        let _ = pin!(client.topic("t")).poll(&mut context);
    });
    assert!(std::panic::catch_unwind(outside).is_err());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let known = one([topic("t", &[(1, 0)])]);
        let broker = async { listener.accept().await.serve(known).await };
        tokio::select! {
            topic = client.topic("t") => assert_eq!(topic.unwrap().partitions.len(), 1),
            () = broker => {}
        }
    });
}

#[test]
fn a_client_survives_the_runtime_it_was_used_in() {
    let network = Network::default();
    let mut listener = network.listen("one");
    let client = network.client("one").build().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let mut peer = first.block_on(async {
        let lookup = tokio::spawn({
            let client = client.clone();
            async move { client.topic("t").await }
        });
        let mut peer = listener.accept_ready().await;
        peer.expect::<MetadataRequest>().await;
        lookup.abort();
        peer
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(peer.frame().await, None);
        let broker = async {
            let mut peer = listener.accept_ready().await;
            peer.answer_metadata(&one([topic("t", &[(1, 0)])])).await;
            peer
        };
        let (outcome, _peer) = tokio::join!(client.topic("t"), broker);
        assert_eq!(outcome.unwrap().partitions.len(), 1);
    });
}
