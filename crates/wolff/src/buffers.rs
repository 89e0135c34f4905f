//! Memory of batches that are done, for the next ones.
//!
//! A batch is a piece of memory of a megabyte. Allocators return such pieces to the kernel,
//! which then has to clear fresh pages for the next batch: for records of a kilobyte that costs as
//! much as sending them. So the last few are kept. They are warm in the cache as well, which is why
//! the one that came last goes first.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// Most bytes that are kept: a few batches for each of a few busy partitions.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Least bytes of a piece that is worth keeping: allocators are good at small pieces.
const LEAST_BYTES: usize = 64 * 1024;

/// Largest size of a piece, as a multiple of what was requested: a small batch does not sit on the
/// memory of a large one.
const MOST_TIMES: usize = 4;

/// Pieces of memory that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Free>);

#[derive(Debug, Default)]
struct Free {
    pieces: Vec<BytesMut>,
    bytes: usize,
}

impl Buffers {
    /// Those of this process.
    pub(crate) fn shared() -> &'static Self {
        static BUFFERS: Buffers = Buffers(Mutex::new(Free {
            pieces: Vec::new(),
            bytes: 0,
        }));
        &BUFFERS
    }

    /// A piece of about that size; an empty one where there is none.
    pub(crate) fn take(&self, bytes: usize) -> BytesMut {
        if bytes < LEAST_BYTES / MOST_TIMES {
            return BytesMut::new();
        }
        let fits = bytes..=bytes.saturating_mul(MOST_TIMES);
        let mut free = self.0.lock();
        let found = free
            .pieces
            .iter()
            .rposition(|piece| fits.contains(&piece.capacity()));
        let Some(position) = found else {
            return BytesMut::new();
        };
        let piece = free.pieces.remove(position);
        free.bytes = free.bytes.saturating_sub(piece.capacity());
        piece
    }

    /// Takes the memory of these, as far as nobody else looks at it any more. What is beyond
    /// `most_bytes` together is freed, those first that were used first.
    pub(crate) fn give(&self, pieces: impl IntoIterator<Item = Bytes>, most_bytes: usize) {
        let mut free = self.0.lock();
        for piece in pieces {
            let Ok(mut piece) = piece.try_into_mut() else {
                continue;
            };
            piece.clear();
            reclaim(&mut piece);
            if piece.capacity() >= LEAST_BYTES {
                free.bytes = free.bytes.saturating_add(piece.capacity());
                free.pieces.push(piece);
            }
        }
        let surplus = free.surplus(most_bytes.min(MOST_BYTES));
        drop(free);
        // Freed without the lock.
        drop(surplus);
    }
}

impl Free {
    /// Takes out what is beyond so many bytes.
    fn surplus(&mut self, most_bytes: usize) -> Vec<BytesMut> {
        let mut count = 0;
        for piece in &self.pieces {
            if self.bytes <= most_bytes {
                break;
            }
            self.bytes = self.bytes.saturating_sub(piece.capacity());
            count += 1;
        }
        self.pieces.drain(..count).collect()
    }
}

/// Takes back the memory that was split off an empty piece, which is the last of its batch:
/// fragments share one allocation.
fn reclaim(piece: &mut BytesMut) {
    let mut bytes = MOST_BYTES;
    while bytes > piece.capacity() && !piece.try_reclaim(bytes) {
        bytes /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(bytes: usize) -> (Bytes, *const u8) {
        let mut piece = BytesMut::with_capacity(bytes);
        piece.extend_from_slice(b"records");
        let place = piece.as_ptr();
        // As the builder of batches does it: a part of it is handed out.
        (piece.split().freeze(), place)
    }

    #[test]
    fn what_was_used_last_is_used_first() {
        let buffers = Buffers::default();
        let (first, _) = used(100_000);
        let (second, place) = used(100_000);
        buffers.give([first, second], MOST_BYTES);
        let piece = buffers.take(90_000);
        assert_eq!(piece.as_ptr(), place);
        assert!(piece.is_empty() && piece.capacity() >= 90_000);
    }

    #[test]
    fn what_somebody_still_reads_is_not_used_again() {
        let buffers = Buffers::default();
        let (piece, _) = used(100_000);
        let reader = piece.clone();
        buffers.give([piece], MOST_BYTES);
        assert_eq!(buffers.take(90_000).capacity(), 0);
        assert_eq!(&reader[..], b"records");
    }

    #[test]
    fn pieces_that_do_not_fit_stay() {
        let buffers = Buffers::default();
        buffers.give([used(100_000).0], MOST_BYTES);
        assert_eq!(buffers.take(200_000).capacity(), 0);
        assert_eq!(buffers.take(20_000).capacity(), 0);
        assert_eq!(buffers.take(16).capacity(), 0);
        assert!(buffers.take(100_000).capacity() >= 100_000);
    }

    #[test]
    fn the_last_fragment_gives_back_the_memory_of_all() {
        let buffers = Buffers::default();
        let mut memory = BytesMut::with_capacity(1_000_000);
        let fragments: Vec<Bytes> = (0..10)
            .map(|_| {
                memory.extend_from_slice(&[7; 60_000]);
                memory.split().freeze()
            })
            .collect();
        drop(memory);
        buffers.give(fragments, MOST_BYTES);
        assert!(buffers.take(900_000).capacity() >= 900_000);
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let buffers = Buffers::default();
        for _ in 0..100 {
            buffers.give([used(1_000_000).0, used(1_000).0], MOST_BYTES);
        }
        let mut kept = 0;
        while buffers.take(1_000_000).capacity() > 0 {
            kept += 1;
        }
        assert_eq!(kept, MOST_BYTES / 1_000_000);
        assert_eq!(buffers.0.lock().bytes, 0);
    }

    #[test]
    fn less_is_kept_when_records_need_the_memory() {
        let buffers = Buffers::default();
        for _ in 0..100 {
            buffers.give([used(100_000).0], MOST_BYTES);
        }
        let (last, place) = used(100_000);
        buffers.give([last], 3_000_000);
        let kept = buffers.0.lock().bytes;
        assert!(kept <= 3_000_000 && kept > 2_900_000, "{kept}");
        assert_eq!(buffers.take(90_000).as_ptr(), place, "the warm one");
        buffers.give([], 0);
        assert_eq!(buffers.0.lock().bytes, 0);
    }
}
