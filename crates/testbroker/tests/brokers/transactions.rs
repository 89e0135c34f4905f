//! Transactions, which the brokers have not: each way to begin one ends at once, for good.

use wolff_codec::messages::{FindCoordinatorRequest, InitProducerIdRequest};
use wolff_codec::{ErrorCode, Message, Str};
use wolff_testbroker::Cluster;

use crate::client::Client;

const REFUSAL: ErrorCode = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;

/// The protocol's number for transactional ids.
const TRANSACTION: i8 = 1;

#[tokio::test]
async fn a_coordinator_of_transactions_is_refused_with_a_message_that_says_why() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    // Version 0 knows groups only.
    for version in FindCoordinatorRequest::VERSIONS.filter(|version| *version > 0) {
        let mut request = FindCoordinatorRequest {
            key_type: TRANSACTION,
            ..Default::default()
        };
        let id = Str::from_static("transaction");
        match version {
            4.. => request.coordinator_keys = vec![id],
            _ => request.key = id,
        }
        let response = client.request(&request, version).await;
        let (code, message) = match version {
            4.. => {
                let found = &response.coordinators[0];
                (found.error_code, found.error_message.clone())
            }
            _ => (response.error_code, response.error_message),
        };
        assert_eq!(code, REFUSAL, "version {version}");
        let message = message.unwrap();
        assert!(message.contains("no transactions"), "{message}");
    }
}

#[tokio::test]
async fn a_producer_id_for_a_transactional_id_is_refused() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let request = InitProducerIdRequest {
        transactional_id: Some(Str::from_static("transaction")),
        ..Default::default()
    };
    for version in InitProducerIdRequest::VERSIONS {
        let response = client.request(&request, version).await;
        assert_eq!(response.error_code, REFUSAL, "version {version}");
        assert!(response.producer_id.0 < 0);
    }
}
