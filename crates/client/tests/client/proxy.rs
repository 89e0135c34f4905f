//! The client on a bad network: what a line can do to it, between a client and a cluster that know
//! nothing of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::messages::{
    ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse,
};
use wolff_client::codec::{ApiKey, PartitionId};
use wolff_client::{
    Client, ConnectionFailure, ConnectionStrategy, HostReason, RequestCause, RequestError,
};
use wolff_testbroker::{Cluster, Conditions, Direction, Fault, Proxy, ProxyFault};

use crate::impatience::{client_of, cluster, in_time, leader};

use Direction::{ToBroker, ToClient};

const P0: PartitionId = PartitionId(0);

const ASK: ApiKey = ApiKey::INIT_PRODUCER_ID;

async fn in_front_of(cluster: &Cluster) -> Proxy {
    Proxy::builder(cluster.bootstrap()).start().await.unwrap()
}

fn question() -> InitProducerIdRequest {
    InitProducerIdRequest::default()
}

/// The failure of the connection, and whether the broker may have acted on the request.
fn lost(outcome: Result<InitProducerIdResponse, RequestError>) -> (bool, ConnectionFailure) {
    let error = outcome.unwrap_err();
    let RequestCause::Connection(failure) = error.cause() else {
        panic!("not a lost connection: {error}");
    };
    (error.is_in_doubt(), failure.clone())
}

/// The client works.
async fn works(client: &Client) {
    let leader = leader(client, P0).await;
    let asked = in_time(leader.connection.request(&question())).await;
    assert!(asked.is_ok(), "{asked:?}");
}

#[tokio::test]
async fn a_slow_line_in_single_bytes_loses_and_reorders_nothing() {
    let cluster = cluster(3, 6).await;
    let proxy = Proxy::builder(cluster.bootstrap()).seed(7).start().await;
    let proxy = proxy.unwrap();
    let line = Conditions::default()
        .latency(Duration::from_millis(5))
        .jitter(Duration::from_millis(5))
        .slice_bytes(1);
    proxy.set_all_conditions(line);
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let connection = leader(&client, P0).await.connection;
    let pending: Vec<_> = (0..100)
        .map(|_| connection.start(&question()).unwrap())
        .collect();
    let mut ids = Vec::new();
    for pending in pending {
        ids.push(in_time(pending).await.unwrap().producer_id);
    }
    // The broker counts upwards, and answers in order.
    assert!(ids.is_sorted());
    assert_eq!(cluster.stats().requests(ASK), 100);
    // Nobody has gone around the proxy.
    assert_eq!(
        cluster.stats().connections_accepted(),
        proxy.stats().connections_accepted
    );
}

#[tokio::test]
async fn bandwidth_bounds_a_burst_and_pipelining_keeps_the_line_full() {
    let cluster = cluster(1, 1).await;
    let proxy = in_front_of(&cluster).await;
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let connection = leader(&client, P0).await.connection;
    let before = proxy.stats().bytes_to_broker;
    let rate = 100_000;
    proxy.set_conditions(ToBroker, Conditions::default().bytes_per_second(rate));
    let start = Instant::now();
    let pending: Vec<_> = (0..500)
        .map(|_| connection.start(&question()).unwrap())
        .collect();
    for pending in pending {
        in_time(pending).await.unwrap();
    }
    let bytes = proxy.stats().bytes_to_broker - before;
    let millis = bytes * 1000 / rate;
    // All but the last piece, which is a hundredth of a second's worth.
    let least = Duration::from_millis(millis.saturating_sub(20));
    assert!(start.elapsed() >= least, "{bytes} bytes");
}

