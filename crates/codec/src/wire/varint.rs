//! Variable-length integers: seven bits per byte, lowest first, the top bit set on every byte but
//! the last.
//!
//! Kafka uses them unsigned (compact lengths, tagged fields) and zigzag-mapped (the *varint* and
//! *varlong* of records), so that small negative numbers stay short. Both directions work on a
//! whole word instead of branching on every byte: the seven-bit groups are spread to, or gathered
//! from, eight byte lanes in three steps.
//!
//! Longer encodings than needed (`80 00` for 0) are accepted, as every Kafka implementation does;
//! bits that do not fit the target type are refused.

use thiserror::Error;

/// The longest encoding of a 32-bit value, in bytes.
pub const MAX_VARINT_BYTES: usize = 5;

/// The longest encoding of a 64-bit value, in bytes.
pub const MAX_VARLONG_BYTES: usize = 10;

/// Why bytes are not a variable-length integer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum VarintError {
    /// The bytes end before the last byte of the integer.
    #[error("the bytes end inside a variable-length integer")]
    Truncated,
    /// The encoding goes on, or has bits, beyond the width of the integer.
    #[error("a variable-length integer exceeds {bits} bits")]
    TooLarge {
        /// The width that the integer must fit.
        bits: u32,
    },
}

/// An encoded integer in a register: the first [`len`](Self::len) little-endian bytes of
/// [`word`](Self::word).
///
/// A 32-bit value takes at most five bytes, a 64-bit value at most ten; hence the width of the
/// word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// The bytes, first one lowest; those behind the encoding are zero.
    pub word: u128,
    /// Number of bytes of the word that belong to the encoding: 1 to 10.
    pub len: usize,
}

impl Encoded {
    /// This encoding and the next one behind it, at most 16 bytes in all.
    ///
    /// # Panics
    /// In debug builds, when there are more; in others the result is of no use.
    #[inline]
    #[must_use]
    pub const fn followed_by(self, next: Self) -> Self {
        debug_assert!(self.len + next.len <= 16, "a word holds 16 bytes");
        Self {
            word: self.word | (next.word << (8 * self.len)),
            len: self.len + next.len,
        }
    }
}

