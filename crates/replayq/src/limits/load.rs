//! Items and bytes, as the limits count them.

use bytes::Bytes;

use crate::field;

/// An item counts with at least so many bytes, so that limits bound what items without payload
/// take, too.
pub(crate) const LEAST_ITEM_BYTES: u64 = 16;

/// Items, and the bytes of their payloads.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Load {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

impl Load {
    pub(crate) fn of(payloads: &[Bytes]) -> Self {
        Self {
            items: field::wide(payloads.len()),
            bytes: payloads
                .iter()
                .map(|payload| field::wide(payload.len()))
                .sum(),
        }
    }

    pub(crate) fn plus(self, more: Self) -> Self {
        Self {
            items: self.items.saturating_add(more.items),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }

    pub(crate) fn less(self, fewer: Self) -> Self {
        Self {
            items: self.items.saturating_sub(fewer.items),
            bytes: self.bytes.saturating_sub(fewer.bytes),
        }
    }

    /// The bytes that limits compare: the payloads' bytes, or [`LEAST_ITEM_BYTES`] for each item
    /// where that is more. As entries of a segment they take less than three times that.
    pub(crate) fn counted_bytes(self) -> u64 {
        self.bytes.max(self.items.saturating_mul(LEAST_ITEM_BYTES))
    }
}
