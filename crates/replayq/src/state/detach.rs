//! Items in buffers of their own.

use bytes::Bytes;

use crate::state::waiting::Item;

/// Up to so many bytes are copied. More stay in the buffer of their read, of
/// [`crate::Config::read_bytes`]: at most 16 times as large, by default.
const COPIED_BYTES: usize = 64 << 10;

/// The items in a buffer of their own, not that of the read which they come from: a few of them
/// that are kept for long would keep all of it.
pub(crate) fn detached(items: Vec<Item>) -> Vec<Item> {
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
