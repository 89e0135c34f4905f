//! Faults by script, each as the client meets it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wolff_codec::messages::{ApiVersionsRequest, InitProducerIdRequest, MetadataRequest};
use wolff_codec::{ApiKey, ErrorCode, response_correlation_id};
use wolff_testbroker::{Cluster, Fault};

use crate::client::{Client, produce_request, values};
use crate::fixture::batch;

const CODE: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

async fn cluster() -> Cluster {
    Cluster::builder().topic("orders", 2).start().await.unwrap()
}

/// The broker appended the batch, and says something else: any code can come then.
#[tokio::test]
async fn every_code_can_follow_an_append() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let mut appended = 0;
    for &code in ErrorCode::NAMED.iter().filter(|code| !code.is_ok()) {
        cluster.inject(Fault::error_after_applying(code).api(ApiKey::PRODUCE));
        let answer = client.produce("orders", 0, batch(&["a"])).await;
        assert_eq!(answer.error_code, code);
        appended += 1;
        assert_eq!(cluster.high_watermark("orders", 0).unwrap().0, appended);
    }
}

#[tokio::test]
async fn errors_come_as_often_as_they_are_ordered_and_nothing_is_applied() {
    let cluster = cluster().await;
    let fault = cluster.inject(Fault::error(CODE).partition("orders", 0).times(2));
    let mut client = Client::connect(&cluster, 1).await;
    for (partition, code) in [
        (0, CODE),
        (1, ErrorCode::NONE),
        (0, CODE),
        (0, ErrorCode::NONE),
    ] {
        let answer = client.produce("orders", partition, batch(&["a"])).await;
        assert_eq!(answer.error_code, code);
    }
    assert_eq!(values(&cluster, "orders", 0).len(), 1);
    assert_eq!(cluster.stats().hits(fault), 2);
}

