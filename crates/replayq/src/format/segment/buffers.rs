//! Buffers of reads: used again when no item lies in them any more. A fresh buffer costs as much as
//! reading into it, in page faults.

use bytes::Bytes;

/// So many are kept: what a few leases under way hold.
const MOST: usize = 4;

/// The last few buffers.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spent: Vec<Bytes>,
}

impl Buffers {
    /// An empty buffer with that capacity at least.
    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        if let Some(at) = self.spent.iter().position(Bytes::is_unique)
            && let Ok(mut buffer) = self.spent.swap_remove(at).try_into_mut()
        {
            // Emptied first, so that making a vector of it moves nothing.
            buffer.clear();
            let buffer = Vec::from(buffer);
            if buffer.capacity() >= bytes {
                return buffer;
            }
        }
        Vec::with_capacity(bytes)
    }

    /// A buffer that is not read from any more; items in it may still be about.
    pub(crate) fn give(&mut self, buffer: Bytes) {
        if buffer.is_empty() {
            return;
        }
        if self.spent.len() >= MOST {
            self.spent.remove(0);
        }
        self.spent.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut buffer: Vec<u8>) -> Bytes {
        buffer.extend_from_slice(&[7; 100]);
        Bytes::from(buffer)
    }

    #[test]
    fn a_buffer_is_used_again_once_nobody_looks_at_it() {
        let mut buffers = Buffers::default();
        let first = filled(buffers.take(4096));
        let (address, item) = (first.as_ptr(), first.slice(3..5));
        buffers.give(first);
        let other = buffers.take(4096);
        assert_ne!(other.as_ptr(), address);
        drop(item);
        let again = buffers.take(4096);
        assert_eq!(again.as_ptr(), address);
        assert!(again.is_empty() && again.capacity() >= 4096);
        assert!(buffers.spent.is_empty());
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        let mut buffers = Buffers::default();
        for _ in 0..10 {
            buffers.give(Bytes::from(vec![1; 10]));
        }
        assert_eq!(buffers.spent.len(), MOST);
    }
}
