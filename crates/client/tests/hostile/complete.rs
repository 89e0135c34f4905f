//! The list of lengths is complete.

use bytes::Bytes;
use wolff_client::codec::messages::{MetadataResponse, MetadataResponseBroker};
use wolff_client::codec::{CorrelationId, Message, decode_response, encode_response};

use crate::lengths::{Width, lengths_of};

fn found(version: i16) -> Vec<(usize, Width)> {
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            host: "h".into(),
            rack: Some("r".into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = encode_response(&response, version, CorrelationId(1)).unwrap();
    let frame = frame.to_bytes().slice(4..);
    let decode = |cut: &Bytes| decode_response::<MetadataResponse>(cut, version);
    let lengths = lengths_of(&frame, decode).into_iter();
    lengths
        .map(|length| (length.offset, length.width))
        .collect()
}

#[test]
fn every_length_of_a_response_is_found() {
    use Width::{Compact, Four, Two};
    // Correlation id, throttle time, then: brokers, host, rack, cluster id, topics.
    let classic = [(8, Four), (16, Two), (23, Two), (26, Two), (32, Four)];
    assert_eq!(found(4), classic);
    // The tags of the header come first, and every struct has some at its end.
    let flexible = [4, 9, 14, 20, 22, 23, 28, 33].map(|offset| (offset, Compact));
    assert_eq!(found(12)[..3], flexible[..3]);
    assert_eq!(found(12).len(), flexible.len());
    assert!(MetadataResponse::is_flexible(12));
}
