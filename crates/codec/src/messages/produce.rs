//! Produce (key 0): record batches, at most one per partition, from a producer to the leader.
//!
//! Version 7 allows zstd, 8 tells which records were refused, 9 is flexible, 10 names the new
//! leader (KIP-951), 13 names topics by id (KIP-516). Kafka 4 claims versions 0 to 2 but refuses
//! them (KAFKA-18659); nothing here speaks them.

use std::ops::RangeInclusive;

use super::leader_hints::{LeaderIdAndEpoch, NodeEndpoint};
use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{Offset, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Chunks, Decoder, Encoder, Field, TaggedFields};

/// Requests the leader to append record batches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProduceRequest {
    /// The transactional id of the producer; none without transactions.
    pub transactional_id: Option<Str>,
    /// Which replicas must have the batches before the broker responds: 0 none (there is no
    /// response at all), 1 the leader, -1 all in-sync replicas. Default: -1.
    pub acks: i16,
    /// Time that the leader may wait for the other replicas, in milliseconds.
    pub timeout_ms: i32,
    /// The batches, by topic.
    pub topic_data: Vec<TopicProduceData>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ProduceRequest {
    fn default() -> Self {
        Self {
            transactional_id: None,
            acks: -1,
            timeout_ms: 0,
            topic_data: Vec::new(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for ProduceRequest {
    const API_KEY: ApiKey = ApiKey::PRODUCE;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    const FIRST_FLEXIBLE: Option<i16> = Some(9);
}

impl Request for ProduceRequest {
    type Response = ProduceResponse;

    /// Since version 13 topics go by id: all of them must be known.
    fn newest_version(&self) -> i16 {
        if self.topic_data.iter().any(|topic| topic.topic_id.is_zero()) {
            12
        } else {
            13
        }
    }
}

impl Field for ProduceRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("acks", &self.acks)?;
        out.field("timeout_ms", &self.timeout_ms)?;
        out.field("topic_data", &self.topic_data)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            acks: from.field("acks")?,
            timeout_ms: from.field("timeout_ms")?,
            topic_data: from.field("topic_data")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The batches for one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicProduceData {
    /// The name of the topic. Up to version 12.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 13.
    pub topic_id: TopicId,
    /// The batches, by partition: each partition at most once.
    pub partition_data: Vec<PartitionProduceData>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TopicProduceData {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=12, "name", &self.name)?;
        out.field_in(13.., "topic_id", &self.topic_id)?;
        out.field("partition_data", &self.partition_data)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=12, "name")?,
            topic_id: from.field_in(13.., "topic_id")?,
            partition_data: from.field("partition_data")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The batch for one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartitionProduceData {
    /// The partition.
    pub index: PartitionId,
    /// The record batch: exactly one.
    pub records: Option<Chunks>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for PartitionProduceData {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("index", &self.index)?;
        out.field("records", &self.records)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: from.field("index")?,
            records: from.field("records")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each batch. There is no response to a request with `acks` 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProduceResponse {
    /// The outcomes, by topic.
    pub responses: Vec<TopicProduceResponse>,
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// Where to reach the leaders named in `current_leader`. Since version 10. Tagged.
    pub node_endpoints: Vec<NodeEndpoint>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ProduceResponse {
    const API_KEY: ApiKey = ApiKey::PRODUCE;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    const FIRST_FLEXIBLE: Option<i16> = Some(9);
}

impl Field for ProduceResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("responses", &self.responses)?;
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(10.., 0, "node_endpoints", &self.node_endpoints, &Vec::new())?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut node_endpoints = Vec::new();
        Ok(Self {
            responses: from.field("responses")?,
            throttle_time_ms: from.field("throttle_time_ms")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 if from.version() >= 10 => from.known_tag("node_endpoints", &mut node_endpoints),
                _ => Ok(false),
            })?,
            node_endpoints,
        })
    }
}

/// Outcomes of the batches of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicProduceResponse {
    /// The name of the topic. Up to version 12.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 13.
    pub topic_id: TopicId,
    /// The outcome for each partition.
    pub partition_responses: Vec<PartitionProduceResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TopicProduceResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=12, "name", &self.name)?;
        out.field_in(13.., "topic_id", &self.topic_id)?;
        out.field("partition_responses", &self.partition_responses)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=12, "name")?,
            topic_id: from.field_in(13.., "topic_id")?,
            partition_responses: from.field("partition_responses")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of the batch of one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartitionProduceResponse {
    /// The partition.
    pub index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The offset of the first record of the batch.
    pub base_offset: Offset,
    /// When the broker appended the batch, in milliseconds since 1970; -1 if the records keep their
    /// own timestamps. Default: -1.
    pub log_append_time_ms: i64,
    /// Where the log starts. Since version 5.
    pub log_start_offset: Offset,
    /// The records that made the broker refuse the batch. Since version 8.
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// Why the broker refused the batch, in words. Since version 8.
    pub error_message: Option<Box<Str>>,
    /// Leader of the partition where the broker that responds is not (KIP-951). Since version 10.
    /// Tagged.
    pub current_leader: LeaderIdAndEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for PartitionProduceResponse {
    fn default() -> Self {
        Self {
            index: PartitionId::default(),
            error_code: ErrorCode::NONE,
            base_offset: Offset::UNKNOWN,
            log_append_time_ms: -1,
            log_start_offset: Offset::UNKNOWN,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for PartitionProduceResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("index", &self.index)?;
        out.field("error_code", &self.error_code)?;
        out.field("base_offset", &self.base_offset)?;
        out.field("log_append_time_ms", &self.log_append_time_ms)?;
        out.field_in(5.., "log_start_offset", &self.log_start_offset)?;
        out.field_in(8.., "record_errors", &self.record_errors)?;
        out.field_in(8.., "error_message", &self.error_message)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(
            10..,
            0,
            "current_leader",
            &self.current_leader,
            &LeaderIdAndEpoch::default(),
        )?;
        tags.finish()
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut current_leader = LeaderIdAndEpoch::default();
        Ok(Self {
            index: from.field("index")?,
            error_code: from.field("error_code")?,
            base_offset: from.field("base_offset")?,
            log_append_time_ms: from.field("log_append_time_ms")?,
            log_start_offset: from.field_in(5.., "log_start_offset")?,
            record_errors: from.field_in(8.., "record_errors")?,
            error_message: from.field_in(8.., "error_message")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 if from.version() >= 10 => from.known_tag("current_leader", &mut current_leader),
                _ => Ok(false),
            })?,
            current_leader,
        })
    }
}

/// A record that made the broker refuse its whole batch (KIP-467).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BatchIndexAndErrorMessage {
    /// The place of the record in its batch, counted from 0.
    pub batch_index: i32,
    /// The defect of the record, in words.
    pub batch_index_error_message: Option<Box<Str>>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for BatchIndexAndErrorMessage {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("batch_index", &self.batch_index)?;
        out.field("batch_index_error_message", &self.batch_index_error_message)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            batch_index: from.field("batch_index")?,
            batch_index_error_message: from.field("batch_index_error_message")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
