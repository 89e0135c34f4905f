//! The batch that records are encoded into: it grows in the callers' threads until it is closed.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{BATCH_HEADER_BYTES, RecordRef, RecordTooLarge, RecordsBuilder};

use crate::batch::{CallRun, push_call};
use crate::frame;

/// A frame that was cut and has to go to the local queue.
#[derive(Debug)]
pub(crate) struct CutFrame<T> {
    pub(crate) payload: Bytes,
    pub(crate) token: T,
    /// First record within the batch; 0 where the frame starts the batch.
    pub(crate) first_record: u32,
    pub(crate) records: u32,
    pub(crate) calls: u64,
    /// Bytes of the records.
    pub(crate) bytes: usize,
    /// The batch ends with it.
    pub(crate) closes: bool,
}

/// The open batch, if there is one, and the buffer for the next.
#[derive(Debug)]
pub(crate) struct OpenBatch<T> {
    builder: RecordsBuilder,
    current: Option<Current<T>>,
    /// Calls since the last cut.
    runs: Vec<CallRun>,
    uncut_calls: u64,
}

#[derive(Debug)]
struct Current<T> {
    token: T,
    opened_at: Instant,
    /// Number of the first call.
    first_call: u64,
}

impl<T: Clone> OpenBatch<T> {
    pub(crate) fn new() -> Self {
        Self {
            builder: RecordsBuilder::new(0),
            current: None,
            runs: Vec::new(),
            uncut_calls: 0,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Starts a batch. `memory` is asked for as many bytes where there is too little left of the last batch's.
    pub(crate) fn open(
        &mut self,
        base_timestamp_ms: i64,
        first_call: u64,
        (token, now): (T, Instant),
        memory: impl FnOnce(usize) -> BytesMut,
    ) {
        self.builder.restart_in(base_timestamp_ms, memory);
        self.current = Some(Current {
            token,
            opened_at: now,
            first_call,
        });
    }

    /// The open batch's token.
    pub(crate) fn token(&self) -> Option<&T> {
        self.current.as_ref().map(|current| &current.token)
    }

    pub(crate) fn opened_at(&self) -> Option<Instant> {
        self.current.as_ref().map(|current| current.opened_at)
    }

    pub(crate) fn first_call(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.first_call)
    }

    /// Bytes of the whole batch so far, its header included.
    pub(crate) fn batch_bytes(&self) -> usize {
        BATCH_HEADER_BYTES.saturating_add(self.builder.byte_len())
    }

    pub(crate) fn record_count(&self) -> u32 {
        if self.is_open() {
            self.builder.record_count()
        } else {
            0
        }
    }

    /// Bytes since the last cut.
    pub(crate) fn uncut_bytes(&self) -> usize {
        if self.is_open() {
            self.builder.uncut_len()
        } else {
            0
        }
    }

    pub(crate) fn encoded_size(&self, record: &RecordRef<'_>) -> usize {
        self.builder.encoded_size(record)
    }

    #[inline]
    pub(crate) fn append(&mut self, record: &RecordRef<'_>) -> Result<usize, RecordTooLarge> {
        self.builder.append(record)
    }

    /// Marks the end of a call of `records` records.
    #[inline]
    pub(crate) fn end_call(&mut self, records: u32) {
        push_call(&mut self.runs, records);
        self.uncut_calls += 1;
    }

    /// Hands out what was appended since the last cut, if anything was. `closes`: the batch ends here.
    pub(crate) fn cut(&mut self, closes: bool) -> Option<CutFrame<T>> {
        let token = self.current.as_ref()?.token.clone();
        let runs = &self.runs;
        let frame = self
            .builder
            .cut_with_trailer(|meta, out| frame::encode_trailer(meta, runs, out));
        self.runs.clear();
        let calls = std::mem::take(&mut self.uncut_calls);
        if closes {
            self.current = None;
        }
        let frame = frame?;
        Some(CutFrame {
            token,
            first_record: frame.first_delta,
            records: frame.record_count,
            calls,
            bytes: frame.records.len(),
            payload: frame.with_trailer,
            closes,
        })
    }
}
