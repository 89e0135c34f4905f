//! Bytes that are no message: every one of them is an error, none a panic.

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{AnyRequest, AnyResponse, MetadataResponse};
use wolff_codec::{DecodeError, Defect, Message, decode_request_header, decode_response};

use crate::every_message::{AnyMessage, Kind};
use crate::grown::Random;

fn assert_cut_anywhere_is_an_error<M: AnyMessage>(kind: Kind, body: &Bytes, _: &M) {
    for length in 0..body.len() {
        let cut = body.slice(..length);
        assert!(
            M::decode(kind, &cut).is_err(),
            "{kind:?}: {length} bytes of {body:?}"
        );
    }
}

fn assert_one_byte_more_is_an_error<M: AnyMessage>(kind: Kind, body: &Bytes, _: &M) {
    for byte in [0, 1, 0xff] {
        let mut longer = BytesMut::from(&body[..]);
        longer.extend_from_slice(&[byte]);
        let error = M::decode(kind, &longer.freeze()).expect_err("a byte is left over");
        let DecodeError::Malformed(malformed) = &error else {
            panic!("{kind:?}: {error}");
        };
        assert_eq!(malformed.defect, Defect::LeftOver { count: 1 }, "{kind:?}");
        assert_eq!(malformed.offset, body.len(), "{kind:?}");
    }
}

#[test]
fn a_message_cut_at_any_byte_is_an_error() {
    Kind::for_random_messages::<AnyRequest>(3, assert_cut_anywhere_is_an_error);
    Kind::for_random_messages::<AnyResponse>(3, assert_cut_anywhere_is_an_error);
}

#[test]
fn a_byte_behind_a_message_is_an_error() {
    Kind::for_random_messages::<AnyRequest>(6, assert_one_byte_more_is_an_error);
    Kind::for_random_messages::<AnyResponse>(6, assert_one_byte_more_is_an_error);
}

/// Damages a few bytes; whatever still decodes must also encode.
fn assert_damage_is_survived<M: AnyMessage>(kind: Kind, body: &Bytes, _: &M) {
    let mut random = Random::new(body.len() as u64);
    for _ in 0..20 {
        let mut damaged = BytesMut::from(&body[..]);
        for _ in 0..=random.below(2) {
            let extreme = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.below(6)];
            let position = random.below(body.len().max(1));
            if let Some(byte) = damaged.get_mut(position) {
                *byte = extreme;
            }
        }
        if let Ok(message) = M::decode(kind, &damaged.freeze()) {
            let encoded = message
                .encode(kind.version)
                .expect("what was decoded can be encoded");
            assert_eq!(M::decode(kind, &encoded).as_ref(), Ok(&message), "{kind:?}");
        }
    }
}

#[test]
fn damaged_messages_are_errors_or_other_messages() {
    Kind::for_random_messages::<AnyRequest>(10, assert_damage_is_survived);
    Kind::for_random_messages::<AnyResponse>(10, assert_damage_is_survived);
}

#[test]
fn an_error_says_where() {
    let mut body = BytesMut::new();
    body.extend_from_slice(&[0, 0, 0, 0]); // throttle_time_ms
    body.extend_from_slice(&[0, 0, 0, 1]); // one broker
    body.extend_from_slice(&[0, 0, 0, 7, 0, 5, b'k', b'a']); // its id, a host that is cut short
    let error = MetadataResponse::decode(&body.freeze(), 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "brokers[0].host at byte 14: the content needs 5 bytes, 2 remain"
    );
}

#[test]
fn headers_that_are_cut_short_are_errors() {
    let header = [0, 3, 0, 9, 0, 0, 0, 1, 0, 2, b'm', b'e', 0];
    assert!(decode_request_header(&Bytes::copy_from_slice(&header)).is_ok());
    for length in 0..header.len() {
        let cut = Bytes::copy_from_slice(&header[..length]);
        assert!(decode_request_header(&cut).is_err());
    }
    for length in 0..4 {
        let cut = Bytes::copy_from_slice(&header[..length]);
        assert!(decode_response::<MetadataResponse>(&cut, 9).is_err());
    }
}
