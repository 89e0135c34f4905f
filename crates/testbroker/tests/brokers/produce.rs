//! Batches that are appended or refused, and the responses to them.

use wolff_codec::ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId};
use wolff_codec::messages::{
    DescribeProducersRequest, InitProducerIdRequest, MetadataRequest, TopicRequest,
};
use wolff_codec::{ApiKey, ErrorCode, Str};
use wolff_testbroker::{Cluster, UnknownProducers};

use crate::client::{Client, produce_request, values};
use crate::fixture::{batch, stamp, stamped_batch};

#[tokio::test]
async fn batches_are_appended_in_order_and_answered_with_their_offset() {
    let cluster = Cluster::builder().topic("orders", 2).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for (values, offset) in [(&["a", "b"][..], 0), (&["c"], 2)] {
        let answer = client.produce("orders", 1, batch(values)).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (ErrorCode::NONE, Offset(offset))
        );
        assert_eq!(
            (answer.log_append_time_ms, answer.log_start_offset),
            (-1, Offset(0))
        );
    }
    assert_eq!(values(&cluster, "orders", 1), ["a", "b", "c"]);
    assert_eq!(cluster.high_watermark("orders", 1).unwrap(), Offset(3));
    assert_eq!(cluster.stats().records(), 3);
}

#[tokio::test]
async fn without_acks_nothing_is_answered_and_an_error_closes_the_connection() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut request = produce_request("orders", 0, batch(&["a"]));
    request.acks = 0;
    client.send(&request, 9).await;
    // The next answer is that of the next request.
    client.request(&MetadataRequest::default(), 9).await;
    assert_eq!(values(&cluster, "orders", 0), ["a"]);
    assert_eq!(cluster.stats().responses(ApiKey::PRODUCE), 0);

    let mut request = produce_request("other", 0, batch(&["b"]));
    request.acks = 0;
    client.send(&request, 9).await;
    assert!(client.receive().await.is_none());
}

#[tokio::test]
async fn acks_of_the_leader_are_acks_and_odd_ones_are_refused() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut request = produce_request("orders", 0, batch(&["a"]));
    for (acks, code) in [(1, ErrorCode::NONE), (2, ErrorCode::INVALID_REQUIRED_ACKS)] {
        request.acks = acks;
        let response = client.request(&request, 9).await;
        assert_eq!(
            response.responses[0].partition_responses[0].error_code,
            code
        );
    }
}

#[tokio::test]
async fn a_broker_that_does_not_lead_says_who_does() {
    let cluster = Cluster::builder()
        .brokers(2)
        .topic("orders", 1)
        .start()
        .await
        .unwrap();
    cluster.move_leader("orders", 0, 2).unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let request = produce_request("orders", 0, batch(&["a"]));
    for version in [9, 10] {
        let response = client.request(&request, version).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        if version == 9 {
            assert_eq!(response.node_endpoints, []);
            continue;
        }
        assert_eq!(answer.current_leader.leader_id, BrokerId(2));
        assert_eq!(answer.current_leader.leader_epoch, LeaderEpoch(1));
        let endpoint = &response.node_endpoints[0];
        let address = cluster.addresses()[&BrokerId(2)];
        assert_eq!(endpoint.node_id, BrokerId(2));
        assert_eq!(endpoint.host, address.ip().to_string());
        assert_eq!(endpoint.port, i32::from(address.port()));
    }
}

#[tokio::test]
async fn unknown_places_are_refused() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for (topic, partition) in [("other", 0), ("orders", 1), ("orders", -1)] {
        let answer = client.produce(topic, partition, batch(&["a"])).await;
        assert_eq!(answer.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

#[tokio::test]
async fn version_13_names_topics_by_id() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut request = produce_request("", 0, batch(&["a"]));
    let id = cluster.topic_id("orders").unwrap();
    for (id, code) in [
        (id, ErrorCode::NONE),
        (TopicId([9; 16]), ErrorCode::UNKNOWN_TOPIC_ID),
    ] {
        request.topic_data[0].topic_id = id;
        let response = client.request(&request, 13).await;
        assert_eq!(response.responses[0].topic_id, id);
        assert_eq!(
            response.responses[0].partition_responses[0].error_code,
            code
        );
    }
    cluster.delete_topic("orders").unwrap();
    cluster.create_topic("orders", 1).unwrap();
    request.topic_data[0].topic_id = id;
    let response = client.request(&request, 13).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(
        answer.error_code,
        ErrorCode::UNKNOWN_TOPIC_ID,
        "that was another topic"
    );
}

#[tokio::test]
async fn a_batch_is_refused_for_its_size_before_anything_else() {
    let cluster = Cluster::builder()
        .topic("orders", 1)
        .max_message_bytes(80)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let small = stamped_batch(&["a"], stamp(1, 0, 0));
    assert_eq!(
        client.produce("orders", 0, small.clone()).await.error_code,
        ErrorCode::NONE
    );
    let large = stamped_batch(&["a batch that is too large"], stamp(1, 0, 1));
    assert_eq!(
        client.produce("orders", 0, large).await.error_code,
        ErrorCode::MESSAGE_TOO_LARGE
    );
    cluster
        .configure_topic("orders", "max.message.bytes", "60")
        .unwrap();
    let resent = client.produce("orders", 0, small).await;
    assert_eq!(
        resent.error_code,
        ErrorCode::MESSAGE_TOO_LARGE,
        "although it is a duplicate"
    );
}

#[tokio::test]
async fn a_record_that_is_to_blame_is_named() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut damaged = batch(&["a", "b"]).to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let answer = client.produce("orders", 0, damaged.into()).await;
    assert_eq!(answer.error_code, ErrorCode::CORRUPT_MESSAGE);
    assert!(answer.error_message.is_some());
    assert_eq!(cluster.stats().refusals(), 1);
}

