//! Links that need longer for a request than a broker may be silent, in virtual time.

#![expect(clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wolff_client::codec::ApiKey;
use wolff_client::codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_client::{ConnectionFailure, RequestCause, RequestError};

use crate::peer::{Peer, connected_with, produce, produced};

/// More than any request here: a buffer on the way that takes all of it at once.
const PIPE_BYTES: usize = 1 << 20;

fn large(bytes: usize) -> ProduceRequest {
    let mut request = produce(-1);
    request.topic_data = vec![TopicProduceData {
        partition_data: vec![PartitionProduceData {
            records: Some(bytes::Bytes::from(vec![0; bytes]).into()),
            ..PartitionProduceData::default()
        }],
        ..TopicProduceData::default()
    }];
    request
}

async fn answer(peer: &mut Peer) {
    let asked = peer.expect::<ProduceRequest>().await;
    peer.answer(asked.id, asked.version, &produced(0)).await;
}

fn timed_out_after(error: RequestError) -> Duration {
    match error.cause() {
        RequestCause::Connection(ConnectionFailure::TimedOut {
            api: ApiKey::PRODUCE,
            after,
        }) => *after,
        other => panic!("not a timeout: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_request_that_a_buffer_on_the_way_hides_is_waited_for() {
    let (_client, connection, mut peer) = connected_with(PIPE_BYTES, |builder| builder).await;
    let pending = connection.start(&large(500_000)).unwrap();
    // 10 kB/s; the client has seen the last byte leave long before.
    sleep(Duration::from_secs(51)).await;
    answer(&mut peer).await;
    pending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_silent_is_not_waited_for_any_longer_once_its_link_is_known_to_be_fast() {
    let (_client, connection, mut peer) = connected_with(PIPE_BYTES, |builder| builder).await;
    let start = Instant::now();
    let pending = connection.start(&large(500_000)).unwrap();
    answer(&mut peer).await;
    pending.await.unwrap();
    let error = connection.start(&large(500_000)).unwrap().await;
    let after = timed_out_after(error.unwrap_err());
    assert_eq!(after.as_secs(), 30);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn no_request_is_waited_for_longer_than_the_slowest_link_takes() {
    let (_client, connection, _peer) = connected_with(PIPE_BYTES, |builder| builder).await;
    let start = Instant::now();
    let small = connection.start(&large(50_000)).unwrap().await;
    assert_eq!(timed_out_after(small.unwrap_err()).as_secs(), 30);
    let (_client, connection, _peer) = connected_with(PIPE_BYTES, |builder| builder).await;
    let large = connection.start(&large(500_000)).unwrap().await;
    assert_eq!(timed_out_after(large.unwrap_err()).as_secs(), 83);
    assert_eq!(start.elapsed().as_secs(), 30 + 83);
}
