//! Brokers that do not tell the truth.

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{
    DescribeProducersRequest, InitProducerIdResponse, MetadataRequest, MetadataRequestTopic,
    MetadataResponse, TopicRequest,
};
use wolff_codec::{ApiKey, ErrorCode, Str};
use wolff_testbroker::{Cluster, Fault};

use crate::client::{Client, produce_request, values};
use crate::fixture::{batch, stamp, stamped_batch};

async fn cluster() -> Cluster {
    Cluster::builder()
        .brokers(2)
        .topic("orders", 3)
        .start()
        .await
        .unwrap()
}

/// Leaders of a topic by partition, as a broker tells them.
async fn leaders(cluster: &Cluster, broker: i32, topic: &str) -> Vec<(i32, i32)> {
    let mut client = Client::connect(cluster, broker).await;
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(Str::from(topic)),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let answer = client.request(&request, 12).await;
    let partitions = answer.topics[0].partitions.iter();
    partitions
        .map(|partition| (partition.partition_index.0, partition.leader_id.0))
        .collect()
}

#[tokio::test]
async fn one_broker_has_a_hole_in_its_metadata() {
    let cluster = cluster().await;
    let fault = Fault::hole_in_metadata("orders", 1).broker(2);
    cluster.inject(fault);
    assert_eq!(leaders(&cluster, 1, "orders").await.len(), 3);
    let holed = leaders(&cluster, 2, "orders").await;
    let indices: Vec<i32> = holed.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 2]);
    assert_eq!(leaders(&cluster, 2, "orders").await.len(), 3);
}

#[tokio::test]
async fn one_broker_tells_what_was_true_before() {
    let cluster = cluster().await;
    let before = leaders(&cluster, 2, "orders").await;
    cluster.freeze_metadata(2).unwrap();
    let old = before[0].1;
    cluster.move_leader("orders", 0, 3 - old).unwrap();
    cluster.create_topic("news", 1).unwrap();
    assert_eq!(leaders(&cluster, 1, "orders").await[0], (0, 3 - old));
    assert_eq!(leaders(&cluster, 2, "orders").await, before);
    assert!(leaders(&cluster, 2, "news").await.is_empty());
    assert!(cluster.thaw_metadata(2));
    assert!(!cluster.thaw_metadata(2));
    assert_eq!(leaders(&cluster, 2, "orders").await[0], (0, 3 - old));
    assert!(cluster.freeze_metadata(9).is_err());
}

#[tokio::test]
async fn answers_are_edited_in_words_of_the_protocol() {
    let cluster = cluster().await;
    cluster.inject(Fault::edit_answer(|answer: &mut MetadataResponse| {
        let million = answer.brokers[0].clone();
        answer.brokers = vec![million; 1_000_000];
    }));
    // An editor of another response is not asked.
    cluster.inject(Fault::edit_answer(|answer: &mut InitProducerIdResponse| {
        answer.error_code = ErrorCode::UNKNOWN_SERVER_ERROR;
    }));
    let mut client = Client::connect(&cluster, 1).await;
    let answer = client.request(&MetadataRequest::default(), 12).await;
    assert_eq!(answer.brokers.len(), 1_000_000);
    let answer = client.request(&MetadataRequest::default(), 12).await;
    assert_eq!(answer.brokers.len(), 2);
}

#[tokio::test]
async fn answers_are_mangled_byte_by_byte() {
    let cluster = cluster().await;
    let mangle = |frame: Bytes| {
        let mut frame = BytesMut::from(&frame[..]);
        frame.truncate(6);
        frame[..4].copy_from_slice(&2_u32.to_be_bytes());
        frame.freeze()
    };
    cluster.inject(Fault::mangle_answer(mangle).api(ApiKey::METADATA));
    let mut client = Client::connect(&cluster, 1).await;
    client.send(&MetadataRequest::default(), 12).await;
    assert_eq!(client.receive().await.unwrap().len(), 2);
}

#[tokio::test]
async fn every_error_code_can_be_ordered() {
    let cluster = cluster().await;
    let leader = cluster.leader("orders", 0).unwrap().0;
    let mut client = Client::connect(&cluster, leader.0).await;
    let named = ErrorCode::NAMED.iter().copied();
    let codes: Vec<ErrorCode> = named.chain([ErrorCode(999), ErrorCode(-2)]).collect();
    for code in codes.iter().copied().filter(|code| !code.is_ok()) {
        cluster.inject(Fault::error(code).api(ApiKey::PRODUCE));
        let answer = client.produce("orders", 0, batch(&["a"])).await;
        assert_eq!(answer.error_code, code);
    }
    assert!(values(&cluster, "orders", 0).is_empty());
}

#[tokio::test]
async fn a_leader_tells_what_it_remembers_of_its_producers() {
    let cluster = cluster().await;
    let leader = cluster.leader("orders", 0).unwrap().0;
    let mut client = Client::connect(&cluster, leader.0).await;
    let produced = stamped_batch(&["a", "b"], stamp(77, 0, 0));
    let request = produce_request("orders", 0, produced);
    client.request(&request, 9).await;
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: Str::from("orders"),
            partition_indexes: vec![0.into()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = client.request(&request, 0).await;
    let producer = &answer.topics[0].partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.last_sequence), (77, 1));
}