#[tokio::test]
async fn a_reset_at_any_byte_of_the_handshake_is_told_and_survived() {
    let cluster = cluster(1, 1).await;
    let proxy = in_front_of(&cluster).await;
    let whole = client_of(proxy.bootstrap()).build().unwrap();
    whole.check_connectivity().await.unwrap();
    let handshake = proxy.stats();
    for (direction, bytes) in [
        (ToBroker, handshake.bytes_to_broker),
        (ToClient, handshake.bytes_to_client),
    ] {
        let mut succeeded = Vec::new();
        for position in 0..bytes {
            proxy.inject(ProxyFault::reset_after(direction, position));
            let client = client_of(proxy.bootstrap()).build().unwrap();
            let outcome = in_time(client.check_connectivity()).await;
            succeeded.push(outcome.is_ok());
            if let Err(errors) = outcome {
                let reason = &errors[0].reason;
                assert!(
                    matches!(reason, HostReason::Io(_) | HostReason::ClosedInHandshake),
                    "{direction:?} {position}: {reason}"
                );
            }
            works(&client).await;
        }
        // The handshake is tried once more in its oldest version, the question on a new connection.
        assert!(
            succeeded.iter().all(|succeeded| *succeeded),
            "{succeeded:?}"
        );
    }
}

#[tokio::test]
async fn a_bit_that_is_turned_anywhere_ends_nothing_but_a_connection() {
    let cluster = cluster(1, 1).await;
    let proxy = in_front_of(&cluster).await;
    for direction in [ToBroker, ToClient] {
        for position in (0..100).step_by(2) {
            let bit = u8::try_from(position / 2 % 8).unwrap();
            let fault = proxy.inject(ProxyFault::flip_bit(direction, position, bit));
            // A length may be turned so that one side waits for more.
            let client = client_of(proxy.bootstrap())
                .connect_timeout(Duration::from_millis(150))
                .request_timeout(Duration::from_millis(150))
                .metadata_timeout(Duration::from_millis(500))
                .build()
                .unwrap();
            let _ = in_time(client.topic("t")).await;
            assert_eq!(proxy.stats().hits(fault), 1);
            let truth = async {
                loop {
                    client.mark_stale("t");
                    if client.topic("t").await.is_ok_and(|topic| topic.name == "t") {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let truth = tokio::time::timeout(Duration::from_secs(20), truth).await;
            assert!(truth.is_ok(), "no way back from {direction:?} {position}");
        }
    }
}

/// Found by turning bits: the connection was kept, and asked for ever.
#[tokio::test]
async fn a_broker_that_seems_to_have_no_metadata_is_asked_again_on_another_connection() {
    let cluster = cluster(1, 1).await;
    let hide = |answer: &mut ApiVersionsResponse| {
        answer
            .api_keys
            .retain(|api| api.api_key != ApiKey::METADATA);
    };
    // For good: it is told, and not tried for ever.
    let hidden = cluster.inject(Fault::edit_answer(hide).always());
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let error = in_time(client.topic("t")).await.unwrap_err();
    assert!(error.to_string().contains("Metadata"), "{error}");
    assert!(cluster.stats().connections_accepted() <= 3);
    // Once.
    cluster.remove_fault(hidden);
    cluster.inject(Fault::edit_answer(hide));
    let client = client_of(cluster.bootstrap()).build().unwrap();
    in_time(client.topic("t")).await.unwrap();
}

#[tokio::test]
async fn a_half_open_connection_and_a_black_hole_are_noticed_by_the_oldest_request() {
    let after = Duration::from_millis(200);
    let orders: [fn(&Proxy); 3] = [
        Proxy::half_open_connections,
        Proxy::black_hole_connections,
        |proxy| proxy.set_conditions(ToClient, Conditions::default().stalled(true)),
    ];
    for order in orders {
        let cluster = cluster(1, 1).await;
        let proxy = in_front_of(&cluster).await;
        let client = client_of(proxy.bootstrap())
            .request_timeout(after)
            .build()
            .unwrap();
        works(&client).await;
        let connection = leader(&client, P0).await.connection;
        order(&proxy);
        let start = Instant::now();
        let outcome = in_time(connection.request(&question())).await;
        let api = ASK;
        assert_eq!(
            lost(outcome),
            (true, ConnectionFailure::TimedOut { api, after })
        );
        assert!(start.elapsed() >= after);
        proxy.set_all_conditions(Conditions::default());
        works(&client).await;
    }
}

#[tokio::test]
async fn a_response_that_is_lost_costs_its_deadline_and_its_followers_are_in_doubt_too() {
    let cluster = cluster(1, 1).await;
    let proxy = in_front_of(&cluster).await;
    let after = Duration::from_millis(300);
    let client = client_of(proxy.bootstrap())
        .request_timeout(after)
        .build()
        .unwrap();
    let connection = leader(&client, P0).await.connection;
    proxy.inject(ProxyFault::drop_response().api(ASK).skip(1));
    let pending: Vec<_> = (0..3)
        .map(|_| connection.start(&question()).unwrap())
        .collect();
    let mut outcomes = Vec::new();
    for pending in pending {
        outcomes.push(in_time(pending).await);
    }
    // The third answer comes out of turn, which no broker does.
    let third = lost(outcomes.pop().unwrap());
    let second = lost(outcomes.pop().unwrap());
    assert!(outcomes.pop().unwrap().is_ok());
    assert!(second.0 && third.0);
    assert!(
        matches!(second.1, ConnectionFailure::Protocol(_)),
        "{second:?}"
    );
    assert_eq!(cluster.stats().responses(ASK), 3);
    works(&client).await;
}

#[tokio::test]
async fn a_response_that_is_late_is_not_lost_and_delays_its_followers_only() {
    let cluster = cluster(1, 2).await;
    let proxy = in_front_of(&cluster).await;
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let slow = leader(&client, P0).await.connection;
    let other = leader(&client, PartitionId(1)).await.connection;
    let delay = Duration::from_millis(200);
    let fault = proxy.inject(ProxyFault::delay_response(delay).api(ASK));
    let start = Instant::now();
    let late = slow.start(&question()).unwrap();
    let behind = slow.start(&question()).unwrap();
    in_time(proxy.wait_for(|stats| stats.hits(fault) == 1)).await;
    in_time(other.request(&question())).await.unwrap();
    let others_took = start.elapsed();
    in_time(late).await.unwrap();
    in_time(behind).await.unwrap();
    assert!(start.elapsed() >= delay);
    assert!(others_took < start.elapsed());
}

#[tokio::test]
async fn one_broker_behind_a_black_hole_delays_nobody_else() {
    for strategy in [
        ConnectionStrategy::PerPartition,
        ConnectionStrategy::PerBroker,
    ] {
        let cluster = cluster(2, 2).await;
        let proxy = in_front_of(&cluster).await;
        let hole = cluster.leader("t", 0).unwrap().0;
        let upstream = cluster.addresses()[&hole].to_string();
        let client = client_of(proxy.bootstrap())
            .connection_strategy(strategy)
            .connect_timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        client.topic("t").await.unwrap();
        let fault = ProxyFault::black_hole_after(ToBroker, 0);
        proxy.inject(fault.upstream(upstream).always());
        let stuck = tokio::spawn({
            let client = client.clone();
            async move { client.leader_connection("t", P0).await }
        });
        let leader = leader(&client, PartitionId(1)).await;
        in_time(leader.connection.request(&question()))
            .await
            .unwrap();
        assert!(!stuck.is_finished(), "{strategy:?}");
        stuck.abort();
    }
}

#[tokio::test]
async fn a_peer_that_accepts_and_closes_at_once_is_not_dialled_in_haste() {
    let cluster = cluster(1, 1).await;
    let proxy = in_front_of(&cluster).await;
    let client = client_of(proxy.bootstrap()).build().unwrap();
    works(&client).await;
    let accepted = proxy.stats().connections_accepted;
    proxy.inject(ProxyFault::close_after(ToBroker, 0).always());
    proxy.reset_connections();
    // A hundred want a leader at once, and none of them minds being refused.
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.leader_connection("t", P0).await })
        })
        .collect();
    for asker in askers {
        assert!(in_time(asker).await.unwrap().is_err());
    }
    let dialled = proxy.stats().connections_accepted - accepted;
    assert!(dialled <= 10, "{dialled} connections for 100 calls");
    proxy.clear_faults();
    works(&client).await;
    drop(client);
    in_time(proxy.wait_for(|stats| stats.connections_open == 0)).await;
}
