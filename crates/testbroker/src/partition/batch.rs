//! A batch on its way into the log, and the answer to it.

use wolff_codec::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use wolff_codec::records::BatchHeader;
use wolff_codec::{ErrorCode, Str};

/// Waits for all in-sync replicas.
pub const ACKS_ALL: i16 = -1;

/// Waits for the leader alone.
pub const ACKS_LEADER: i16 = 1;

/// Waits for nothing.
pub const ACKS_NONE: i16 = 0;

/// The producer of a batch, and its first sequence number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stamp {
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub epoch: ProducerEpoch,
    /// The sequence number of the first record, 0 to 2^31 - 1.
    pub base_sequence: i32,
}

impl Stamp {
    /// The stamp in a batch header; `None` if the batch has no producer id.
    #[must_use]
    pub fn of(header: &BatchHeader) -> Option<Self> {
        (header.producer_id != ProducerId::NONE).then_some(Self {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        })
    }

    /// The sequence number of the last of `record_count` records. Numbers go on at 0 after 2^31 -
    /// 1.
    #[must_use]
    pub fn last_sequence(&self, record_count: i32) -> i32 {
        sequence_after(self.base_sequence, record_count.saturating_sub(1))
    }
}

/// The sequence number that is `count` after another: they go on at 0 after 2^31 - 1. Neither may
/// be negative.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    sequence.checked_add(count).unwrap_or_else(|| {
        // No overflow: each is at most 2^31 - 1.
        count - (i32::MAX - sequence) - 1
    })
}

/// The properties of a batch that the rules look at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BatchFacts {
    /// Producer id, epoch and base sequence; `None` without idempotence.
    pub stamp: Option<Stamp>,
    /// The number of records, at least 1.
    pub record_count: i32,
    /// The size of the whole batch in bytes, header included.
    pub size_bytes: usize,
    /// The newest timestamp of its records, in milliseconds since the Unix epoch.
    pub max_timestamp_ms: i64,
    /// The records without a key, counted from 0 in the batch. They matter on compacted topics
    /// only.
    pub keyless_records: Vec<i32>,
}

/// The place of a batch in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placement {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// The broker's timestamp in milliseconds since the Unix epoch, where it replaces the records'
    /// own.
    pub append_time_ms: Option<i64>,
}

/// The success of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// The offset of the first record; of a duplicate, the offset of the first time.
    pub base_offset: Offset,
    /// True if the batch was there already, and nothing was appended.
    pub is_duplicate: bool,
    /// In milliseconds since the Unix epoch: the append time on topics with LogAppendTime, the
    /// batch's newest timestamp for a duplicate on any topic, else -1.
    pub append_time_ms: i64,
    /// The offset of the first record in the log.
    pub log_start_offset: Offset,
    /// With acks=all, the leader answers when the high watermark has reached this offset.
    pub required_high_watermark: Offset,
}

/// The refusal of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The error code of the answer.
    pub code: ErrorCode,
    /// In words.
    pub message: Option<Str>,
    /// The records to blame (KIP-467).
    pub record_errors: Vec<RecordError>,
}

/// A record to blame for a refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordError {
    /// Counted from 0 in the batch.
    pub index: i32,
    /// In words.
    pub message: Option<Str>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            message: Some(Str::from(message.into())),
            ..Self::from(code)
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_RECORD, message)
    }

    pub(crate) fn of_record(index: i32, message: impl Into<String>) -> Self {
        let message = Str::from(message.into());
        Self {
            code: ErrorCode::INVALID_RECORD,
            message: Some(message.clone()),
            record_errors: vec![RecordError {
                index,
                message: Some(message),
            }],
        }
    }
}

/// A code without words.
impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
        }
    }
}

/// True if a leader can answer with this error after it has appended the batch: the leadership or
/// the disk was lost while it waited for its followers, the wait timed out, or the in-sync replicas
/// became too few. A batch that was answered so is in doubt.
#[must_use]
pub fn follows_append(code: ErrorCode, acks: i16) -> bool {
    match code {
        ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::UNKNOWN_SERVER_ERROR => true,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => acks == ACKS_ALL,
        _ => false,
    }
}
