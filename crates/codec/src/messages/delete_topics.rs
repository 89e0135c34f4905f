//! DeleteTopics (key 20).
//!
//! Version 4 is flexible, 5 has error messages, 6 can name topics by id.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::TopicId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks the controller to delete topics.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteTopicsRequest {
    /// The topics to delete. Since version 6.
    pub topics: Vec<DeleteTopicState>,
    /// The names of the topics to delete. Up to version 5.
    pub topic_names: Vec<Str>,
    /// Time that the broker may take to complete this, in milliseconds.
    pub timeout_ms: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteTopicsRequest {
    const API_KEY: ApiKey = ApiKey::DELETE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for DeleteTopicsRequest {
    type Response = DeleteTopicsResponse;

    /// Since version 6 there are topics instead of names.
    fn newest_version(&self) -> i16 {
        if self.topics.is_empty() { 5 } else { 6 }
    }
}

impl Field for DeleteTopicsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(6.., "topics", &self.topics, &Vec::new())?;
        out.field_in(..=5, "topic_names", &self.topic_names)?;
        out.field("timeout_ms", &self.timeout_ms)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field_in(6.., "topics")?,
            topic_names: from.field_in(..=5, "topic_names")?,
            timeout_ms: from.field("timeout_ms")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic to delete, by name or by id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteTopicState {
    /// The name of the topic; none if the id is given.
    pub name: Option<Str>,
    /// The id of the topic; zero if not known.
    pub topic_id: TopicId,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeleteTopicState {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("topic_id", &self.topic_id)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            topic_id: from.field("topic_id")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteTopicsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome for each topic.
    pub responses: Vec<DeletableTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteTopicsResponse {
    const API_KEY: ApiKey = ApiKey::DELETE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for DeleteTopicsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("responses", &self.responses)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            responses: from.field("responses")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeletableTopicResult {
    /// The name of the topic.  None only since version 6.
    pub name: Option<Str>,
    /// The id of the topic; zero if not known. Since version 6.
    pub topic_id: TopicId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any. Since version 5.
    pub error_message: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeletableTopicResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.nullable_in(6.., "name", &self.name)?;
        out.field_in(6.., "topic_id", &self.topic_id)?;
        out.field("error_code", &self.error_code)?;
        out.field_in(5.., "error_message", &self.error_message)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.nullable_in(6.., "name")?,
            topic_id: from.field_in(6.., "topic_id")?,
            error_code: from.field("error_code")?,
            error_message: from.field_in(5.., "error_message")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
