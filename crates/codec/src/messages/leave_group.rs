//! LeaveGroup (key 13): removes members from a classic group.
//!
//! Version 3 removes several members at once (KIP-345), 4 is flexible, 5 has a reason (KIP-800).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Removes members from a group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaveGroupRequest {
    /// The group.
    pub group_id: Str,
    /// The member, as the coordinator named it. Up to version 2.
    pub member_id: Str,
    /// The members to remove. Since version 3.
    pub members: Vec<MemberIdentity>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for LeaveGroupRequest {
    const API_KEY: ApiKey = ApiKey::LEAVE_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for LeaveGroupRequest {
    type Response = LeaveGroupResponse;

    /// Since version 3 there is a list of members.
    fn newest_version(&self) -> i16 {
        if self.member_id.is_empty() { 5 } else { 2 }
    }
}

impl Field for LeaveGroupRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.strict_field_in(..=2, "member_id", &self.member_id, &Str::default())?;
        out.strict_field_in(3.., "members", &self.members, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            member_id: from.field_in(..=2, "member_id")?,
            members: from.field_in(3.., "members")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A member to remove.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemberIdentity {
    /// The member, as the coordinator named it. Since version 3.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 3.
    pub group_instance_id: Option<Str>,
    /// Why the member leaves, in words (KIP-800). Since version 5.
    pub reason: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for MemberIdentity {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(3.., "member_id", &self.member_id, &Str::default())?;
        out.strict_field_in(3.., "group_instance_id", &self.group_instance_id, &None)?;
        out.field_in(5.., "reason", &self.reason)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            member_id: from.field_in(3.., "member_id")?,
            group_instance_id: from.field_in(3.., "group_instance_id")?,
            reason: from.field_in(5.., "reason")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome of the removal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaveGroupResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The outcomes, by member. Since version 3.
    pub members: Vec<MemberResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for LeaveGroupResponse {
    const API_KEY: ApiKey = ApiKey::LEAVE_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for LeaveGroupResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.strict_field_in(3.., "members", &self.members, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            error_code: from.field("error_code")?,
            members: from.field_in(3.., "members")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The outcome for one member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemberResponse {
    /// The member, as the coordinator named it. Since version 3.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 3.
    pub group_instance_id: Option<Str>,
    /// The outcome. Since version 3.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for MemberResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(3.., "member_id", &self.member_id, &Str::default())?;
        out.strict_field_in(3.., "group_instance_id", &self.group_instance_id, &None)?;
        out.strict_field_in(3.., "error_code", &self.error_code, &ErrorCode::NONE)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            member_id: from.field_in(3.., "member_id")?,
            group_instance_id: from.field_in(3.., "group_instance_id")?,
            error_code: from.field_in(3.., "error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
