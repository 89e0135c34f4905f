//! The memory of a connection, with its task and buffers, while nothing is in flight on it.

use allocation_counter::measure;
use tokio::runtime::Builder;
use wolff::Client;
use wolff_codec::BrokerId;
use wolff_codec::messages::MetadataRequest;
use wolff_testbroker::Cluster;

const BROKERS: i32 = 40;

/// Bytes that one connection may keep.
const MOST_BYTES: i64 = 24 << 10;

#[test]
fn a_connection_at_rest_keeps_little() {
    // The brokers' threads are not counted.
    let brokers = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let cluster = Cluster::builder().brokers(BROKERS).topic("orders", 1);
    let cluster = brokers.block_on(cluster.start()).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder([cluster.bootstrap()]).build().unwrap();
    runtime.block_on(client.cluster()).unwrap();

    let mut connections = Vec::new();
    let info = measure(|| {
        runtime.block_on(async {
            for broker in 1..=BROKERS {
                let connection = client.broker_connection(BrokerId(broker)).await.unwrap();
                let request = MetadataRequest::default();
                connection.request(&request).await.unwrap();
                connections.push(connection);
            }
        });
    });
    let bytes = info.bytes_current / i64::from(BROKERS);
    assert!(bytes <= MOST_BYTES, "{bytes} bytes a connection: {info:?}");
    assert_eq!(connections.len(), 40);
}
