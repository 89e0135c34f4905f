//! The quick way for nearly every record: one without headers whose numbers are moderate.
//!
//! Records of a batch resemble each other: their integers differ, but hardly ever in how many bytes
//! they take. So a [`Shape`] is kept from record to record, and while it fits, an integer is
//! encoded by moving its upper bits up: no length has to be found out and no branch to be guessed.
//! All integers in front of the key or value then take one store.

use bytes::{BufMut, BytesMut};

use super::{
    encoding::{NULL, nullable_length},
    record::RecordRef,
};
use crate::wire::varint;

/// Zigzag of 0: how many headers a record has.
const NO_HEADERS: u8 = 0;

/// The attributes of a record, always zero, and the number of its headers.
const FIXED_BYTES: usize = 2;

/// An integer that takes a certain number of bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Width {
    /// The least value, zigzag, that takes so many bytes.
    least: u64,
    /// Number of values that do.
    count: u64,
    /// The bits that move up by one place, to leave room for the bit that says that another byte
    /// follows.
    second: u64,
    /// Those of them that move by yet another place.
    third: u64,
    /// The bits that say so.
    follows: u64,
    bits: u32,
}

impl Width {
    const ONE: Self = Self {
        least: 0,
        count: 1 << 7,
        second: 0,
        third: 0,
        follows: 0,
        bits: 8,
    };
    const TWO: Self = Self {
        least: 1 << 7,
        count: (1 << 14) - (1 << 7),
        second: 0x3f80,
        third: 0,
        follows: 0x80,
        bits: 16,
    };
    const THREE: Self = Self {
        least: 1 << 14,
        count: (1 << 21) - (1 << 14),
        second: 0x001f_ff80,
        third: 0x001f_c000,
        follows: 0x8080,
        bits: 24,
    };

    /// Of a value that takes one or two bytes.
    fn short(value: u64) -> Option<Self> {
        [Self::ONE, Self::TWO]
            .into_iter()
            .find(|width| width.has(value))
    }

    /// Of a value that takes up to three.
    fn medium(value: u64) -> Option<Self> {
        Self::short(value).or_else(|| Some(Self::THREE).filter(|width| width.has(value)))
    }

    /// Of these values, those that leave `other` its width, if it is greater by `difference`.
    ///
    /// A null value is shorter by one than its zigzag says, which takes it out of no range: there
    /// is nothing below it.
    fn so_that(self, other: Self, difference: u64) -> Self {
        let least = self.least.max(other.least.saturating_sub(difference));
        let end =
            (self.least + self.count).min((other.least + other.count).saturating_sub(difference));
        Self {
            least,
            count: end.saturating_sub(least),
            ..self
        }
    }

    #[inline(always)]
    fn has(&self, value: u64) -> bool {
        value.wrapping_sub(self.least) < self.count
    }

    /// The lanes of a value of one or two bytes, without what says that one follows.
    #[inline(always)]
    fn short_lanes(&self, value: u64) -> u64 {
        value + (value & self.second)
    }

    /// The lanes of a value of up to three.
    #[inline(always)]
    fn lanes(&self, value: u64) -> u64 {
        value + (value & self.second) + ((value & self.third) << 1)
    }

    fn bytes(&self) -> usize {
        (self.bits / 8) as usize
    }
}

/// The number of bytes the integers of a small record take, and where they go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    has_key: bool,
    length: Width,
    timestamp_delta: Width,
    offset_delta: Width,
    key_length: Width,
    value_length: Width,
    /// First the length, the attributes and the timestamp delta.
    head: u64,
    head_bits: u32,
    timestamp_shift: u32,
    /// Then the offset delta and the length of the key; if that is null, the length of the value.
    middle: u64,
    lengths_shift: u32,
    prefix_bytes: usize,
    /// The body of the record without key and value.
    body_bytes: usize,
    /// The record without key and value.
    record_bytes: usize,
}

/// The integers of a small record, encoded.
pub(super) struct SmallRecord {
    /// All before the key; without a key, all before the value.
    prefix: [u64; 2],
    prefix_bytes: usize,
    /// The length of the value, which stands behind the key.
    value_length: u64,
    value_length_bytes: usize,
    record_bytes: usize,
}

