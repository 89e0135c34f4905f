//! InitProducerId: a fresh id for an idempotent producer.

use wolff_codec::ErrorCode;
use wolff_codec::ids::ProducerEpoch;
use wolff_codec::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::serve::{Call, Serve, Served};

impl Serve for InitProducerIdRequest {
    /// Always a fresh id with epoch 0: what the client had before counts for transactional
    /// producers only, and of those there are none here.
    async fn serve(self, call: &Call<'_>) -> Served<InitProducerIdResponse> {
        let refusal = if self.transactional_id.is_some() {
            Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        } else {
            call.script.error()
        };
        Served::Answer(match refusal {
            Some(error_code) => InitProducerIdResponse {
                error_code,
                ..Default::default()
            },
            None => InitProducerIdResponse {
                throttle_time_ms: call.script.throttle_ms(),
                producer_id: call.shared.change(|model| model.new_producer_id()),
                producer_epoch: ProducerEpoch(0),
                ..Default::default()
            },
        })
    }
}
