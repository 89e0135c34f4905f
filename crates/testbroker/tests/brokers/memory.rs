//! Brokers on a network in memory, under a paused clock.

use std::time::Duration;

use tokio::time::Instant;
use wolff_codec::messages::MetadataRequest;
use wolff_codec::{ApiKey, ErrorCode};
use wolff_testbroker::{Cluster, Fault, MemoryNetwork};

use crate::client::{Client, values};
use crate::fixture;

async fn cluster_on(network: &MemoryNetwork) -> Cluster {
    let cluster = Cluster::builder()
        .network(network)
        .brokers(2)
        .topic("t", 1)
        .cluster_id("memory")
        .start_time_ms(1_000_000)
        .start()
        .await;
    cluster.unwrap()
}

fn client_of(network: &MemoryNetwork, broker: u16) -> Client {
    Client::over(network.connect("127.0.0.1", 9091 + broker).unwrap())
}

#[tokio::test(start_paused = true)]
async fn brokers_in_memory_answer_like_those_on_sockets() {
    let network = MemoryNetwork::new().pipe_bytes(7);
    let cluster = cluster_on(&network).await;
    assert_eq!(cluster.bootstrap(), "127.0.0.1:9092,127.0.0.1:9093");
    let mut client = client_of(&network, 1);
    let metadata = client.request(&MetadataRequest::default(), 12).await;
    let ports: Vec<_> = metadata.brokers.iter().map(|broker| broker.port).collect();
    assert_eq!(ports, [9092, 9093]);
    let batch = fixture::batch(&["one", "two"]);
    let answer = client.produce("t", 0, batch).await;
    assert_eq!(answer.error_code, ErrorCode::NONE);
    assert_eq!(values(&cluster, "t", 0), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_broker_in_memory_refuses_and_listens_again_when_revived() {
    let network = MemoryNetwork::new();
    let cluster = cluster_on(&network).await;
    let mut client = client_of(&network, 2);
    client.request(&MetadataRequest::default(), 12).await;
    cluster.kill(2).await.unwrap();
    assert_eq!(client.receive().await, None, "the stream has ended");
    assert!(network.connect("127.0.0.1", 9093).is_err());
    cluster.revive(2).await.unwrap();
    let mut client = client_of(&network, 2);
    client.request(&MetadataRequest::default(), 12).await;
}

#[tokio::test(start_paused = true)]
async fn time_is_the_paused_clock_of_the_runtime() {
    let network = MemoryNetwork::new();
    let cluster = cluster_on(&network).await;
    (cluster.configure_topic("t", "message.timestamp.type", "LogAppendTime")).unwrap();
    let delay = Duration::from_secs(15);
    cluster.inject(Fault::delay(delay).api(ApiKey::PRODUCE));
    let (mut client, start) = (client_of(&network, 1), Instant::now());
    let answer = client.produce("t", 0, fixture::batch(&["late"])).await;
    assert_eq!(start.elapsed(), delay);
    assert_eq!(answer.log_append_time_ms, 1_015_000);
}
