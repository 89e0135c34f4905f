//! Encodes records one by one, in place, into one growing buffer, and hands out what it has while the batch stays open.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::{
    checksum,
    frame::{Frame, FrameMetadata},
    header::{BATCH_HEADER_BYTES, COUNTED_HEADER_BYTES},
    record::{Header, RecordRef},
};
use crate::wire::varint::{self, Encoded};

/// The most bytes that the records of one batch can have: what the 31-bit length field leaves beside the header.
pub const MAX_RECORDS_BYTES: usize = i32::MAX as usize - COUNTED_HEADER_BYTES;

/// The smallest piece of memory that the builder asks for, in bytes.
const MIN_CHUNK_BYTES: usize = 4 * 1024;

/// Small fields are stored as whole words and then cut to their length: this much room must be behind every record.
const WORD_BYTES: usize = 16;

/// The records of one open batch.
///
/// Appending allocates nothing per record: the buffer is reserved at the size that recent batches had, grows by doubling
/// beyond it, and returns to use when all frames made of it are dropped.
///
/// ```
/// use wolff_codec::records::{BatchHeader, FrameTotals, RecordRef, RecordsBuilder};
///
/// let mut builder = RecordsBuilder::new(1_700_000_000_000);
/// builder.append(&RecordRef { timestamp_ms: 1_700_000_000_000, value: Some(b"one"), ..RecordRef::default() })?;
/// let first = builder.cut().expect("a record was appended");
/// // `first` may be on its way to disk while the batch goes on.
/// builder.append(&RecordRef { timestamp_ms: 1_700_000_000_005, value: Some(b"two"), ..RecordRef::default() })?;
/// let second = builder.cut().expect("another one was");
///
/// let totals = FrameTotals::of([&first, &second])?;
/// let header = BatchHeader::for_totals(&totals)?.encode(totals.records_len, totals.records_crc32c)?;
/// let batch = [&header[..], &first.records, &second.records].concat();
/// # assert_eq!(batch.len(), 61 + builder.byte_len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RecordsBuilder {
    /// The records since the last cut.
    buffer: BytesMut,
    base_timestamp_ms: i64,
    /// Of the records that were handed out; the least value while there is none.
    cut_max_timestamp_ms: i64,
    /// Of the records since the last cut; the least value while there is none.
    uncut_max_timestamp_ms: i64,
    /// Of the whole batch.
    record_count: u32,
    /// Of those, how many were handed out.
    cut_count: u32,
    /// The bytes that were handed out.
    cut_bytes: usize,
    /// How large batches have been lately.
    expected_bytes: usize,
}

impl RecordsBuilder {
    /// An empty batch. It has no memory before the first record comes.
    #[must_use]
    pub fn new(base_timestamp_ms: i64) -> Self {
        Self::with_capacity(base_timestamp_ms, 0)
    }

