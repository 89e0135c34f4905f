//! Size of a batch that the link to the leader carries, as far as connections that were lost in the
//! middle of one have shown.

/// Connections in a row that are lost in the middle of a batch before the limit applies: one proves
/// nothing, brokers restart.
const LOST_IN_A_ROW: u32 = 2;

/// A batch may have this part of the bytes that one connection has carried: it is not the one with
/// which a link of a few times its size ends.
const CARRIED_PART: usize = 4;

/// The limit. There is none until connections are lost in the middle of batches; then it is the
/// floor, and rises with what a connection carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLimit {
    floor_bytes: usize,
    /// Size at which batches are closed anyway: a limit beyond it is none.
    max_batch_bytes: usize,
    /// `usize::MAX`: none.
    bytes: usize,
    /// Bytes of the batches that were acknowledged on the present connection.
    carried_bytes: usize,
    /// Connections in a row that were lost in the middle of a batch and had carried none.
    lost: u32,
}

impl LinkLimit {
    pub(super) fn new(floor_bytes: usize, max_batch_bytes: usize) -> Self {
        Self {
            floor_bytes: floor_bytes.max(1),
            max_batch_bytes,
            bytes: usize::MAX,
            carried_bytes: 0,
            lost: 0,
        }
    }

    /// The most bytes of a batch on the wire; `None`: as many as else.
    pub(super) fn bytes(&self) -> Option<usize> {
        (self.bytes < usize::MAX).then_some(self.bytes)
    }

    /// The same where no limit is a number as well.
    pub(super) fn bytes_or_max(&self) -> usize {
        self.bytes
    }

    pub(super) fn connected(&mut self) {
        self.carried_bytes = 0;
    }

    /// A batch of so many bytes was acknowledged.
    pub(super) fn carried(&mut self, bytes: usize) {
        self.lost = 0;
        self.carried_bytes = self.carried_bytes.saturating_add(bytes);
        if self.bytes < usize::MAX {
            self.bytes = self.bytes.max(self.carried_bytes / CARRIED_PART);
            if self.bytes >= self.max_batch_bytes {
                self.bytes = usize::MAX;
            }
        }
    }

    /// The connection was lost before all bytes of a batch of this size were on their way.
    pub(super) fn lost_in_the_middle(&mut self, batch_bytes: usize) {
        if batch_bytes <= self.floor_bytes {
            return;
        }
        if self.carried_bytes > 0 {
            // It gets through, a batch or more at a time.
            let part = self.carried_bytes / CARRIED_PART;
            if self.bytes < usize::MAX {
                self.bytes = self.bytes.min(part.max(self.floor_bytes));
            }
            return;
        }
        self.lost = self.lost.saturating_add(1);
        if self.lost >= LOST_IN_A_ROW {
            self.bytes = self.floor_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_connections_lost_in_the_middle_of_a_batch_make_the_next_ones_small() {
        let mut limit = LinkLimit::new(16, 1_000);
        limit.lost_in_the_middle(500);
        assert_eq!(limit.bytes(), None);
        limit.connected();
        limit.lost_in_the_middle(500);
        assert_eq!(limit.bytes(), Some(16));
    }

    #[test]
    fn a_batch_that_gets_through_in_between_and_one_of_the_smallest_size_prove_nothing() {
        let mut limit = LinkLimit::new(16, 1_000);
        for _ in 0..4 {
            limit.connected();
            limit.lost_in_the_middle(500);
            limit.connected();
            limit.carried(500);
            limit.lost_in_the_middle(500);
            limit.connected();
            limit.lost_in_the_middle(16);
        }
        assert_eq!(limit.bytes(), None);
    }

    #[test]
    fn the_limit_is_a_part_of_what_one_connection_carries_and_ends_where_that_is_a_whole_batch() {
        let mut limit = LinkLimit::new(16, 1_000);
        limit.lost_in_the_middle(500);
        limit.lost_in_the_middle(500);
        let mut batches = 0;
        for _ in 0..3 {
            limit.connected();
            limit.carried(16);
            limit.carried(16);
            limit.carried(16);
            assert_eq!(limit.bytes(), Some(16), "of 64 bytes no more than 16");
            limit.lost_in_the_middle(17);
        }
        limit.connected();
        while let Some(bytes) = limit.bytes() {
            limit.carried(bytes);
            batches += 1;
        }
        assert!(batches < 30, "{batches}");
        limit.carried(1);
        assert_eq!(limit.bytes(), None);
    }

    #[test]
    fn a_limit_that_has_risen_falls_to_what_the_last_connection_carried() {
        let mut limit = LinkLimit::new(16, 1_000);
        limit.lost_in_the_middle(500);
        limit.lost_in_the_middle(500);
        limit.connected();
        limit.carried(800);
        assert_eq!(limit.bytes(), Some(200));
        limit.connected();
        limit.carried(100);
        limit.lost_in_the_middle(200);
        assert_eq!(limit.bytes(), Some(25));
    }
}
