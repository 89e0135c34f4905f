//! Every public future, dropped at each of its await points: nothing leaks, and what comes
//! afterwards gets its own answer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;
use wolff_client::codec::PartitionId;
use wolff_client::codec::messages::MetadataResponse;
use wolff_client::{Client, ConnectionStrategy, NewTopic, Registry};

use crate::peer::{Network, metadata, question, topic};

const P0: PartitionId = PartitionId(0);

const SOON: Duration = Duration::from_secs(5);

/// More await points than any future here has.
const MOST_POLLS: usize = 200;

/// A client and a broker that answers everything.
struct Scene {
    network: Network,
    client: Client,
    broker: JoinHandle<()>,
}

impl Scene {
    fn new() -> Self {
        let network = Network::default();
        let mut listener = network.listen("one");
        let broker = tokio::spawn(async move {
            let mut peers = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    biased;
                    peer = listener.accept_or_end() => match peer {
                        Some(peer) => drop(peers.spawn(peer.serve(known()))),
                        None => break,
                    },
                    Some(ended) = peers.join_next() => ended.unwrap(),
                }
            }
            // Connections that nobody closes would keep the test here for ever.
            while let Some(ended) = peers.join_next().await {
                ended.unwrap();
            }
        });
        let client = network
            .client("one")
            .connection_strategy(ConnectionStrategy::PerBroker)
            .build()
            .unwrap();
        Self {
            network,
            client,
            broker,
        }
    }

    /// Everything works, and nothing is left when the client has gone.
    async fn assert_unharmed(self, is_closed: bool) {
        if !is_closed {
            let leader = self.client.leader_connection("t", P0).await.unwrap();
            let answer = leader.connection.request(&question()).await.unwrap();
            assert_eq!(answer.producer_id.0, 1);
            assert_eq!(self.client.topic("t").await.unwrap().partitions.len(), 2);
            assert_eq!(self.client.cluster().await.unwrap().brokers.len(), 1);
        }
        self.client.close().await;
        drop((self.client, self.network));
        // The clock stands still while anybody has something to do.
        let ended = tokio::time::timeout(Duration::from_secs(60), self.broker).await;
        ended.expect("every connection is closed").unwrap();
    }
}

fn known() -> MetadataResponse {
    metadata(&[(1, "one")], [topic("t", &[(1, 0), (1, 0)])])
}

/// Polls a future so many times, while everybody else goes on as far as they can in between. Gives
/// whether it has ended.
async fn poll_times(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let is_ready = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready()));
        if is_ready.await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Drops what `operation` gives after every number of polls, until it comes to its end.
async fn drop_at_each_point(name: &str, operation: impl AsyncFn(Client)) {
    for polls in 0..MOST_POLLS {
        let scene = Scene::new();
        let is_done = poll_times(operation(scene.client.clone()), polls).await;
        scene.assert_unharmed(name == "close" && polls > 0).await;
        if is_done {
            assert!(polls > 0);
            return;
        }
    }
    panic!("{name} came to no end in {MOST_POLLS} polls");
}

macro_rules! dropped {
    ($($test:ident: $name:literal, $operation:expr;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                drop_at_each_point($name, $operation).await;
            }
        )*
    };
}

dropped! {
    a_lookup_of_a_topic_can_be_dropped: "topic",
        async |client: Client| drop(client.topic("t").await.unwrap());
    the_question_whether_a_topic_exists_can_be_dropped: "topic_exists",
        async |client: Client| assert!(client.topic_exists("t").await.unwrap());
    the_list_of_topics_can_be_dropped: "topics",
        async |client: Client| drop(client.topics().await.unwrap());
    the_question_for_brokers_can_be_dropped: "cluster",
        async |client: Client| drop(client.cluster().await.unwrap());
    the_way_to_a_leader_can_be_dropped: "leader_connection",
        async |client: Client| drop(client.leader_connection("t", P0).await.unwrap());
    the_way_to_any_broker_can_be_dropped: "any_connection",
        async |client: Client| drop(client.any_connection().await.unwrap());
    the_way_to_the_controller_can_be_dropped: "controller_connection",
        async |client: Client| drop(client.controller_connection().await.unwrap());
    a_check_can_be_dropped: "check_connectivity",
        async |client: Client| client.check_connectivity().await.unwrap();
    a_probe_can_be_dropped: "probe_hosts",
        async |client: Client| drop(client.probe_hosts().await);
    closing_can_be_dropped: "close", async |client: Client| client.close().await;
    a_request_can_be_dropped: "request",
        async |client: Client| {
            let connection = client.any_connection().await.unwrap();
            let answer = connection.request(&question()).await.unwrap();
            assert_eq!(answer.producer_id.0, 1);
            connection.ready().await;
            connection.close();
            connection.closed().await;
        };
    creating_a_topic_can_be_dropped: "create_topic",
        async |client: Client| {
            client.create_topic(&NewTopic::new("new"), SOON).await.unwrap();
        };
    deleting_a_topic_can_be_dropped: "delete_topic",
        async |client: Client| client.delete_topic("old", SOON).await.unwrap();
    waiting_for_room_and_for_the_end_can_be_dropped: "ready and closed",
        async |client: Client| {
            let connection = client.any_connection().await.unwrap();
            for _ in 0..3 {
                assert!(!poll_times(connection.closed(), 2).await);
                connection.ready().await;
            }
            assert_eq!(connection.request(&question()).await.unwrap().producer_id.0, 1);
        };
}

#[tokio::test(start_paused = true)]
async fn stopping_a_client_by_name_can_be_dropped() {
    for polls in 0..MOST_POLLS {
        let scene = Scene::new();
        let registry = Registry::new();
        let network = scene.network.clone();
        let client = registry.ensure("a", || network.client("one")).unwrap();
        client.topic("t").await.unwrap();
        let is_done = poll_times(registry.stop_and_delete("a"), polls).await;
        // Either nothing has happened, or all of it.
        if registry.find("a").is_some() {
            assert_eq!(polls, 0);
            assert!(client.any_connection().await.is_ok());
            assert!(registry.stop_and_delete("a").await);
        }
        assert!(client.any_connection().await.is_err());
        drop((client, network));
        scene.assert_unharmed(false).await;
        if is_done {
            return;
        }
    }
    panic!("it came to no end in {MOST_POLLS} polls");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_events_can_be_dropped_and_loses_none() {
    let scene = Scene::new();
    let mut events = scene.client.topic_events();
    assert!(!poll_times(events.next(), 3).await);
    scene.client.topic("t").await.unwrap();
    assert!(!poll_times(events.next(), 3).await);
    scene.assert_unharmed(false).await;
    assert_eq!(events.next().await, None);
}
