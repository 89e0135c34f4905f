//! Messages that consumers of a classic group send one another through the coordinator.

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions,
};
use wolff_codec::{DecodeError, Defect, PartitionId, Str};

fn owned() -> Vec<TopicPartitions> {
    vec![TopicPartitions {
        topic: Str::from("orders"),
        partitions: vec![PartitionId(0), PartitionId(7)],
    }]
}

fn subscription() -> ConsumerProtocolSubscription {
    ConsumerProtocolSubscription {
        topics: vec![Str::from("orders"), Str::from("bills")],
        user_data: Some(Bytes::from_static(b"mine")),
        owned_partitions: owned(),
        generation_id: 4,
        rack_id: Some(Str::from("b")),
    }
}

#[test]
fn a_subscription_comes_back_with_the_fields_of_its_version() {
    for version in 0..=3 {
        let bytes = subscription().encode(version).unwrap();
        let mut expected = subscription();
        if version < 1 {
            expected.owned_partitions.clear();
        }
        if version < 2 {
            expected.generation_id = -1;
        }
        if version < 3 {
            expected.rack_id = None;
        }
        assert_eq!(ConsumerProtocolSubscription::decode(&bytes), Ok(expected));
    }
}

/// As the Java client writes it: version 1, one topic, no user data, one owned partition.
#[test]
fn a_subscription_has_the_bytes_of_the_java_client() {
    let bytes = Bytes::from_static(
        b"\x00\x01\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x05",
    );
    let expected = ConsumerProtocolSubscription {
        topics: vec![Str::from("t")],
        owned_partitions: vec![TopicPartitions {
            topic: Str::from("t"),
            partitions: vec![PartitionId(5)],
        }],
        ..Default::default()
    };
    assert_eq!(
        ConsumerProtocolSubscription::decode(&bytes).as_ref(),
        Ok(&expected)
    );
    assert_eq!(expected.encode(1), Ok(bytes));
}

#[test]
fn an_assignment_comes_back() {
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: owned(),
        user_data: None,
    };
    for version in 0..=3 {
        let bytes = assignment.encode(version).unwrap();
        assert_eq!(
            ConsumerProtocolAssignment::decode(&bytes).as_ref(),
            Ok(&assignment)
        );
    }
}

#[test]
fn a_newer_version_is_read_as_the_newest_known_one() {
    let mut bytes = BytesMut::from(&subscription().encode(3).unwrap()[..]);
    bytes[..2].copy_from_slice(&9_i16.to_be_bytes());
    bytes.extend_from_slice(b"a field of version 9");
    let decoded = ConsumerProtocolSubscription::decode(&bytes.freeze());
    assert_eq!(decoded, Ok(subscription()));
}

#[test]
fn a_subscription_that_is_cut_or_too_long_is_an_error() {
    for version in 0..=3 {
        let bytes = subscription().encode(version).unwrap();
        for length in 0..bytes.len() {
            assert!(ConsumerProtocolSubscription::decode(&bytes.slice(..length)).is_err());
        }
        let mut longer = BytesMut::from(&bytes[..]);
        longer.extend_from_slice(&[0]);
        match ConsumerProtocolSubscription::decode(&longer.freeze()) {
            Err(DecodeError::Malformed(malformed)) => {
                assert_eq!(malformed.defect, Defect::LeftOver { count: 1 });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_version_that_does_not_exist_is_an_error() {
    for version in [-1, 4] {
        let error = subscription().encode(version).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the consumer protocol has no version {version} here: known are 0 to 3")
        );
    }
    let negative = Bytes::from_static(&[0xff, 0xff, 0, 0, 0, 0]);
    assert!(matches!(
        ConsumerProtocolAssignment::decode(&negative),
        Err(DecodeError::UnsupportedConsumerProtocol { version: -1, .. })
    ));
}
