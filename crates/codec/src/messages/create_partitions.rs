//! CreatePartitions (key 37): more partitions for topics that exist.
//!
//! Version 2 is flexible, 3 may answer `THROTTLING_QUOTA_EXCEEDED`.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::BrokerId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks the controller to add partitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatePartitionsRequest {
    /// The topics to enlarge.
    pub topics: Vec<CreatePartitionsTopic>,
    /// Time that the broker may take to complete this, in milliseconds.
    pub timeout_ms: i32,
    /// True if the broker shall only check, and change nothing.
    pub validate_only: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for CreatePartitionsRequest {
    const API_KEY: ApiKey = ApiKey::CREATE_PARTITIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Request for CreatePartitionsRequest {
    type Response = CreatePartitionsResponse;
}

impl Field for CreatePartitionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("timeout_ms", &self.timeout_ms)?;
        out.field("validate_only", &self.validate_only)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            timeout_ms: from.field("timeout_ms")?,
            validate_only: from.field("validate_only")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic to enlarge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatePartitionsTopic {
    /// The name of the topic.
    pub name: Str,
    /// Number of partitions it shall have, the existing ones included.
    pub count: i32,
    /// Where the replicas of the new partitions shall be; none to let the broker choose.
    pub assignments: Option<Vec<CreatePartitionsAssignment>>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatePartitionsTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("count", &self.count)?;
        out.field("assignments", &self.assignments)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            count: from.field("count")?,
            assignments: from.field("assignments")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Where the replicas of one new partition shall be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatePartitionsAssignment {
    /// Its replicas, the preferred leader first.
    pub broker_ids: Vec<BrokerId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatePartitionsAssignment {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("broker_ids", &self.broker_ids)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            broker_ids: from.field("broker_ids")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatePartitionsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome for each topic.
    pub results: Vec<CreatePartitionsTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for CreatePartitionsResponse {
    const API_KEY: ApiKey = ApiKey::CREATE_PARTITIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Field for CreatePartitionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("results", &self.results)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            results: from.field("results")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatePartitionsTopicResult {
    /// The name of the topic.
    pub name: Str,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for CreatePartitionsTopicResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
