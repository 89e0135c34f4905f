//! DescribeProducers (key 61): what a leader remembers of the producers of a partition.
//!
//! Always flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{Offset, PartitionId, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for the active producers of partitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeProducersRequest {
    /// The partitions, by topic.
    pub topics: Vec<TopicRequest>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeProducersRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for DescribeProducersRequest {
    type Response = DescribeProducersResponse;
}

impl Field for DescribeProducersRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of one topic to describe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicRequest {
    /// The name of the topic.
    pub name: Str,
    /// The partitions.
    pub partition_indexes: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TopicRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("partition_indexes", &self.partition_indexes)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            partition_indexes: from.field("partition_indexes")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The active producers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeProducersResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The producers, by topic.
    pub topics: Vec<TopicResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeProducersResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for DescribeProducersResponse {
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

/// The active producers of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicResponse {
    /// The name of the topic.
    pub name: Str,
    /// The producers, by partition.
    pub partitions: Vec<PartitionResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TopicResponse {
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

/// The active producers of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartitionResponse {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// The producers that wrote to the partition and have not been forgotten.
    pub active_producers: Vec<ProducerState>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for PartitionResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.field("active_producers", &self.active_producers)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            active_producers: from.field("active_producers")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// State that a leader keeps of one producer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProducerState {
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: i32,
    /// The sequence number of its last record; -1 if there is none. Default: -1.
    pub last_sequence: i32,
    /// The timestamp of its last batch, in milliseconds since 1970; -1 if there is none. Default:
    /// -1.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that last ended a transaction of it.
    pub coordinator_epoch: i32,
    /// Where its open transaction starts; unknown if there is none.
    pub current_txn_start_offset: Offset,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ProducerState {
    fn default() -> Self {
        Self {
            producer_id: ProducerId::NONE,
            producer_epoch: 0,
            last_sequence: -1,
            last_timestamp: -1,
            coordinator_epoch: 0,
            current_txn_start_offset: Offset::UNKNOWN,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for ProducerState {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.field("last_sequence", &self.last_sequence)?;
        out.field("last_timestamp", &self.last_timestamp)?;
        out.field("coordinator_epoch", &self.coordinator_epoch)?;
        out.field("current_txn_start_offset", &self.current_txn_start_offset)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            last_sequence: from.field("last_sequence")?,
            last_timestamp: from.field("last_timestamp")?,
            coordinator_epoch: from.field("coordinator_epoch")?,
            current_txn_start_offset: from.field("current_txn_start_offset")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
