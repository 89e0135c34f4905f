//! The length in front of a frame, before and after the handshake.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use wolff_client::codec::messages::{InitProducerIdRequest, MetadataRequest};
use wolff_client::codec::{ApiKey, FrameError};
use wolff_client::{ClientConfig, HostReason, NotKafka};
use wolff_testbroker::{Cluster, Fault, FaultId};

use crate::line::{PATIENCE, client_of};

/// The ceiling until the handshake is over, in bytes.
const CAP_BEFORE: i32 = 64 * 1024;

/// The ceiling afterwards, as these tests set it.
const CAP_AFTER: i32 = 100_000;

/// A broker that answers an API with this length in place of the true one.
async fn claims(api: ApiKey, length: i32) -> (Cluster, FaultId) {
    let cluster = Cluster::builder().topic("t", 1).start().await.unwrap();
    let claim = move |whole: Bytes| Bytes::from([&length.to_be_bytes()[..], &whole[4..]].concat());
    let fault = Fault::mangle_answer(claim).api(api).always();
    let fault = cluster.inject(fault);
    (cluster, fault)
}

/// Impatient: some claims are answered by waiting for the rest.
fn impatient() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.max_frame_bytes = CAP_AFTER.unsigned_abs();
    config.request_timeout = Duration::from_millis(300);
    config.connect_timeout = Duration::from_millis(300);
    config.metadata_timeout = Duration::from_secs(2);
    config
}

#[tokio::test]
async fn before_the_handshake_is_over_64_kib_are_the_most() {
    for length in [-1, -2, 0, 1, CAP_BEFORE, CAP_BEFORE + 1, i32::MAX, i32::MIN] {
        let (cluster, _) = claims(ApiKey::API_VERSIONS, length).await;
        let (client, line) = client_of(cluster.bootstrap());
        let client = client.config(impatient()).dialer(line.clone()).build();
        let client = client.unwrap();
        let probed = timeout(PATIENCE, client.probe_hosts()).await.unwrap();
        let reason = probed[0].1.clone().unwrap_err();
        let limit = usize::try_from(CAP_BEFORE).unwrap();
        let refusal = match usize::try_from(length) {
            Err(_) => Some(FrameError::NegativeLength { length }),
            Ok(length) if length > limit => Some(FrameError::TooLarge { length, limit }),
            Ok(_) => None,
        };
        match (&reason, refusal) {
            (HostReason::NotKafka(NotKafka::Frame(error)), Some(refusal)) => {
                assert_eq!(*error, refusal);
            }
            // It may still come: the client waits, until it has waited enough.
            (HostReason::TimedOut { .. }, None) => assert_eq!(length, CAP_BEFORE),
            (HostReason::NotKafka(_), None) => assert!(length <= 1, "{length}"),
            other => panic!("{length}: {other:?}"),
        }
        assert!(line.polls() < 100, "{length}: {} polls", line.polls());
    }
}

#[tokio::test]
async fn after_the_handshake_the_configured_ceiling_counts() {
    for length in [-1, -2, 0, 1, CAP_AFTER, CAP_AFTER + 1, i32::MAX, i32::MIN] {
        let (cluster, fault) = claims(ApiKey::INIT_PRODUCER_ID, length).await;
        let (client, line) = client_of(cluster.bootstrap());
        let client = client.config(impatient()).dialer(line.clone()).build();
        let client = client.unwrap();
        let connection = client.any_connection().await.unwrap();
        let request = InitProducerIdRequest::default();
        let refused = timeout(PATIENCE, connection.request(&request)).await;
        let refused = refused.unwrap().unwrap_err();
        assert!(refused.is_in_doubt(), "{refused}");
        assert!(connection.is_closed(), "{length}");
        assert_eq!(cluster.stats().hits(fault), 1);
        assert!(line.polls() < 100, "{length}: {} polls", line.polls());
        // The client has lost a connection, and nothing else.
        let connection = timeout(PATIENCE, client.any_connection()).await.unwrap();
        let asked = connection
            .unwrap()
            .request(&MetadataRequest::default())
            .await;
        assert!(asked.is_ok());
    }
}
