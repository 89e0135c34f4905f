//! FindCoordinator: there are neither groups nor transactions here. Transactions are refused for
//! good: a client that is told to try again later would do so for ever. Groups are not:
//! librdkafka's consumers look for their group even when partitions are assigned to them, and a
//! final code would be an error of theirs.
//!
//! It is served all the same: librdkafka takes it for a sign that the broker knows lz4.

use wolff_codec::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};

/// The first version that asks for several coordinators at once.
const FIRST_VERSION_WITH_SEVERAL: i16 = 4;

/// The protocol's number for transactional ids; 0 is groups.
const TRANSACTION: i8 = 1;

impl Serve for FindCoordinatorRequest {
    async fn serve(self, call: &Call<'_>) -> Served<FindCoordinatorResponse> {
        let (code, message) = if self.key_type == TRANSACTION {
            (
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "this broker has no transactions: produce without a transactional id",
            )
        } else {
            (
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                "this broker has no consumer groups: consume from assigned partitions",
            )
        };
        let error_code = call.script.error().unwrap_or(code);
        let error_message = Some(Str::from_static(message));
        Served::Answer(if call.version < FIRST_VERSION_WITH_SEVERAL {
            FindCoordinatorResponse {
                error_code,
                error_message,
                ..Default::default()
            }
        } else {
            let refuse = |key| Coordinator {
                key,
                error_code,
                error_message: error_message.clone(),
                ..Default::default()
            };
            FindCoordinatorResponse {
                coordinators: self.coordinator_keys.into_iter().map(refuse).collect(),
                ..Default::default()
            }
        })
    }
}
