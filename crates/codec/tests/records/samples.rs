//! Records to test with, and batches made of them.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, option, prelude::*};
use wolff_codec::{
    Str,
    ids::Offset,
    records::{
        BatchHeader, Compression, CompressionLevel, Frame, FrameTotals, Header, Record, RecordRef,
        RecordsBuilder, compress, crc32c,
    },
};

/// More bytes than any sample decompresses to.
pub(crate) const AMPLE: usize = 16 << 20;

/// A record; its offset is of no account.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let bytes = || option::of(vec(any::<u8>(), 0..120).prop_map(Bytes::from));
    let header = ("[a-zé]{0,3}", bytes()).prop_map(|(key, value)| Header {
        key: Str::from(key),
        value,
    });
    let timestamp = prop_oneof![any::<i64>(), -1000i64..1000];
    (timestamp, bytes(), bytes(), vec(header, 0..4)).prop_map(
        |(timestamp_ms, key, value, headers)| Record {
            offset: Offset(0),
            timestamp_ms,
            key,
            value,
            headers,
        },
    )
}

/// The compressions of this build.
pub(crate) fn compressions() -> impl Iterator<Item = Compression> {
    Compression::ALL
        .into_iter()
        .filter(|compression| compression.is_available())
}

pub(crate) fn any_compression() -> impl Strategy<Value = Compression> {
    proptest::sample::select(compressions().collect::<Vec<_>>())
}

/// The records, encoded, in frames of as many records as the numbers say, over and over.
pub(crate) fn frames_of(
    records: &[Record],
    base_timestamp_ms: i64,
    frame_sizes: &[usize],
) -> Vec<Frame> {
    let mut builder = RecordsBuilder::new(base_timestamp_ms);
    let mut frames = Vec::new();
    let mut sizes = frame_sizes.iter().cycle();
    let mut left = sizes.next().copied().unwrap_or(usize::MAX);
    for record in records {
        builder.append(&record.as_record_ref()).unwrap();
        left = left.saturating_sub(1);
        if left == 0 {
            frames.extend(builder.cut());
            left = sizes.next().copied().unwrap_or(usize::MAX);
        }
    }
    frames.extend(builder.cut());
    frames
}

/// A batch of these frames: compressed, stamped by `stamp`, in one piece.
pub(crate) fn batch_of(
    frames: &[Frame],
    compression: Compression,
    stamp: impl FnOnce(&mut BatchHeader),
) -> Bytes {
    let totals = FrameTotals::of(frames).unwrap();
    let mut header = BatchHeader {
        compression,
        ..BatchHeader::for_totals(&totals).unwrap()
    };
    stamp(&mut header);
    let mut batch = BytesMut::new();
    if compression == Compression::None {
        batch.extend_from_slice(
            &header
                .encode(totals.records_len, totals.records_crc32c)
                .unwrap(),
        );
        frames
            .iter()
            .for_each(|frame| batch.extend_from_slice(&frame.records));
    } else {
        let pieces: Vec<Bytes> = frames.iter().map(|frame| frame.records.clone()).collect();
        let records = compress(compression, CompressionLevel::DEFAULT, &pieces).unwrap();
        batch.extend_from_slice(&header.encode(records.len(), crc32c(&records)).unwrap());
        batch.extend_from_slice(&records);
    }
    batch.freeze()
}

/// A batch of `count` ordinary records with everything in them.
pub(crate) fn ordinary_batch(count: usize, compression: Compression) -> Bytes {
    let headers = [
        Header::new("trace", "0123456789"),
        Header {
            key: Str::from_static("trace"),
            value: None,
        },
    ];
    let mut builder = RecordsBuilder::new(1_700_000_000_000);
    for index in 0..count {
        let value = format!("{{\"reading\":{index},\"unit\":\"kelvin\"}}");
        let record = RecordRef {
            timestamp_ms: 1_700_000_000_000 + i64::try_from(index).unwrap(),
            key: Some(b"sensor"),
            value: Some(value.as_bytes()),
            headers: &headers,
        };
        builder.append(&record).unwrap();
    }
    batch_of(&[builder.cut().unwrap()], compression, |_| {})
}
