//! How one record becomes bytes: integers with a key, a value and headers between them.
//!
//! Its length stands before the record, so all its integers are encoded before the first byte is written. Nearly every record
//! is a [`SmallRecord`], whose integers fit three machine words; the others take the general way of a [`LargeRecord`].

use bytes::{BufMut, BytesMut};

use super::record::{Header, RecordRef};
use crate::wire::varint::{self, Encoded};

/// Integers are stored as whole words and then cut to their length: this much room must be behind a record.
pub(super) const SLACK_BYTES: usize = 16;

/// Zigzag of -1: the length of what is null.
const NULL: u64 = 1;

/// Zigzag of 0: how many headers a record has.
const NO_HEADERS: u8 = 0;

/// Lengths of key and value in a small record, zigzag: 32 MiB each, so that their sum still encodes to four bytes.
const SMALL_LENGTH_BITS: u32 = 26;

/// Deltas in a small record, zigzag: three bytes each. A million records, 17 minutes.
const SMALL_DELTA_BITS: u32 = 21;

/// How many bytes a record takes, its own length included.
#[inline]
pub(super) fn encoded_size(record: &RecordRef<'_>, timestamp_delta: i64, offset_delta: u32) -> u64 {
    let integers = varint::encoded_len(varint::zigzag_long(timestamp_delta))
        + varint::encoded_len(u64::from(offset_delta) << 1)
        + varint::encoded_len(nullable_length(record.key))
        + varint::encoded_len(nullable_length(record.value));
    with_length(body_bytes(record, integers))
}

/// The integers of a record that has no headers and only moderate numbers: all but a few of this world.
pub(super) struct SmallRecord {
    /// The length of the record, its attributes and timestamp delta: at most eight bytes.
    head: Word,
    /// The offset delta and the length of the key; without a key, that of the value follows. At most eight bytes.
    middle: Word,
    /// The length of the value, for where there is a key.
    value_length: Word,
    record_bytes: u64,
}

impl SmallRecord {
    #[inline]
    pub(super) fn new(
        record: &RecordRef<'_>,
        timestamp_delta: i64,
        offset_delta: u32,
    ) -> Option<Self> {
        let timestamp_delta = varint::zigzag_long(timestamp_delta);
        let offset_delta = u64::from(offset_delta) << 1;
        let key_length = nullable_length(record.key);
        let value_length = nullable_length(record.value);
        let is_small = (key_length | value_length) >> SMALL_LENGTH_BITS == 0
            && (timestamp_delta | offset_delta) >> SMALL_DELTA_BITS == 0;
        if !is_small || !record.headers.is_empty() {
            return None;
        }

        let timestamp_delta = Word::encode(timestamp_delta);
        let offset_delta = Word::encode(offset_delta);
        let value_length = Word::encode(value_length);
        let (lengths, value_length_bits) = match record.key {
            Some(_) => (Word::encode(key_length), value_length.bits),
            None => (NULL_KEY.followed_by(value_length), 0),
        };
        let middle = offset_delta.followed_by(lengths);
        let integer_bits = timestamp_delta.bits + middle.bits + value_length_bits;
        // Two more bytes: the attributes and the number of headers.
        let body_bytes =
            u64::from(integer_bits / 8) + 2 + byte_count(record.key) + byte_count(record.value);
        let length = Word::encode(body_bytes << 1);
        Some(Self {
            head: length.followed_by(ATTRIBUTES).followed_by(timestamp_delta),
            middle,
            value_length,
            record_bytes: body_bytes + u64::from(length.bits / 8),
        })
    }

    #[inline]
    pub(super) fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Writes the record that this was made of; there is room for it and the slack.
    #[inline]
    pub(super) fn write(&self, record: &RecordRef<'_>, buffer: &mut BytesMut) {
        self.head.write(buffer);
        self.middle.write(buffer);
        if let Some(key) = record.key {
            buffer.extend_from_slice(key);
            self.value_length.write(buffer);
        }
        if let Some(value) = record.value {
            buffer.extend_from_slice(value);
        }
        buffer.put_u8(NO_HEADERS);
    }
}

/// The attributes of a record: one byte, always zero.
const ATTRIBUTES: Word = Word { bytes: 0, bits: 8 };

/// The length of a key that is null.
const NULL_KEY: Word = Word {
    bytes: NULL,
    bits: 8,
};

/// Up to eight encoded bytes in a register.
#[derive(Clone, Copy)]
struct Word {
    /// First byte lowest; those behind the last are zero.
    bytes: u64,
    /// The length in bits.
    bits: u32,
}

