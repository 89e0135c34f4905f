//! ListOffsets (key 2): the offset that belongs to a time, or to an end of the log.
//!
//! Version 1 answers with one offset instead of several, 2 knows isolation levels, 4 leader epochs,
//! 6 is flexible, 7 finds the record with the largest timestamp, 8 and 9 know tiered storage, 10
//! has a timeout for it, 11 finds what is not in remote storage yet (KIP-1023).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for one offset of each partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListOffsetsRequest {
    /// The replica that asks; none for a client.
    pub replica_id: BrokerId,
    /// 0: all records; 1: none of open or aborted transactions. Since version 2.
    pub isolation_level: i8,
    /// Offsets to find, by topic.
    pub topics: Vec<ListOffsetsTopic>,
    /// Time that the broker may wait for remote storage, in milliseconds. Since version 10.
    pub timeout_ms: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ListOffsetsRequest {
    const API_KEY: ApiKey = ApiKey::LIST_OFFSETS;
    const VERSIONS: RangeInclusive<i16> = 0..=11;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Request for ListOffsetsRequest {
    type Response = ListOffsetsResponse;

    /// Only version 0 returns several offsets.
    fn newest_version(&self) -> i16 {
        let mut partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        if partitions.any(|partition| partition.max_num_offsets != 1) {
            0
        } else {
            11
        }
    }
}

impl Field for ListOffsetsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("replica_id", &self.replica_id)?;
        out.strict_field_in(2.., "isolation_level", &self.isolation_level, &0)?;
        out.field("topics", &self.topics)?;
        out.field_in(10.., "timeout_ms", &self.timeout_ms)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            replica_id: from.field("replica_id")?,
            isolation_level: from.field_in(2.., "isolation_level")?,
            topics: from.field("topics")?,
            timeout_ms: from.field_in(10.., "timeout_ms")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Which offsets to find in one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListOffsetsTopic {
    /// The name of the topic.
    pub name: Str,
    /// The partitions.
    pub partitions: Vec<ListOffsetsPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ListOffsetsTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Which offset to find in one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListOffsetsPartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The epoch that the client knows; the broker refuses others unless it is unknown. Since
    /// version 4.
    pub current_leader_epoch: LeaderEpoch,
    /// The first record of this time or later is looked for, in milliseconds since 1970; -1 the end
    /// of the log, -2 its start, -3 the largest timestamp, -4 the start of what is local, -5 the
    /// end of what is remote, -6 the start of what is to become remote.
    pub timestamp: i64,
    /// Most offsets to return. Version 0 only. Default: 1.
    pub max_num_offsets: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ListOffsetsPartition {
    fn default() -> Self {
        Self {
            partition_index: PartitionId::default(),
            current_leader_epoch: LeaderEpoch::UNKNOWN,
            timestamp: 0,
            max_num_offsets: 1,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for ListOffsetsPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field_in(4.., "current_leader_epoch", &self.current_leader_epoch)?;
        out.field("timestamp", &self.timestamp)?;
        out.strict_field_in(..=0, "max_num_offsets", &self.max_num_offsets, &1)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            current_leader_epoch: from.field_in(4.., "current_leader_epoch")?,
            timestamp: from.field("timestamp")?,
            max_num_offsets: from.field_in_or(..=0, "max_num_offsets", 1)?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The offsets found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListOffsetsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 2.
    pub throttle_time_ms: i32,
    /// The offsets found, by topic.
    pub topics: Vec<ListOffsetsTopicResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ListOffsetsResponse {
    const API_KEY: ApiKey = ApiKey::LIST_OFFSETS;
    const VERSIONS: RangeInclusive<i16> = 0..=11;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Field for ListOffsetsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(2.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(2.., "throttle_time_ms")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The offsets found in one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListOffsetsTopicResponse {
    /// The name of the topic.
    pub name: Str,
    /// The partitions.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ListOffsetsTopicResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The offset found in one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The offsets found. Version 0 only.
    pub old_style_offsets: Vec<Offset>,
    /// The timestamp of the record found, in milliseconds since 1970; -1 for an end of the log.
    /// Since version 1. Default: -1.
    pub timestamp: i64,
    /// The offset found. Since version 1.
    pub offset: Offset,
    /// The epoch of the leader that the record came from. Since version 4.
    pub leader_epoch: LeaderEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        Self {
            partition_index: PartitionId::default(),
            error_code: ErrorCode::NONE,
            old_style_offsets: Vec::new(),
            timestamp: -1,
            offset: Offset::UNKNOWN,
            leader_epoch: LeaderEpoch::UNKNOWN,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for ListOffsetsPartitionResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("error_code", &self.error_code)?;
        out.strict_field_in(
            ..=0,
            "old_style_offsets",
            &self.old_style_offsets,
            &Vec::new(),
        )?;
        out.strict_field_in(1.., "timestamp", &self.timestamp, &-1)?;
        out.strict_field_in(1.., "offset", &self.offset, &Offset::UNKNOWN)?;
        out.strict_field_in(
            4..,
            "leader_epoch",
            &self.leader_epoch,
            &LeaderEpoch::UNKNOWN,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            error_code: from.field("error_code")?,
            old_style_offsets: from.field_in(..=0, "old_style_offsets")?,
            timestamp: from.field_in_or(1.., "timestamp", -1)?,
            offset: from.field_in(1.., "offset")?,
            leader_epoch: from.field_in(4.., "leader_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
