//! A node that is started anew with other settings: it hangs up on whoever is silent, and tells
//! about every request.

use std::time::Duration;

use wolff::{Offset, Producer, Record};
use wolff_client::ConnectionFailure;

use crate::load::{P0, leader};
use crate::nodes::{Listener, Nodes, PATIENCE, in_time};

/// The node.
const NUMBER: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_hangs_up_on_the_idle_is_no_alarm_and_knows_who_it_talks_to() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let number = i32::try_from(NUMBER).unwrap();
    let settings = [
        "--config",
        "connections.max.idle.ms=1000",
        "--log",
        "kafka.request.logger=debug",
    ];
    nodes.control_with("restart", number, &settings).await;
    idle_connections_are_replaced_without_an_error(&nodes).await;
    the_broker_has_seen_who_is_there(&nodes).await;
    nodes.control("restart", number).await;
}

async fn idle_connections_are_replaced_without_an_error(nodes: &Nodes) {
    let client = nodes.client_of_node(Listener::Tls, NUMBER);
    let client = client.build().unwrap();
    for _ in 0..2 {
        let idle = client.any_connection().await.unwrap();
        let reason = in_time(idle.closed()).await;
        assert_eq!(reason, ConnectionFailure::ClosedByPeer);
        // One attempt, and it works.
        client.check_connectivity().await.unwrap();
        client.cluster().await.unwrap();
    }

    // A producer that is used now and then.
    let topic = topic_led_by(nodes, NUMBER).await;
    let producer = Producer::builder(&client, topic.as_str())
        .start()
        .await
        .unwrap();
    for number in 0..3 {
        let record = Record::new().value(number.to_string());
        let ack = producer.send_and_wait(record, PATIENCE).await.unwrap();
        assert_eq!(ack.offset, Some(Offset(number)));
        let connection = leader(&client, &topic, P0).await.connection;
        assert_eq!(
            in_time(connection.closed()).await,
            ConnectionFailure::ClosedByPeer
        );
    }
    producer.stop(Duration::ZERO).await.unwrap();
}

/// A topic with one partition on that node. Kafka chooses by turns, so it is one of a few.
async fn topic_led_by(nodes: &Nodes, number: usize) -> String {
    let client = nodes.client(Listener::Plaintext).build().unwrap();
    let look = async {
        loop {
            let topic = nodes.topic("idle", 1).await;
            let broker = leader(&client, &topic, P0).await.broker;
            if usize::try_from(broker.0) == Ok(number) {
                return topic;
            }
        }
    };
    in_time(look).await
}

async fn the_broker_has_seen_who_is_there(nodes: &Nodes) {
    let client = nodes
        .client_of_node(Listener::Plaintext, NUMBER)
        .client_id("who-is-there");
    client.build().unwrap().cluster().await.unwrap();
    let told = async {
        loop {
            let log = nodes.log(NUMBER);
            // ApiVersions itself says who is there; what comes afterwards is known to be from the
            // same.
            let told = log.lines().find(|line| {
                line.contains("\"clientId\":\"who-is-there\"")
                    && line.contains("\"requestApiKeyName\":\"METADATA\"")
            });
            if let Some(line) = told {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let line = in_time(told).await;
    let version = env!("CARGO_PKG_VERSION");
    for words in [
        "\"softwareName\":\"wolff\"".to_owned(),
        format!("\"softwareVersion\":\"{version}\""),
    ] {
        assert!(line.contains(&words), "{line}");
    }
}
