//! TxnOffsetCommit (key 28): offsets of a group that a transaction commits.
//!
//! Version 2 knows leader epochs, 3 is flexible and fences members (KIP-447), 4 may answer
//! `TRANSACTION_ABORTABLE`, 5 adds the group to the transaction by itself (KIP-890).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Commits offsets as part of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TxnOffsetCommitRequest {
    /// The transactional id of the producer.
    pub transactional_id: Str,
    /// The group.
    pub group_id: Str,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The generation of the group that the producer consumed in. Since version 3. Default: -1.
    pub generation_id: i32,
    /// The member of the group; empty if not known. Since version 3.
    pub member_id: Str,
    /// The member's static id, if it has one. Since version 3.
    pub group_instance_id: Option<Str>,
    /// The offsets, by topic.
    pub topics: Vec<TxnOffsetCommitRequestTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for TxnOffsetCommitRequest {
    fn default() -> Self {
        Self {
            transactional_id: Str::default(),
            group_id: Str::default(),
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            generation_id: -1,
            member_id: Str::default(),
            group_instance_id: None,
            topics: Vec::new(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for TxnOffsetCommitRequest {
    const API_KEY: ApiKey = ApiKey::TXN_OFFSET_COMMIT;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for TxnOffsetCommitRequest {
    type Response = TxnOffsetCommitResponse;
}

impl Field for TxnOffsetCommitRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("group_id", &self.group_id)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.strict_field_in(3.., "generation_id", &self.generation_id, &-1)?;
        out.strict_field_in(3.., "member_id", &self.member_id, &Str::default())?;
        out.strict_field_in(3.., "group_instance_id", &self.group_instance_id, &None)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            group_id: from.field("group_id")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            generation_id: from.field_in_or(3.., "generation_id", -1)?,
            member_id: from.field_in(3.., "member_id")?,
            group_instance_id: from.field_in(3.., "group_instance_id")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Offsets of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TxnOffsetCommitRequestTopic {
    /// The name of the topic.
    pub name: Str,
    /// The offsets, by partition.
    pub partitions: Vec<TxnOffsetCommitRequestPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TxnOffsetCommitRequestTopic {
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

/// The offset of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TxnOffsetCommitRequestPartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The offset to commit.
    pub committed_offset: Offset,
    /// The epoch of the leader that the record before the offset came from, if known. Since version
    /// 2.
    pub committed_leader_epoch: LeaderEpoch,
    /// Any text to keep with the offset.
    pub committed_metadata: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TxnOffsetCommitRequestPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("committed_offset", &self.committed_offset)?;
        out.field_in(2.., "committed_leader_epoch", &self.committed_leader_epoch)?;
        out.field("committed_metadata", &self.committed_metadata)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            committed_offset: from.field("committed_offset")?,
            committed_leader_epoch: from.field_in(2.., "committed_leader_epoch")?,
            committed_metadata: from.field("committed_metadata")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each offset.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TxnOffsetCommitResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcomes, by topic.
    pub topics: Vec<TxnOffsetCommitResponseTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for TxnOffsetCommitResponse {
    const API_KEY: ApiKey = ApiKey::TXN_OFFSET_COMMIT;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for TxnOffsetCommitResponse {
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

/// Outcomes of the offsets of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TxnOffsetCommitResponseTopic {
    /// The name of the topic.
    pub name: Str,
    /// The outcomes, by partition.
    pub partitions: Vec<TxnOffsetCommitResponsePartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TxnOffsetCommitResponseTopic {
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

/// Outcome of the offset of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TxnOffsetCommitResponsePartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TxnOffsetCommitResponsePartition {
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