    /// An empty batch that is expected to have about `expected_bytes` of records.
    #[must_use]
    pub fn with_capacity(base_timestamp_ms: i64, expected_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            base_timestamp_ms,
            cut_max_timestamp_ms: i64::MIN,
            uncut_max_timestamp_ms: i64::MIN,
            record_count: 0,
            cut_count: 0,
            cut_bytes: 0,
            expected_bytes: expected_bytes.min(MAX_RECORDS_BYTES),
        }
    }

    /// Begins the next batch, reusing what is left of the buffer. Records that were not cut are dropped.
    pub fn restart(&mut self, base_timestamp_ms: i64) {
        // Follows growth at once and shrinkage slowly: one small batch between large ones changes little.
        let shrinkage = self.expected_bytes.saturating_sub(self.byte_len()) / 8;
        self.expected_bytes = self.byte_len().max(self.expected_bytes - shrinkage);
        self.buffer.clear();
        self.base_timestamp_ms = base_timestamp_ms;
        self.cut_max_timestamp_ms = i64::MIN;
        self.uncut_max_timestamp_ms = i64::MIN;
        self.record_count = 0;
        self.cut_count = 0;
        self.cut_bytes = 0;
    }

    /// How many records the batch has, handed out or not.
    #[inline]
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Whether the batch has no record.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The length of all records of the batch, handed out or not, in bytes. The batch header is not included.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.cut_bytes + self.buffer.len()
    }

    /// The length of the records since the last cut, in bytes.
    #[inline]
    #[must_use]
    pub fn uncut_len(&self) -> usize {
        self.buffer.len()
    }

    /// The timestamp to which those of the records are relative; milliseconds since the Unix epoch.
    #[must_use]
    pub fn base_timestamp_ms(&self) -> i64 {
        self.base_timestamp_ms
    }

    /// The greatest timestamp of the batch's records, milliseconds since the Unix epoch; the base timestamp while it is empty.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        if self.is_empty() {
            self.base_timestamp_ms
        } else {
            self.cut_max_timestamp_ms.max(self.uncut_max_timestamp_ms)
        }
    }

    /// How many bytes appending this record now would add, exactly.
    #[must_use]
    pub fn encoded_size(&self, record: &RecordRef<'_>) -> usize {
        usize::try_from(self.layout(record).record_bytes).unwrap_or(usize::MAX)
    }

    /// Whether the batch would have at most `max_batch_bytes`, its header included, if this record were appended.
    ///
    /// The first record of a batch is treated like any other: the caller decides what to do with one that fits no batch.
    #[must_use]
    pub fn would_fit(&self, record: &RecordRef<'_>, max_batch_bytes: usize) -> bool {
        let batch_len = BATCH_HEADER_BYTES
            .saturating_add(self.byte_len())
            .saturating_add(self.encoded_size(record));
        batch_len <= max_batch_bytes
    }

    /// Appends a record; returns the bytes that it added.
    ///
    /// # Errors
    /// When the batch would exceed [`MAX_RECORDS_BYTES`]; it is then unchanged.
    #[inline]
    pub fn append(&mut self, record: &RecordRef<'_>) -> Result<usize, RecordTooLarge> {
        let layout = self.layout(record);
        let record_bytes = self.admit(&layout)?;
        if self.buffer.capacity() - self.buffer.len() < record_bytes + WORD_BYTES
            || self.record_count == 0
        {
            self.make_room(record_bytes + WORD_BYTES);
        }
        self.encode(record, &layout);
        self.record_count += 1;
        self.uncut_max_timestamp_ms = self.uncut_max_timestamp_ms.max(record.timestamp_ms);
        Ok(record_bytes)
    }

    /// Hands out everything that was appended since the last cut, if anything was; the batch stays open.
    pub fn cut(&mut self) -> Option<Frame> {
        let metadata = self.close_frame()?;
        let records = self.buffer.split().freeze();
        Some(Frame::from_parts(records, metadata))
    }

    /// As [`cut`](Self::cut), but lets the caller write a trailer behind the records, into the same piece of memory.
    ///
    /// `write_trailer` gets what the frame will say of its records, and an empty buffer whose content becomes the trailer.
    pub fn cut_with_trailer(
        &mut self,
        write_trailer: impl FnOnce(&FrameMetadata, &mut BytesMut),
    ) -> Option<Frame> {
        let metadata = self.close_frame()?;
        let records_len = self.buffer.len();
        // The records are out of the closure's reach; while the trailer fits behind them, rejoining them copies nothing.
        let mut trailer = self.buffer.split_off(records_len);
        write_trailer(&metadata, &mut trailer);
        self.buffer.unsplit(trailer);
        let with_trailer = self.buffer.split().freeze();
        let records = with_trailer.slice(..records_len);
        Some(Frame::with_trailer(records, with_trailer, metadata))
    }

    /// The metadata of the frame that is about to be handed out; the counters move on behind it.
    fn close_frame(&mut self) -> Option<FrameMetadata> {
        let record_count = self.record_count - self.cut_count;
        if record_count == 0 {
            return None;
        }
        let metadata = FrameMetadata {
            // In bulk: a long run of bytes keeps three lanes of the CRC unit busy, a record's does not.
            crc32c: checksum::crc32c(&self.buffer),
            first_delta: self.cut_count,
            record_count,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.uncut_max_timestamp_ms,
        };
        self.cut_max_timestamp_ms = self.cut_max_timestamp_ms.max(self.uncut_max_timestamp_ms);
        self.uncut_max_timestamp_ms = i64::MIN;
        self.cut_count = self.record_count;
        self.cut_bytes += self.buffer.len();
        Some(metadata)
    }

    /// The record's length, when the batch can take it.
    #[inline]
    fn admit(&self, layout: &Layout) -> Result<usize, RecordTooLarge> {
        let batch_bytes = self.byte_len();
        match usize::try_from(layout.record_bytes) {
            // The shortest record has seven bytes, so the count cannot overflow before the bytes do.
            Ok(record_bytes) if record_bytes <= MAX_RECORDS_BYTES - batch_bytes => Ok(record_bytes),
            _ => Err(RecordTooLarge {
                record_bytes: layout.record_bytes,
                batch_bytes,
            }),
        }
    }

    /// Makes room for a record, and at the first one for as much as the whole batch will probably need.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, needed: usize) {
        let uncut = self.buffer.len();
        let room = self.buffer.capacity() - uncut;
        let still_expected = self.expected_bytes.saturating_sub(self.byte_len());
        if room >= needed && room >= still_expected {
            return;
        }
        // An eighth more than expected, lest the last records of a slightly larger batch cost a copy; at least twice what
        // would have to be copied.
        let wanted = needed
            .max(still_expected + still_expected / 8)
            .max(uncut)
            .max(MIN_CHUNK_BYTES);
        if !self.buffer.try_reclaim(wanted) {
            let mut larger = BytesMut::with_capacity(uncut + wanted);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
    }

    /// The lengths and encoded integers of a record, if it came next.
    #[inline]
    fn layout(&self, record: &RecordRef<'_>) -> Layout {
        // As in the Java client, deltas wrap around: whatever the base, every timestamp can be said and comes back.
        let timestamp_delta = record.timestamp_ms.wrapping_sub(self.base_timestamp_ms);
        Layout::new(record, timestamp_delta, self.record_count)
    }

    /// Writes a record that there is room for.
    #[inline]
    fn encode(&mut self, record: &RecordRef<'_>, layout: &Layout) {
        self.put(layout.length);
        self.put(layout.fixed);
        self.put(layout.key_len);
        if let Some(key) = record.key {
            self.buffer.extend_from_slice(key);
        }
        self.put(layout.value_len);
        if let Some(value) = record.value {
            self.buffer.extend_from_slice(value);
        }
        if record.headers.is_empty() {
            self.buffer.put_u8(0);
        } else {
            self.encode_headers(record.headers);
        }
    }

    #[inline(never)]
    fn encode_headers(&mut self, headers: &[Header]) {
        self.put(encode_length(headers.len()));
        for header in headers {
            self.put(encode_length(header.key.len()));
            self.buffer.extend_from_slice(header.key.as_bytes());
            self.put(encode_nullable_length(header.value.as_deref()));
            if let Some(value) = &header.value {
                self.buffer.extend_from_slice(value);
            }
        }
    }

    /// Writes an integer: a store of fixed width, of which only the integer's own bytes are kept.
    #[inline]
    fn put(&mut self, integer: Encoded) {
        let end = self.buffer.len() + integer.len;
        self.buffer.extend_from_slice(&integer.word.to_le_bytes());
        self.buffer.truncate(end);
    }
}

