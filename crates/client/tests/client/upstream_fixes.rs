//! Bugs that the Erlang original once had in connections and metadata: each is a test here, with
//! the version that fixed it there (wolff, or kpro for kafka_protocol).

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use wolff_client::codec::messages::InitProducerIdRequest;
use wolff_client::codec::{ApiKey, ErrorCode, PartitionId};
use wolff_client::{
    ConnectError, ConnectionFailure, ConnectionStrategy, HostReason, MetadataError, Registry,
};
use wolff_testbroker::{Cluster, Conditions, Direction, Fault, Proxy, ProxyFault};

use crate::impatience::{client_of, cluster, in_time, leader};

const P0: PartitionId = PartitionId(0);

/// 1.5.1: the reason of a lost connection could be taken for a connection. 4.0.7: it was forgotten
/// if nobody had asked yet.
#[tokio::test]
async fn the_reason_of_a_lost_connection_is_kept_for_who_asks_late_and_is_no_connection() {
    let cluster = cluster(1, 1).await;
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let lost = leader(&client, P0).await.connection;
    proxy.close_connections();
    let first = in_time(lost.closed()).await;
    for _ in 0..3 {
        assert_eq!(lost.closed().await, first);
        let error = lost.start(&InitProducerIdRequest::default()).unwrap_err();
        assert!(
            error.is_connection_lost() && !error.is_in_doubt(),
            "{error}"
        );
    }
    assert_eq!(first, ConnectionFailure::ClosedByPeer);
    let again = leader(&client, P0).await.connection;
    assert!(!again.is_closed());
}

/// 1.5.4: the first attempt after a while without a connection waited as the tenth would have.
#[tokio::test]
async fn the_first_reconnect_after_idleness_does_not_wait() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let idle = leader(&client, P0).await.connection;
    cluster.kill(1).await.unwrap();
    cluster.revive(1).await.unwrap();
    in_time(idle.closed()).await;
    // One attempt, and it succeeds: an attempt that had to wait would be refused for now.
    client.leader_connection("t", P0).await.unwrap();
}

/// 1.6.1: closing what was dead already was an error.
#[tokio::test]
async fn closing_a_dead_connection_and_a_closed_client_is_no_error() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let connection = client.any_connection().await.unwrap();
    cluster.kill(1).await.unwrap();
    let reason = in_time(connection.closed()).await;
    connection.close();
    connection.close();
    assert_eq!(connection.closed().await, reason);
    client.close().await;
    client.close().await;
}

/// 1.6.1, 1.10.2: reasons came without the host, and with a stack trace.
#[tokio::test]
async fn reasons_name_the_host_and_are_one_line() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap().to_string();
    drop(gone);
    let client = client_of(address.clone()).build().unwrap();
    let error = in_time(client.topic("t")).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
    assert!(
        error.contains("refused") && !error.contains('\n'),
        "{error}"
    );
}

/// 1.6.3 (#28, #29): a partition with an error left nothing behind, and looking for it crashed.
#[tokio::test]
async fn a_partition_with_an_error_is_a_partition() {
    let builder = Cluster::builder().brokers(2).replication_factor(1);
    let cluster = builder.topic("t", 2).start().await.unwrap();
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let dead = cluster.leader("t", 1).unwrap().0;
    cluster.kill(dead).await.unwrap();
    let topic = in_time(client.topic("t")).await.unwrap();
    assert_eq!(topic.partitions.len(), 2);
    let error = client.leader_connection("t", PartitionId(1)).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ConnectError::NoLeader { code, .. } if code == ErrorCode::LEADER_NOT_AVAILABLE),
        "{error:?}"
    );
    leader(&client, P0).await;
}

/// 1.10.2: every check opened a connection of its own.
#[tokio::test]
async fn a_hundred_checks_share_one_connection() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    for _ in 0..100 {
        client.check_connectivity().await.unwrap();
        client.topic_exists("t").await.unwrap();
        client.mark_stale("t");
    }
    assert_eq!(cluster.stats().connections_accepted(), 1);
}

