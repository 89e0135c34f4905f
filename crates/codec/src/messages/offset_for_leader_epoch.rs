//! OffsetForLeaderEpoch (key 23): where the epoch of a leader ends in its log (KIP-320).
//!
//! Version 3 names the replica that asks, 4 is flexible. Kafka 4 no longer speaks the versions
//! before 2.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the end offsets of leader epochs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderEpochRequest {
    /// The replica that asks; none for a consumer. -2 allows offsets beyond the high watermark.
    /// Since version 3.
    pub replica_id: BrokerId,
    /// The topics.
    pub topics: Vec<OffsetForLeaderTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for OffsetForLeaderEpochRequest {
    const API_KEY: ApiKey = ApiKey::OFFSET_FOR_LEADER_EPOCH;
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for OffsetForLeaderEpochRequest {
    type Response = OffsetForLeaderEpochResponse;
}

impl Field for OffsetForLeaderEpochRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(3.., "replica_id", &self.replica_id)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            replica_id: from.field_in_or(3.., "replica_id", BrokerId(-2))?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Leader epochs of one topic to look up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderTopic {
    /// The name of the topic.
    pub topic: Str,
    /// The partitions.
    pub partitions: Vec<OffsetForLeaderPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetForLeaderTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topic", &self.topic)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: from.field("topic")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A leader epoch of one partition to look up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that the client knows; the broker refuses others unless it is unknown.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch to look up.
    pub leader_epoch: LeaderEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetForLeaderPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition", &self.partition)?;
        out.field("current_leader_epoch", &self.current_leader_epoch)?;
        out.field("leader_epoch", &self.leader_epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: from.field("partition")?,
            current_leader_epoch: from.field("current_leader_epoch")?,
            leader_epoch: from.field("leader_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The end offsets of the leader epochs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderEpochResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<OffsetForLeaderTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for OffsetForLeaderEpochResponse {
    const API_KEY: ApiKey = ApiKey::OFFSET_FOR_LEADER_EPOCH;
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for OffsetForLeaderEpochResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The end offsets in one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderTopicResult {
    /// The name of the topic.
    pub topic: Str,
    /// The partitions.
    pub partitions: Vec<OffsetForLeaderPartitionResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetForLeaderTopicResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topic", &self.topic)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: from.field("topic")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The end offset in one partition. Kafka calls it `EpochEndOffset`, as it does another structure
/// of Fetch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetForLeaderPartitionResult {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The partition.
    pub partition: PartitionId,
    /// The largest epoch that the leader has records of and that is not above the requested one;
    /// unknown if there is none.
    pub leader_epoch: LeaderEpoch,
    /// The offset behind the last record of that epoch; unknown if there is none.
    pub end_offset: Offset,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetForLeaderPartitionResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("partition", &self.partition)?;
        out.field("leader_epoch", &self.leader_epoch)?;
        out.field("end_offset", &self.end_offset)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            partition: from.field("partition")?,
            leader_epoch: from.field("leader_epoch")?,
            end_offset: from.field("end_offset")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