/// Everything of a record but its bytes: the integers between them, encoded, and the length of it all.
struct Layout {
    /// With the length itself.
    record_bytes: u64,
    /// The length of what follows.
    length: Encoded,
    /// Attributes, timestamp delta and offset delta.
    fixed: Encoded,
    key_len: Encoded,
    value_len: Encoded,
}

impl Layout {
    #[inline]
    fn new(record: &RecordRef<'_>, timestamp_delta: i64, offset_delta: u32) -> Self {
        // A record's attributes are one byte, always zero.
        let attributes = Encoded { word: 0, len: 1 };
        let timestamp_delta = varint::encode_long(varint::zigzag_long(timestamp_delta));
        // Zigzag of a number that is never negative.
        let offset_delta = varint::encode(offset_delta << 1);
        let fixed = attributes
            .followed_by(timestamp_delta)
            .followed_by(offset_delta);
        let key_len = encode_nullable_length(record.key);
        let value_len = encode_nullable_length(record.value);
        let integers = fixed.len + key_len.len + value_len.len;
        let body_bytes = (integers as u64)
            .saturating_add(byte_count(record.key))
            .saturating_add(byte_count(record.value))
            .saturating_add(headers_bytes(record.headers));
        let length = varint::encode_long(body_bytes.saturating_mul(2));
        Self {
            record_bytes: body_bytes.saturating_add(length.len as u64),
            length,
            fixed,
            key_len,
            value_len,
        }
    }
}

/// The encoded length of a record's headers, their count included.
#[inline]
fn headers_bytes(headers: &[Header]) -> u64 {
    if headers.is_empty() {
        1
    } else {
        sum_of_headers(headers)
    }
}

#[inline(never)]
fn sum_of_headers(headers: &[Header]) -> u64 {
    let count = encode_length(headers.len()).len as u64;
    headers.iter().fold(count, |sum, header| {
        let value = header.value.as_deref();
        let integers = encode_length(header.key.len()).len + encode_nullable_length(value).len;
        sum.saturating_add(integers as u64)
            .saturating_add(header.key.len() as u64)
            .saturating_add(byte_count(value))
    })
}

#[inline]
fn byte_count(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

/// The zigzag encoding of a length. One that 31 bits cannot say is never written: the record is refused for its size before.
#[inline]
fn encode_length(len: usize) -> Encoded {
    varint::encode(u32::try_from(len.saturating_mul(2)).unwrap_or(u32::MAX))
}

/// The zigzag encoding of a length, or of -1 for null.
#[inline]
fn encode_nullable_length(bytes: Option<&[u8]>) -> Encoded {
    bytes.map_or(Encoded { word: 1, len: 1 }, |bytes| {
        encode_length(bytes.len())
    })
}

/// A record does not fit: with it, the records would exceed [`MAX_RECORDS_BYTES`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a record of {record_bytes} bytes does not fit a batch that has {batch_bytes} bytes of records already"
)]
pub struct RecordTooLarge {
    /// The encoded length of the record, in bytes.
    pub record_bytes: u64,
    /// The length of the records that the batch has, in bytes.
    pub batch_bytes: usize,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{Str, records::FrameTotals};

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
}
