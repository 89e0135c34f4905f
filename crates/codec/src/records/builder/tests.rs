//! The builder against the format's definition.

use bytes::{BufMut, Bytes};
use proptest::prelude::*;

use super::*;
use crate::{
    Str,
    records::{FrameTotals, Header},
};

/// A record as the format's definition has it, byte by byte.
fn naive(record: &RecordRef<'_>, base_timestamp_ms: i64, offset_delta: u32) -> Vec<u8> {
    fn put(out: &mut Vec<u8>, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
        put(
            out,
            bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap()),
        );
        out.extend_from_slice(bytes.unwrap_or_default());
    }
    let mut body = vec![0];
    put(
        &mut body,
        record.timestamp_ms.wrapping_sub(base_timestamp_ms),
    );
    put(&mut body, offset_delta.into());
    put_bytes(&mut body, record.key);
    put_bytes(&mut body, record.value);
    put(&mut body, i64::try_from(record.headers.len()).unwrap());
    for header in record.headers {
        put_bytes(&mut body, Some(header.key.as_bytes()));
        put_bytes(&mut body, header.value.as_deref());
    }
    let mut bytes = Vec::new();
    put(&mut bytes, i64::try_from(body.len()).unwrap());
    [bytes, body].concat()
}

type OwnedRecord = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<Header>);

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let header = (
        "[a-zé]{0,3}",
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
    );
    let headers = proptest::collection::vec(header, 0..4);
    let timestamp = prop_oneof![any::<i64>(), -1000i64..1000];
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| {
        let headers = headers.into_iter().map(|(key, value)| Header {
            key: Str::from(key),
            value: value.map(Bytes::from),
        });
        (timestamp, key, value, headers.collect())
    })
}

fn borrow((timestamp_ms, key, value, headers): &OwnedRecord) -> RecordRef<'_> {
    RecordRef {
        timestamp_ms: *timestamp_ms,
        key: key.as_deref(),
        value: value.as_deref(),
        headers,
    }
}

fn value(bytes: &[u8]) -> RecordRef<'_> {
    RecordRef {
        value: Some(bytes),
        ..RecordRef::default()
    }
}

proptest! {
    #[test]
    fn frames_are_the_records_of_the_definition_wherever_they_are_cut(
        base: i64,
        records in proptest::collection::vec((any_record(), 0..4), 1..40),
        restarts in 0..2,
    ) {
        let mut builder = RecordsBuilder::new(0);
        for _ in 0..restarts {
            builder.append(&value(b"of an earlier batch")).unwrap();
        }
        builder.restart(base);
        let mut expected = Vec::new();
        let mut frames = Vec::new();
        for (index, (record, cut)) in records.iter().enumerate() {
            let record = borrow(record);
            let bytes = naive(&record, base, u32::try_from(index).unwrap());
            prop_assert_eq!(builder.encoded_size(&record), bytes.len());
            let batch_len = BATCH_HEADER_BYTES + builder.byte_len() + bytes.len();
            prop_assert!(builder.would_fit(&record, batch_len));
            prop_assert!(!builder.would_fit(&record, batch_len - 1));
            prop_assert_eq!(builder.append(&record), Ok(bytes.len()));
            expected.extend_from_slice(&bytes);
            prop_assert_eq!(builder.byte_len(), expected.len());
            match cut {
                0 => frames.extend(builder.cut()),
                1 => frames.extend(builder.cut_with_trailer(|_, trailer| trailer.put_slice(&[0xee; 9000]))),
                _ => {}
            }
        }
        frames.extend(builder.cut());
        prop_assert_eq!(builder.cut(), None);
        prop_assert_eq!(builder.uncut_len(), 0);

        let concatenated: Vec<u8> = frames.iter().flat_map(|frame| frame.records.to_vec()).collect();
        prop_assert_eq!(&concatenated, &expected);
        prop_assert!(frames.iter().all(Frame::is_intact));
        let totals = FrameTotals::of(&frames).unwrap();
        prop_assert_eq!(totals.records_len, expected.len());
        prop_assert_eq!(totals.records_crc32c, crc32c::crc32c(&expected));
        prop_assert_eq!(totals.record_count, builder.record_count());
        let max = records.iter().map(|(record, _)| record.0).max().unwrap();
        prop_assert_eq!((totals.max_timestamp_ms, builder.max_timestamp_ms()), (max, max));
    }
}

/// Lengths on both sides of where they, or the record's own, take another byte.
const EDGES: [usize; 14] = [0, 1, 51, 52, 53, 54, 55, 56, 57, 58, 63, 64, 8180, 8192];

