//! FindCoordinator: there are neither groups nor transactions here, so nobody coordinates.
//!
//! It is served all the same: librdkafka takes it for a sign that the broker knows lz4.

use wolff_codec::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};

/// The first version that asks for several coordinators at once.
const FIRST_VERSION_WITH_SEVERAL: i16 = 4;

impl Serve for FindCoordinatorRequest {
    async fn serve(self, call: &Call<'_>) -> Served<FindCoordinatorResponse> {
        let error_code = call
            .script
            .error()
            .unwrap_or(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        let error_message = Some(Str::from_static("there are no coordinators here"));
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
