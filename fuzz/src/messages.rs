//! Frames, headers and messages.

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{
    AnyRequest, AnyResponse, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use wolff_codec::wire::Writer;
use wolff_codec::{
    ApiKey, DecodeError, FrameError, FrameSplitter, RequestHeader, ResponseHeader,
    decode_request_header,
};

/// The ceiling of the frames here.
const MAX_FRAME_BYTES: usize = 1 << 16;

/// Any bytes as a stream: the frames are the same whether it comes at once or in pieces, the first
/// byte says how large, and with their prefixes they are the stream again.
pub fn frame_splitter(data: &[u8]) {
    let Some((&piece_len, stream)) = data.split_first() else {
        return;
    };
    let at_once = frames_of([stream]);
    let in_pieces = frames_of(stream.chunks(usize::from(piece_len).max(1)));
    assert_eq!(at_once, in_pieces);

    let (frames, rest, error) = at_once;
    let mut again = Vec::new();
    for frame in &frames {
        let prefix = i32::try_from(frame.len()).expect("below the ceiling");
        again.extend_from_slice(&prefix.to_be_bytes());
        again.extend_from_slice(frame);
    }
    again.extend_from_slice(&rest);
    assert_eq!(again, stream);
    if let Some(FrameError::TooLarge { length, .. }) = error {
        assert!(length > MAX_FRAME_BYTES);
    }
}

/// The frames of a stream that comes in these pieces, what is left, and why it does not go on.
fn frames_of<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Bytes>, BytesMut, Option<FrameError>) {
    let splitter = FrameSplitter::new(MAX_FRAME_BYTES);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut error = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while error.is_none() {
            match splitter.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(refused) => error = Some(refused),
            }
        }
    }
    (frames, buffer, error)
}

/// Any bytes as a request with its header; and as the body of a request, of which the first two
/// bytes choose the API and the version.
pub fn requests(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    if let Ok((header, body)) = decode_request_header(&frame) {
        let mut out = Writer::new();
        header
            .encode(&mut out)
            .expect("what was decoded can be encoded");
        let decoded = RequestHeader::decode(&out.finish().to_bytes());
        assert_eq!(decoded, Ok((header.clone(), Bytes::new())));
        let _ = AnyRequest::decode(header.api_key, header.api_version, &body);
    }
    if let Some((api_key, version, body)) = selected(&frame) {
        comes_back(
            |body| AnyRequest::decode(api_key, version, body),
            |request, out| request.encode(version, out),
            &body,
        );
    }
}

/// Any bytes as the body of a response, of which the first two bytes choose the API and the
/// version; and all of them as a response of that kind with its header.
pub fn responses(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    if let Some((api_key, version, body)) = selected(&frame) {
        comes_back(
            |body| AnyResponse::decode(api_key, version, body),
            |response, out| response.encode(version, out),
            &body,
        );
        if let Ok((header, _)) = ResponseHeader::decode(&frame, api_key, version) {
            let mut out = Writer::new();
            let encoded = header.encode(api_key, version, &mut out);
            encoded.expect("what was decoded can be encoded");
            let decoded = ResponseHeader::decode(&out.finish().to_bytes(), api_key, version);
            assert_eq!(decoded, Ok((header, Bytes::new())));
        }
    }
}

/// The API and version that two bytes choose, and the others.
fn selected(data: &Bytes) -> Option<(ApiKey, i16, Bytes)> {
    let [api, version] = *data.first_chunk()?;
    let mut known = ApiKey::NAMED
        .iter()
        .filter_map(|&key| Some((key, AnyRequest::versions(key)?)));
    let count = known.clone().count();
    let (api_key, mut versions) = known.nth(usize::from(api) % count)?;
    let count = versions.clone().count();
    let version = versions.nth(usize::from(version) % count)?;
    Some((api_key, version, data.slice(2..)))
}

/// Whatever is decoded can be encoded, and is the same message when it is decoded again.
fn comes_back<M: PartialEq + std::fmt::Debug>(
    decode: impl Fn(&Bytes) -> Result<M, DecodeError>,
    encode: impl Fn(&M, &mut Writer) -> Result<(), wolff_codec::EncodeError>,
    body: &Bytes,
) {
    let Ok(message) = decode(body) else {
        return;
    };
    let mut out = Writer::new();
    encode(&message, &mut out).expect("what was decoded can be encoded");
    let encoded = out.finish();
    assert_eq!(decode(&encoded.to_bytes()), Ok(message));
}

/// Any bytes as what members of a group send one another: what is decoded can be encoded in the
/// newest version, and is the same when it is decoded again.
pub fn consumer_protocol(data: &[u8]) {
    const NEWEST: i16 = 3;
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(subscription) = ConsumerProtocolSubscription::decode(&bytes) {
        let encoded = subscription.encode(NEWEST);
        let encoded = encoded.expect("what was decoded can be encoded");
        let decoded = ConsumerProtocolSubscription::decode(&encoded);
        assert_eq!(decoded, Ok(subscription));
    }
    if let Ok(assignment) = ConsumerProtocolAssignment::decode(&bytes) {
        let encoded = assignment.encode(NEWEST);
        let encoded = encoded.expect("what was decoded can be encoded");
        let decoded = ConsumerProtocolAssignment::decode(&encoded);
        assert_eq!(decoded, Ok(assignment));
    }
}
