//! Messages in which one list has as many elements as fit: the smallest that its version has.
//!
//! As in `messages/grown.rs` the decoder says what it misses, and gets the least that will do. So
//! every list of every message is found without a word about any of them here.

use bytes::Bytes;
use wolff_codec::{DecodeError, Defect, Wanted};

/// Content of strings and byte sequences.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    /// Number of bytes of each; below 127.
    pub(crate) length: u8,
    /// Null where that is allowed.
    pub(crate) is_null_allowed: bool,
}

/// A message with one element in each list.
#[derive(Debug)]
struct Smallest {
    body: Vec<u8>,
    /// Places of the lengths of lists, in the order in which they are read.
    lists: Vec<usize>,
}

/// More answers than any message takes.
const MAX_ANSWERS: usize = 20_000;

/// Grows a message; the list of that number has no elements.
fn smallest(
    content: Content,
    is_flexible: bool,
    empty: Option<usize>,
    decode: &impl Fn(&Bytes) -> Option<DecodeError>,
) -> Smallest {
    let mut body = Vec::new();
    let mut lists = Vec::new();
    let prefix = |length: Option<u8>, fixed_bytes: usize| match length {
        Some(length) if is_flexible => vec![length + 1],
        Some(length) => {
            let mut bytes = vec![0; fixed_bytes];
            bytes[fixed_bytes - 1] = length;
            bytes
        }
        None if is_flexible => vec![0],
        None => vec![0xff; fixed_bytes],
    };
    let filled = |fixed_bytes: usize| {
        let mut bytes = prefix(Some(content.length), fixed_bytes);
        bytes.resize(bytes.len() + usize::from(content.length), b'a');
        bytes
    };
    for _ in 0..MAX_ANSWERS {
        let malformed = match decode(&Bytes::copy_from_slice(&body)) {
            None => return Smallest { body, lists },
            Some(DecodeError::Malformed(malformed)) => malformed,
            Some(other) => panic!("no message to grow: {other}"),
        };
        match malformed.defect {
            Defect::Truncated {
                wanted,
                needed,
                remaining,
            } => {
                body.truncate(body.len() - remaining);
                body.extend(match wanted {
                    Wanted::StringLength if content.is_null_allowed => prefix(None, 2),
                    Wanted::StringLength => filled(2),
                    Wanted::BytesLength if content.is_null_allowed => prefix(None, 4),
                    Wanted::BytesLength => filled(4),
                    Wanted::ArrayLength => {
                        let count = u8::from(Some(lists.len()) != empty);
                        lists.push(body.len());
                        // No list may claim more elements than there are bytes.
                        let mut list = prefix(Some(count), 4);
                        list.resize(list.len() + usize::from(count), 0);
                        list
                    }
                    _ => vec![0; needed],
                });
            }
            Defect::UnexpectedNull => {
                let null_bytes = body.len() - malformed.offset;
                let value = filled(null_bytes);
                let null_bytes = if is_flexible { 1 } else { null_bytes };
                body.splice(malformed.offset..malformed.offset + null_bytes, value);
            }
            other => panic!("grown bytes are refused: {other} in {body:?}"),
        }
    }
    panic!("a message that never ends: {body:?}");
}

/// Messages of at most so many bytes, each with one list that fills it.
pub(crate) fn repeated(
    content: Content,
    is_flexible: bool,
    max_bytes: usize,
    decode: impl Fn(&Bytes) -> Option<DecodeError>,
) -> Vec<Bytes> {
    let whole = smallest(content, is_flexible, None, &decode);
    let lists = whole.lists.iter().enumerate();
    lists
        .map(|(number, at)| {
            let without = smallest(content, is_flexible, Some(number), &decode);
            let element_bytes = whole.body.len() - without.body.len();
            let old_prefix_bytes = if is_flexible { 1 } else { 4 };
            let first = at + old_prefix_bytes;
            let element = &whole.body[first..first + element_bytes];
            let count = (max_bytes - without.body.len() - 4) / element_bytes;
            let mut body = whole.body[..*at].to_vec();
            body.extend(list_length(count, is_flexible));
            body.extend(element.repeat(count));
            body.extend(&whole.body[first + element_bytes..]);
            Bytes::from(body)
        })
        .collect()
}

fn list_length(count: usize, is_flexible: bool) -> Vec<u8> {
    let mut left = u32::try_from(count).unwrap();
    if !is_flexible {
        return left.to_be_bytes().to_vec();
    }
    left += 1;
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    bytes.push(left.to_le_bytes()[0]);
    bytes
}
