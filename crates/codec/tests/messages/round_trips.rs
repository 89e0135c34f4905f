//! Encode, decode, equal: every message in every version.

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{AnyRequest, AnyResponse, ApiVersionsRequest, InitProducerIdRequest};
use wolff_codec::{
    ApiKey, CorrelationId, FrameSplitter, Request, RequestHeader, Str, decode_request_header,
    decode_response, encode_request, encode_response, response_correlation_id,
};

use crate::every_message::{AnyMessage, Kind};
use crate::grown::Random;

const PER_KIND: u64 = 100;

fn assert_comes_back<M: AnyMessage>(kind: Kind, grown: &Bytes, message: &M) {
    let encoded = message
        .encode(kind.version)
        .expect("what was decoded can be encoded");
    let decoded = M::decode(kind, &encoded).expect("what was encoded can be decoded");
    assert_eq!(&decoded, message, "{kind:?}");
    // Random booleans are any byte, encoded ones are 0 or 1; all else is alike.
    assert_eq!(encoded.len(), grown.len(), "{kind:?}");
    assert_eq!(decoded.encode(kind.version), Ok(encoded), "{kind:?}");
}

#[test]
fn every_request_of_every_version_comes_back_as_it_went_out() {
    Kind::for_random_messages::<AnyRequest>(PER_KIND, assert_comes_back);
}

#[test]
fn every_response_of_every_version_comes_back_as_it_went_out() {
    Kind::for_random_messages::<AnyResponse>(PER_KIND, assert_comes_back);
}

#[test]
fn random_messages_are_large_and_small() {
    let lengths: Vec<usize> = (0..PER_KIND)
        .map(|seed| {
            let kind = Kind {
                api_key: ApiKey::METADATA,
                version: 12,
            };
            kind.grow::<AnyResponse>(&mut Random::new(seed)).0.len()
        })
        .collect();
    assert!(lengths.iter().any(|&length| length < 60), "{lengths:?}");
    assert!(lengths.iter().any(|&length| length > 300), "{lengths:?}");
}

/// Takes the only frame off its bytes.
fn unframed(frame: &Bytes) -> Bytes {
    let mut buffer = BytesMut::from(&frame[..]);
    let body = FrameSplitter::new(1 << 20)
        .next_frame(&mut buffer)
        .unwrap()
        .unwrap();
    assert!(buffer.is_empty());
    body
}

#[test]
fn whole_requests_and_responses_carry_their_headers() {
    fn check<R: Request>(request: &R)
    where
        R::Response: Default,
    {
        let (id, client) = (CorrelationId(-3), Some("client-1"));
        for version in R::VERSIONS {
            let frame = encode_request(request, version, id, client)
                .unwrap()
                .to_bytes();
            let (header, body) = decode_request_header(&unframed(&frame)).unwrap();
            let expected = RequestHeader {
                api_key: R::API_KEY,
                api_version: version,
                correlation_id: id,
                client_id: client.map(Str::from),
                ..RequestHeader::default()
            };
            assert_eq!(header, expected);
            assert_eq!(R::decode(&body, version).as_ref(), Ok(request));

            let response = R::Response::default();
            let frame = encode_response(&response, version, id).unwrap().to_bytes();
            let frame = unframed(&frame);
            assert_eq!(response_correlation_id(&frame), Ok(id));
            assert_eq!(decode_response(&frame, version), Ok((id, response)));
        }
    }
    check(&InitProducerIdRequest::default());
    check(&ApiVersionsRequest {
        client_software_name: Str::default(), // what the versions without it decode to
        client_software_version: Str::default(),
        ..Default::default()
    });
}
