//! ListGroups (key 16): the groups that a broker coordinates.
//!
//! Version 3 is flexible, 4 filters by state (KIP-518), 5 by type (KIP-848).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the groups that the broker coordinates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListGroupsRequest {
    /// The states of the groups to return; empty for all. Since version 4.
    pub states_filter: Vec<Str>,
    /// The types of the groups to return; empty for all. Since version 5.
    pub types_filter: Vec<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ListGroupsRequest {
    const API_KEY: ApiKey = ApiKey::LIST_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for ListGroupsRequest {
    type Response = ListGroupsResponse;
}

impl Field for ListGroupsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(4.., "states_filter", &self.states_filter, &Vec::new())?;
        out.strict_field_in(5.., "types_filter", &self.types_filter, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            states_filter: from.field_in(4.., "states_filter")?,
            types_filter: from.field_in(5.., "types_filter")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The groups that the broker coordinates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListGroupsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The groups.
    pub groups: Vec<ListedGroup>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ListGroupsResponse {
    const API_KEY: ApiKey = ApiKey::LIST_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for ListGroupsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("groups", &self.groups)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            error_code: from.field("error_code")?,
            groups: from.field("groups")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: Str,
    /// The kind of group: `consumer` for consumers.
    pub protocol_type: Str,
    /// The state: `Stable`, `Empty`, `PreparingRebalance` … Since version 4.
    pub group_state: Str,
    /// The type: `classic`, `consumer` … Since version 5.
    pub group_type: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ListedGroup {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("protocol_type", &self.protocol_type)?;
        out.field_in(4.., "group_state", &self.group_state)?;
        out.field_in(5.., "group_type", &self.group_type)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            protocol_type: from.field("protocol_type")?,
            group_state: from.field_in(4.., "group_state")?,
            group_type: from.field_in(5.., "group_type")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