#[test]
fn records_of_every_width_follow_each_other() {
    let bytes = vec![0xa5; 8192];
    let of = |length: Option<usize>| length.map(|length| &bytes[..length]);
    let lengths: Vec<Option<usize>> = EDGES.into_iter().map(Some).chain([None]).collect();
    let deltas = [0, 63, 64, -64, -65, 8191, 8192, -8192, -8193];
    let mut builder = RecordsBuilder::new(1_000_000);
    let mut expected = Vec::new();
    for &key in &lengths {
        for &value in &lengths {
            for delta in deltas {
                let record = RecordRef {
                    timestamp_ms: 1_000_000 + delta,
                    key: of(key),
                    value: of(value),
                    headers: &[],
                };
                let bytes = naive(&record, 1_000_000, builder.record_count());
                assert_eq!(builder.append(&record), Ok(bytes.len()));
                expected.extend_from_slice(&bytes);
            }
        }
    }
    assert!(builder.cut().unwrap().records == expected);
}

#[test]
fn values_of_every_length_take_as_many_bytes_as_they_should() {
    let bytes = vec![0x5a; 9000];
    let mut builder = RecordsBuilder::new(0);
    for length in (0..9000).chain((0..9000).rev()) {
        let record = value(&bytes[..length]);
        let expected = naive(&record, 0, builder.record_count());
        builder.append(&record).unwrap();
        assert!(
            builder.buffer.ends_with(&expected),
            "value of {length} bytes"
        );
    }
}

#[test]
fn offset_deltas_grow_through_every_width() {
    let mut builder = RecordsBuilder::new(0);
    for count in 0..(1 << 20) + 100 {
        let record = value(b"");
        builder.append(&record).unwrap();
        // At 64, 8,192 and 1,048,576 another byte is taken.
        if count < 100 || (8100..8300).contains(&count) || count > (1 << 20) - 100 {
            assert!(
                builder.buffer.ends_with(&naive(&record, 0, count)),
                "{count}"
            );
        }
    }
}

#[test]
fn a_trailer_lies_behind_the_records_in_the_same_memory() {
    let mut builder = RecordsBuilder::new(0);
    builder.append(&value(b"record")).unwrap();
    let frame = builder
        .cut_with_trailer(|metadata, trailer| {
            assert!(trailer.is_empty());
            trailer.put_u32(metadata.crc32c);
        })
        .unwrap();
    let (records, trailer) = frame.with_trailer.split_at(frame.records.len());
    assert_eq!(
        (records, trailer),
        (&frame.records[..], &frame.crc32c.to_be_bytes()[..])
    );
    assert_eq!(records.as_ptr(), frame.records.as_ptr());
}

#[test]
fn memory_is_asked_for_where_it_is_needed_and_used_again() {
    let mut builder = RecordsBuilder::new(0);
    builder.append(&value(&[7; 10_000])).unwrap();
    let frame = builder.cut().unwrap().records;
    let place = frame.as_ptr();
    let memory = frame.try_into_mut();
    // Somebody may still read the frame: the builder holds the memory behind it.
    let frame = memory.unwrap_err();
    let mut asked = 0;
    builder.restart_in(0, |bytes| {
        asked = bytes;
        BytesMut::new()
    });
    assert!(asked >= 10_000);
    let memory = frame.try_into_mut().unwrap();
    builder.append(&value(&[8; 10_000])).unwrap();
    builder.cut();
    builder.restart_in(0, |bytes| {
        assert!(memory.capacity() >= bytes);
        memory
    });
    builder.append(&value(b"next")).unwrap();
    let next = builder.cut().unwrap();
    assert_eq!(next.records.as_ptr(), place);
    assert!(next.is_intact());

    builder.restart_in(0, |_| panic!("there is enough"));
}

#[test]
fn a_frame_comes_back_from_its_bytes_and_metadata() {
    let mut builder = RecordsBuilder::new(7);
    builder.append(&value(b"one")).unwrap();
    builder.cut();
    builder.append(&value(b"two")).unwrap();
    let frame = builder.cut().unwrap();
    assert_eq!(frame.first_delta, 1);
    assert_eq!(
        Frame::from_parts(Bytes::copy_from_slice(&frame.records), frame.metadata()),
        frame
    );
}