/// 1.9.0, 4.1.6: one time limit stood for both.
#[tokio::test]
async fn the_time_for_metadata_is_not_the_time_for_requests() {
    let cluster = cluster(1, 1).await;
    cluster.inject(Fault::hold().api(ApiKey::METADATA).always());
    let limit = Duration::from_millis(150);
    let client = client_of(cluster.bootstrap())
        .metadata_timeout(limit)
        .request_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    let start = Instant::now();
    let error = in_time(client.topic("t")).await.unwrap_err();
    assert!(start.elapsed() >= limit);
    let is_late = matches!(error, MetadataError::Unanswered { after, .. } if after == limit);
    assert!(is_late, "{error:?}");
}

/// #93: after one failed question nobody tried again.
#[tokio::test]
async fn a_failed_question_does_not_stop_the_next_one() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    for fault in [
        Fault::error(ErrorCode::LEADER_NOT_AVAILABLE).topic("t"),
        Fault::error(ErrorCode::UNKNOWN_SERVER_ERROR).topic("t"),
        Fault::drop_answer(),
        Fault::half_answer(),
    ] {
        let id = cluster.inject(fault.api(ApiKey::METADATA));
        client.mark_stale("t");
        let _ = in_time(client.leader_connection("t", P0)).await;
        client.mark_stale("t");
        leader(&client, P0).await;
        assert_eq!(cluster.stats().hits(id), 1);
    }
}

/// 1.7.7 (#48): a client that was killed while somebody was starting took its supervisor along.
#[tokio::test]
async fn a_client_that_is_stopped_while_somebody_starts_with_it_can_be_started_again() {
    let cluster = cluster(1, 1).await;
    let registry = Registry::new();
    for _ in 0..20 {
        let held = cluster.inject(Fault::hold().api(ApiKey::METADATA));
        let client = registry
            .ensure("name", || client_of(cluster.bootstrap()))
            .unwrap();
        let starting = tokio::spawn(async move { client.topic("t").await });
        in_time(cluster.wait_for(|stats| stats.hits(held) == 1)).await;
        registry.stop_and_delete("name").await;
        let told = in_time(starting).await.unwrap();
        assert_eq!(told, Err(MetadataError::ClientClosed));
    }
    cluster.clear_faults();
    let client = registry
        .ensure("name", || client_of(cluster.bootstrap()))
        .unwrap();
    leader(&client, P0).await;
}

/// 4.1.6: a timer for the next attempt was taken for alive when it was not, and nobody tried again.
#[tokio::test]
async fn who_waits_for_the_next_attempt_is_woken_by_time_alone() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let lost = leader(&client, P0).await.connection;
    cluster.kill(1).await.unwrap();
    in_time(lost.closed()).await;
    for _ in 0..4 {
        assert!(client.leader_connection("t", P0).await.is_err());
    }
    // Now there is a pause before the next attempt; nobody else does anything until it is over.
    let waiting = client.leader_connection("t", P0);
    cluster.revive(1).await.unwrap();
    in_time(waiting).await.unwrap();
}

/// 4.1.2: to ask whether a topic exists did not create it, although that was allowed.
#[tokio::test]
async fn to_ask_whether_a_topic_exists_creates_it_where_that_is_allowed() {
    let builder = Cluster::builder().auto_create_topics(true);
    let cluster = builder.start().await.unwrap();
    for (is_allowed, topics) in [(false, 0), (true, 1)] {
        let client = client_of(cluster.bootstrap());
        let client = client.allow_auto_topic_creation(is_allowed).build();
        let exists = in_time(client.unwrap().topic_exists("new")).await;
        assert_eq!(exists, Ok(is_allowed));
        assert_eq!(cluster.topics().len(), topics);
    }
}

