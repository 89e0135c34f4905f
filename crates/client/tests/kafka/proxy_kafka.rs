//! A real Kafka behind the proxy: `cargo xtask kafka start` starts one, `WOLFF_KAFKA` says where it
//! is.
//!
//! Without one the test says that it is skipped, on standard error and in the file that
//! `WOLFF_SKIPS` names.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use wolff_client::NewTopic;
use wolff_client::codec::messages::InitProducerIdRequest;
use wolff_client::codec::{ApiKey, PartitionId};
use wolff_testbroker::{Conditions, Proxy, ProxyFault};

use crate::impatience::{client_of, in_time};

fn skip(test: &str) {
    // Not with `eprintln`, which is silent in a test that passes.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: WOLFF_KAFKA is not set ({test})"
    );
    if let Some(path) = std::env::var_os("WOLFF_SKIPS") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(format!("kafka::proxy_kafka::{test}: WOLFF_KAFKA is not set\n").as_bytes())
            .unwrap();
    }
}

#[tokio::test]
async fn clients_of_a_real_cluster_stay_behind_the_proxy_and_lose_answers_there() {
    let kafka = std::env::var("WOLFF_KAFKA").unwrap_or_default();
    if kafka.is_empty() {
        skip("clients_of_a_real_cluster_stay_behind_the_proxy_and_lose_answers_there");
        return;
    }
    // One bootstrap server is enough: the others get their ports when they are named.
    let first = kafka.split(',').next().unwrap();
    let proxy = Proxy::builder(first).seed(1).start().await.unwrap();
    let line = Conditions::default()
        .latency(Duration::from_millis(1))
        .jitter(Duration::from_millis(2))
        .slice_bytes(50);
    proxy.set_all_conditions(line);
    let client = client_of(proxy.bootstrap()).build().unwrap();
    let cluster = in_time(client.cluster()).await.unwrap();
    let real: Vec<&str> = kafka.split(',').collect();
    for broker in &cluster.brokers {
        let told = broker.address.as_ref().unwrap().to_string();
        assert!(!real.contains(&told.as_str()), "{told} is not the proxy");
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let topic = NewTopic {
        partitions: Some(3),
        ..NewTopic::new(format!("proxy-{}", now.unwrap().as_nanos()))
    };
    let timeout = Duration::from_secs(20);
    in_time(client.create_topic(&topic, timeout)).await.unwrap();
    let request = InitProducerIdRequest::default();
    for partition in 0..3 {
        let partition = PartitionId(partition);
        let leader = async {
            loop {
                match client.leader_connection(&topic.name, partition).await {
                    Ok(leader) => return leader,
                    Err(_not_yet) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let leader = in_time(leader).await;
        in_time(leader.connection.request(&request)).await.unwrap();
        let kill = ProxyFault::kill_after_applying().api(ApiKey::INIT_PRODUCER_ID);
        let kill = proxy.inject(kill);
        let lost = in_time(leader.connection.request(&request)).await;
        let lost = lost.unwrap_err();
        assert!(lost.is_in_doubt() && lost.is_connection_lost(), "{lost}");
        assert_eq!(proxy.stats().hits(kill), 1);
    }
    in_time(client.delete_topic(&topic.name, timeout))
        .await
        .unwrap();
}
