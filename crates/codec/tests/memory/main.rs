//! The memory that decoding takes, counted: no small message is refused, and those that brokers
//! send to producers and consumers take at most four times their bytes and 1 MiB.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "here a panic is a failed test"
)]

mod repeated;

use allocation_counter::measure;
use bytes::Bytes;
use wolff_codec::messages::{
    AnyRequest, AnyResponse, BatchIndexAndErrorMessage, FetchResponse, FetchableTopicResponse,
    PartitionData, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, DecodeError, Defect, ErrorCode, Message, PartitionId};

use crate::repeated::{Content, repeated};

/// Beside the lists: a message, an error.
const FEW_BYTES: u64 = 2 << 10;

/// Bytes that decoding allocates at once for each byte of the body, at most.
fn assert_takes(
    name: &str,
    body: &Bytes,
    most: u64,
    decode: impl Fn(&Bytes) -> Option<DecodeError>,
) {
    let mut error = None;
    let info = measure(|| error = decode(body));
    let bytes = u64::try_from(body.len()).unwrap();
    assert_eq!(error, None, "{name}");
    assert!(
        info.bytes_max <= most * bytes + FEW_BYTES,
        "{name}: {} bytes for {bytes}",
        info.bytes_max
    );
}

fn is_flexible(api: ApiKey, version: i16) -> bool {
    let first = api.first_flexible_version();
    first.is_some_and(|first| version >= first)
}

/// Each list of each version, filled with the smallest elements there are.
fn assert_lists_take(apis: &[ApiKey], content: Content, most: u64) {
    for &api in apis {
        for version in AnyRequest::versions(api).into_iter().flatten() {
            let flexible = is_flexible(api, version);
            let response = |body: &Bytes| AnyResponse::decode(api, version, body).err();
            for (number, body) in (0..).zip(repeated(content, flexible, 16 << 10, response)) {
                let name = format!("response {api} {version}, list {number}");
                assert_takes(&name, &body, most, response);
            }
            let request = |body: &Bytes| AnyRequest::decode(api, version, body).err();
            for (number, body) in (0..).zip(repeated(content, flexible, 16 << 10, request)) {
                let name = format!("request {api} {version}, list {number}");
                assert_takes(&name, &body, most.max(64), request);
            }
        }
    }
}

#[test]
fn no_message_of_sixteen_kibibytes_is_refused() {
    for length in [0, 1] {
        for is_null_allowed in [false, true] {
            let content = Content {
                length,
                is_null_allowed,
            };
            assert_lists_take(ApiKey::NAMED, content, 64);
        }
    }
}

#[test]
fn responses_to_producers_and_consumers_take_four_times_their_bytes() {
    let apis = [
        ApiKey::PRODUCE,
        ApiKey::FETCH,
        ApiKey::METADATA,
        ApiKey::LIST_OFFSETS,
    ];
    let content = Content {
        length: 16,
        is_null_allowed: true,
    };
    assert_lists_take(&apis, content, 4);
}

fn body_of(message: &impl Message, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer).unwrap();
    writer.finish().to_bytes()
}

#[test]
fn twenty_thousand_empty_partitions_are_decoded() {
    let partitions = (0..20_000)
        .map(|partition| PartitionData {
            partition_index: PartitionId(partition),
            ..Default::default()
        })
        .collect();
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "orders".into(),
            partitions,
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in [4, 11, 12] {
        let body = body_of(&response, version);
        let decode = |body: &Bytes| FetchResponse::decode(body, version).err();
        // 30 bytes on the wire in version 4, 152 in memory.
        assert_takes("fetch", &body, 6, decode);
        let info = measure(|| assert!(FetchResponse::decode(&body, version).is_ok()));
        let body_bytes = u64::try_from(body.len()).unwrap();
        assert!(info.bytes_max <= 4 * body_bytes + (1 << 20), "{info:?}");
    }
}

#[test]
fn fifty_thousand_named_records_are_decoded() {
    for words in [None, Some("A record without a key")] {
        let record_errors = (0..50_000)
            .map(|batch_index| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message: words.map(Into::into),
                ..Default::default()
            })
            .collect();
        let partition = PartitionProduceResponse {
            error_code: ErrorCode::INVALID_RECORD,
            record_errors,
            ..Default::default()
        };
        let response = ProduceResponse {
            responses: vec![TopicProduceResponse {
                name: "orders".into(),
                partition_responses: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        for version in [8, 9] {
            let body = body_of(&response, version);
            let decode = |body: &Bytes| ProduceResponse::decode(body, version).err();
            assert_takes("produce", &body, 4, decode);
        }
    }
}

/// Groups without a name and a type: three bytes each, and 160 in memory.
fn nameless_groups(count: usize) -> Bytes {
    let mut body = vec![0; 6];
    let mut left = count + 1;
    while left >= 0x80 {
        body.push((left.to_le_bytes()[0]) | 0x80);
        left >>= 7;
    }
    body.push(left.to_le_bytes()[0]);
    body.extend([1, 1, 0].repeat(count));
    body.push(0);
    body.into()
}

#[test]
fn far_more_memory_than_bytes_is_taken_for_small_messages_only() {
    let decode = |body: &Bytes| AnyResponse::decode(ApiKey::LIST_GROUPS, 3, body).err();
    assert_takes("groups", &nameless_groups(6_000), 64, decode);
    let body = nameless_groups(349_000);
    let mut error = None;
    let info = measure(|| error = decode(&body));
    let Some(DecodeError::Malformed(malformed)) = error else {
        panic!("{error:?}");
    };
    let limit = (1 << 20) + 4 * body.len();
    assert_eq!(malformed.defect, Defect::TooMuchMemory { limit });
    assert!(info.bytes_max <= FEW_BYTES, "{} bytes", info.bytes_max);
}
