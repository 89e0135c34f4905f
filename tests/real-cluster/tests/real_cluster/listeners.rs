//! Every listener of every node, reached and written through.

use crate::load::{Load, leader};
use crate::nodes::{COUNT, Listener, Nodes, in_time, mechanisms};
use std::time::Duration;
use wolff_client::ClientBuilder;
use wolff_client::codec::PartitionId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_of_every_node_is_reached_and_written_through() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    for listener in [Listener::Plaintext, Listener::Tls, Listener::MutualTls] {
        assert_works(&nodes, listener, nodes.client(listener), "nobody").await;
    }
    for listener in [Listener::SaslPlaintext, Listener::SaslTls] {
        for (sasl, _) in mechanisms() {
            let name = sasl.mechanism_name().to_owned();
            let builder = nodes
                .client(listener)
                .sasl(sasl.allow_unencrypted_secrets());
            assert_works(&nodes, listener, builder, &name).await;
        }
    }
}

/// Each node by itself, then all of them as leaders.
async fn assert_works(nodes: &Nodes, listener: Listener, builder: ClientBuilder, who: &str) {
    let what = format!("{listener:?} as {who}");
    let client = builder.build().unwrap();
    let hosts = in_time(client.probe_hosts()).await;
    assert_eq!(hosts.len(), COUNT, "{what}");
    for (host, outcome) in hosts {
        assert_eq!(outcome, Ok(()), "{what}: {host}");
    }
    let cluster = client.cluster().await.unwrap();
    let mut told: Vec<String> = cluster
        .brokers
        .iter()
        .filter_map(|broker| Some(broker.address.as_ref()?.to_string()))
        .collect();
    told.sort();
    let mut expected = nodes.addresses(listener);
    expected.sort();
    assert_eq!(told, expected, "{what}");

    let topic = nodes
        .topic("listeners", i32::try_from(COUNT).unwrap())
        .await;
    let mut leaders = Vec::new();
    for partition in 0..COUNT {
        let partition = PartitionId(i32::try_from(partition).unwrap());
        let leader = leader(&client, &topic, partition).await;
        assert!(
            expected.contains(&leader.connection.address().to_string()),
            "{what}"
        );
        leaders.push(leader.broker);
    }
    leaders.sort_unstable();
    leaders.dedup();
    assert_eq!(leaders.len(), COUNT, "{what}: each node leads a partition");

    let topic = nodes.topic("listeners-load", 1).await;
    let mut load = Load::new(&client, &topic).await;
    load.run_for(Duration::from_millis(50)).await.unwrap();
    assert!(load.finish(nodes).await > 0, "{what}");
    client.close().await;
}
