//! Whether a broker does not only shake hands, but answers.
//!
//! A listener for SASL lets everybody ask for its versions, and closes at the first other question of
//! who has not authenticated. Only that question shows it.

use std::time::Duration;

use tokio::time::timeout;
use wolff_codec::messages::MetadataRequest;

use crate::connection::Connection;
use crate::error::{ConnectStage, ConnectionFailure, HostReason};

/// Asks for the brokers, and for no topic.
pub(super) async fn ask_something(
    connection: &Connection,
    after: Duration,
) -> Result<(), HostReason> {
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    match timeout(after, connection.request(&request)).await {
        Ok(Err(error)) if error.is_connection_lost() => Err(match connection.closed().await {
            ConnectionFailure::ClosedHere => HostReason::ClientClosed,
            ConnectionFailure::RuntimeEnded => HostReason::Abandoned,
            ConnectionFailure::Io(error) if error.kind != std::io::ErrorKind::ConnectionReset => {
                HostReason::Io(error)
            }
            ConnectionFailure::Protocol(violation) => HostReason::Protocol(violation),
            ConnectionFailure::ClosedByPeer | ConnectionFailure::Io(_) => {
                HostReason::ClosedAtFirstQuestion
            }
            _ => HostReason::TimedOut {
                stage: ConnectStage::FirstQuestion,
                after,
            },
        }),
        // Whatever the answer is, it is one.
        Ok(_) => Ok(()),
        Err(_elapsed) => {
            let stage = ConnectStage::FirstQuestion;
            Err(HostReason::TimedOut { stage, after })
        }
    }
}
