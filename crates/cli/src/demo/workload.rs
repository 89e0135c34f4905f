//! The demo's records: each can be made anew from its number, so that a changed byte is noticed.

use std::fmt::Write;

/// Number of keys; the records of each are numbered by themselves.
pub(super) const KEYS: u64 = 24;

/// The key of a record.
pub(super) fn key(number: u64) -> String {
    format!("key-{:02}", number % KEYS)
}

/// The value of a record: its number, its place among the records of its key, and text that only
/// this number gives.
pub(super) fn value(number: u64) -> String {
    let mut value = String::with_capacity(160);
    // A `String` takes all that is written.
    let _infallible = write!(value, "{number} {} ", number / KEYS);
    let mut random = SplitMix(number);
    let length = random.next() % 96 + 16;
    for _ in 0..length {
        let letter = u8::try_from(random.next() % 26).unwrap_or(0);
        value.push(char::from(b'a' + letter));
    }
    value
}

/// The number that a value says it has.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The record as a line for `wolff produce --key-delimiter '\t'`.
pub(super) fn line(number: u64) -> String {
    format!("{}\t{}\n", key(number), value(number))
}

/// SplitMix64, by its published constants: the same text for the same number, today and tomorrow.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_its_number_and_is_made_anew_the_same() {
        for expected in [0, 1, KEYS, 299_999] {
            let value = value(expected);
            assert_eq!(number(value.as_bytes()), Some(expected));
            assert_eq!(value, super::value(expected));
        }
        assert_ne!(value(1)[2..], value(2)[2..]);
        assert_eq!(number(b"x"), None);
    }
}
