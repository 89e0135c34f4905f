//! Record batches and what they are made of.

use bytes::{BufMut, Bytes, BytesMut};
use wolff_codec::{
    Str,
    records::{
        BatchHeader, Batches, Compression, CompressionLevel, Frame, FrameTotals, Header, Record,
        Records, RecordsBuilder, compress, crc32c, decompress,
    },
    wire::varint::{self, VarintError},
};

/// Most bytes that a body decompresses to.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// Any bytes as record batches: read without a panic, nothing is made up, and a header that was
/// understood is encoded to one that means the same.
pub fn record_batch(data: &[u8]) {
    let mut batches = Batches::new(Bytes::copy_from_slice(data));
    let mut read = 0;
    for batch in batches.by_ref() {
        let Ok(batch) = batch else { break };
        read += batch.as_bytes().len();
        let _ = batch.verify();
        let stored = batch.stored_records();
        let encoded = batch.header().encode(stored.len(), crc32c(&stored));
        let (decoded, part) =
            BatchHeader::decode(&encoded.expect("it was decoded")).expect("it was encoded");
        assert_eq!((&decoded, part.records_len), (batch.header(), stored.len()));
        if let Ok(records) = batch.records(MAX_OUTPUT_BYTES) {
            let limit = stored.len().max(MAX_OUTPUT_BYTES);
            assert!(payload_bytes(records.map_while(Result::ok)) <= limit);
        }
    }
    assert_eq!(read + batches.rest().len(), data.len());
}

fn payload_bytes(records: impl Iterator<Item = Record>) -> usize {
    let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    records
        .map(|record| {
            let headers = record
                .headers
                .iter()
                .map(|header| header.key.len() + len(&header.value));
            len(&record.key) + len(&record.value) + headers.sum::<usize>()
        })
        .sum()
}

/// The first byte chooses the compression. The others as compressed records: within the limit or an
/// error; and as records to be compressed: they come back.
pub fn decompression(data: &[u8]) {
    let Some((&selector, rest)) = data.split_first() else {
        return;
    };
    let Ok(compression) = Compression::from_code(i16::from(selector % 5)) else {
        return;
    };
    let input = Bytes::copy_from_slice(rest);
    if let Ok(output) = decompress(compression, &input, MAX_OUTPUT_BYTES) {
        assert!(output.len() <= MAX_OUTPUT_BYTES);
    }
    // Two pieces, so that blocks span them.
    let mut tail = input.clone();
    let head = tail.split_to(usize::from(selector).min(tail.len()));
    let packed = compress(compression, CompressionLevel::DEFAULT, &[head, tail])
        .expect("any bytes can be compressed");
    let unpacked =
        decompress(compression, &packed, input.len()).expect("what was compressed decompresses");
    assert_eq!(unpacked, input);
}

/// Any bytes as variable-length integers, and their first eight as a value, against the definition.
pub fn varint(data: &[u8]) {
    let long = naive_decode(data, 64);
    assert_eq!(varint::decode_long(data), long);
    assert_eq!(
        varint::decode(data).map(|(value, len)| (u64::from(value), len)),
        naive_decode(data, 32)
    );
    if let Some(bytes) = data.first_chunk() {
        assert_encoded(u64::from_le_bytes(*bytes));
    }
    if let Ok((value, _)) = long {
        assert_encoded(value);
    }
}

fn assert_encoded(value: u64) {
    let encoded = varint::encode_long(value);
    let bytes = encoded.word.to_le_bytes();
    let bytes = bytes.get(..encoded.len).expect("at most ten bytes");
    assert_eq!(encoded.len, varint::encoded_len(value));
    assert_eq!(naive_decode(bytes, 64), Ok((value, encoded.len)));
    if let Ok(value) = u32::try_from(value) {
        assert_eq!(varint::encode(value), encoded);
        assert_eq!(
            varint::unzigzag(value),
            i32::try_from(varint::unzigzag_long(u64::from(value))).expect("as wide as the value")
        );
    }
    assert_eq!(varint::zigzag_long(varint::unzigzag_long(value)), value);
}

fn naive_decode(data: &[u8], bits: u32) -> Result<(u64, usize), VarintError> {
    let max_len = bits.div_ceil(7) as usize;
    let mut value = 0u128;
    for (index, &byte) in data.iter().take(max_len).enumerate() {
        value |= u128::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return match u64::try_from(value) {
                Ok(value) if value >> (bits - 1) <= 1 => Ok((value, index + 1)),
                _ => Err(VarintError::TooLarge { bits }),
            };
        }
    }
    Err(if data.len() < max_len {
        VarintError::Truncated
    } else {
        VarintError::TooLarge { bits }
    })
}

