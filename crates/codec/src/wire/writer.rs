//! Where encoded fields go.

use bytes::{Bytes, BytesMut};

use super::chunks::Chunks;
use super::varint;

/// Bytes up to this length are copied: cheaper than another piece for the socket.
const COPIED_BYTES: usize = 1024;

/// A rope: small fields are copied to one buffer, large byte sequences are linked into it without
/// being copied.
///
/// ```
/// use bytes::Bytes;
/// use wolff_codec::wire::Writer;
///
/// let mut writer = Writer::new();
/// writer.put(&7i32.to_be_bytes());
/// writer.append(&Bytes::from(vec![1; 4096]));
/// assert_eq!(writer.len(), 4100);
/// assert_eq!(writer.finish().iter().count(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Pieces that are linked in, with the length of `buffer` at that time; ascending.
    linked: Vec<(usize, Bytes)>,
    linked_bytes: usize,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for that many bytes of small fields.
    #[must_use]
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::with_capacity(capacity_bytes),
            ..Self::default()
        }
    }

    /// Number of bytes that have been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() + self.linked_bytes
    }

    /// True if nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes an unsigned variable-length integer.
    #[inline]
    pub fn put_varint(&mut self, value: u32) {
        let encoded = varint::encode(value);
        let bytes = encoded.word.to_le_bytes();
        self.put(bytes.get(..encoded.len).unwrap_or(&bytes));
    }

    /// Appends bytes: links them if they are large.
    pub fn append(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPIED_BYTES {
            self.put(bytes);
        } else {
            self.linked_bytes += bytes.len();
            self.linked.push((self.buffer.len(), bytes.clone()));
        }
    }

    /// Appends every piece, in order.
    pub fn append_chunks(&mut self, chunks: &Chunks) {
        for piece in chunks.iter() {
            self.append(piece);
        }
    }

    /// Replaces bytes at the start, which must have been [put](Self::put) there; what is beyond
    /// them stays out.
    pub(crate) fn overwrite_start(&mut self, bytes: &[u8]) {
        for (to, from) in self.buffer.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    /// Everything that was written.
    #[must_use]
    pub fn finish(self) -> Chunks {
        let mut buffer = self.buffer;
        if self.linked.is_empty() {
            return Chunks::from(buffer.freeze());
        }
        let mut pieces = Vec::with_capacity(2 * self.linked.len() + 1);
        let mut written = 0;
        for (position, bytes) in self.linked {
            // Positions ascend and were the buffer's length once: never beyond what is left of it.
            pieces.push(buffer.split_to(position - written).freeze());
            pieces.push(bytes);
            written = position;
        }
        pieces.push(buffer.freeze());
        Chunks::from(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bytes_are_linked_and_small_ones_copied() {
        let large = Bytes::from(vec![7; COPIED_BYTES + 1]);
        let mut writer = Writer::new();
        writer.put(&[0; 4]);
        writer.append(&Bytes::from_static(b"small"));
        writer.append(&large);
        writer.append(&large);
        writer.put_varint(300);
        writer.overwrite_start(&[1, 2, 3, 4]);
        let len = writer.len();
        let chunks = writer.finish();

        assert_eq!(chunks.len(), len);
        let pieces: Vec<&Bytes> = chunks.iter().collect();
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[0], &b"\x01\x02\x03\x04small"[..]);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
        assert_eq!(pieces[2].as_ptr(), large.as_ptr());
        assert_eq!(pieces[3], &[0xac, 0x02][..]);
    }
}
