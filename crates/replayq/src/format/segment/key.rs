//! The identity of a segment, different from all others of all times: its key, the file name made
//! from it, and the checksum seed.

use std::cmp::Ordering;
use std::fmt;

use super::generations;

/// The queue's identity: random, given when its directory is made.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub(crate) struct QueueUuid(pub(crate) [u8; 16]);

impl QueueUuid {
    /// From the digits that [`fmt::Debug`] shows.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        u128::from_str_radix(digits, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for QueueUuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Segments are ordered by their first item's id. Where two have the same, the later generation
/// supersedes the earlier one.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub(crate) struct SegmentKey {
    /// No item in the segment has a lower id.
    pub(crate) first_id: u64,
    /// Counts the segments that were ever made in this queue, see [`super::generations`]; never
    /// used twice.
    pub(crate) generation: u64,
}

impl Ord for SegmentKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |key: &Self| (key.first_id, generations::rank(key.generation));
        order(self).cmp(&order(other))
    }
}

impl PartialOrd for SegmentKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A segment that is written anew, before it takes its name.
pub(crate) const NEW_FILE_NAME: &str = "segment.new";

const SUFFIX: &str = ".segment";
const DIGITS: usize = 20;

impl SegmentKey {
    pub(crate) fn file_name(self) -> String {
        format!("{:020}-{:020}{SUFFIX}", self.first_id, self.generation)
    }

    /// The key in a file name; none for names that the queue does not give.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (first_id, generation) = file_name.strip_suffix(SUFFIX)?.split_once('-')?;
        Some(Self {
            first_id: number(first_id)?,
            generation: number(generation)?,
        })
    }

    /// The start value of every checksum in the segment, so that bytes of another queue, or of an
    /// earlier use of the same file, do not validate.
    pub(crate) fn seed(self, uuid: QueueUuid) -> Seed {
        let seed = crc32c::crc32c(&uuid.0);
        let seed = crc32c::crc32c_append(seed, &self.first_id.to_le_bytes());
        Seed(crc32c::crc32c_append(seed, &self.generation.to_le_bytes()))
    }
}

fn number(text: &str) -> Option<u64> {
    if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// The start value of the checksums of one segment.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Seed(pub(crate) u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_sort_as_keys_do() {
        let keys = [
            SegmentKey {
                first_id: 1,
                generation: 7,
            },
            SegmentKey {
                first_id: 1,
                generation: 10,
            },
            SegmentKey {
                first_id: u64::MAX,
                generation: 2,
            },
        ];
        let names: Vec<String> = keys.iter().map(|key| key.file_name()).collect();
        assert!(names.is_sorted());
        for (key, name) in keys.iter().zip(&names) {
            assert_eq!(SegmentKey::parse(name), Some(*key));
        }
    }

    #[test]
    fn other_names_are_nobodys_segments() {
        for name in [
            "",
            "control",
            "1-1.segment",
            "00000000000000000001-00000000000000000001.segment.damaged",
            "+0000000000000000001-00000000000000000001.segment",
            "99999999999999999999-00000000000000000001.segment",
        ] {
            assert_eq!(SegmentKey::parse(name), None, "{name}");
        }
    }
}
