//! Records are read back.

use bytes::Bytes;
use wolff_codec::ids::{LeaderEpoch, Offset, PartitionId};
use wolff_codec::messages::{
    FetchPartition, FetchRequest, FetchTopic, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, PartitionData,
};
use wolff_codec::records::Batches;
use wolff_codec::{ApiKey, ErrorCode, Str};
use wolff_testbroker::{Cluster, Fault};

use crate::client::Client;
use crate::fixture::batch;

fn request(offsets: &[(i32, i64)], max_bytes: i32) -> FetchRequest {
    let partition = |(partition, offset): &(i32, i64)| FetchPartition {
        partition: PartitionId(*partition),
        fetch_offset: Offset(*offset),
        partition_max_bytes: max_bytes,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: Str::from("orders"),
            partitions: offsets.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn fetch(client: &mut Client, request: &FetchRequest) -> Vec<PartitionData> {
    let response = client.request(request, 12).await;
    assert_eq!(
        (response.error_code, response.session_id),
        (ErrorCode::NONE, 0)
    );
    response.responses[0].partitions.clone()
}

/// Offsets and values of the records.
fn records(data: &PartitionData) -> Vec<(i64, Bytes)> {
    let batches = Batches::new(data.records.clone().unwrap().to_bytes());
    let records = batches.flat_map(|batch| batch.unwrap().records(1000).unwrap());
    records
        .map(Result::unwrap)
        .map(|record| (record.offset.0, record.value.unwrap()))
        .collect()
}

#[tokio::test]
async fn topics_go_by_id_since_version_13() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.produce("orders", 0, batch(&["a"])).await;
    let id = cluster.topic_id("orders").unwrap();
    for version in 13..=18 {
        let mut by_id = request(&[(0, 0)], 10_000);
        by_id.topics[0].topic_id = id;
        let response = client.request(&by_id, version).await;
        assert_eq!(response.responses[0].topic_id, id);
        let data = &response.responses[0].partitions[0];
        assert_eq!(records(data), [(0, Bytes::from("a"))]);

        by_id.topics[0].topic_id = wolff_codec::TopicId([7; 16]);
        let response = client.request(&by_id, version).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    }
}

#[tokio::test]
async fn whole_batches_are_read_from_an_offset_on() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.produce("orders", 0, batch(&["a", "b"])).await;
    client.produce("orders", 0, batch(&["c"])).await;
    let all = fetch(&mut client, &request(&[(0, 1)], 10_000)).await;
    let (a, b, c) = (Bytes::from("a"), Bytes::from("b"), Bytes::from("c"));
    assert_eq!(records(&all[0]), [(0, a.clone()), (1, b.clone()), (2, c)]);
    assert_eq!(
        (all[0].high_watermark, all[0].last_stable_offset),
        (Offset(3), Offset(3))
    );
    let one = fetch(&mut client, &request(&[(0, 0)], 1)).await;
    assert_eq!(records(&one[0]), [(0, a), (1, b)]);
    let end = fetch(&mut client, &request(&[(0, 3)], 10_000)).await;
    assert_eq!(records(&end[0]), []);
}

#[tokio::test]
async fn the_limit_holds_over_all_partitions() {
    let cluster = Cluster::builder().topic("orders", 3).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for partition in 0..3 {
        client.produce("orders", partition, batch(&["value"])).await;
    }
    let batch_bytes = i32::try_from(batch(&["value"]).len()).unwrap();
    let mut request = request(&[(0, 0), (1, 0), (2, 0)], 10_000);
    for (max_bytes, expected) in [
        (1, [1, 0, 0]),
        (2 * batch_bytes, [1, 1, 0]),
        (3 * batch_bytes, [1, 1, 1]),
    ] {
        request.max_bytes = max_bytes;
        let data = fetch(&mut client, &request).await;
        let counts: Vec<usize> = data.iter().map(|data| records(data).len()).collect();
        assert_eq!(counts, expected, "{max_bytes} bytes");
    }
}

#[tokio::test]
async fn a_request_waits_for_records_and_gets_them_as_they_come() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut consumer = Client::connect(&cluster, 1).await;
    let mut waiting = request(&[(0, 0)], 10_000);
    waiting.max_wait_ms = 60_000;
    waiting.min_bytes = 100;
    let fetched = fetch(&mut consumer, &waiting);
    let produced = async {
        cluster
            .wait_for(|stats| stats.requests(ApiKey::FETCH) == 1)
            .await;
        let mut producer = Client::connect(&cluster, 1).await;
        // 70 bytes are too few; 140 are enough.
        producer.produce("orders", 0, batch(&["a"])).await;
        producer.produce("orders", 0, batch(&["b"])).await;
    };
    let (data, ()) = tokio::join!(fetched, produced);
    assert_eq!(records(&data[0]).len(), 2);
}

#[tokio::test]
async fn a_request_does_not_wait_longer_than_it_says() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut waiting = request(&[(0, 0)], 10_000);
    waiting.max_wait_ms = 20;
    assert_eq!(records(&fetch(&mut client, &waiting).await[0]), []);
}

#[tokio::test]
async fn errors_are_told_at_once() {
    let cluster = Cluster::builder()
        .brokers(2)
        .topic("orders", 2)
        .start()
        .await
        .unwrap();
    cluster.move_leader("orders", 0, 1).unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.produce("orders", 0, batch(&["a"])).await;
    let code_of = async |client: &mut Client, partition, offset, epoch| {
        let mut request = request(&[(partition, offset)], 10_000);
        request.max_wait_ms = 60_000;
        request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(epoch);
        fetch(client, &request).await[0].clone()
    };
    let cases = [
        (0, 0, 1, ErrorCode::NONE),
        (0, 2, 1, ErrorCode::OFFSET_OUT_OF_RANGE),
        (0, 0, 0, ErrorCode::FENCED_LEADER_EPOCH),
        (0, 0, 2, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (1, 0, -1, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (2, 0, -1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    for (partition, offset, epoch, code) in cases {
        let data = code_of(&mut client, partition, offset, epoch).await;
        assert_eq!(
            data.error_code, code,
            "partition {partition}, offset {offset}, epoch {epoch}"
        );
    }
    let hint = code_of(&mut client, 1, 0, -1).await.current_leader;
    assert_eq!((hint.leader_id.0, hint.leader_epoch.0), (2, 0));
    cluster.inject(Fault::error(ErrorCode::KAFKA_STORAGE_ERROR).partition("orders", 0));
    let data = code_of(&mut client, 0, 0, 1).await;
    assert_eq!(data.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

#[tokio::test]
async fn the_ends_of_a_log_and_times_within_are_listed() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.produce("orders", 0, batch(&["a", "b"])).await;
    let cases = [
        (-1, (2, -1)),
        (-2, (0, -1)),
        (-3, (1, 1001)),
        (-4, (0, -1)),
        (-5, (-1, -1)),
        (1001, (1, 1001)),
        (1002, (-1, -1)),
    ];
    for (timestamp, expected) in cases {
        let topic = ListOffsetsTopic {
            name: Str::from("orders"),
            partitions: vec![ListOffsetsPartition {
                timestamp,
                ..Default::default()
            }],
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let response = client.request(&request, 9).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(
            (found.offset.0, found.timestamp),
            expected,
            "timestamp {timestamp}"
        );
    }
}
