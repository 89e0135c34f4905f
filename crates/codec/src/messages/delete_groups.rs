//! DeleteGroups (key 42): removes groups that have no members.
//!
//! Version 2 is flexible, 3 has error messages.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Deletes groups and their committed offsets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteGroupsRequest {
    /// The groups.
    pub groups_names: Vec<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteGroupsRequest {
    const API_KEY: ApiKey = ApiKey::DELETE_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Request for DeleteGroupsRequest {
    type Response = DeleteGroupsResponse;
}

impl Field for DeleteGroupsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("groups_names", &self.groups_names)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            groups_names: from.field("groups_names")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome for each group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeleteGroupsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcomes, by group.
    pub results: Vec<DeletableGroupResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DeleteGroupsResponse {
    const API_KEY: ApiKey = ApiKey::DELETE_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Field for DeleteGroupsResponse {
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

/// The outcome for one group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeletableGroupResult {
    /// The group.
    pub group_id: Str,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any. Since version 3.
    pub error_message: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DeletableGroupResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("error_code", &self.error_code)?;
        out.field_in(3.., "error_message", &self.error_message)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            error_code: from.field("error_code")?,
            error_message: from.field_in(3.., "error_message")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
