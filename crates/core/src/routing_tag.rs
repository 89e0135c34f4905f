//! The tag of an unrouted lease: that its records are on their way to partitions, and which of them
//! have arrived.
//!
//! `FORMAT.md` describes it byte by byte. All numbers are little endian.

use bytes::{BufMut, Bytes, BytesMut};

/// Not the version of any tag of a partition's lease.
const VERSION: u8 = 0x41;
const HEAD_BYTES: usize = 8;
/// Flag: records that are not done were perhaps sent.
const IS_DOUBTFUL: u8 = 1;
/// The queue takes tags of 2,048 bytes.
const MAX_SET_BYTES: usize = 2_000;

/// Records of a batch, by number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecordSet(Vec<u8>);

impl RecordSet {
    /// Adds records.
    pub(crate) fn add(&mut self, first: u32, count: u32) {
        for record in first..first.saturating_add(count) {
            let Ok(at) = usize::try_from(record / 8) else {
                return;
            };
            if self.0.len() <= at {
                self.0.resize(at + 1, 0);
            }
            if let Some(byte) = self.0.get_mut(at) {
                *byte |= 1 << (record % 8);
            }
        }
    }

    /// Returns whether the record is one of them.
    #[must_use]
    pub fn contains(&self, record: u32) -> bool {
        let byte = usize::try_from(record / 8)
            .ok()
            .and_then(|at| self.0.get(at));
        byte.is_some_and(|byte| byte & (1 << (record % 8)) != 0)
    }

    /// The number of records in it.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.0.len()
    }
}

/// The tag of an unrouted lease.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RoutingTag {
    /// Records that have come to their end.
    pub(crate) done: RecordSet,
    /// The others were perhaps sent.
    pub(crate) is_doubtful: bool,
}

impl RoutingTag {
    /// The tag of a lease about whose records nothing is known but that they may be on their way.
    pub(crate) fn on_the_way() -> Self {
        Self {
            done: RecordSet::default(),
            is_doubtful: true,
        }
    }

    /// The tag as bytes. Where the records are too many for it, those that are done are doubtful.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + self.done.byte_count());
        let fits = self.done.byte_count() <= MAX_SET_BYTES;
        let set: &[u8] = if fits { &self.done.0 } else { &[] };
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.is_doubtful || !fits) * IS_DOUBTFUL);
        out.put_u16_le(0);
        out.put_u32_le(u32::try_from(set.len()).unwrap_or(0));
        out.put_slice(set);
        out.freeze()
    }

    /// Reads a tag. One that is none says nothing, and its records were perhaps sent.
    pub(crate) fn decode(tag: &[u8]) -> Self {
        Self::read(tag).unwrap_or_else(Self::on_the_way)
    }

    /// `None`: it is no routing tag.
    pub(crate) fn read(tag: &[u8]) -> Option<Self> {
        let (head, set) = tag.split_at_checked(HEAD_BYTES)?;
        let [version, flags, _, _, length @ ..] = head else {
            return None;
        };
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let is_whole = usize::try_from(length).ok()? == set.len();
        (*version == VERSION && is_whole).then(|| Self {
            done: RecordSet(set.to_vec()),
            is_doubtful: flags & IS_DOUBTFUL != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let mut done = RecordSet::default();
        done.add(3, 2);
        done.add(900, 1);
        let tag = RoutingTag {
            done,
            is_doubtful: false,
        };
        assert_eq!(RoutingTag::decode(&tag.encode()), tag);
        let is_in = |record| tag.done.contains(record);
        assert_eq!(
            [2, 3, 4, 5, 900, 901].map(is_in),
            [false, true, true, false, true, false]
        );
    }

    #[test]
    fn what_is_no_tag_says_that_everything_was_perhaps_sent() {
        let whole = RoutingTag::default().encode();
        for tag in [
            &b""[..],
            &[1; 48],
            &whole[..7],
            &[VERSION, 0, 0, 0, 9, 0, 0, 0, 1],
        ] {
            assert_eq!(RoutingTag::decode(tag), RoutingTag::on_the_way());
        }
    }

    #[test]
    fn more_records_than_a_tag_can_name_are_doubtful() {
        let mut done = RecordSet::default();
        done.add(0, 17_000);
        let tag = RoutingTag {
            done,
            is_doubtful: false,
        };
        let bytes = tag.encode();
        assert!(bytes.len() <= 2_048);
        assert_eq!(RoutingTag::decode(&bytes), RoutingTag::on_the_way());
    }
}
