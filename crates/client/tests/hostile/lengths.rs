//! Every length in a response, found by asking the decoder: cut the response before a byte, and it
//! says what it misses there.
//!
//! So the list is made of our own message definitions, and a field that is added to one of them is
//! on it.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of tests"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use wolff_client::codec::{DecodeError, Defect, Wanted};

/// A length field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Length {
    /// Where it begins, in bytes from the start of what was given.
    pub offset: usize,
    pub width: Width,
}

/// Encoding of a length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    /// 16 bits, signed.
    Two,
    /// 32 bits, signed.
    Four,
    /// Variable, unsigned.
    Compact,
}

/// All lengths in whole bytes that `decode` takes. Inside tagged fields, which the decoder wants
/// whole, every byte counts as one.
pub fn lengths_of<T>(
    whole: &Bytes,
    decode: impl Fn(&Bytes) -> Result<T, DecodeError>,
) -> Vec<Length> {
    assert!(decode(whole).is_ok(), "not whole: {whole:?}");
    let mut lengths = BTreeMap::new();
    for cut in 0..whole.len() {
        let Err(DecodeError::Malformed(malformed)) = decode(&whole.slice(..cut)) else {
            panic!("{cut} of {} bytes pass for all of them", whole.len());
        };
        let Defect::Truncated {
            wanted,
            needed,
            remaining,
        } = malformed.defect
        else {
            // An array counts its elements against the bytes that are left: what follows it is not
            // there yet.
            continue;
        };
        let is_length = matches!(
            wanted,
            Wanted::StringLength
                | Wanted::BytesLength
                | Wanted::ArrayLength
                | Wanted::TagCount
                | Wanted::TagSize
        );
        if is_length {
            let offset = cut - remaining;
            let width = match needed {
                2 => Width::Two,
                4 => Width::Four,
                _ => Width::Compact,
            };
            lengths.insert(offset, width);
            if wanted == Wanted::TagSize {
                let (size, size_bytes) = compact_at(whole, offset);
                let content = offset + size_bytes;
                lengths.extend((content..content + size).map(|inside| (inside, Width::Compact)));
            }
        }
    }
    let length = |(offset, width)| Length { offset, width };
    lengths.into_iter().map(length).collect()
}

impl Length {
    /// The bytes with every value in the place of this length that a hostile peer may choose.
    pub fn spoiled(self, whole: &Bytes) -> Vec<Bytes> {
        let old_bytes = match self.width {
            Width::Two => 2,
            Width::Four => 4,
            Width::Compact => compact_at(whole, self.offset).1,
        };
        let (front, rest) = whole.split_at(self.offset);
        let behind = &rest[old_bytes.min(rest.len())..];
        let values = self.hostile_values(behind.len());
        let spoil = |value: Vec<u8>| Bytes::from([front, &value, behind].concat());
        values.into_iter().map(spoil).collect()
    }

    /// -1, -2, 0, 1, what is left, one more, the most and the least.
    fn hostile_values(self, left: usize) -> Vec<Vec<u8>> {
        let left = u32::try_from(left).unwrap();
        match self.width {
            Width::Two => [-1, -2, 0, 1, i16::MAX, i16::MIN]
                .map(|value| value.to_be_bytes().to_vec())
                .into(),
            Width::Four => {
                let left = i32::try_from(left).unwrap();
                [-1, -2, 0, 1, left, left + 1, i32::MAX, i32::MIN]
                    .map(|value| value.to_be_bytes().to_vec())
                    .into()
            }
            // Null is 0 and a length one more than itself; the last one has no end within 32 bits.
            Width::Compact => [0, 1, 2, left + 1, left + 2, 1 << 31, u32::MAX - 1, u32::MAX]
                .map(compact)
                .into_iter()
                .chain([vec![0xff; 6]])
                .collect(),
        }
    }
}

fn compact(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// A compact number and how many bytes it has.
fn compact_at(bytes: &[u8], offset: usize) -> (usize, usize) {
    let mut value = 0;
    for (index, byte) in bytes[offset..].iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (value, index + 1);
        }
    }
    // Only where a tagged field's content is no number.
    (0, 1)
}
