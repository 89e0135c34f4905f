//! The first words on a connection, as a type per step; no I/O.
//!
//! A broker that does not know the newest version of ApiVersions answers in version 0 with
//! UNSUPPORTED_VERSION, from 2.4 on with the range that it does know (KIP-511).

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

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask again: send this, and wait for the answer with that.
    Again(Chunks, AskVersions),
    /// The connection can be used for everything in these ranges.
    Ready(VersionRanges),
}

impl AskVersions {
    /// The first request, and what its answer must be given to.
    pub(super) fn start(client_id: Option<Str>) -> Result<(Chunks, Self), HostReason> {
        let ask = Self {
            version: *ApiVersionsRequest::VERSIONS.end(),
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
        let is_refused = error_code(frame) == Some(ErrorCode::UNSUPPORTED_VERSION);
        let version = if is_refused { 0 } else { self.version };
        let (_, answer) = decode_response::<ApiVersionsResponse>(frame, version)
            .map_err(|error| nonsense(error.to_string()))?;
        if is_refused {
            return self.fall_back(&answer);
        }
        if !answer.error_code.is_ok() {
            return Err(HostReason::Rejected(answer.error_code));
        }
        Ok(Step::Ready(VersionRanges::from(&answer)))
    }

    /// Asks in a version that the broker offers, or in 0 when it offers nothing.
    fn fall_back(self, answer: &ApiVersionsResponse) -> Result<Step, HostReason> {
        let offered = answer
            .api_keys
            .iter()
            .find(|api| api.api_key == ApiKey::API_VERSIONS)
            .map_or(0, |api| api.max_version);
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

/// The versions of Kafka 0.11, for when nobody is to be asked.
pub(super) fn assumed_versions() -> VersionRanges {
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
    VersionRanges::from(&ApiVersionsResponse {
        api_keys: api_keys.into(),
        ..ApiVersionsResponse::default()
    })
}

/// The error code, which stands right behind the correlation id in every version.
fn error_code(frame: &Bytes) -> Option<ErrorCode> {
    let code = frame.get(4..6)?.first_chunk::<2>()?;
    Some(ErrorCode(i16::from_be_bytes(*code)))
}

/// Who is there, when it is not Kafka: `received` is what came where a frame should be.
pub(super) fn not_a_frame(received: &[u8], error: FrameError) -> HostReason {
    HostReason::NotKafka(match received {
        [b'H', b'T', b'T', b'P', ..] => NotKafka::Http,
        // Content type alert (21) or handshake (22), then major version 3.
        [21 | 22, 3, ..] => NotKafka::Tls,
        _ => NotKafka::Frame(error),
    })
}