impl Word {
    /// A value below 2^28.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the value is below 2^28")]
    fn encode(value: u64) -> Self {
        let encoded = varint::encode_short(value as u32);
        Self {
            bytes: encoded.word,
            bits: encoded.bits,
        }
    }

    /// Both, one behind the other; this one has less than eight bytes.
    #[inline]
    fn followed_by(self, next: Self) -> Self {
        Self {
            bytes: self.bytes | (next.bytes << self.bits),
            bits: self.bits + next.bits,
        }
    }

    /// One store of eight bytes, of which only the encoded ones are kept.
    #[inline]
    fn write(self, buffer: &mut BytesMut) {
        let end = buffer.len() + (self.bits / 8) as usize;
        buffer.extend_from_slice(&self.bytes.to_le_bytes());
        buffer.truncate(end);
    }
}

/// The integers of any record.
pub(super) struct LargeRecord {
    length: Encoded,
    /// Attributes, timestamp delta and offset delta.
    head: Encoded,
    key_length: Encoded,
    value_length: Encoded,
    record_bytes: u64,
}

impl LargeRecord {
    pub(super) fn new(record: &RecordRef<'_>, timestamp_delta: i64, offset_delta: u32) -> Self {
        let attributes = Encoded { word: 0, len: 1 };
        let timestamp_delta = varint::encode_long(varint::zigzag_long(timestamp_delta));
        let offset_delta = varint::encode_long(u64::from(offset_delta) << 1);
        let key_length = varint::encode_long(nullable_length(record.key));
        let value_length = varint::encode_long(nullable_length(record.value));
        let integers = timestamp_delta.len + offset_delta.len + key_length.len + value_length.len;
        let body_bytes = body_bytes(record, integers);
        Self {
            length: varint::encode_long(body_bytes.saturating_mul(2)),
            head: attributes
                .followed_by(timestamp_delta)
                .followed_by(offset_delta),
            key_length,
            value_length,
            record_bytes: with_length(body_bytes),
        }
    }

    /// May be more than any batch can take: such a record is not to be written.
    pub(super) fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Writes the record that this was made of; there is room for it and the slack.
    pub(super) fn write(&self, record: &RecordRef<'_>, buffer: &mut BytesMut) {
        write(self.length, buffer);
        write(self.head, buffer);
        write(self.key_length, buffer);
        buffer.extend_from_slice(record.key.unwrap_or_default());
        write(self.value_length, buffer);
        buffer.extend_from_slice(record.value.unwrap_or_default());
        write(varint::encode_long(length(record.headers.len())), buffer);
        for Header { key, value } in record.headers {
            write(varint::encode_long(length(key.len())), buffer);
            buffer.extend_from_slice(key.as_bytes());
            write(
                varint::encode_long(nullable_length(value.as_deref())),
                buffer,
            );
            buffer.extend_from_slice(value.as_deref().unwrap_or_default());
        }
    }
}

/// One store of sixteen bytes, of which only the encoded ones are kept.
#[inline]
fn write(integer: Encoded, buffer: &mut BytesMut) {
    let end = buffer.len() + integer.len;
    buffer.extend_from_slice(&integer.word.to_le_bytes());
    buffer.truncate(end);
}

/// What stands behind the length of a record, when its deltas and lengths take that many bytes.
#[inline]
fn body_bytes(record: &RecordRef<'_>, integers: usize) -> u64 {
    // The attributes are one byte.
    (1 + integers as u64)
        .saturating_add(byte_count(record.key))
        .saturating_add(byte_count(record.value))
        .saturating_add(headers_bytes(record.headers))
}

#[inline]
fn with_length(body_bytes: u64) -> u64 {
    let length = varint::encoded_len(body_bytes.saturating_mul(2));
    body_bytes.saturating_add(length as u64)
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
    let count = varint::encoded_len(length(headers.len())) as u64;
    headers.iter().fold(count, |sum, Header { key, value }| {
        let value = value.as_deref();
        let integers =
            varint::encoded_len(length(key.len())) + varint::encoded_len(nullable_length(value));
        sum.saturating_add(integers as u64)
            .saturating_add(key.len() as u64)
            .saturating_add(byte_count(value))
    })
}

#[inline]
fn byte_count(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

/// Zigzag of a length or count. What 31 bits cannot say is never written: the record is refused for its size before.
#[inline]
fn length(count: usize) -> u64 {
    (count as u64).saturating_mul(2)
}

/// Zigzag of the length of what may be null.
#[inline]
fn nullable_length(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(NULL, |bytes| length(bytes.len()))
}
