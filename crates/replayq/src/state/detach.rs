//! Items that were read, in memory of their own.

use bytes::Bytes;

use crate::state::waiting::Item;

/// Up to so many bytes are copied: what stays in place keeps a read of [`crate::Config::read_bytes`] in memory that is at most 16 times as large, by default.
const COPIED_BYTES: usize = 64 << 10;

/// The items, apart from all else that one read has brought with them: a few of them held for long would hold all of it.
pub(crate) fn apart(items: Vec<Item>) -> Vec<Item> {
    let bytes = items.iter().map(|item| item.payload.len());
    let bytes = bytes.fold(0, usize::saturating_add);
    if bytes > COPIED_BYTES {
        return items;
    }
    let mut copy = Vec::with_capacity(bytes);
    for item in &items {
        copy.extend_from_slice(&item.payload);
    }
    let mut rest = Bytes::from(copy);
    items
        .into_iter()
        .map(|item| Item {
            id: item.id,
            payload: rest.split_to(item.payload.len()),
            accepted: item.accepted,
        })
        .collect()
}
