//! Ends of clients, lookups and runtimes, in virtual time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::PartitionId;
use wolff_client::codec::messages::MetadataRequest;
use wolff_client::{ClientConfig, ConnectError, HostReason, MetadataError};

use crate::peer::{Network, metadata, topic};

const P0: PartitionId = PartitionId(0);
use crate::single_broker::{Single, one};

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