impl Shape {
    /// The shape of this record, if it is a small one. A new record costs this once; all that
    /// resemble it nothing.
    pub(super) fn of(
        record: &RecordRef<'_>,
        timestamp_delta: i64,
        offset_delta: u32,
    ) -> Option<Self> {
        if !record.headers.is_empty() {
            return None;
        }
        let timestamp_delta = Width::short(varint::zigzag_long(timestamp_delta))?;
        let offset_delta = Width::medium(u64::from(offset_delta) << 1)?;
        let key_length = Width::short(nullable_length(record.key))?;
        let value_length = Width::short(nullable_length(record.value))?;
        let body_bytes = FIXED_BYTES
            + timestamp_delta.bytes()
            + offset_delta.bytes()
            + key_length.bytes()
            + value_length.bytes();
        let body = body_bytes + byte_count(record.key) + byte_count(record.value);
        let record_length = Width::short((body as u64) << 1)?;

        let timestamp_shift = record_length.bits + 8;
        let has_key = record.key.is_some();
        let (lengths_shift, lengths, lengths_bits) = if has_key {
            (offset_delta.bits, key_length.follows, key_length.bits)
        } else {
            let both = NULL | (value_length.follows << 8);
            (offset_delta.bits + 8, both, 8 + value_length.bits)
        };
        let head_bits = timestamp_shift + timestamp_delta.bits;
        let prefix_bits = head_bits + offset_delta.bits + lengths_bits;
        Some(Self {
            has_key,
            length: record_length,
            timestamp_delta,
            offset_delta,
            key_length,
            value_length: if has_key {
                value_length
            } else {
                // The length of the record follows from that of the value: one test is enough for
                // both.
                value_length.so_that(record_length, (body_bytes as u64) << 1)
            },
            head: record_length.follows | (timestamp_delta.follows << timestamp_shift),
            head_bits,
            timestamp_shift,
            middle: offset_delta.follows | (lengths << offset_delta.bits),
            lengths_shift,
            prefix_bytes: (prefix_bits / 8) as usize,
            body_bytes,
            record_bytes: record_length.bytes() + body_bytes,
        })
    }

    /// The integers of this record, if it has this shape.
    #[inline(always)]
    pub(super) fn encode(
        &self,
        record: &RecordRef<'_>,
        timestamp_delta: i64,
        offset_delta: u32,
    ) -> Option<SmallRecord> {
        let timestamp_delta = varint::zigzag_long(timestamp_delta);
        let offset_delta = u64::from(offset_delta) << 1;
        let value_length = nullable_length(record.value);
        let payload_bytes = byte_count(record.key) + byte_count(record.value);
        let record_length = ((self.body_bytes + payload_bytes) as u64) << 1;
        let fits = self.timestamp_delta.has(timestamp_delta)
            && self.offset_delta.has(offset_delta)
            && self.value_length.has(value_length)
            && record.headers.is_empty();
        if !fits {
            return None;
        }

        let value_length = self.value_length.short_lanes(value_length);
        let lengths = if record.key.is_some() {
            let key_length = nullable_length(record.key);
            let fits =
                self.has_key && self.key_length.has(key_length) && self.length.has(record_length);
            if !fits {
                return None;
            }
            self.key_length.short_lanes(key_length)
        } else if self.has_key {
            return None;
        } else {
            value_length
        };
        // At most five bytes, and six.
        let head = self.head
            + self.length.short_lanes(record_length)
            + (self.timestamp_delta.short_lanes(timestamp_delta) << (self.timestamp_shift & 63));
        let middle = self.middle
            + self.offset_delta.lanes(offset_delta)
            + (lengths << (self.lengths_shift & 63));
        Some(SmallRecord {
            prefix: [
                head | (middle << (self.head_bits & 63)),
                middle >> ((64 - self.head_bits) & 63),
            ],
            prefix_bytes: self.prefix_bytes,
            value_length: value_length | self.value_length.follows,
            value_length_bytes: self.value_length.bytes(),
            record_bytes: self.record_bytes + payload_bytes,
        })
    }
}

impl SmallRecord {
    #[inline(always)]
    pub(super) fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// Writes the record that this was made of; there is room for it and the slack.
    #[inline(always)]
    pub(super) fn write(&self, record: &RecordRef<'_>, buffer: &mut BytesMut) {
        let [low, high] = self.prefix;
        let prefix = u128::from(low) | (u128::from(high) << 64);
        put_word(buffer, &prefix.to_le_bytes(), self.prefix_bytes);
        if let Some(key) = record.key {
            buffer.extend_from_slice(key);
            let value_length = self.value_length.to_le_bytes();
            put_word(buffer, &value_length, self.value_length_bytes);
        }
        if let Some(value) = record.value {
            buffer.extend_from_slice(value);
        }
        buffer.put_u8(NO_HEADERS);
    }
}

/// One store of a whole word, of which only the first bytes are kept.
#[inline(always)]
fn put_word<const N: usize>(buffer: &mut BytesMut, word: &[u8; N], bytes: usize) {
    let end = buffer.len() + bytes;
    buffer.extend_from_slice(word);
    buffer.truncate(end);
}

#[inline(always)]
fn byte_count(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(0, <[u8]>::len)
}
