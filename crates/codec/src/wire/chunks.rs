//! Bytes in pieces.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// A byte sequence in pieces that are shared, not copied: what goes to a socket with one vectored
/// write.
///
/// Two sequences are equal when their bytes are, however they are cut.
///
/// ```
/// use bytes::Bytes;
/// use wolff_codec::wire::Chunks;
///
/// let chunks = Chunks::from(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
/// assert_eq!(chunks.len(), 3);
/// assert_eq!(chunks, Chunks::from(Bytes::from_static(b"abc")));
/// ```
#[derive(Clone, Default)]
pub struct Chunks {
    pieces: Pieces,
    /// The sum of the pieces' lengths.
    len: usize,
}

/// One piece is the common case of decoded messages and needs no list.
#[derive(Clone)]
enum Pieces {
    One(Bytes),
    /// None of them empty.
    Many(Vec<Bytes>),
}

impl Default for Pieces {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Chunks {
    /// No bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of bytes of all pieces together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order; none of them is empty.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces().iter().filter(|piece| !piece.is_empty())
    }

    /// All bytes in one piece: copied together if there are several, else shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.pieces {
            Pieces::One(bytes) => bytes.clone(),
            Pieces::Many(pieces) => {
                let mut joined = BytesMut::with_capacity(self.len);
                for piece in pieces {
                    joined.extend_from_slice(piece);
                }
                joined.freeze()
            }
        }
    }

    fn pieces(&self) -> &[Bytes] {
        match &self.pieces {
            Pieces::One(bytes) => std::slice::from_ref(bytes),
            Pieces::Many(pieces) => pieces,
        }
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        Self {
            pieces: Pieces::One(bytes),
            len,
        }
    }
}

impl From<Vec<Bytes>> for Chunks {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        // Slices of memory cannot overflow this sum together; shared ones, counted often, might.
        let len = pieces
            .iter()
            .fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
        Self {
            pieces: Pieces::Many(pieces),
            len,
        }
    }
}

impl FromIterator<Bytes> for Chunks {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self::from(pieces.into_iter().collect::<Vec<Bytes>>())
    }
}

impl IntoIterator for Chunks {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        match self.pieces {
            Pieces::One(bytes) if bytes.is_empty() => Vec::new().into_iter(),
            Pieces::One(bytes) => vec![bytes].into_iter(),
            Pieces::Many(pieces) => pieces.into_iter(),
        }
    }
}

impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        match (self.pieces(), other.pieces()) {
            _ if self.len != other.len => false,
            ([left], [right]) => left == right,
            (left, right) => left.iter().flatten().eq(right.iter().flatten()),
        }
    }
}

impl Eq for Chunks {}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_bytes(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_by_content() {
        let whole = Chunks::from(Bytes::from_static(b"kafka"));
        let cut = Chunks::from(vec![
            Bytes::from_static(b"ka"),
            Bytes::new(),
            Bytes::from_static(b"fka"),
        ]);
        assert_eq!(whole, cut);
        assert_ne!(whole, Chunks::from(Bytes::from_static(b"wolff")));
        assert_eq!(cut.iter().count(), 2);
        assert_eq!(cut.to_bytes(), "kafka");
        assert_eq!(format!("{cut:?}"), "b\"kafka\"");
    }

    #[test]
    fn no_bytes_have_no_pieces() {
        for empty in [
            Chunks::new(),
            Chunks::from(Bytes::new()),
            Chunks::from(vec![Bytes::new()]),
        ] {
            assert!(empty.is_empty());
            assert_eq!(empty.iter().count(), 0);
            assert_eq!(empty, Chunks::new());
            assert_eq!(empty.into_iter().count(), 0);
        }
    }
}
