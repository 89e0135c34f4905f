//! Whole responses: a frame with header and body.

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::frame::encode_frame;
use crate::header::ResponseHeader;
use crate::ids::CorrelationId;
use crate::message::Message;
use crate::wire::Chunks;

/// Encodes a response as a whole frame, its length prefix included.
///
/// ```
/// use wolff_codec::messages::InitProducerIdResponse;
/// use wolff_codec::{CorrelationId, FrameSplitter, ProducerId, decode_response, encode_response};
///
/// let response = InitProducerIdResponse { producer_id: ProducerId(42), ..Default::default() };
/// let frame = encode_response(&response, 4, CorrelationId(7))?;
///
/// let mut received = bytes::BytesMut::from(&frame.to_bytes()[..]);
/// let frame = FrameSplitter::new(1 << 20).next_frame(&mut received)?.expect("a whole frame");
/// assert_eq!(decode_response(&frame, 4)?, (CorrelationId(7), response));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EncodeError`] when the version is unknown or cannot carry the response, or when the frame
/// exceeds 2 GiB.
pub fn encode_response<M: Message>(
    response: &M,
    version: i16,
    correlation_id: CorrelationId,
) -> Result<Chunks, EncodeError> {
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    encode_frame(|out| {
        header.encode(M::API_KEY, version, out)?;
        response.encode(version, out)
    })
}

/// The correlation id of a response, which has lost its length prefix: every header version begins
/// with it.
///
/// # Errors
/// [`DecodeError::Malformed`] when the frame is too short.
pub fn response_correlation_id(frame: &Bytes) -> Result<CorrelationId, DecodeError> {
    ResponseHeader::decode(frame, ApiKey::API_VERSIONS, 0).map(|(header, _)| header.correlation_id)
}

/// Reads a whole response, which has lost its length prefix.
///
/// # Errors
/// [`DecodeError`] when the version is unknown, or when the bytes are not what it prescribes.
pub fn decode_response<M: Message>(
    frame: &Bytes,
    version: i16,
) -> Result<(CorrelationId, M), DecodeError> {
    let (header, body) = ResponseHeader::decode(frame, M::API_KEY, version)?;
    Ok((header.correlation_id, M::decode(&body, version)?))
}
