//! CreateTopics (key 19).
//!
//! Version 1 can validate only, 4 lets the broker choose partitions and replicas, 5 is flexible and
//! tells the resulting configuration, 7 the topic's id.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks the controller to create topics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateTopicsRequest {
    /// The topics to create.
    pub topics: Vec<CreatableTopic>,
    /// Time that the broker may take to complete this, in milliseconds. Default: 60000.
    pub timeout_ms: i32,
    /// True if the broker shall only check, and change nothing. Since version 1.
    pub validate_only: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for CreateTopicsRequest {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            timeout_ms: 60000,
            validate_only: false,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for CreateTopicsRequest {
    const API_KEY: ApiKey = ApiKey::CREATE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 0..=7;
    const FIRST_FLEXIBLE: Option<i16> = Some(5);
}

impl Request for CreateTopicsRequest {
    type Response = CreateTopicsResponse;
}

impl Field for CreateTopicsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("timeout_ms", &self.timeout_ms)?;
        out.strict_field_in(1.., "validate_only", &self.validate_only, &false)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            timeout_ms: from.field("timeout_ms")?,
            validate_only: from.field_in(1.., "validate_only")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic to create.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatableTopic {
    /// The name of the topic.
    pub name: Str,
    /// Number of partitions; -1 for the broker's default (since version 4) or with `assignments`.
    pub num_partitions: i32,
    /// Number of replicas of each partition; -1 for the broker's default (since version 4) or with
    /// `assignments`.
    pub replication_factor: i16,
    /// Where the replicas shall be; empty to let the broker choose.
    pub assignments: Vec<CreatableReplicaAssignment>,
    /// Configuration that differs from the default.
    pub configs: Vec<CreatableTopicConfig>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatableTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("num_partitions", &self.num_partitions)?;
        out.field("replication_factor", &self.replication_factor)?;
        out.field("assignments", &self.assignments)?;
        out.field("configs", &self.configs)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            num_partitions: from.field("num_partitions")?,
            replication_factor: from.field("replication_factor")?,
            assignments: from.field("assignments")?,
            configs: from.field("configs")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Where the replicas of one partition shall be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatableReplicaAssignment {
    /// The partition.
    pub partition_index: PartitionId,
    /// Its replicas, the preferred leader first.
    pub broker_ids: Vec<BrokerId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatableReplicaAssignment {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("broker_ids", &self.broker_ids)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            broker_ids: from.field("broker_ids")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A configuration entry of a topic to create.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatableTopicConfig {
    /// The name of the entry.
    pub name: Str,
    /// The value.
    pub value: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatableTopicConfig {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("value", &self.value)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            value: from.field("value")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreateTopicsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 2.
    pub throttle_time_ms: i32,
    /// The outcome for each topic.
    pub topics: Vec<CreatableTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for CreateTopicsResponse {
    const API_KEY: ApiKey = ApiKey::CREATE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 0..=7;
    const FIRST_FLEXIBLE: Option<i16> = Some(5);
}

impl Field for CreateTopicsResponse {
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

/// Outcome of one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreatableTopicResult {
    /// The name of the topic.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 7.
    pub topic_id: TopicId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any. Since version 1.
    pub error_message: Option<Str>,
    /// Why `configs` is none. Since version 5. Tagged.
    pub topic_config_error_code: ErrorCode,
    /// The number of partitions. Since version 5. Default: -1.
    pub num_partitions: i32,
    /// Number of replicas of each partition. Since version 5. Default: -1.
    pub replication_factor: i16,
    /// The configuration of the topic. Since version 5.
    pub configs: Option<Vec<CreatableTopicConfigs>>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for CreatableTopicResult {
    fn default() -> Self {
        Self {
            name: Str::default(),
            topic_id: TopicId::ZERO,
            error_code: ErrorCode::NONE,
            error_message: None,
            topic_config_error_code: ErrorCode::NONE,
            num_partitions: -1,
            replication_factor: -1,
            configs: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for CreatableTopicResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field_in(7.., "topic_id", &self.topic_id)?;
        out.field("error_code", &self.error_code)?;
        out.field_in(1.., "error_message", &self.error_message)?;
        out.field_in(5.., "num_partitions", &self.num_partitions)?;
        out.field_in(5.., "replication_factor", &self.replication_factor)?;
        out.field_in(5.., "configs", &self.configs)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(
            5..,
            0,
            "topic_config_error_code",
            &self.topic_config_error_code,
            &ErrorCode::NONE,
        )?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut topic_config_error_code = ErrorCode::NONE;
        Ok(Self {
            name: from.field("name")?,
            topic_id: from.field_in(7.., "topic_id")?,
            error_code: from.field("error_code")?,
            error_message: from.field_in(1.., "error_message")?,
            num_partitions: from.field_in_or(5.., "num_partitions", -1)?,
            replication_factor: from.field_in_or(5.., "replication_factor", -1)?,
            configs: from.field_in(5.., "configs")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 => from.known_tag("topic_config_error_code", &mut topic_config_error_code),
                _ => Ok(false),
            })?,
            topic_config_error_code,
        })
    }
}

/// A configuration entry of a topic that was created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreatableTopicConfigs {
    /// The name of the entry.
    pub name: Str,
    /// The value.
    pub value: Option<Str>,
    /// True if it cannot be changed.
    pub read_only: bool,
    /// Where the value comes from: 1 topic, 2 broker, 3 default of all brokers, 4 file of the
    /// broker, 5 default, 6 logger. Default: -1.
    pub config_source: i8,
    /// True if the value is secret, and therefore none here.
    pub is_sensitive: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for CreatableTopicConfigs {
    fn default() -> Self {
        Self {
            name: Str::default(),
            value: None,
            read_only: false,
            config_source: -1,
            is_sensitive: false,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for CreatableTopicConfigs {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("value", &self.value)?;
        out.field("read_only", &self.read_only)?;
        out.field("config_source", &self.config_source)?;
        out.field("is_sensitive", &self.is_sensitive)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            value: from.field("value")?,
            read_only: from.field("read_only")?,
            config_source: from.field("config_source")?,
            is_sensitive: from.field("is_sensitive")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
