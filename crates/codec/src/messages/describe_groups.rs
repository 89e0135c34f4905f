//! DescribeGroups (key 15): state and members of classic groups.
//!
//! Version 3 can return what the client may do, 4 knows static members (KIP-345), 5 is flexible, 6
//! has error messages (KIP-1043).

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the state of classic groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeGroupsRequest {
    /// The groups.
    pub groups: Vec<Str>,
    /// True if to return what the client may do with the groups. Since version 3.
    pub include_authorized_operations: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeGroupsRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(5);
}

impl Request for DescribeGroupsRequest {
    type Response = DescribeGroupsResponse;
}

impl Field for DescribeGroupsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("groups", &self.groups)?;
        out.strict_field_in(
            3..,
            "include_authorized_operations",
            &self.include_authorized_operations,
            &false,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            groups: from.field("groups")?,
            include_authorized_operations: from.field_in(3.., "include_authorized_operations")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The state of the groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeGroupsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The groups.
    pub groups: Vec<DescribedGroup>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeGroupsResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_GROUPS;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(5);
}

impl Field for DescribeGroupsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("groups", &self.groups)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            groups: from.field("groups")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The state of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribedGroup {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any. Since version 6.
    pub error_message: Option<Str>,
    /// The group.
    pub group_id: Str,
    /// The state: `Stable`, `Empty`, `Dead` …
    pub group_state: Str,
    /// The kind of group: `consumer` for consumers.
    pub protocol_type: Str,
    /// The protocol that was selected: for consumers the name of the assignor. Empty unless the
    /// group is stable.
    pub protocol_data: Str,
    /// The members.
    pub members: Vec<DescribedGroupMember>,
    /// Operations that the client may do with the group, a bit for each. Since version 3. Default:
    /// `i32::MIN`, not given.
    pub authorized_operations: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribedGroup {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: None,
            group_id: Str::default(),
            group_state: Str::default(),
            protocol_type: Str::default(),
            protocol_data: Str::default(),
            members: Vec::new(),
            authorized_operations: i32::MIN,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for DescribedGroup {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.strict_field_in(6.., "error_message", &self.error_message, &None)?;
        out.field("group_id", &self.group_id)?;
        out.field("group_state", &self.group_state)?;
        out.field("protocol_type", &self.protocol_type)?;
        out.field("protocol_data", &self.protocol_data)?;
        out.field("members", &self.members)?;
        out.strict_field_in(
            3..,
            "authorized_operations",
            &self.authorized_operations,
            &i32::MIN,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            error_message: from.field_in(6.., "error_message")?,
            group_id: from.field("group_id")?,
            group_state: from.field("group_state")?,
            protocol_type: from.field("protocol_type")?,
            protocol_data: from.field("protocol_data")?,
            members: from.field("members")?,
            authorized_operations: from.field_in_or(3.., "authorized_operations", i32::MIN)?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A member of a group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribedGroupMember {
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 4.
    pub group_instance_id: Option<Str>,
    /// The client id of the member.
    pub client_id: Str,
    /// The address that the member connected from.
    pub client_host: Str,
    /// The metadata of the protocol: for consumers a
    /// [`ConsumerProtocolSubscription`](super::ConsumerProtocolSubscription). Empty unless the
    /// group is stable.
    pub member_metadata: Bytes,
    /// The assignment: for consumers a
    /// [`ConsumerProtocolAssignment`](super::ConsumerProtocolAssignment). Empty unless the group is
    /// stable.
    pub member_assignment: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribedGroupMember {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("member_id", &self.member_id)?;
        out.field_in(4.., "group_instance_id", &self.group_instance_id)?;
        out.field("client_id", &self.client_id)?;
        out.field("client_host", &self.client_host)?;
        out.field("member_metadata", &self.member_metadata)?;
        out.field("member_assignment", &self.member_assignment)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(4.., "group_instance_id")?,
            client_id: from.field("client_id")?,
            client_host: from.field("client_host")?,
            member_metadata: from.field("member_metadata")?,
            member_assignment: from.field("member_assignment")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
