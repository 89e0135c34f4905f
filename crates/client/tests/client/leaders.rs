//! Leaders of partitions and the connections to them, in virtual time.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::{BrokerId, ErrorCode, LeaderEpoch, PartitionId};
use wolff_client::{Address, ClientBuilder, ConnectError, ConnectionFailure, ConnectionStrategy};

use crate::peer::{Network, metadata, question, topic};

const P0: PartitionId = PartitionId(0);
use crate::single_broker::{Single, one};

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
async fn connections_are_freed_for_others_but_not_those_in_use() {
    let mut single = Single::start(|builder| builder).await;
    single
        .lookup(&one([topic("t", &[(1, 0), (1, 0), (1, 0), (1, 0)])]))
        .await
        .unwrap();
    let client = single.client.clone();
    let (mut leaders, mut peers) = (Vec::new(), Vec::new());
    for partition in [0, 1, 2, 3].map(PartitionId) {
        let (leader, peer) = tokio::join!(
            client.leader_connection("t", partition),
            single.listener.accept_ready(),
        );
        leaders.push(leader.unwrap().connection);
        peers.push(peer);
    }
    // In use: the broker owes responses.
    let _pending = [0, 1, 2].map(|busy: usize| leaders[busy].start(&question()).unwrap());
    tokio::task::yield_now().await;
    assert_eq!(client.free_descriptors(), 1);
    leaders[3].closed().await;
    drop(leaders.pop());
    single
        .lookup(&one([topic("t", &[(1, 0), (1, 0), (1, 0), (1, 0)])]))
        .await
        .unwrap();
    let shared = client.leader_connection("t", PartitionId(3)).await;
    let shared = shared.unwrap().connection;
    assert!(single.listener.is_quiet(), "no further one is opened");
    assert_eq!(shared.address(), leaders[0].address());
    assert_eq!(client.free_descriptors(), 0);
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