#[tokio::test]
async fn an_error_may_hide_that_the_request_was_applied() {
    let cluster = cluster().await;
    cluster.inject(Fault::error_after_applying(ErrorCode::REQUEST_TIMED_OUT).api(ApiKey::PRODUCE));
    let mut client = Client::connect(&cluster, 1).await;
    let answer = client.produce("orders", 0, batch(&["a"])).await;
    assert_eq!(answer.error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(values(&cluster, "orders", 0), ["a"]);
}

#[tokio::test]
async fn errors_of_whole_responses_and_of_topics() {
    let cluster = cluster().await;
    let mut client = Client::connect(&cluster, 1).await;
    cluster.inject(Fault::error(CODE).api(ApiKey::INIT_PRODUCER_ID));
    assert_eq!(
        client
            .request(&InitProducerIdRequest::default(), 4)
            .await
            .error_code,
        CODE
    );
    cluster.inject(Fault::error(CODE).api(ApiKey::API_VERSIONS));
    assert_eq!(
        client
            .request(&ApiVersionsRequest::default(), 3)
            .await
            .error_code,
        CODE
    );
    cluster.inject(Fault::error(CODE).api(ApiKey::METADATA).topic("orders"));
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    assert_eq!(
        (
            metadata.topics[0].error_code,
            metadata.topics[0].partitions.len()
        ),
        (CODE, 0)
    );
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    assert_eq!(metadata.topics[0].partitions.len(), 2);
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_request_is_applied() {
    let cluster = cluster().await;
    for (fault, expected) in [
        (Fault::drop_request(), 0),
        (Fault::drop_answer(), 1),
        (Fault::half_answer(), 2),
    ] {
        cluster.inject(fault.api(ApiKey::PRODUCE));
        let mut client = Client::connect(&cluster, 1).await;
        let request = produce_request("orders", 0, batch(&["a"]));
        assert!(client.try_request(&request, 9).await.is_none());
        assert_eq!(values(&cluster, "orders", 0).len(), expected);
    }
}

#[tokio::test]
async fn half_an_answer_is_half_an_answer() {
    let cluster = cluster().await;
    cluster.inject(Fault::half_answer());
    let mut client = Client::connect(&cluster, 1).await;
    assert!(
        client
            .try_request(&MetadataRequest::default(), 9)
            .await
            .is_none()
    );
    let half = client.leftover().len();
    assert!(half > 4);
    let mut client = Client::connect(&cluster, 1).await;
    client.send(&MetadataRequest::default(), 9).await;
    let whole = client.receive().await.unwrap().len() + 4;
    assert_eq!(half, whole / 2);
}

#[tokio::test]
async fn answers_can_be_wrong() {
    let cluster = cluster().await;
    let mut client = Client::connect(&cluster, 1).await;
    cluster.inject(Fault::wrong_correlation_id());
    let asked = client.send(&MetadataRequest::default(), 9).await;
    let answered = response_correlation_id(&client.receive().await.unwrap()).unwrap();
    assert_ne!(answered, asked);
    cluster.inject(Fault::raw_answer(&[0, 0, 0, 3, 1, 2, 3][..]));
    client.send(&MetadataRequest::default(), 9).await;
    assert_eq!(client.receive().await, Some(Bytes::from_static(&[1, 2, 3])));
}

#[tokio::test]
async fn delays_delay() {
    let cluster = cluster().await;
    let mut client = Client::connect(&cluster, 1).await;
    for fault in [
        Fault::delay(Duration::from_millis(30)),
        Fault::delay_answer(Duration::from_millis(30)),
    ] {
        let fault = cluster.inject(fault);
        let begin = Instant::now();
        client.request(&MetadataRequest::default(), 9).await;
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert_eq!(cluster.stats().hits(fault), 1);
    }
}

#[tokio::test]
async fn a_request_is_held_before_it_is_applied_or_after() {
    let cluster = cluster().await;
    for (fault, applied_while_held) in [(Fault::hold(), 0), (Fault::hold_answer(), 2)] {
        let hold = cluster.inject(fault.api(ApiKey::PRODUCE));
        let mut client = Client::connect(&cluster, 1).await;
        client
            .send(&produce_request("orders", 0, batch(&["a"])), 9)
            .await;
        if applied_while_held > 0 {
            cluster
                .wait_for_offset("orders", 0, applied_while_held)
                .await
                .unwrap();
        }
        cluster.wait_for(|stats| stats.hits(hold) == 1).await;
        let applied = i64::try_from(values(&cluster, "orders", 0).len()).unwrap();
        assert_eq!(applied, applied_while_held);
        // Another connection is not held.
        let mut other = Client::connect(&cluster, 1).await;
        other.request(&MetadataRequest::default(), 9).await;
        assert!(cluster.remove_fault(hold));
        assert!(client.receive().await.is_some());
    }
    assert_eq!(values(&cluster, "orders", 0).len(), 2);
}

#[tokio::test]
async fn clearing_the_faults_frees_whom_they_hold() {
    let cluster = cluster().await;
    let hold = cluster.inject(Fault::hold().always());
    let mut client = Client::connect(&cluster, 1).await;
    client.send(&MetadataRequest::default(), 9).await;
    cluster.wait_for(|stats| stats.hits(hold) == 1).await;
    cluster.clear_faults();
    assert!(client.receive().await.is_some());
    client.request(&MetadataRequest::default(), 9).await;
}

#[tokio::test]
async fn a_throttled_connection_is_answered_at_once_and_read_later() {
    let cluster = cluster().await;
    let throttle = Duration::from_millis(30);
    cluster.inject(Fault::throttle(throttle).api(ApiKey::PRODUCE));
    let mut client = Client::connect(&cluster, 1).await;
    let begin = Instant::now();
    let response = client
        .request(&produce_request("orders", 0, batch(&["a"])), 9)
        .await;
    assert_eq!(response.throttle_time_ms, 30);
    assert_eq!(values(&cluster, "orders", 0), ["a"]);
    let response = client
        .request(&produce_request("orders", 0, batch(&["b"])), 9)
        .await;
    assert_eq!(response.throttle_time_ms, 0);
    assert!(begin.elapsed() >= throttle);
}

#[tokio::test]
async fn a_quota_is_for_a_topic_and_lasts_until_it_is_removed() {
    let cluster = Cluster::builder()
        .topic("orders", 1)
        .topic("other", 1)
        .start()
        .await
        .unwrap();
    let quota = cluster.inject(Fault::quota(10_000).topic("orders"));
    let mut client = Client::connect(&cluster, 1).await;
    let begin = Instant::now();
    let mut said = Duration::ZERO;
    for topic in ["orders", "other", "orders"] {
        let request = produce_request(topic, 0, batch(&["a"]));
        let throttle = client.request(&request, 9).await.throttle_time_ms;
        assert_eq!(throttle > 0, topic == "orders", "{topic}: {throttle} ms");
        said += Duration::from_millis(throttle.try_into().unwrap());
    }
    assert!(cluster.remove_fault(quota));
    let request = produce_request("orders", 0, batch(&["b"]));
    assert_eq!(client.request(&request, 9).await.throttle_time_ms, 0);
    assert!(begin.elapsed() >= said, "it was not read meanwhile");
    assert_eq!(values(&cluster, "orders", 0), ["a", "a", "b"]);
}
