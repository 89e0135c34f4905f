//! ApiVersions: what this broker speaks.

use std::ops::RangeInclusive;

use wolff_codec::ids::CorrelationId;
use wolff_codec::messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use wolff_codec::{ApiKey, ErrorCode, encode_response};

use super::serve::{Call, Reply, Serve, Served};
use super::versions::advertised;
use crate::shared::Shared;

/// The first version of ApiVersions whose brokers answer a request that is too new with what they
/// speak (Kafka 2.4, KIP-511). Older ones send an empty list.
const FIRST_VERSION_WITH_HINT: i16 = 3;

/// The first version of ApiVersions with the client's software, whose name and version a broker
/// checks (KIP-511).
const FIRST_VERSION_WITH_SOFTWARE: i16 = 3;

impl Serve for ApiVersionsRequest {
    async fn serve(self, call: &Call<'_>) -> Served<ApiVersionsResponse> {
        let named = call.version < FIRST_VERSION_WITH_SOFTWARE || is_named(&self);
        let refusal = (!named).then_some(ErrorCode::INVALID_REQUEST);
        Served::Answer(match call.script.error().or(refusal) {
            Some(error_code) => ApiVersionsResponse {
                error_code,
                ..Default::default()
            },
            None => ApiVersionsResponse {
                api_keys: advertised(call.shared).map(version).collect(),
                ..Default::default()
            },
        })
    }
}

/// Returns whether name and version of the client's software are as KIP-511 wants them.
fn is_named(request: &ApiVersionsRequest) -> bool {
    [
        &request.client_software_name,
        &request.client_software_version,
    ]
    .into_iter()
    .all(|text| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let ends = [text.bytes().next(), text.bytes().next_back()];
        text.bytes().all(is_inner)
            && ends
                .iter()
                .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
    })
}

/// The answer to a version that is too new: in version 0, which every client can read.
pub(super) fn refuse_version(shared: &Shared, correlation_id: CorrelationId) -> Reply {
    let Some(own) = advertised(shared).find(|(api, _)| *api == ApiKey::API_VERSIONS) else {
        return Reply::hangup();
    };
    let has_hint = *own.1.end() >= FIRST_VERSION_WITH_HINT;
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: has_hint.then(|| version(own)).into_iter().collect(),
        ..Default::default()
    };
    encode_response(&response, 0, correlation_id).map_or_else(|_| Reply::hangup(), Reply::frame)
}

fn version((api_key, versions): (ApiKey, RangeInclusive<i16>)) -> ApiVersion {
    ApiVersion {
        api_key,
        min_version: *versions.start(),
        max_version: *versions.end(),
        ..Default::default()
    }
}
