//! OffsetCommit (key 8): stores how far a group has consumed.
//!
//! Version 3 returns the time of throttling, 5 drops the retention time, 6 has leader epochs
//! (KIP-320), 7 knows static members (KIP-345), 8 is flexible, 9 serves the new group protocol too
//! (KIP-848), 10 names topics by id. Kafka 4 no longer speaks the versions before 2.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Commits offsets of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetCommitRequest {
    /// The group.
    pub group_id: Str,
    /// The generation of a classic group, or the epoch of a member of a new one (KIP-848); -1
    /// outside of a group. Default: -1.
    pub generation_id_or_member_epoch: i32,
    /// The member, as the coordinator named it; empty outside of a group.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 7.
    pub group_instance_id: Option<Str>,
    /// Time to keep the offsets, in milliseconds; -1 for the setting of the broker. Up to version
    /// 4. Default: -1.
    pub retention_time_ms: i64,
    /// The offsets, by topic.
    pub topics: Vec<OffsetCommitRequestTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for OffsetCommitRequest {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            generation_id_or_member_epoch: -1,
            member_id: Str::default(),
            group_instance_id: None,
            retention_time_ms: -1,
            topics: Vec::new(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for OffsetCommitRequest {
    const API_KEY: ApiKey = ApiKey::OFFSET_COMMIT;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    const FIRST_FLEXIBLE: Option<i16> = Some(8);
}

impl Request for OffsetCommitRequest {
    type Response = OffsetCommitResponse;

    /// Since version 10 topics go by id: all of them must be known.
    fn newest_version(&self) -> i16 {
        if self.topics.iter().any(|topic| topic.topic_id.is_zero()) {
            9
        } else {
            10
        }
    }
}

impl Field for OffsetCommitRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field(
            "generation_id_or_member_epoch",
            &self.generation_id_or_member_epoch,
        )?;
        out.field("member_id", &self.member_id)?;
        out.strict_field_in(7.., "group_instance_id", &self.group_instance_id, &None)?;
        out.field_in(..=4, "retention_time_ms", &self.retention_time_ms)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            generation_id_or_member_epoch: from.field("generation_id_or_member_epoch")?,
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(7.., "group_instance_id")?,
            retention_time_ms: from.field_in_or(..=4, "retention_time_ms", -1)?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Offsets of one topic to commit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetCommitRequestTopic {
    /// The name of the topic. Up to version 9.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// The offsets, by partition.
    pub partitions: Vec<OffsetCommitRequestPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetCommitRequestTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=9, "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=9, "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// An offset of one partition to commit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetCommitRequestPartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The offset of the next record to consume.
    pub committed_offset: Offset,
    /// The epoch of the last record consumed. Since version 6.
    pub committed_leader_epoch: LeaderEpoch,
    /// Text that is stored with the offset.
    pub committed_metadata: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetCommitRequestPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("committed_offset", &self.committed_offset)?;
        out.field_in(6.., "committed_leader_epoch", &self.committed_leader_epoch)?;
        out.field("committed_metadata", &self.committed_metadata)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            committed_offset: from.field("committed_offset")?,
            committed_leader_epoch: from.field_in(6.., "committed_leader_epoch")?,
            committed_metadata: from.field("committed_metadata")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome for each offset.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetCommitResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 3.
    pub throttle_time_ms: i32,
    /// The outcomes, by topic.
    pub topics: Vec<OffsetCommitResponseTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for OffsetCommitResponse {
    const API_KEY: ApiKey = ApiKey::OFFSET_COMMIT;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    const FIRST_FLEXIBLE: Option<i16> = Some(8);
}

impl Field for OffsetCommitResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(3.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(3.., "throttle_time_ms")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcomes for one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetCommitResponseTopic {
    /// The name of the topic. Up to version 9.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// The outcomes, by partition.
    pub partitions: Vec<OffsetCommitResponsePartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetCommitResponseTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=9, "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=9, "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome for one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetCommitResponsePartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetCommitResponsePartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
