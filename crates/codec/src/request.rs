//! Whole requests: a frame with header and body.

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::frame::encode_frame;
use crate::header::RequestHeader;
use crate::ids::CorrelationId;
use crate::message::Request;
use crate::text::Str;
use crate::wire::Chunks;

/// Encodes a request as a whole frame, its length prefix included. Record batches are linked into
/// it, not copied.
///
/// ```
/// use wolff_codec::messages::MetadataRequest;
/// use wolff_codec::{CorrelationId, encode_request};
///
/// let request = MetadataRequest { topics: None, ..Default::default() };
/// let frame = encode_request(&request, 9, CorrelationId(7), Some("client-1"))?;
/// assert_eq!(frame.len(), 4 + 19 + 5);
/// # Ok::<(), wolff_codec::EncodeError>(())
/// ```
///
/// # Errors
/// [`EncodeError`] when the version is unknown or cannot carry the request, or when the frame
/// exceeds 2 GiB.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: CorrelationId,
    client_id: Option<&str>,
) -> Result<Chunks, EncodeError> {
    let header = RequestHeader {
        api_key: R::API_KEY,
        api_version: version,
        correlation_id,
        client_id: client_id.map(Str::from),
        ..RequestHeader::default()
    };
    encode_frame(|out| {
        header.encode(out)?;
        request.encode(version, out)
    })
}

/// Reads the header at the front of a request, which has lost its length prefix; returns it with
/// the body.
///
/// # Errors
/// [`DecodeError::Malformed`] when the frame does not begin with a header.
pub fn decode_request_header(frame: &Bytes) -> Result<(RequestHeader, Bytes), DecodeError> {
    RequestHeader::decode(frame)
}
