//! Taking calls in: the part that runs in the callers' threads, under the owner's lock.

use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::records::{BATCH_HEADER_BYTES, RecordRef};

use super::machine::Partition;
use crate::action::{Accepted, Refused};
use crate::config::Durability;

/// What an encoded record may need beyond the size it has at the front of a batch: longer varints of its deltas.
const DELTA_SLACK_BYTES: usize = 16;

/// What a record takes at most beside its key, value and headers: the attributes, five lengths and counts of up to five bytes,
/// and a timestamp of up to ten.
const MOST_INTEGER_BYTES: usize = 36;

/// What a header takes at most beside its name and value: two lengths.
const MOST_HEADER_INTEGER_BYTES: usize = 10;

impl<T: Clone> Partition<T> {
    /// Takes in one call: all its records go into one batch, in order and together, encoded in place.
    ///
    /// Where a batch has to be opened for it, `opening` makes the batch's token and tells the time: a clock need not be read
    /// for every call. `memory` is asked for as many bytes for the batch's records, unless there is enough left of the last
    /// batch's; it may well give none.
    ///
    /// # Errors
    /// [`Refused`]; nothing of the call was kept.
    #[inline]
    pub fn accept<'a, I>(
        &mut self,
        records: I,
        opening: impl FnOnce() -> (T, Instant),
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        // What the call takes at most is known from its lengths. Only where that is too much is it measured.
        let most = most_bytes(records.clone());
        if self.admit(most).is_err() || !self.open_batch_has_room(most) {
            return self.accept_measured(records, opening, memory);
        }
        self.append(records, false)
    }

    /// Takes in a call that finds no room in the open batch, or perhaps in the queue.
    #[inline(never)]
    fn accept_measured<'a, I>(
        &mut self,
        records: I,
        opening: impl FnOnce() -> (T, Instant),
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        let (base_timestamp_ms, bytes) = self.measure(records.clone())?;
        self.admit(bytes)?;
        let mut wake = false;
        if self.open.is_open() && !self.open_batch_has_room(bytes) {
            self.close_open_batch();
            wake = true;
        }
        if !self.open.is_open() {
            let call_no = self.counters.accepted_calls;
            self.open
                .open(base_timestamp_ms, call_no, opening(), memory);
            wake = true;
        }
        self.append(records, wake)
    }

    /// Encodes the records of one call into the open batch.
    #[inline]
    fn append<'a>(
        &mut self,
        records: impl Iterator<Item = RecordRef<'a>>,
        mut wake: bool,
    ) -> Result<Accepted<T>, Refused> {
        let Some(token) = self.open.token().cloned() else {
            return Err(Refused::Stopping);
        };
        let first_record = self.open.record_count();
        let mut appended = 0usize;
        for record in records {
            // The call's size is known to be far below what a batch can hold.
            appended = appended.saturating_add(self.open.append(&record).map_err(|error| {
                Refused::TooLarge {
                    bytes: usize::try_from(error.record_bytes).unwrap_or(usize::MAX),
                    limit: self.config.max_call_bytes,
                }
            })?);
        }
        let count = self.open.record_count().saturating_sub(first_record);
        self.open.end_call(count);
        let call_no = self.counters.accepted_calls;
        self.counters.accepted_calls += 1;
        self.counters.accepted_records += u64::from(count);
        self.counters.held_bytes += u64::try_from(appended).unwrap_or(u64::MAX);
        if !self.open_batch_has_room(appended) {
            // No room for another one like it: full, as far as linger is concerned.
            self.close_open_batch();
            wake = true;
        }
        Ok(Accepted {
            call_no,
            first_record,
            token,
            wake,
        })
    }

    /// Whether there is an open batch, with room for so many bytes.
    #[inline]
    fn open_batch_has_room(&self, bytes: usize) -> bool {
        self.open.is_open() && self.open.batch_bytes().saturating_add(bytes) <= self.max_batch_bytes
    }

    /// The first record's timestamp, and the call's size: exact for a single record, else an upper bound.
    fn measure<'a>(
        &self,
        mut records: impl Iterator<Item = RecordRef<'a>>,
    ) -> Result<(i64, usize), Refused> {
        let first = records.next().ok_or(Refused::Empty)?;
        let mut bytes = self.open.encoded_size(&first);
        for record in records {
            bytes = bytes
                .saturating_add(self.open.encoded_size(&record))
                .saturating_add(DELTA_SLACK_BYTES);
        }
        Ok((first.timestamp_ms, bytes))
    }

    #[inline]
    fn admit(&self, bytes: usize) -> Result<(), Refused> {
        if self.stopping {
            return Err(Refused::Stopping);
        }
        if bytes > self.config.max_call_bytes {
            return Err(Refused::TooLarge {
                bytes,
                limit: self.config.max_call_bytes,
            });
        }
        // A call larger than the whole limit is taken by an empty queue, or it would never be.
        let held = self
            .counters
            .held_bytes
            .saturating_add(self.backlog.recovered_bytes);
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        if held > 0 && held.saturating_add(more) > self.config.max_queue_bytes {
            return Err(Refused::Full);
        }
        if self.config.durability == Durability::Queue {
            let unqueued = self.unqueued_bytes();
            if unqueued > 0 && unqueued.saturating_add(bytes) > self.config.max_unqueued_bytes {
                return Err(Refused::Full);
            }
        }
        Ok(())
    }

    /// Bytes that the local queue has not taken yet.
    pub(super) fn unqueued_bytes(&self) -> usize {
        let appending: usize = self.appending.iter().map(|frame| frame.bytes).sum();
        self.cut_bytes
            .saturating_add(appending)
            .saturating_add(self.open.uncut_bytes())
    }

    /// Closes the open batch: what is left of it is cut, and no record follows in it.
    pub(super) fn close_open_batch(&mut self) {
        if let Some(frame) = self.open.cut(true) {
            self.push_cut(frame);
        } else if let Some(last) = self.cut.back_mut() {
            last.closes = true;
        } else if let Some(last) = self.appending.last_mut() {
            last.closes = true;
        } else if let Some(entry) = self.backlog.open_entry() {
            entry.closed = true;
        }
    }

    pub(super) fn push_cut(&mut self, frame: crate::open_batch::CutFrame<T>) {
        self.cut_bytes = self.cut_bytes.saturating_add(frame.bytes);
        self.cut.push_back(frame);
    }

    /// The smallest limit for a batch that still has room for something.
    pub(super) fn shrink_batches_below(&mut self, refused_bytes: usize) {
        let half = (refused_bytes / 2).max(BATCH_HEADER_BYTES.saturating_add(1));
        self.max_batch_bytes = self.max_batch_bytes.min(half);
    }
}

/// What a call takes at most; the greatest number for a call without records, which is to be looked at more closely.
#[inline]
fn most_bytes<'a>(records: impl Iterator<Item = RecordRef<'a>>) -> usize {
    let mut sum = 0usize;
    for record in records {
        let headers = record.headers.iter().fold(0usize, |sum, header| {
            sum.saturating_add(MOST_HEADER_INTEGER_BYTES)
                .saturating_add(header.key.len())
                .saturating_add(header.value.as_deref().map_or(0, <[u8]>::len))
        });
        sum = sum
            .saturating_add(MOST_INTEGER_BYTES)
            .saturating_add(record.key.map_or(0, <[u8]>::len))
            .saturating_add(record.value.map_or(0, <[u8]>::len))
            .saturating_add(headers);
    }
    if sum == 0 { usize::MAX } else { sum }
}
