//! Check that a broker does not only shake hands, but responds.
//!
//! A listener for SASL lets everybody ask for its versions, and closes at the first other question
//! of who has not authenticated. Only that question shows it.

use std::time::Duration;

use tokio::time::timeout;
use wolff_codec::BrokerId;
use wolff_codec::messages::{MetadataRequest, ProduceRequest};

use crate::connection::Connection;
use crate::endpoint::Address;
use crate::error::{ConnectStage, ConnectionFailure, HostReason, RequestError};
use crate::leaders_response::{LeadersRequest, LeadersResponse};

/// A bootstrap host as [`Client::examine_hosts`](crate::Client::examine_hosts) found it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostReport {
    /// The host.
    pub host: Address,
    /// The reason why it cannot be used, if it cannot.
    pub outcome: Result<(), HostReason>,
    /// The brokers that it names, with what came of connecting to the addresses they advertise.
    pub brokers: Vec<AdvertisedBroker>,
}

/// A broker as a bootstrap host names it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AdvertisedBroker {
    /// The broker's id.
    pub id: BrokerId,
    /// Its advertised address; `None` when it cannot be connected to (no host, or no port).
    pub address: Option<Address>,
    /// The reason why the address leads to no broker; `Ok` where there is no address.
    pub outcome: Result<(), HostReason>,
}

/// The brokers that a broker names, where it can be used at all.
pub(super) async fn examine(
    connection: &Connection,
    after: Duration,
) -> Result<Vec<(BrokerId, Option<Address>)>, HostReason> {
    let unusable = |what: String| HostReason::Unusable(what);
    connection
        .version::<ProduceRequest>()
        .map_err(|error| unusable(error.to_string()))?;
    connection
        .version::<MetadataRequest>()
        .map_err(|error| unusable(error.to_string()))?;
    let answer = ask(connection, after).await?;
    match answer {
        Ok(answer) if !answer.error_code.is_ok() => Err(unusable(format!(
            "it answers a request for metadata with {}",
            answer.error_code
        ))),
        Ok(answer) if answer.brokers.is_empty() => {
            Err(unusable("it names no brokers, not even itself".to_owned()))
        }
        Ok(answer) => {
            let brokers = answer.brokers.iter();
            Ok(brokers
                .map(|broker| {
                    let address = Address::advertised(&broker.host, broker.port);
                    (broker.node_id, address)
                })
                .collect())
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Checks that the broker responds to a request.
pub(super) async fn ask_something(
    connection: &Connection,
    after: Duration,
) -> Result<(), HostReason> {
    // Whatever the response is, it is one.
    ask(connection, after).await.map(drop)
}

/// Asks for the brokers, and for no topic. Returns the response, or why there is none on a
/// connection that is in order.
async fn ask(
    connection: &Connection,
    after: Duration,
) -> Result<Result<LeadersResponse, RequestError>, HostReason> {
    let request = LeadersRequest(MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    });
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
        Ok(outcome) => Ok(outcome),
        Err(_elapsed) => {
            let stage = ConnectStage::FirstQuestion;
            Err(HostReason::TimedOut { stage, after })
        }
    }
}