/// 4.0.12 (#98): a partition that was missing for a moment stayed disconnected for ever.
#[tokio::test]
async fn a_partition_that_was_missing_for_a_moment_is_connected_again() {
    let cluster = cluster(2, 3).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let middle = PartitionId(1);
    let before = leader(&client, middle).await;
    cluster.inject(Fault::hole_in_metadata("t", middle).times(3));
    cluster.kill(before.broker).await.unwrap();
    in_time(before.connection.closed()).await;
    let after = leader(&client, middle).await;
    assert_ne!(after.broker, before.broker);
    let known = client.known_topic("t").unwrap();
    assert_eq!(known.partitions.len(), 3);
}

/// 4.1.9: metadata was fresh, the leader just dead, and the dead connection was given out.
#[tokio::test]
async fn fresh_metadata_does_not_bring_back_a_dead_connection() {
    let cluster = cluster(2, 1).await;
    let client = client_of(cluster.bootstrap())
        .min_metadata_refresh_interval(Duration::from_secs(3600))
        .build()
        .unwrap();
    for _ in 0..3 {
        let dead = leader(&client, P0).await;
        cluster.kill(dead.broker).await.unwrap();
        in_time(dead.connection.closed()).await;
        let next = leader(&client, P0).await;
        assert_ne!(next.broker, dead.broker);
        assert!(!next.connection.is_closed());
        cluster.revive(dead.broker).await.unwrap();
    }
}

/// 4.1.9, of one broker that has not heard the news: its stale answer does not replace what is
/// newer.
#[tokio::test]
async fn a_broker_with_old_news_does_not_turn_back_the_leader_epoch() {
    let cluster = cluster(2, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let old = leader(&client, P0).await;
    for broker in [1, 2] {
        cluster.freeze_metadata(broker).unwrap();
    }
    let new = if old.broker == 1.into() { 2 } else { 1 };
    cluster.move_leader("t", 0, new).unwrap();
    let (broker, epoch) = cluster.leader("t", 0).unwrap();
    assert!(client.update_leader("t", P0, broker, epoch, None));
    client.mark_stale("t");
    client.topic("t").await.unwrap();
    let leader = leader(&client, P0).await;
    assert_eq!((leader.broker, leader.leader_epoch), (broker, epoch));
}

/// A broker that has lost its controller knows no better, however often it is asked: another one is
/// asked.
#[tokio::test]
async fn a_broker_that_tells_nothing_but_old_news_is_left_for_another_one() {
    for is_old_leader_dead in [true, false] {
        let cluster = cluster(3, 3).await;
        let (stale, old, new) = (1, 2, 3);
        cluster.move_leader("t", 0, old).unwrap();
        let bootstrap = cluster.addresses()[&stale.into()];
        let client = client_of(bootstrap.to_string()).build().unwrap();
        assert_eq!(leader(&client, P0).await.broker, old.into());
        cluster.freeze_metadata(stale).unwrap();
        cluster.move_leader("t", 0, new).unwrap();
        if is_old_leader_dead {
            cluster.kill(old).await.unwrap();
        }
        let find = async {
            loop {
                // What a producer does that is told NOT_LEADER_OR_FOLLOWER.
                client.mark_stale("t");
                match client.leader_connection("t", P0).await {
                    Ok(leader) if leader.broker == new.into() => return,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        in_time(find).await;
    }
}

/// Commit 59acb5d: a client that was told to stop went on.
#[tokio::test]
async fn a_client_that_is_told_to_stop_stops_whatever_it_is_at() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let connection = leader(&client, P0).await.connection;
    let held = cluster.inject(Fault::hold().api(ApiKey::METADATA).always());
    client.mark_stale("t");
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.topic("t").await }
    });
    in_time(cluster.wait_for(|stats| stats.hits(held) == 1)).await;
    client.close().await;
    assert_eq!(
        in_time(asking).await.unwrap(),
        Err(MetadataError::ClientClosed)
    );
    assert_eq!(connection.closed().await, ConnectionFailure::ClosedHere);
    cluster.clear_faults();
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}