#[tokio::test]
async fn an_idempotent_producer_is_held_to_its_sequence() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let first = client.request(&InitProducerIdRequest::default(), 4).await;
    let second = client.request(&InitProducerIdRequest::default(), 4).await;
    assert_ne!(first.producer_id, second.producer_id);
    let id = first.producer_id.0;

    let mut produce = async |epoch, sequence, value: &str| {
        let batch = stamped_batch(&[value], stamp(id, epoch, sequence));
        let answer = client.produce("orders", 0, batch).await;
        (answer.error_code, answer.base_offset.0)
    };
    assert_eq!(produce(0, 0, "a").await, (ErrorCode::NONE, 0));
    assert_eq!(produce(0, 1, "b").await, (ErrorCode::NONE, 1));
    assert_eq!(produce(0, 0, "a again").await, (ErrorCode::NONE, 0));
    assert_eq!(
        produce(0, 3, "d").await,
        (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    );
    assert_eq!(produce(1, 0, "c").await, (ErrorCode::NONE, 2));
    assert_eq!(
        produce(0, 2, "late").await,
        (ErrorCode::INVALID_PRODUCER_EPOCH, -1)
    );
    assert_eq!(values(&cluster, "orders", 0), ["a", "b", "c"]);
    let stats = cluster.stats();
    assert_eq!(
        (stats.batches(), stats.duplicates(), stats.refusals()),
        (3, 1, 2)
    );

    let topic = TopicRequest {
        name: Str::from("orders"),
        partition_indexes: vec![0.into()],
        ..Default::default()
    };
    let request = DescribeProducersRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let response = client.request(&request, 0).await;
    let producer = &response.topics[0].partitions[0].active_producers[0];
    assert_eq!(producer.producer_id, ProducerId(id));
    assert_eq!((producer.producer_epoch, producer.last_sequence), (1, 0));
    assert_eq!(producer.last_timestamp, 1000);
}

#[tokio::test]
async fn producers_that_expired_are_unknown() {
    let rules = [
        (UnknownProducers::Accept, ErrorCode::NONE),
        (UnknownProducers::AcceptOnUsedLog, ErrorCode::NONE),
        (UnknownProducers::Refuse, ErrorCode::UNKNOWN_PRODUCER_ID),
    ];
    for (rule, code) in rules {
        let cluster = Cluster::builder()
            .topic("orders", 1)
            .unknown_producers(rule)
            .start();
        let cluster = cluster.await.unwrap();
        let mut client = Client::connect(&cluster, 1).await;
        let first = client
            .produce("orders", 0, stamped_batch(&["a"], stamp(1, 0, 0)))
            .await;
        assert_eq!(first.error_code, ErrorCode::NONE);
        cluster.expire_producers("orders", 0).unwrap();
        let next = client
            .produce("orders", 0, stamped_batch(&["b"], stamp(1, 0, 1)))
            .await;
        assert_eq!(next.error_code, code, "{rule:?}");
    }
}

#[tokio::test]
async fn acknowledged_records_can_be_lost() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for (sequence, value) in (0..).zip(["a", "b", "c"]) {
        client
            .produce("orders", 0, stamped_batch(&[value], stamp(1, 0, sequence)))
            .await;
    }
    cluster.lose_from("orders", 0, 1).unwrap();
    assert_eq!(values(&cluster, "orders", 0), ["a"]);
    assert_eq!(
        cluster.leader("orders", 0).unwrap(),
        (BrokerId(1), LeaderEpoch(1))
    );
    let answer = client
        .produce("orders", 0, stamped_batch(&["b"], stamp(1, 0, 1)))
        .await;
    assert_eq!(
        (answer.error_code, answer.base_offset),
        (ErrorCode::NONE, Offset(1))
    );
}

#[tokio::test]
async fn log_append_time_is_told() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    cluster
        .configure_topic("orders", "message.timestamp.type", "LogAppendTime")
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let answer = client.produce("orders", 0, batch(&["a"])).await;
    let record = &cluster.records("orders", 0).unwrap()[0];
    assert!(answer.log_append_time_ms > 1_600_000_000_000);
    assert_eq!(record.timestamp_ms, answer.log_append_time_ms);
}

#[tokio::test]
async fn retention_keeps_the_log_within_its_bounds() {
    let cluster = Cluster::builder()
        .topic("orders", 1)
        .retention_bytes(1000)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    for _ in 0..100 {
        client.produce("orders", 0, batch(&["value"])).await;
    }
    let kept: usize = cluster
        .batches("orders", 0)
        .unwrap()
        .iter()
        .map(|batch| batch.len())
        .sum();
    assert!((900..=1000).contains(&kept), "{kept} bytes kept");
    assert_eq!(cluster.high_watermark("orders", 0).unwrap(), Offset(100));
    let start = cluster.log_start_offset("orders", 0).unwrap();
    let answer = client.produce("orders", 0, batch(&["value"])).await;
    assert_eq!(answer.log_start_offset, Offset(start.0 + 1));
}

#[tokio::test]
async fn a_compacted_topic_names_every_record_without_a_key() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    (cluster.configure_topic("orders", "cleanup.policy", "compact")).unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let answer = client.produce("orders", 0, batch(&["a", "b"])).await;
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    let blamed: Vec<i32> = (answer.record_errors.iter())
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(blamed, [0, 1]);
    assert!(values(&cluster, "orders", 0).is_empty());
}