/// The bytes as a list of records and cuts: what the builder makes of them, the reader brings back,
/// from the frames as from the whole batch.
pub fn builder_reader(data: &[u8]) {
    let mut input = Input {
        unread: data,
        long_runs: MAX_LONG_RUNS,
    };
    let base_timestamp_ms = input.number();
    let mut builder = RecordsBuilder::with_capacity(base_timestamp_ms, usize::from(input.byte()));
    let mut records = Vec::new();
    let mut frames = Vec::new();
    while !input.unread.is_empty() {
        match input.byte() {
            0 => frames.extend(builder.cut()),
            1 => frames.extend(builder.cut_with_trailer(|_, trailer| trailer.put_bytes(0xee, 300))),
            2 if frames.is_empty() => {
                builder.restart(base_timestamp_ms);
                records.clear();
            }
            _ => {
                let record = input.record();
                let size = builder.encoded_size(&record.as_record_ref());
                let added = builder
                    .append(&record.as_record_ref())
                    .expect("small records fit");
                assert_eq!(size, added);
                records.push(record);
            }
        }
    }
    frames.extend(builder.cut());
    assert_eq!(builder.record_count() as usize, records.len());
    assert_read_back(&frames, &records);
}

fn assert_read_back(frames: &[Frame], records: &[Record]) {
    let Ok(totals) = FrameTotals::of(frames) else {
        assert!(records.is_empty());
        return;
    };
    let from_frames = frames.iter().flat_map(Records::of_frame);
    let header = BatchHeader::for_totals(&totals).expect("few records");
    let header = header
        .encode(totals.records_len, totals.records_crc32c)
        .expect("short records");
    let mut whole = BytesMut::from(&header[..]);
    frames
        .iter()
        .for_each(|frame| whole.extend_from_slice(&frame.records));
    let batch = Batches::new(whole.freeze())
        .next()
        .expect("one batch")
        .expect("a good one");
    assert_eq!(batch.verify(), Ok(()));
    assert_eq!(
        batch.header().max_timestamp_ms,
        records
            .iter()
            .map(|record| record.timestamp_ms)
            .max()
            .unwrap_or(0)
    );
    let from_batch = batch.records(usize::MAX).expect("not compressed");

    let expected = (0i64..).zip(records).map(|(offset, record)| Record {
        offset: offset.into(),
        ..record.clone()
    });
    let expected: Vec<_> = expected.map(Ok).collect();
    assert_eq!(from_batch.collect::<Vec<_>>(), expected);
    assert_eq!(from_frames.collect::<Vec<_>>(), expected);
}

/// Most long runs of one byte that an input may ask for: enough to pass every buffer's end, and
/// soon done.
const MAX_LONG_RUNS: u32 = 4;

/// Structure out of bytes; zeros when they are used up.
struct Input<'a> {
    unread: &'a [u8],
    /// Number that may still follow.
    long_runs: u32,
}

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.unread.split_first().unwrap_or((&0, &[]));
        self.unread = rest;
        *byte
    }

    /// Of eight bytes; a first byte below 128 stands for itself.
    fn number(&mut self) -> i64 {
        match self.byte() {
            small @ 0..128 => i64::from(small),
            first => (1..8).fold(i64::from(first), |number, _| {
                number << 8 | i64::from(self.byte())
            }),
        }
    }

    /// Null, or up to 254 bytes; now and then a long run of one byte.
    fn bytes(&mut self) -> Option<Bytes> {
        match self.byte() {
            0 => None,
            255 if self.long_runs > 0 => {
                self.long_runs -= 1;
                Some(Bytes::from(vec![self.byte(); 20_000]))
            }
            len => {
                let len = usize::from(len - 1).min(self.unread.len());
                let (bytes, rest) = self.unread.split_at(len);
                self.unread = rest;
                Some(Bytes::copy_from_slice(bytes))
            }
        }
    }

    fn record(&mut self) -> Record {
        Record {
            offset: 0.into(),
            timestamp_ms: self.number(),
            key: self.bytes(),
            value: self.bytes(),
            headers: (0..self.byte() % 4)
                .map(|_| Header {
                    key: Str::from(String::from_utf8_lossy(&self.bytes().unwrap_or_default())),
                    value: self.bytes(),
                })
                .collect(),
        }
    }
}