/// eb5c00b: an endless time for metadata was no number.
#[test]
fn a_time_that_is_longer_than_any_is_refused_with_the_options_name() {
    let builder = client_of("localhost".to_owned());
    let error = builder.metadata_timeout(Duration::MAX).build().unwrap_err();
    assert!(error.to_string().contains("metadata_timeout"), "{error}");
    let builder = client_of("localhost".to_owned());
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(builder.metadata_timeout(day).build().is_ok());
}

/// 4.0.4, kpro 4.1.10: the time for discovering a leader was taken off the time for connecting to
/// it.
#[tokio::test]
async fn slow_discovery_does_not_take_time_from_connecting() {
    let cluster = cluster(2, 1).await;
    let limit = Duration::from_secs(2);
    let slow = limit.mul_f64(0.6);
    for api in [ApiKey::METADATA, ApiKey::API_VERSIONS] {
        cluster.inject(Fault::delay(slow).api(api).always());
    }
    let client = client_of(cluster.bootstrap())
        .connect_timeout(limit)
        .build()
        .unwrap();
    let start = Instant::now();
    in_time(client.leader_connection("t", P0)).await.unwrap();
    // Handshake, metadata, handshake.
    assert!(start.elapsed() >= 3 * slow);
}

/// kpro 4.0.2: the time to connect started again at every step of the handshake.
#[tokio::test]
async fn the_time_to_connect_is_one_for_all_steps() {
    // The broker refuses version 4 after most of the time, so that the client asks again.
    let builder = Cluster::builder().versions(ApiKey::API_VERSIONS, 0..=2);
    let cluster = builder.start().await.unwrap();
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let limit = Duration::from_millis(300);
    let slow = Conditions::default().latency(limit.mul_f64(0.7));
    proxy.set_conditions(Direction::ToClient, slow);
    let client = client_of(proxy.bootstrap())
        .connect_timeout(limit)
        .build()
        .unwrap();
    let start = Instant::now();
    let errors = in_time(client.check_connectivity()).await.unwrap_err();
    // Each step is in time by itself.
    let reason = &errors[0].reason;
    assert!(matches!(reason, HostReason::TimedOut { .. }), "{reason}");
    assert!(start.elapsed() >= limit);
}

/// kpro 4.3.1: a connection whose handshake failed was never closed.
#[tokio::test]
async fn a_failed_handshake_leaves_no_connection() {
    let cluster = cluster(1, 1).await;
    let code = ErrorCode::UNKNOWN_SERVER_ERROR;
    cluster.inject(Fault::error(code).api(ApiKey::API_VERSIONS).always());
    let client = client_of(cluster.bootstrap()).build().unwrap();
    for _ in 0..3 {
        in_time(client.check_connectivity()).await.unwrap_err();
    }
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}

/// #102, #43: what was sent and not answered was counted as if it had never left.
#[tokio::test]
async fn a_lost_answer_after_applying_leaves_the_request_in_doubt_in_both_strategies() {
    for strategy in [
        ConnectionStrategy::PerPartition,
        ConnectionStrategy::PerBroker,
    ] {
        let cluster = cluster(1, 1).await;
        let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
        let client = client_of(proxy.bootstrap())
            .connection_strategy(strategy)
            .build()
            .unwrap();
        let api = ApiKey::INIT_PRODUCER_ID;
        proxy.inject(ProxyFault::kill_after_applying().api(api));
        let connection = leader(&client, P0).await.connection;
        let request = InitProducerIdRequest::default();
        let error = in_time(connection.request(&request)).await.unwrap_err();
        assert!(error.is_in_doubt() && error.is_connection_lost(), "{error}");
        assert_eq!(cluster.stats().responses(api), 1);
        leader(&client, P0).await;
    }
}
