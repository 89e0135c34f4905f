//! The records of a batch as they come to be compressed: in one or more pieces, in order.

use bytes::Bytes;

/// All pieces in one; a single one is shared, not copied.
pub(super) fn concatenated(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [single] => single.clone(),
        several => Bytes::from(several.concat()),
    }
}

/// The length of all pieces, in bytes.
pub(super) fn total_len(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).fold(0, usize::saturating_add)
}
