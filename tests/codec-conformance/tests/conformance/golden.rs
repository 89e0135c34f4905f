//! Messages of real brokers and clients: understood, and written again to the same bytes.

use std::collections::BTreeSet;
use std::fs;

use bytes::{Bytes, BytesMut};
use wolff_codec::decode_request_header;
use wolff_codec::messages::{AnyRequest, AnyResponse};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, DecodeError, Defect, EncodeError, ErrorCode, ResponseHeader};
use wolff_codec_conformance::coverage;
use wolff_codec_conformance::golden::{self, Direction, Message};

/// Decodes a frame and encodes it again.
fn again(message: &Message, frame: &Bytes) -> Result<Bytes, DecodeError> {
    let Message {
        api_key, version, ..
    } = *message;
    let mut out = Writer::new();
    let encoded: Result<(), EncodeError> = match message.direction {
        Direction::Request => {
            let (header, body) = decode_request_header(frame)?;
            assert_eq!((header.api_key, header.api_version), (api_key, version));
            let request = AnyRequest::decode(api_key, version, &body)?;
            header
                .encode(&mut out)
                .and_then(|()| request.encode(version, &mut out))
        }
        Direction::Response => {
            let (header, body) = ResponseHeader::decode(frame, api_key, version)?;
            let response = AnyResponse::decode(api_key, version, &body)?;
            let encoded = header.encode(api_key, version, &mut out);
            encoded.and_then(|()| response.encode(version, &mut out))
        }
    };
    encoded.expect("what was decoded can be encoded");
    Ok(out.finish().to_bytes())
}

fn name(message: &Message) -> String {
    let Message {
        api_key,
        version,
        direction,
        writer,
        ..
    } = message;
    format!("{api_key} {version}, {direction} by {writer}")
}

#[test]
fn every_message_is_understood_and_written_to_the_same_bytes() {
    for message in golden::messages().unwrap() {
        let bytes = again(&message, &message.frame);
        assert_eq!(bytes.as_ref(), Ok(&message.frame), "{}", name(&message));
    }
}

#[test]
fn every_message_cut_at_any_byte_is_an_error() {
    for message in golden::messages().unwrap() {
        for length in 0..message.frame.len() {
            let cut = message.frame.slice(..length);
            assert!(
                again(&message, &cut).is_err(),
                "{}: {length} bytes",
                name(&message)
            );
        }
    }
}

#[test]
fn every_message_with_bytes_behind_it_is_an_error_that_says_how_many() {
    for message in golden::messages().unwrap() {
        for appended in [&[0][..], &[1], &[0xff, 0, 0, 0, 0, 0, 0, 1]] {
            let mut longer = BytesMut::from(&message.frame[..]);
            longer.extend_from_slice(appended);
            let Err(DecodeError::Malformed(malformed)) = again(&message, &longer.freeze()) else {
                panic!("{}", name(&message));
            };
            let count = appended.len();
            assert_eq!(
                malformed.defect,
                Defect::LeftOver { count },
                "{}",
                name(&message)
            );
        }
    }
}

#[test]
fn a_broker_has_answered_every_version_that_any_release_accepts() {
    let messages = golden::messages().unwrap();
    let answered: BTreeSet<(ApiKey, i16)> = messages
        .iter()
        .filter(|message| message.direction == Direction::Response)
        .map(|message| (message.api_key, message.version))
        .collect();
    for &api_key in ApiKey::NAMED {
        for version in AnyRequest::versions(api_key).into_iter().flatten() {
            assert!(
                answered.contains(&(api_key, version)),
                "{api_key} {version}"
            );
        }
    }
}

#[test]
fn the_page_of_who_checked_what_is_up_to_date() {
    let page = fs::read_to_string(golden::folder().join("README.md")).unwrap();
    let expected = coverage::page(&golden::messages().unwrap(), &golden::batches().unwrap());
    assert_eq!(page, expected);
}

/// Brokers expect of everyone what Java's clients do on an error.
#[test]
fn every_error_code_of_kafka_has_our_name_and_advice() {
    let tables = fs::read_to_string(golden::folder().join("tables.txt")).unwrap();
    let mut count = 0;
    for line in tables
        .lines()
        .filter_map(|line| line.strip_prefix("error "))
    {
        let [code, name, kind] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let ours = ErrorCode(code.parse().unwrap());
        assert_eq!(ours.name(), Some(name));
        assert_eq!(ours.is_retriable(), kind != "final", "{ours}");
        assert_eq!(ours.needs_metadata_refresh(), kind == "stale", "{ours}");
        count += 1;
    }
    assert_eq!(count, ErrorCode::NAMED.len());
}

#[test]
fn every_api_of_kafka_has_our_name_and_first_flexible_version() {
    let tables = fs::read_to_string(golden::folder().join("tables.txt")).unwrap();
    let mut count = 0;
    for line in tables.lines().filter_map(|line| line.strip_prefix("api ")) {
        let [key, name, oldest, newest, flexible] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let ours = ApiKey(key.parse().unwrap());
        assert_eq!(ours.name(), Some(name));
        // Java says -1 for none, and cannot speak of versions that it has dropped.
        let (oldest, newest): (i16, i16) = (oldest.parse().unwrap(), newest.parse().unwrap());
        let expected = (oldest..=newest).find(|&version| ours.request_header_version(version) >= 2);
        assert_eq!(
            expected.unwrap_or(-1),
            flexible.parse::<i16>().unwrap(),
            "{ours}"
        );
        count += 1;
    }
    assert_eq!(count, ApiKey::NAMED.len());
}
