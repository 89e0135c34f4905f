//! DeleteRecords (key 21): removes the oldest records of partitions (KIP-107).
//!
//! Version 2 is flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{Offset, PartitionId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Deletes the records before an offset of each partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsRequest {
    /// The partitions, by topic.
    pub topics: Vec<DeleteRecordsTopic>,
    /// Time that the broker may wait for the other replicas, in milliseconds.
    pub timeout_ms: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteRecordsRequest {
    const API_KEY: ApiKey = ApiKey::DELETE_RECORDS;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Request for DeleteRecordsRequest {
    type Response = DeleteRecordsResponse;
}

impl Field for DeleteRecordsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("timeout_ms", &self.timeout_ms)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            timeout_ms: from.field("timeout_ms")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Records of one topic to delete.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsTopic {
    /// The name of the topic.
    pub name: Str,
    /// The partitions.
    pub partitions: Vec<DeleteRecordsPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeleteRecordsTopic {
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

/// Records of one partition to delete.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsPartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The first offset to keep; -1 for the high watermark.
    pub offset: Offset,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeleteRecordsPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("offset", &self.offset)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            offset: from.field("offset")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome for each partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcomes, by topic.
    pub topics: Vec<DeleteRecordsTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteRecordsResponse {
    const API_KEY: ApiKey = ApiKey::DELETE_RECORDS;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Field for DeleteRecordsResponse {
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

/// The outcomes for one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsTopicResult {
    /// The name of the topic.
    pub name: Str,
    /// The outcomes, by partition.
    pub partitions: Vec<DeleteRecordsPartitionResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeleteRecordsTopicResult {
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

/// The outcome for one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteRecordsPartitionResult {
    /// The partition.
    pub partition_index: PartitionId,
    /// The offset where the log starts on all replicas from now on.
    pub low_watermark: Offset,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeleteRecordsPartitionResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("low_watermark", &self.low_watermark)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            low_watermark: from.field("low_watermark")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
