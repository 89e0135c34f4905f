//! The batch that records are encoded into: it grows in the callers' threads until it is closed.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{BATCH_HEADER_BYTES, Mark, RecordRef, RecordTooLarge, RecordsBuilder};

use crate::batch::Calls;
use crate::queue_item::{ItemContext, RunPosition, encode_trailer};

/// A fragment that was cut and has to go to the local queue.
#[derive(Debug)]
pub(crate) struct CutFragment<T> {
    pub(crate) payload: Bytes,
    pub(crate) token: T,
    /// First record within the batch; 0 where the fragment starts the batch.
    pub(crate) first_record: u32,
    /// Number of the batch's first call.
    pub(crate) first_call: u64,
    pub(crate) records: u32,
    pub(crate) calls: u64,
    /// Bytes of the records.
    pub(crate) bytes: usize,
    /// The newest timestamp among them.
    pub(crate) max_timestamp_ms: i64,
    /// The batch ends with it.
    pub(crate) closes: bool,
}

/// The owner's part of a new batch.
#[derive(Debug)]
pub struct Opening<T> {
    /// Comes back with the ends of its records.
    pub token: T,
    /// The present time.
    pub now: Instant,
    /// The same as milliseconds since the epoch.
    pub now_ms: i64,
}

/// The open batch, if there is one, and the buffer for the next.
#[derive(Debug)]
pub(crate) struct OpenBatch<T> {
    builder: RecordsBuilder,
    current: Option<Current<T>>,
    /// Calls since the last cut.
    calls: Calls,
    uncut_calls: u64,
    /// Position of the next fragment among the records of this run.
    position: RunPosition,
}

#[derive(Debug)]
struct Current<T> {
    opening: Opening<T>,
    /// Number of the first call.
    first_call: u64,
    moved_bytes: usize,
}

impl<T: Clone> OpenBatch<T> {
    /// `piece_bytes`: most memory that is taken ahead of the records.
    pub(crate) fn new(run: u64, piece_bytes: usize) -> Self {
        Self {
            builder: RecordsBuilder::new(0).take_ahead_at_most(piece_bytes),
            current: None,
            calls: Calls::default(),
            uncut_calls: 0,
            position: RunPosition { run, number: 0 },
        }
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Starts a batch. `memory` gets a request for so many bytes where too little is left of the
    /// last batch's.
    pub(crate) fn open(
        &mut self,
        base_timestamp_ms: i64,
        first_call: u64,
        opening: Opening<T>,
        memory: impl FnOnce(usize) -> BytesMut,
    ) {
        self.builder.restart_in(base_timestamp_ms, memory);
        self.current = Some(Current {
            opening,
            first_call,
            moved_bytes: 0,
        });
    }

    /// The open batch's token.
    #[inline]
    pub(crate) fn token(&self) -> Option<&T> {
        self.current.as_ref().map(|current| &current.opening.token)
    }

    pub(crate) fn opened_at(&self) -> Option<Instant> {
        self.current.as_ref().map(|current| current.opening.now)
    }

    pub(crate) fn first_call(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.first_call)
    }

    /// Bytes of the whole batch so far, its header included.
    #[inline]
    pub(crate) fn batch_bytes(&self) -> usize {
        BATCH_HEADER_BYTES.saturating_add(self.builder.byte_len())
    }

    #[inline]
    pub(crate) fn record_count(&self) -> u32 {
        if self.is_open() {
            self.builder.record_count()
        } else {
            0
        }
    }

    /// Bytes since the last cut.
    #[inline]
    pub(crate) fn uncut_bytes(&self) -> usize {
        if self.is_open() {
            self.builder.uncut_len()
        } else {
            0
        }
    }

    /// Bytes of memory that are there for more records of the open batch.
    #[inline]
    pub(crate) fn spare_bytes(&self) -> usize {
        if self.is_open() {
            self.builder.spare_bytes()
        } else {
            0
        }
    }

    /// Bytes that were cut from the open batch and are in the memory that it keeps for more.
    pub(crate) fn kept_cut_bytes(&self) -> usize {
        if self.is_open() {
            self.builder.kept_cut_bytes()
        } else {
            0
        }
    }

    /// Bytes of the open batch that had to be moved when its memory grew last: the memory that they
    /// were in is free, and in pieces.
    pub(crate) fn moved_bytes(&self) -> usize {
        self.current
            .as_ref()
            .map_or(0, |current| current.moved_bytes)
    }

    /// So many bytes are appended next. Returns how many have to be moved for that.
    pub(crate) fn make_room(&mut self, bytes: usize) -> usize {
        let moved = self.uncut_bytes();
        if self.builder.spare_bytes() >= bytes {
            return 0;
        }
        if let Some(current) = &mut self.current {
            current.moved_bytes = moved;
        }
        moved
    }

    /// Gives back the memory of the fragments that were cut and are in the local queue now, if it
    /// is so many bytes at least and nothing has come behind them.
    pub(crate) fn release_stored(&mut self, least_bytes: usize) {
        self.builder.release_cut(least_bytes);
    }

    pub(crate) fn encoded_size(&self, record: &RecordRef<'_>) -> usize {
        self.builder.encoded_size(record)
    }

    /// Starts a call. Unless it is committed, it leaves nothing behind, also when the caller's code
    /// panics in the middle of it.
    #[inline]
    pub(crate) fn begin_call(&mut self) -> OpenCall<'_, T> {
        let mark = self.builder.mark();
        OpenCall {
            batch: self,
            mark: Some(mark),
        }
    }

    /// Returns what was appended since the last cut, if anything was. `closes`: the batch ends
    /// here.
    pub(crate) fn cut(&mut self, closes: bool) -> Option<CutFragment<T>> {
        let current = self.current.as_ref()?;
        let (token, first_call) = (current.opening.token.clone(), current.first_call);
        let context = ItemContext {
            position: self.position,
            accepted_at_ms: current.opening.now_ms,
        };
        let calls = &self.calls;
        let frame = self
            .builder
            .cut_with_trailer(|meta, out| encode_trailer(meta, calls, &context, out));
        self.calls.clear();
        let calls = std::mem::take(&mut self.uncut_calls);
        if closes {
            self.current = None;
        }
        let frame = frame?;
        self.position = self.position.after(frame.record_count);
        Some(CutFragment {
            token,
            first_record: frame.first_delta,
            first_call,
            records: frame.record_count,
            calls,
            bytes: frame.records.len(),
            max_timestamp_ms: frame.max_timestamp_ms,
            payload: frame.with_trailer,
            closes,
        })
    }
}

impl<T> OpenBatch<T> {
    /// The last so many records that were cut did not get into the queue: no gap is left for them.
    pub(crate) fn forget_cut(&mut self, records: u64) {
        self.position.number = self.position.number.saturating_sub(records);
    }
}

/// A call that is being encoded; rolled back when it is dropped without [`commit`](Self::commit).
pub(crate) struct OpenCall<'a, T> {
    batch: &'a mut OpenBatch<T>,
    mark: Option<Mark>,
}

impl<T> OpenCall<'_, T> {
    #[inline]
    pub(crate) fn append(&mut self, record: &RecordRef<'_>) -> Result<usize, RecordTooLarge> {
        self.batch.builder.append(record)
    }

    /// Keeps the call, which has so many records.
    #[inline]
    pub(crate) fn commit(mut self, records: u32) {
        self.mark = None;
        self.batch.calls.push(records);
        self.batch.uncut_calls += 1;
    }
}

impl<T> Drop for OpenCall<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            self.batch.builder.roll_back(mark);
        }
    }
}
