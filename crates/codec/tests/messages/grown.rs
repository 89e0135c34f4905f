//! Random messages, grown by answering what the decoder asks for.
//!
//! Starting from nothing, the decoder says what it misses ("the length of a string needs 2 bytes, 0
//! remain"); a random one is appended, until the message is complete. So every field of every
//! message gets random values without a word about any of them here, and only values that the
//! version can carry.

use bytes::Bytes;
use wolff_codec::{DecodeError, Defect, Wanted};

/// A small generator of random numbers (SplitMix64): the same seed, the same message.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// After so many answers arrays and strings are empty, so that a message ends.
const GENEROUS_ANSWERS: usize = 120;

/// Far more answers than any message takes: the decoder asks in circles.
const MAX_ANSWERS: usize = 20_000;

/// Tags from here on are known to no version of any message.
const FIRST_UNKNOWN_TAG: u16 = 200;

/// Grows a message that `decode` accepts; returns its bytes with it.
pub(crate) fn grow<T>(
    random: &mut Random,
    is_flexible: bool,
    decode: impl Fn(&Bytes) -> Result<T, DecodeError>,
) -> (Bytes, T) {
    let mut bytes = Vec::new();
    for answers in 0..MAX_ANSWERS {
        let body = Bytes::copy_from_slice(&bytes);
        let malformed = match decode(&body) {
            Ok(message) => return (body, message),
            Err(DecodeError::Malformed(malformed)) => malformed,
            Err(other) => panic!("no message to grow: {other}"),
        };
        match malformed.defect {
            Defect::Truncated {
                wanted,
                needed,
                remaining,
            } => {
                bytes.truncate(bytes.len() - remaining);
                let mut answer = Answer {
                    random,
                    is_flexible,
                    is_generous: answers < GENEROUS_ANSWERS,
                    tag: FIRST_UNKNOWN_TAG + u16::try_from(answers).unwrap(),
                };
                bytes.extend(answer.to(wanted, needed));
            }
            // A null that is not allowed here becomes empty, in place: arrays around it have
            // counted its bytes.
            Defect::UnexpectedNull if is_flexible => bytes[malformed.offset] = 1,
            Defect::UnexpectedNull => bytes[malformed.offset..].fill(0),
            other => panic!("grown bytes are refused: {other} in {body:?}"),
        }
    }
    panic!("a message that never ends: {bytes:?}");
}

/// Bytes to append when the decoder wants more.
struct Answer<'a> {
    random: &'a mut Random,
    is_flexible: bool,
    is_generous: bool,
    tag: u16,
}

impl Answer<'_> {
    fn to(&mut self, wanted: Wanted, needed: usize) -> Vec<u8> {
        match wanted {
            Wanted::Number(1) => vec![self.byte(2)],
            Wanted::Number(_) if self.random.one_in(3) => {
                let mut small = vec![0; needed];
                small[needed - 1] = self.byte(20);
                small
            }
            Wanted::StringLength => {
                let length = self.length(12);
                self.prefix(length, 2)
            }
            Wanted::BytesLength => {
                let length = self.length(30);
                self.prefix(length, 4)
            }
            Wanted::ArrayLength => {
                let count = self.length(4);
                // An array must not claim more elements than there are bytes: its elements begin as
                // zeros.
                let mut array = self.prefix(count, 4);
                array.resize(array.len() + usize::from(count.unwrap_or_default()), 0);
                array
            }
            Wanted::TagCount if self.is_generous && self.random.one_in(8) => {
                vec![1 + self.byte(2)]
            }
            Wanted::TagCount => vec![0],
            Wanted::Tag => {
                let [high, low] = (self.tag << 1).to_be_bytes();
                vec![(low >> 1) | 0x80, high]
            }
            Wanted::TagSize => vec![self.byte(6)],
            Wanted::Content => (0..needed).map(|_| b'a' + self.byte(26)).collect(),
            _ => (0..needed).map(|_| self.byte(256)).collect(),
        }
    }

    /// A length below `limit`; none for null.
    fn length(&mut self, limit: usize) -> Option<u8> {
        match (self.random.one_in(6), self.is_generous) {
            (true, _) => None,
            (false, true) => Some(self.byte(limit)),
            (false, false) => Some(0),
        }
    }

    fn prefix(&self, length: Option<u8>, fixed_bytes: usize) -> Vec<u8> {
        match length {
            Some(length) if self.is_flexible => vec![length + 1],
            Some(length) => {
                let mut bytes = vec![0; fixed_bytes];
                bytes[fixed_bytes - 1] = length;
                bytes
            }
            None if self.is_flexible => vec![0],
            None => vec![0xff; fixed_bytes],
        }
    }

    fn byte(&mut self, limit: usize) -> u8 {
        u8::try_from(self.random.below(limit)).unwrap()
    }
}
