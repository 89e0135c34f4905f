//! FindCoordinator: each broker is the coordinator of every group, and lets nobody join (`groups`):
//! consumers with assigned partitions look for their group too, and a refusal here would be an
//! error of theirs. Transactions are refused for good: a client that is told to try again later
//! would do so for ever.
//!
//! librdkafka takes the API for a sign that the broker knows lz4.

use wolff_codec::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};

/// The first version that asks for several coordinators at once.
const FIRST_VERSION_WITH_SEVERAL: i16 = 4;

/// The protocol's number for groups.
const GROUP: i8 = 0;

/// The protocol's number for transactional ids.
const TRANSACTION: i8 = 1;

impl Serve for FindCoordinatorRequest {
    async fn serve(self, call: &Call<'_>) -> Served<FindCoordinatorResponse> {
        let found = match (call.script.error(), self.key_type) {
            (Some(code), _) => refusal(code, "a fault was injected"),
            (None, GROUP) => this_broker(call),
            (None, TRANSACTION) => refusal(
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "this broker has no transactions: produce without a transactional id",
            ),
            (None, _) => refusal(
                ErrorCode::INVALID_REQUEST,
                "this broker has no coordinators of that kind",
            ),
        };
        Served::Answer(if call.version < FIRST_VERSION_WITH_SEVERAL {
            FindCoordinatorResponse {
                error_code: found.error_code,
                error_message: found.error_message,
                node_id: found.node_id,
                host: found.host,
                port: found.port,
                ..Default::default()
            }
        } else {
            let keys = self.coordinator_keys.into_iter();
            let coordinators = keys.map(|key| Coordinator {
                key,
                ..found.clone()
            });
            FindCoordinatorResponse {
                coordinators: coordinators.collect(),
                ..Default::default()
            }
        })
    }
}

fn refusal(error_code: ErrorCode, message: &'static str) -> Coordinator {
    Coordinator {
        error_code,
        error_message: Some(Str::from_static(message)),
        ..Default::default()
    }
}

fn this_broker(call: &Call<'_>) -> Coordinator {
    let model = call.shared.model();
    let Some(node) = model.node(call.broker) else {
        return refusal(ErrorCode::COORDINATOR_NOT_AVAILABLE, "the broker is down");
    };
    Coordinator {
        node_id: call.broker,
        host: node.host.clone(),
        port: node.port.into(),
        ..Default::default()
    }
}
