//! Admission of a call: limits of one call, of the queue, and of what waits for the disk.

use wolff_codec::records::RecordRef;

use crate::action::Refused;
use crate::config::Config;
use crate::queue_item::QueueItemError;

/// Bytes that a record takes at most beside its key, value and headers: the attributes, five
/// lengths and counts of up to five bytes, and a timestamp of up to ten.
const MOST_INTEGER_BYTES: usize = 36;

/// Bytes that a header takes at most beside its name and value: two lengths.
const MOST_HEADER_INTEGER_BYTES: usize = 10;

/// The limits, and whether calls are accepted at all.
#[derive(Debug)]
pub(super) struct Admission {
    max_call_bytes: usize,
    max_queue_bytes: u64,
    max_unqueued_bytes: usize,
    /// Bytes that may be accepted before the owner of the memory has to grant more.
    room_bytes: u64,
    closed: Option<Refused>,
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_call_bytes: config.max_call_bytes,
            max_queue_bytes: config.max_queue_bytes,
            max_unqueued_bytes: config.max_unqueued_bytes,
            room_bytes: u64::MAX,
            closed: None,
        }
    }

    pub(super) fn max_call_bytes(&self) -> usize {
        self.max_call_bytes
    }

    pub(super) fn stop(&mut self) {
        self.closed = Some(Refused::Stopping);
    }

    pub(super) fn refuse(&mut self, error: QueueItemError) {
        self.closed.get_or_insert(Refused::Unreadable(error));
    }

    /// Returns whether a call of so many bytes finds room.
    #[inline]
    pub(super) fn admit(
        &self,
        bytes: usize,
        held_bytes: u64,
        unqueued_bytes: usize,
    ) -> Result<(), Refused> {
        if let Some(refused) = self.closed {
            return Err(refused);
        }
        if bytes > self.max_call_bytes {
            return Err(Refused::TooLarge {
                bytes,
                limit: self.max_call_bytes,
            });
        }
        // A call larger than a whole limit finds room where nothing else is, or it never would.
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_full = held_bytes > 0 && held_bytes.saturating_add(more) > self.max_queue_bytes;
        let is_ahead =
            unqueued_bytes > 0 && unqueued_bytes.saturating_add(bytes) > self.max_unqueued_bytes;
        if is_full {
            return Err(Refused::Full);
        }
        if is_ahead {
            return Err(Refused::Behind);
        }
        self.admit_memory(bytes)
    }

    /// Refuses what needs more bytes of memory than are granted.
    #[inline]
    pub(super) fn admit_memory(&self, bytes: usize) -> Result<(), Refused> {
        if u64::try_from(bytes).unwrap_or(u64::MAX) > self.room_bytes {
            return Err(Refused::NoMemory { bytes });
        }
        Ok(())
    }

    /// So many bytes were accepted, or are held for them.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.room_bytes = self.room_bytes.saturating_sub(bytes);
    }

    pub(super) fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    pub(super) fn set_room(&mut self, bytes: u64) {
        self.room_bytes = bytes;
    }
}

/// Bytes that a call takes at most; `usize::MAX` for a call without records, which needs a closer
/// look.
#[inline]
pub(super) fn most_bytes<'a>(records: impl Iterator<Item = RecordRef<'a>>) -> usize {
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
