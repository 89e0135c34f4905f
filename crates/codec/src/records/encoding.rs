//! Encoding of any record: integers with a key, a value and headers between them.
//!
//! Its length stands before the record, so all its integers are encoded before the first byte is
//! written.

use bytes::BytesMut;

use super::record::{Header, RecordRef};
use crate::wire::varint::{self, Encoded};

/// Integers are stored as whole words and then cut to their length: this much room must be behind a
/// record.
pub(super) const SLACK_BYTES: usize = 16;

/// Zigzag of -1: the length of what is null.
pub(super) const NULL: u64 = 1;

/// The number of bytes a record takes, its own length included.
#[inline]
pub(super) fn encoded_size(record: &RecordRef<'_>, timestamp_delta: i64, offset_delta: u32) -> u64 {
    let integers = varint::encoded_len(varint::zigzag_long(timestamp_delta))
        + varint::encoded_len(u64::from(offset_delta) << 1)
        + varint::encoded_len(nullable_length(record.key))
        + varint::encoded_len(nullable_length(record.value));
    with_length(body_bytes(record, integers))
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

/// Size of a record without its length, in bytes, when its deltas and lengths take that many bytes.
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

/// Zigzag of a length or count of what is in memory, which has less than 2^63 of anything. What 31
/// bits cannot say is never written: the record is refused for its size before.
#[inline]
fn length(count: usize) -> u64 {
    (count as u64) << 1
}

/// Zigzag of the length of what may be null.
#[inline(always)]
pub(super) fn nullable_length(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(NULL, |bytes| length(bytes.len()))
}
