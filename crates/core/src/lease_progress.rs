//! The progress of a lease, as its tag says.

use crate::routing_tag::RoutingTag;
use crate::stamp_tag::LeaseTag;

/// The count of records of a lease, of a partition's queue or of the unrouted one, that have come
/// to their end as its tag says. A tag that cannot be read says nothing.
#[must_use]
pub fn records_ended(tag: &[u8]) -> u64 {
    match LeaseTag::decode(tag) {
        Ok(tag) => u64::from(tag.done_records),
        Err(_) => RoutingTag::read(tag).map_or(0, |tag| tag.done.count()),
    }
}

#[cfg(test)]
mod tests {
    use crate::routing_tag::RecordSet;

    use super::*;

    #[test]
    fn a_tag_of_either_kind_says_how_many_have_ended() {
        let mut done = RecordSet::default();
        done.add(3, 9);
        let routing = RoutingTag {
            done,
            is_doubtful: true,
        };
        assert_eq!(records_ended(&routing.encode()), 9);
        let golden = include_bytes!("../tests/golden/lease_tag_v2.bin");
        assert_eq!(records_ended(golden), 10);
        assert_eq!(records_ended(b"?"), 0);
    }
}
