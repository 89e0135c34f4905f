//! The request that shows whether a connection is still there after a long idleness.

use wolff_codec::messages::{ApiVersionsRequest, MetadataRequest};
use wolff_codec::wire::Chunks;
use wolff_codec::{ApiKey, CorrelationId, VersionRanges, encode_request};

/// The smallest request to which the broker responds in any state: its versions, or, where it was
/// not asked for those, its brokers.
pub(super) fn encode(
    versions: &VersionRanges,
    id: CorrelationId,
    client_id: Option<&str>,
) -> Option<(ApiKey, Chunks)> {
    if let Ok(version) = versions.pick_within::<ApiVersionsRequest>(0..=0) {
        let request = ApiVersionsRequest::default();
        let frame = encode_request(&request, version, id, client_id).ok()?;
        return Some((ApiKey::API_VERSIONS, frame));
    }
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    let version = versions.pick_for(&request).ok()?;
    let frame = encode_request(&request, version, id, client_id).ok()?;
    Some((ApiKey::METADATA, frame))
}
