//! DescribeConfigs (key 32): the configuration of topics and brokers.
//!
//! Version 1 tells where a value comes from and its synonyms, 3 types and documentation, 4 is
//! flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for the configuration of resources.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeConfigsRequest {
    /// The resources to describe.
    pub resources: Vec<DescribeConfigsResource>,
    /// True if to tell the synonyms. Since version 1.
    pub include_synonyms: bool,
    /// True if to tell the documentation. Since version 3.
    pub include_documentation: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeConfigsRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_CONFIGS;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for DescribeConfigsRequest {
    type Response = DescribeConfigsResponse;
}

impl Field for DescribeConfigsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("resources", &self.resources)?;
        out.strict_field_in(1.., "include_synonyms", &self.include_synonyms, &false)?;
        out.strict_field_in(
            3..,
            "include_documentation",
            &self.include_documentation,
            &false,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resources: from.field("resources")?,
            include_synonyms: from.field_in(1.., "include_synonyms")?,
            include_documentation: from.field_in(3.., "include_documentation")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A resource to describe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeConfigsResource {
    /// Kind of resource: 2 is a topic, 4 a broker, 8 a logger of a broker, 16 client metrics, 32 a
    /// group.
    pub resource_type: i8,
    /// The name of the resource: a topic, or the decimal id of a broker.
    pub resource_name: Str,
    /// The names of the entries wanted; none for all.
    pub configuration_keys: Option<Vec<Str>>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeConfigsResource {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("resource_type", &self.resource_type)?;
        out.field("resource_name", &self.resource_name)?;
        out.field("configuration_keys", &self.configuration_keys)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resource_type: from.field("resource_type")?,
            resource_name: from.field("resource_name")?,
            configuration_keys: from.field("configuration_keys")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The configuration of the resources.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeConfigsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The configuration, by resource.
    pub results: Vec<DescribeConfigsResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeConfigsResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_CONFIGS;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for DescribeConfigsResponse {
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

/// The configuration of one resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeConfigsResult {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Kind of resource: 2 is a topic, 4 a broker, 8 a logger of a broker, 16 client metrics, 32 a
    /// group.
    pub resource_type: i8,
    /// The name of the resource: a topic, or the decimal id of a broker.
    pub resource_name: Str,
    /// The entries.
    pub configs: Vec<DescribeConfigsResourceResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeConfigsResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.field("resource_type", &self.resource_type)?;
        out.field("resource_name", &self.resource_name)?;
        out.field("configs", &self.configs)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            resource_type: from.field("resource_type")?,
            resource_name: from.field("resource_name")?,
            configs: from.field("configs")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A configuration entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribeConfigsResourceResult {
    /// The name of the entry.
    pub name: Str,
    /// The value.
    pub value: Option<Str>,
    /// True if it cannot be changed.
    pub read_only: bool,
    /// True if the value is the default. Version 0 only.
    pub is_default: bool,
    /// Where the value comes from: 1 topic, 2 broker, 3 default of all brokers, 4 file of the
    /// broker, 5 default, 6 logger. Since version 1. Default: -1.
    pub config_source: i8,
    /// True if the value is secret, and therefore none here.
    pub is_sensitive: bool,
    /// Where the value could come from, the most important first. Since version 1.
    pub synonyms: Vec<DescribeConfigsSynonym>,
    /// The type of the value: 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8
    /// class, 9 password; 0 if not known. Since version 3.
    pub config_type: i8,
    /// Documentation of the entry. Since version 3.
    pub documentation: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribeConfigsResourceResult {
    fn default() -> Self {
        Self {
            name: Str::default(),
            value: None,
            read_only: false,
            is_default: false,
            config_source: -1,
            is_sensitive: false,
            synonyms: Vec::new(),
            config_type: 0,
            documentation: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for DescribeConfigsResourceResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("value", &self.value)?;
        out.field("read_only", &self.read_only)?;
        out.strict_field_in(..=0, "is_default", &self.is_default, &false)?;
        out.field_in(1.., "config_source", &self.config_source)?;
        out.field("is_sensitive", &self.is_sensitive)?;
        out.field_in(1.., "synonyms", &self.synonyms)?;
        out.field_in(3.., "config_type", &self.config_type)?;
        out.field_in(3.., "documentation", &self.documentation)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            value: from.field("value")?,
            read_only: from.field("read_only")?,
            is_default: from.field_in(..=0, "is_default")?,
            config_source: from.field_in_or(1.., "config_source", -1)?,
            is_sensitive: from.field("is_sensitive")?,
            synonyms: from.field_in(1.., "synonyms")?,
            config_type: from.field_in(3.., "config_type")?,
            documentation: from.field_in(3.., "documentation")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A place that a configuration entry may come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeConfigsSynonym {
    /// The name of the entry there.
    pub name: Str,
    /// The value.
    pub value: Option<Str>,
    /// Where: numbers as in `config_source`.
    pub source: i8,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeConfigsSynonym {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("value", &self.value)?;
        out.field("source", &self.source)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            value: from.field("value")?,
            source: from.field("source")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
