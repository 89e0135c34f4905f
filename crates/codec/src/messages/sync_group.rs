//! SyncGroup (key 14): the second step of a rebalance in the classic group protocol.
//!
//! Version 3 knows static members (KIP-345), 4 is flexible, 5 repeats the type and the name of the
//! protocol.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Sends the assignments if the member leads the group, and requests the assignment of the member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncGroupRequest {
    /// The group.
    pub group_id: Str,
    /// The generation of the group: one more after every rebalance.
    pub generation_id: i32,
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 3.
    pub group_instance_id: Option<Str>,
    /// The kind of group: `consumer` for consumers. Since version 5.
    pub protocol_type: Option<Str>,
    /// The protocol that the coordinator selected: for consumers the name of the assignor. Since
    /// version 5.
    pub protocol_name: Option<Str>,
    /// The assignments of all members; empty unless the member leads the group.
    pub assignments: Vec<SyncGroupRequestAssignment>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for SyncGroupRequest {
    const API_KEY: ApiKey = ApiKey::SYNC_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for SyncGroupRequest {
    type Response = SyncGroupResponse;
}

impl Field for SyncGroupRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("generation_id", &self.generation_id)?;
        out.field("member_id", &self.member_id)?;
        out.strict_field_in(3.., "group_instance_id", &self.group_instance_id, &None)?;
        out.field_in(5.., "protocol_type", &self.protocol_type)?;
        out.field_in(5.., "protocol_name", &self.protocol_name)?;
        out.field("assignments", &self.assignments)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            generation_id: from.field("generation_id")?,
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(3.., "group_instance_id")?,
            protocol_type: from.field_in(5.., "protocol_type")?,
            protocol_name: from.field_in(5.., "protocol_name")?,
            assignments: from.field("assignments")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The assignment of one member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncGroupRequestAssignment {
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// Assignment: for consumers a
    /// [`ConsumerProtocolAssignment`](super::ConsumerProtocolAssignment).
    pub assignment: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for SyncGroupRequestAssignment {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("member_id", &self.member_id)?;
        out.field("assignment", &self.assignment)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            member_id: from.field("member_id")?,
            assignment: from.field("assignment")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The assignment of the member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncGroupResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The kind of group: `consumer` for consumers. Since version 5.
    pub protocol_type: Option<Str>,
    /// The protocol that the coordinator selected: for consumers the name of the assignor. Since
    /// version 5.
    pub protocol_name: Option<Str>,
    /// Assignment: for consumers a
    /// [`ConsumerProtocolAssignment`](super::ConsumerProtocolAssignment).
    pub assignment: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for SyncGroupResponse {
    const API_KEY: ApiKey = ApiKey::SYNC_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for SyncGroupResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field_in(5.., "protocol_type", &self.protocol_type)?;
        out.field_in(5.., "protocol_name", &self.protocol_name)?;
        out.field("assignment", &self.assignment)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            error_code: from.field("error_code")?,
            protocol_type: from.field_in(5.., "protocol_type")?,
            protocol_name: from.field_in(5.., "protocol_name")?,
            assignment: from.field("assignment")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