#[test]
fn frames_that_are_not_one_batch_are_refused() {
    let mut builder = RecordsBuilder::new(7);
    let mut cut_one = |bytes: &[u8]| {
        builder.append(&value(bytes)).unwrap();
        builder.cut().unwrap()
    };
    let (first, second, third) = (cut_one(b"1"), cut_one(b"2"), cut_one(b"3"));
    let other_base = Frame {
        base_timestamp_ms: 8,
        ..second.clone()
    };
    let of = |frames: &[&Frame]| {
        FrameTotals::of(frames.iter().copied())
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(of(&[]), crate::records::FramesMismatch::Empty);
    assert_eq!(
        of(&[&second]).to_string(),
        "expected the frame that starts at offset delta 0, found the one at 1"
    );
    assert_eq!(
        of(&[&first, &third]).to_string(),
        "expected the frame that starts at offset delta 1, found the one at 2"
    );
    assert_eq!(
        of(&[&first, &other_base]).to_string(),
        "expected a frame with base timestamp 7 ms, found 8 ms"
    );
}

#[test]
fn a_record_beyond_the_length_field_is_refused_and_changes_nothing() {
    // The same value many times over: large on the wire, small in memory.
    let large = Bytes::from(vec![0; 1 << 20]);
    let headers = vec![Header::new("h", large); 2048];
    let record = RecordRef {
        headers: &headers,
        ..RecordRef::default()
    };
    let mut builder = RecordsBuilder::new(0);
    builder.append(&value(b"small")).unwrap();
    let before = builder.byte_len();
    let error = builder.append(&record).unwrap_err();
    assert!(error.record_bytes > 1 << 31);
    assert_eq!(
        (
            error.batch_bytes,
            builder.byte_len(),
            builder.record_count()
        ),
        (before, before, 1)
    );
    assert!(!builder.would_fit(&record, i32::MAX as usize));
}

#[test]
fn memory_returns_to_use_once_the_frames_are_gone() {
    let mut builder = RecordsBuilder::with_capacity(0, 1000);
    let mut addresses = std::collections::HashSet::new();
    for _ in 0..1000 {
        builder.append(&value(&[0; 700])).unwrap();
        addresses.insert(builder.cut().unwrap().records.as_ptr());
        builder.restart(0);
    }
    assert!(addresses.len() < 10, "{} places", addresses.len());
}

#[test]
fn memory_is_taken_ahead_up_to_its_limit() {
    let limit = 64 * 1024;
    let mut unlimited = RecordsBuilder::with_capacity(0, 1 << 20);
    let mut limited = RecordsBuilder::with_capacity(0, 1 << 20).take_ahead_at_most(limit);
    // The first batch of `limited` is in memory that was there before the limit was known.
    for round in 0..2 {
        unlimited.restart(0);
        limited.restart(0);
        let (mut expected, mut batch) = (Vec::new(), Vec::new());
        for number in 0..900u32 {
            let bytes = [u8::try_from(number % 251).unwrap(); 1_000];
            unlimited.append(&value(&bytes)).unwrap();
            limited.append(&value(&bytes)).unwrap();
            if number % 20 == 19 {
                expected.push(unlimited.cut().unwrap().records);
                batch.push(limited.cut().unwrap().records);
                assert!(round == 0 || limited.spare_bytes() <= limit + limit / 8 + SLACK_BYTES);
            }
        }
        assert_eq!(expected.concat(), batch.concat());
        assert_eq!(limited.byte_len(), batch.concat().len());
    }
}

#[test]
fn memory_of_frames_is_given_back_where_nothing_follows_them() {
    let mut builder = RecordsBuilder::with_capacity(0, 1 << 20);
    builder.append(&value(&[1; 100])).unwrap();
    builder.release_cut(0);
    assert!(builder.spare_bytes() > 1 << 19, "a record is not cut yet");
    let first = builder.cut().unwrap();
    builder.release_cut(first.records.len() + 1);
    assert!(builder.spare_bytes() > 1 << 19, "too little was cut");
    builder.append(&value(&[2; 100])).unwrap();
    let second = builder.cut().unwrap();
    builder.release_cut(first.records.len() + second.records.len());
    assert_eq!(builder.spare_bytes(), 0, "both frames are in it");
    builder.append(&value(&[3; 100])).unwrap();
    let third = builder.cut().unwrap();
    let frames = [&first, &second, &third];
    let totals = FrameTotals::of(frames).unwrap();
    assert_eq!(totals.record_count, 3);
    let mut whole = RecordsBuilder::new(0);
    for byte in 1..=3 {
        whole.append(&value(&[byte; 100])).unwrap();
    }
    let whole = whole.cut().unwrap();
    let parts = frames.map(|frame| &frame.records[..]).concat();
    assert_eq!(
        (parts, totals.records_crc32c),
        (whole.records.to_vec(), whole.crc32c)
    );
    // The new piece is as large as what the batch still expects, and counts its own frames only.
    builder.release_cut(third.records.len() + 1);
    assert!(builder.spare_bytes() > 1 << 19);
}

#[test]
fn a_roll_back_leaves_the_frame_as_if_nothing_had_been_appended() {
    // Enough bytes that the running checksum moves on and the buffer grows behind the mark.
    for behind in [0usize, 1, 40, 3000] {
        let mut expected = RecordsBuilder::new(0);
        let mut builder = RecordsBuilder::new(0);
        for number in 0..60u8 {
            expected.append(&value(&[number; 900])).unwrap();
            builder.append(&value(&[number; 900])).unwrap();
        }
        let mark = builder.mark();
        for _ in 0..behind {
            let late = RecordRef {
                timestamp_ms: 99,
                ..value(&[7; 50])
            };
            builder.append(&late).unwrap();
        }
        builder.roll_back(&mark);
        for builder in [&mut expected, &mut builder] {
            builder.append(&value(b"last")).unwrap();
        }
        assert_eq!(builder.cut(), expected.cut(), "{behind} records undone");
    }
}
