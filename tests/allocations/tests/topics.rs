//! The memory that the list of all topics takes, from the first byte of the response to the list.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use allocation_counter::measure;
use tokio::runtime::Builder;
use wolff::Client;
use wolff_codec::messages::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use wolff_codec::wire::Writer;
use wolff_codec::{BrokerId, Message};
use wolff_testbroker::Cluster;

const TOPICS: usize = 20_000;

fn name(number: usize) -> String {
    format!("orders-{number:05}")
}

/// Bytes of the response that tells of all topics.
fn response_bytes() -> u64 {
    let topics = (0..TOPICS).map(|number| MetadataResponseTopic {
        name: Some(name(number).into()),
        partitions: vec![MetadataResponsePartition {
            replica_nodes: [BrokerId(1)].into(),
            isr_nodes: [BrokerId(1)].into(),
            ..Default::default()
        }],
        ..Default::default()
    });
    let response = MetadataResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    let mut writer = Writer::new();
    response.encode(13, &mut writer).unwrap();
    u64::try_from(writer.finish().to_bytes().len()).unwrap()
}

#[test]
fn the_list_of_all_topics_takes_four_times_the_bytes_of_the_response() {
    // The broker's threads are not counted.
    let brokers = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let builder = (0..TOPICS).fold(Cluster::builder(), |builder, number| {
        builder.topic(name(number), 1)
    });
    let cluster = brokers.block_on(builder.start()).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder([cluster.bootstrap()]).build().unwrap();
    runtime.block_on(client.cluster()).unwrap();

    let mut listed = None;
    let info = measure(|| listed = Some(runtime.block_on(client.topics())));
    let listed = listed.unwrap().unwrap();
    assert_eq!(listed.len(), TOPICS);
    assert!(listed.is_sorted_by(|one, other| one.name < other.name));
    let bytes = response_bytes();
    assert!(
        info.bytes_max <= 4 * bytes + (1 << 20),
        "{} bytes for a response of {bytes}",
        info.bytes_max
    );
    // What is kept: a list, a name and a partition each.
    assert!(
        info.bytes_current <= 2 * i64::try_from(bytes).unwrap() + (1 << 20),
        "{} bytes are kept of {bytes}",
        info.bytes_current
    );
}
