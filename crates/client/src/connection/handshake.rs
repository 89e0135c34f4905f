//! The first request on a connection, as a type per step; no I/O.
//!
//! A broker that does not know the newest version of ApiVersions responds in version 0 with
//! UNSUPPORTED_VERSION, from 2.4 on with the range that it does know (KIP-511). Brokers that are
//! not Apache's respond with that code in other shapes, or close the connection: all of them are
//! asked in version 0, which everybody speaks.

use super::answer::decode_front;
use bytes::Bytes;
use wolff_codec::CorrelationId;
use wolff_codec::messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    ApiKey, ErrorCode, FrameError, Message, Str, VersionRanges, decode_response, encode_request,
    response_correlation_id,
};

use crate::config::{SOFTWARE_NAME, SOFTWARE_VERSION};
use crate::error::{HostReason, NotKafka};

/// The largest answer before the handshake is over, in bytes.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Waits for the answer to ApiVersions.
#[derive(Debug)]
pub(super) struct AskVersions {
    version: i16,
    correlation_id: CorrelationId,
    client_id: Option<Str>,
}

/// Next step after a response.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask again: send this, and wait for the answer with that.
    Again(Chunks, AskVersions),
    /// The connection can be used for everything in these versions.
    Ready(Vec<ApiVersion>),
}

impl AskVersions {
    /// The newest version that is tried.
    pub(super) const NEWEST: i16 = *ApiVersionsRequest::VERSIONS.end();

    /// The version that every broker since 0.10 speaks.
    pub(super) const OLDEST: i16 = 0;

    /// The first request, and what its response must be given to.
    pub(super) fn start(
        client_id: Option<Str>,
        version: i16,
    ) -> Result<(Chunks, Self), HostReason> {
        let ask = Self {
            version,
            correlation_id: CorrelationId(0),
            client_id,
        };
        Ok((ask.encode()?, ask))
    }

    fn encode(&self) -> Result<Chunks, HostReason> {
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static(SOFTWARE_NAME),
            client_software_version: Str::from_static(SOFTWARE_VERSION),
            ..ApiVersionsRequest::default()
        };
        encode_request(
            &request,
            self.version,
            self.correlation_id,
            self.client_id.as_deref(),
        )
        .map_err(|error| HostReason::NotKafka(NotKafka::Answer(error.to_string())))
    }

    /// Reads the answer.
    pub(super) fn handle_frame(self, frame: &Bytes) -> Result<Step, HostReason> {
        let nonsense = |what: String| HostReason::NotKafka(NotKafka::Answer(what));
        let got = response_correlation_id(frame).map_err(|error| nonsense(error.to_string()))?;
        if got != self.correlation_id {
            return Err(nonsense(format!(
                "answer {got} to request {}",
                self.correlation_id
            )));
        }
        if error_code(frame) == Some(ErrorCode::UNSUPPORTED_VERSION) {
            return self.fall_back(offered(frame));
        }
        let (answer, extra) = decode_front::<ApiVersionsResponse>(frame, self.version)
            .map_err(|error| nonsense(error.to_string()))?;
        if extra > 0 {
            tracing::debug!(extra, "bytes after the response to ApiVersions are ignored");
        }
        if !answer.error_code.is_ok() {
            return Err(HostReason::Rejected(answer.error_code));
        }
        Ok(Step::Ready(answer.api_keys))
    }

    /// Asks in a version that the broker offers, or in 0 when it offers nothing.
    fn fall_back(self, offered: i16) -> Result<Step, HostReason> {
        // Each round must come down, or a broker could keep us asking for ever.
        let version = offered.clamp(0, self.version.saturating_sub(1).max(0));
        if version == self.version {
            return Err(HostReason::Rejected(ErrorCode::UNSUPPORTED_VERSION));
        }
        let again = Self {
            version,
            correlation_id: CorrelationId(self.correlation_id.0.wrapping_add(1)),
            client_id: self.client_id,
        };
        Ok(Step::Again(again.encode()?, again))
    }
}

/// The versions to use of those that a broker has: no newer ones than `max_versions` says.
pub(super) fn usable(
    mut api_keys: Vec<ApiVersion>,
    max_versions: &[(ApiKey, i16)],
) -> VersionRanges {
    for api in &mut api_keys {
        for (_, newest) in max_versions.iter().filter(|(key, _)| *key == api.api_key) {
            api.max_version = api.max_version.min(*newest);
        }
    }
    VersionRanges::from(&ApiVersionsResponse {
        api_keys,
        ..ApiVersionsResponse::default()
    })
}

/// The versions of Kafka 0.11, for when no broker is to be asked.
pub(super) fn assumed_versions() -> Vec<ApiVersion> {
    let contemporaries = [
        (ApiKey::PRODUCE, 3),
        (ApiKey::FETCH, 4),
        (ApiKey::LIST_OFFSETS, 2),
        (ApiKey::METADATA, 4),
        (ApiKey::FIND_COORDINATOR, 1),
        (ApiKey::SASL_HANDSHAKE, 0),
        (ApiKey::CREATE_TOPICS, 2),
        (ApiKey::DELETE_TOPICS, 1),
        (ApiKey::INIT_PRODUCER_ID, 0),
        (ApiKey::DESCRIBE_CONFIGS, 0),
    ];
    let api_keys = contemporaries.map(|(api_key, version)| ApiVersion {
        api_key,
        min_version: version,
        max_version: version,
        ..ApiVersion::default()
    });
    api_keys.into()
}

/// The newest version of ApiVersions that a refusal offers. Only one that is exactly of version 0
/// is believed to offer anything.
fn offered(frame: &Bytes) -> i16 {
    let refusal = decode_response::<ApiVersionsResponse>(frame, 0);
    let api_keys = refusal.map_or(Vec::new(), |(_, refusal)| refusal.api_keys);
    api_keys
        .iter()
        .find(|api| api.api_key == ApiKey::API_VERSIONS)
        .map_or(0, |api| api.max_version)
}

/// The error code, which stands right behind the correlation id in every version.
fn error_code(frame: &Bytes) -> Option<ErrorCode> {
    let code = frame.get(4..6)?.first_chunk::<2>()?;
    Some(ErrorCode(i16::from_be_bytes(*code)))
}

/// Names the peer that is not Kafka by `received`, the bytes where a frame should be.
pub(super) fn not_a_frame(received: &[u8], error: FrameError) -> HostReason {
    HostReason::NotKafka(match received {
        [b'H', b'T', b'T', b'P', ..] => NotKafka::Http,
        // Content type alert (21) or handshake (22), then major version 3.
        [21 | 22, 3, ..] => NotKafka::Tls,
        _ => NotKafka::Frame(error),
    })
}
