//! Clients that do not wait long, for tests whose subject is not how long a pause is.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a helper of tests, of which each test file uses a part"
)]

use std::future::Future;
use std::time::Duration;

use wolff_client::codec::PartitionId;
use wolff_client::{Client, ClientBuilder, LeaderConnection};
use wolff_testbroker::Cluster;

/// Beyond this a test is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster with a topic `t`.
pub async fn cluster(brokers: i32, partitions: i32) -> Cluster {
    let builder = Cluster::builder().brokers(brokers);
    builder.topic("t", partitions).start().await.unwrap()
}

pub fn client_of(bootstrap: String) -> ClientBuilder {
    crate::trace::begin();
    Client::builder([bootstrap]).min_metadata_refresh_interval(Duration::from_millis(10))
}

/// Output of the future, within the time that a test may take.
pub async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// Looks for a leader of topic `t` as a producer does: again until there is one.
pub async fn leader(client: &Client, partition: PartitionId) -> LeaderConnection {
    let look = async {
        loop {
            match client.leader_connection("t", partition).await {
                Ok(leader) => return leader,
                Err(_not_yet) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    in_time(look).await
}