/// Maps a signed 32-bit integer so that small magnitudes of either sign become small numbers: 0,
/// -1, 1, -2 … to 0, 1, 2, 3 ….
#[inline]
#[must_use]
pub const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[inline]
#[must_use]
pub const fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// [`zigzag`] for 64 bits.
#[inline]
#[must_use]
pub const fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag_long`].
#[inline]
#[must_use]
pub const fn unzigzag_long(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Number of bytes that the encoding of `value` takes: 1 to 10, and at most 5 for a value of 32
/// bits.
#[inline]
#[must_use]
pub const fn encoded_len(value: u64) -> usize {
    // ceil(bits / 7) without a division; exact for every width from 1 to 64.
    let bits = 64 - (value | 1).leading_zeros();
    ((bits * 9 + 64) >> 6) as usize
}

/// Encodes an unsigned 32-bit value.
#[inline]
#[must_use]
pub const fn encode(value: u32) -> Encoded {
    let len = encoded_len(value as u64);
    Encoded {
        word: (spread(value as u64) | continuation_bits(len)) as u128,
        len,
    }
}

/// Encodes an unsigned 64-bit value.
#[inline]
#[must_use]
pub const fn encode_long(value: u64) -> Encoded {
    let len = encoded_len(value);
    if len <= 8 {
        return Encoded {
            word: (spread(value) | continuation_bits(len)) as u128,
            len,
        };
    }
    // Nine or ten bytes: eight full lanes, then what is left of the value above them.
    let high = value >> 56;
    let ninth = if len == 9 {
        high
    } else {
        (high & 0x7f) | 0x80 | ((high >> 7) << 8)
    };
    Encoded {
        word: ((spread(value & LANES_VALUE_MASK) | EVERY_TOP_BIT) as u128)
            | ((ninth as u128) << 64),
        len,
    }
}

/// Reads an unsigned 32-bit value from the front of `input`; returns it with the number of bytes it
/// took.
///
/// # Errors
/// When the input ends too early, or the value has more than 32 bits.
#[inline]
pub fn decode(input: &[u8]) -> Result<(u32, usize), VarintError> {
    match input.first() {
        Some(&byte) if byte < 0x80 => Ok((u32::from(byte), 1)),
        _ => {
            let (value, len) = decode_multibyte(input, MAX_VARINT_BYTES, 32)?;
            let value = u32::try_from(value).map_err(|_| VarintError::TooLarge { bits: 32 })?;
            Ok((value, len))
        }
    }
}

/// Reads an unsigned 64-bit value from the front of `input`; returns it with the number of bytes it
/// took.
///
/// # Errors
/// When the input ends too early, or the value has more than 64 bits.
#[inline]
pub fn decode_long(input: &[u8]) -> Result<(u64, usize), VarintError> {
    match input.first() {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), 1)),
        _ => decode_multibyte(input, MAX_VARLONG_BYTES, 64),
    }
}

/// The continuation bit of each of the eight lanes.
const EVERY_TOP_BIT: u64 = 0x8080_8080_8080_8080;

/// The 56 bits of a value that eight lanes hold.
const LANES_VALUE_MASK: u64 = (1 << 56) - 1;

/// Moves the low 56 bits to eight byte lanes of seven bits.
#[inline]
const fn spread(value: u64) -> u64 {
    let x = (value & 0x0000_0000_0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x0fff_c000_0fff_c000) << 2);
    (x & 0x007f_007f_007f_007f) | ((x & 0x3f80_3f80_3f80_3f80) << 1)
}

/// The inverse of [`spread`]; the top bit of each lane is ignored.
#[inline]
const fn gather(lanes: u64) -> u64 {
    let x = (lanes & 0x007f_007f_007f_007f) | ((lanes & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

/// The top bits of all bytes but the last one of an encoding of `len` bytes, 1 to 8.
#[inline]
const fn continuation_bits(len: usize) -> u64 {
    EVERY_TOP_BIT & !(u64::MAX << (8 * (len - 1)))
}

/// Reads an encoding of any length up to `max_len` bytes: by the word where eight bytes are at
/// hand, else byte by byte.
#[inline]
fn decode_multibyte(input: &[u8], max_len: usize, bits: u32) -> Result<(u64, usize), VarintError> {
    if let Some(lanes) = input.first_chunk::<8>() {
        let lanes = u64::from_le_bytes(*lanes);
        let ends = !lanes & EVERY_TOP_BIT;
        if ends != 0 {
            // Everything up to and including the first byte without a continuation bit.
            let own = lanes & (ends ^ (ends - 1));
            let len = (ends.trailing_zeros() / 8 + 1) as usize;
            return if len > max_len {
                Err(VarintError::TooLarge { bits })
            } else {
                Ok((gather(own), len))
            };
        }
    }
    decode_bytewise(input, max_len, bits)
}

/// The textbook loop: for the last bytes of an input, and for encodings of nine or ten bytes.
#[cold]
fn decode_bytewise(input: &[u8], max_len: usize, bits: u32) -> Result<(u64, usize), VarintError> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(max_len).enumerate() {
        let group = u64::from(byte & 0x7f);
        let shift = 7 * index;
        // Only the tenth byte can lose bits here: it has room for one.
        if shift == 63 && group > 1 {
            return Err(VarintError::TooLarge { bits });
        }
        value |= group << shift;
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if input.len() < max_len {
        VarintError::Truncated
    } else {
        VarintError::TooLarge { bits }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, as plainly as it can be said.
    fn naive(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let group = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                bytes.push(group);
                return bytes;
            }
            bytes.push(group | 0x80);
        }
    }

    fn bytes_of(encoded: Encoded) -> Vec<u8> {
        assert_eq!(
            encoded.word >> (8 * encoded.len),
            0,
            "bytes behind the encoding are zero"
        );
        encoded.word.to_le_bytes()[..encoded.len].to_vec()
    }

    fn assert_agrees_with_naive(value: u64) {
        let expected = naive(value);
        assert_eq!(encoded_len(value), expected.len());
        assert_eq!(bytes_of(encode_long(value)), expected);
        for tail in [0, 1, 16] {
            let mut input = expected.clone();
            input.resize(expected.len() + tail, 0xff);
            assert_eq!(decode_long(&input), Ok((value, expected.len())));
            match u32::try_from(value) {
                Ok(narrow) => {
                    assert_eq!(bytes_of(encode(narrow)), expected);
                    assert_eq!(decode(&input), Ok((narrow, expected.len())));
                }
                Err(_) => assert_eq!(decode(&input), Err(VarintError::TooLarge { bits: 32 })),
            }
        }
        for len in 0..expected.len() {
            assert_eq!(decode_long(&expected[..len]), Err(VarintError::Truncated));
        }
    }

    #[test]
    fn every_width_agrees_with_the_definition_at_its_edges() {
        for shift in 0..64 {
            let power = 1u64 << shift;
            for value in [power - 1, power, power + 1, power | (power - 1)] {
                assert_agrees_with_naive(value);
            }
        }
        assert_agrees_with_naive(u64::MAX);
    }

    #[test]
    fn zigzag_alternates_signs() {
        let mapped = [0, -1, 1, -2, 2, i32::MAX, i32::MIN].map(zigzag);
        assert_eq!(mapped, [0, 1, 2, 3, 4, u32::MAX - 1, u32::MAX]);
    }

    #[test]
    fn encodings_longer_than_needed_are_accepted_within_the_width() {
        assert_eq!(decode(&[0x80, 0x00]), Ok((0, 2)));
        assert_eq!(decode(&[0x81, 0x80, 0x80, 0x80, 0x00]), Ok((1, 5)));
        assert_eq!(
            decode(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x00]),
            Err(VarintError::TooLarge { bits: 32 })
        );
    }

    #[test]
    fn bits_beyond_the_width_are_refused() {
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, 5)));
        assert_eq!(
            decode(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
            Err(VarintError::TooLarge { bits: 32 })
        );
        let mut ten = [0xff; 10];
        ten[9] = 0x01;
        assert_eq!(decode_long(&ten), Ok((u64::MAX, 10)));
        ten[9] = 0x02;
        assert_eq!(decode_long(&ten), Err(VarintError::TooLarge { bits: 64 }));
        assert_eq!(
            decode_long(&[0xff; 16]),
            Err(VarintError::TooLarge { bits: 64 })
        );
        assert_eq!(decode_long(&[0xff; 9]), Err(VarintError::Truncated));
    }

    proptest! {
        #[test]
        fn any_value_agrees_with_the_definition(value: u64, shift in 0u32..64) {
            assert_agrees_with_naive(value >> shift);
        }

        #[test]
        fn zigzag_and_back(narrow: i32, wide: i64) {
            prop_assert_eq!(unzigzag(zigzag(narrow)), narrow);
            prop_assert_eq!(unzigzag_long(zigzag_long(wide)), wide);
        }

        #[test]
        fn any_bytes_decode_alike_by_word_and_by_byte(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            prop_assert_eq!(decode_long(&bytes), decode_bytewise(&bytes, MAX_VARLONG_BYTES, 64));
        }
    }
}
