//! Nodes that are killed, paused and restarted while records flow through them, over TLS and SCRAM
//! with short sessions.

use std::time::Duration;

use wolff_client::Client;
use wolff_client::Sasl;

use crate::load::{P0, leader};
use crate::nodes::{COUNT, Listener, Nodes, credentials};
use crate::stream::Stream;

/// Longest time that a broker may be silent before it is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

fn client(nodes: &Nodes) -> Client {
    nodes
        .client(Listener::SaslTls)
        .sasl(Sasl::scram_sha_512(credentials()))
        .request_timeout(REQUEST_TIMEOUT)
        .build()
        .unwrap()
}

async fn scene(nodes: &Nodes) -> (Client, String, Stream) {
    let client = client(nodes);
    let topic = nodes.topic("outage", 1).await;
    let mut stream = Stream::start(&client, &topic).await;
    stream.flows().await;
    (client, topic, stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_left_for_the_next_one_and_taken_back() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let (client, topic, mut stream) = scene(&nodes).await;
    let dead = leader(&client, &topic, P0).await;
    nodes.control("kill", dead.broker.0).await;
    let without = stream.flows().await;
    let next = leader(&client, &topic, P0).await;
    assert_ne!(next.broker, dead.broker);
    assert!(dead.connection.is_closed());
    nodes.control("restart", dead.broker.0).await;
    stream.flows().await;
    let records = stream.finish(&nodes).await;
    println!("leader killed: {records} records, flowing again after {without:.1?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_leader_is_given_up_after_the_request_timeout_and_taken_back() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let (client, topic, mut stream) = scene(&nodes).await;
    let silent = leader(&client, &topic, P0).await;
    // Its sockets stay open, and nothing comes.
    nodes.control("pause", silent.broker.0).await;
    let without = stream.flows().await;
    let next = leader(&client, &topic, P0).await;
    assert_ne!(next.broker, silent.broker);
    nodes.control("resume", silent.broker.0).await;
    stream.flows().await;
    let records = stream.finish(&nodes).await;
    println!("leader paused: {records} records, flowing again after {without:.1?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_all_nodes_is_survived() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let (_client, _topic, mut stream) = scene(&nodes).await;
    for number in 1..=i32::try_from(COUNT).unwrap() {
        nodes.control("restart", number).await;
        stream.flows().await;
    }
    let records = stream.finish(&nodes).await;
    println!("rolling restart: {records} records");
}
