//! Payloads: slices of random bytes, more of them than the caches near a core hold.

use bytes::Bytes;

const POOL_BYTES: usize = 2 << 20;

/// Items of one size, to be taken in groups, over and over.
#[derive(Debug)]
pub(crate) struct Payloads {
    items: Vec<Bytes>,
    contiguous: Bytes,
    item_bytes: usize,
    group: usize,
}

impl Payloads {
    pub(crate) fn new(item_bytes: usize, group: usize) -> Self {
        let groups = (POOL_BYTES / (item_bytes * group)).max(1);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let contiguous: Bytes = (0..groups * group * item_bytes)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        // Each its own allocation, as an application has them.
        let items = contiguous
            .chunks_exact(item_bytes)
            .map(Bytes::copy_from_slice)
            .collect();
        Self {
            items,
            contiguous,
            item_bytes,
            group,
        }
    }

    pub(crate) fn group(&self) -> usize {
        self.group
    }

    /// Groups without end.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &[Bytes]> {
        self.items.chunks_exact(self.group).cycle()
    }

    /// The same bytes in one piece a group.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.contiguous
            .chunks_exact(self.group * self.item_bytes)
            .cycle()
    }
}
