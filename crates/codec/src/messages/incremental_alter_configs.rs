//! IncrementalAlterConfigs (key 44): changes of the configuration of topics and brokers, key by
//! key.
//!
//! Version 1 is flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks to change configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IncrementalAlterConfigsRequest {
    /// The changes, by resource.
    pub resources: Vec<AlterConfigsResource>,
    /// True if the broker shall only check, and change nothing.
    pub validate_only: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for IncrementalAlterConfigsRequest {
    const API_KEY: ApiKey = ApiKey::INCREMENTAL_ALTER_CONFIGS;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = Some(1);
}

impl Request for IncrementalAlterConfigsRequest {
    type Response = IncrementalAlterConfigsResponse;
}

impl Field for IncrementalAlterConfigsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("resources", &self.resources)?;
        out.field("validate_only", &self.validate_only)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resources: from.field("resources")?,
            validate_only: from.field("validate_only")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Changes of one resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlterConfigsResource {
    /// Kind of resource: 2 is a topic, 4 a broker, 8 a logger of a broker, 16 client metrics, 32 a
    /// group.
    pub resource_type: i8,
    /// The name of the resource: a topic, or the decimal id of a broker.
    pub resource_name: Str,
    /// The changes.
    pub configs: Vec<AlterableConfig>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AlterConfigsResource {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("resource_type", &self.resource_type)?;
        out.field("resource_name", &self.resource_name)?;
        out.field("configs", &self.configs)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resource_type: from.field("resource_type")?,
            resource_name: from.field("resource_name")?,
            configs: from.field("configs")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A change of one configuration entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlterableConfig {
    /// The name of the entry.
    pub name: Str,
    /// Operation: 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
    pub config_operation: i8,
    /// The value to set, append or subtract.
    pub value: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AlterableConfig {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("config_operation", &self.config_operation)?;
        out.field("value", &self.value)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            config_operation: from.field("config_operation")?,
            value: from.field("value")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IncrementalAlterConfigsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome for each resource.
    pub responses: Vec<AlterConfigsResourceResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for IncrementalAlterConfigsResponse {
    const API_KEY: ApiKey = ApiKey::INCREMENTAL_ALTER_CONFIGS;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = Some(1);
}

impl Field for IncrementalAlterConfigsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("responses", &self.responses)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            responses: from.field("responses")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of the changes of one resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlterConfigsResourceResponse {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Kind of resource: 2 is a topic, 4 a broker, 8 a logger of a broker, 16 client metrics, 32 a
    /// group.
    pub resource_type: i8,
    /// The name of the resource: a topic, or the decimal id of a broker.
    pub resource_name: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AlterConfigsResourceResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.field("resource_type", &self.resource_type)?;
        out.field("resource_name", &self.resource_name)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            resource_type: from.field("resource_type")?,
            resource_name: from.field("resource_name")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
