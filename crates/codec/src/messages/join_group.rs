//! JoinGroup (key 11): the first step of a rebalance in the classic group protocol.
//!
//! Version 1 has a timeout for the rebalance, 4 wants an id before a member joins (KIP-394), 5
//! knows static members (KIP-345), 6 is flexible, 7 returns the type of the protocol, 8 has a
//! reason (KIP-800), 9 lets the leader skip the assignment (KIP-814).

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Joins a group, or rejoins it for the next generation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinGroupRequest {
    /// The group.
    pub group_id: Str,
    /// Time that the member may send no heartbeat before the coordinator removes it, in
    /// milliseconds.
    pub session_timeout_ms: i32,
    /// Time that the coordinator waits for each member to rejoin, in milliseconds; -1 for the
    /// session timeout. Since version 1. Default: -1.
    pub rebalance_timeout_ms: i32,
    /// The member, as the coordinator named it; empty for a new one. Since version 4 the
    /// coordinator answers a new one with `MEMBER_ID_REQUIRED` and an id to join with (KIP-394).
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 5.
    pub group_instance_id: Option<Str>,
    /// The kind of group: `consumer` for consumers.
    pub protocol_type: Str,
    /// The protocols that the member supports, the preferred one first.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// Why the member joins, in words (KIP-800). Since version 8.
    pub reason: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for JoinGroupRequest {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            session_timeout_ms: 0,
            rebalance_timeout_ms: -1,
            member_id: Str::default(),
            group_instance_id: None,
            protocol_type: Str::default(),
            protocols: Vec::new(),
            reason: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for JoinGroupRequest {
    const API_KEY: ApiKey = ApiKey::JOIN_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=9;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Request for JoinGroupRequest {
    type Response = JoinGroupResponse;
}

impl Field for JoinGroupRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("session_timeout_ms", &self.session_timeout_ms)?;
        out.field_in(1.., "rebalance_timeout_ms", &self.rebalance_timeout_ms)?;
        out.field("member_id", &self.member_id)?;
        out.strict_field_in(5.., "group_instance_id", &self.group_instance_id, &None)?;
        out.field("protocol_type", &self.protocol_type)?;
        out.field("protocols", &self.protocols)?;
        out.field_in(8.., "reason", &self.reason)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            session_timeout_ms: from.field("session_timeout_ms")?,
            rebalance_timeout_ms: from.field_in_or(1.., "rebalance_timeout_ms", -1)?,
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(5.., "group_instance_id")?,
            protocol_type: from.field("protocol_type")?,
            protocols: from.field("protocols")?,
            reason: from.field_in(8.., "reason")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A protocol that the member supports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JoinGroupRequestProtocol {
    /// The name of the protocol: for consumers the name of the assignor.
    pub name: Str,
    /// The metadata of the protocol: for consumers a
    /// [`ConsumerProtocolSubscription`](super::ConsumerProtocolSubscription).
    pub metadata: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for JoinGroupRequestProtocol {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("metadata", &self.metadata)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            metadata: from.field("metadata")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The generation that the member is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinGroupResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 2.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The generation of the group: one more after every rebalance. Default: -1.
    pub generation_id: i32,
    /// The kind of group: `consumer` for consumers. Since version 7.
    pub protocol_type: Option<Str>,
    /// The protocol that the coordinator selected: for consumers the name of the assignor. May be
    /// none since version 7.
    pub protocol_name: Option<Str>,
    /// The member id of the leader, who computes the assignments.
    pub leader: Str,
    /// True if the leader keeps the assignments as they are, and sends none (KIP-814). Since
    /// version 9.
    pub skip_assignment: bool,
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// All members; empty unless the member leads the group.
    pub members: Vec<JoinGroupResponseMember>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for JoinGroupResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Str::default(),
            skip_assignment: false,
            member_id: Str::default(),
            members: Vec::new(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for JoinGroupResponse {
    const API_KEY: ApiKey = ApiKey::JOIN_GROUP;
    const VERSIONS: RangeInclusive<i16> = 0..=9;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Field for JoinGroupResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(2.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("generation_id", &self.generation_id)?;
        out.field_in(7.., "protocol_type", &self.protocol_type)?;
        out.nullable_in(7.., "protocol_name", &self.protocol_name)?;
        out.field("leader", &self.leader)?;
        out.strict_field_in(9.., "skip_assignment", &self.skip_assignment, &false)?;
        out.field("member_id", &self.member_id)?;
        out.field("members", &self.members)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(2.., "throttle_time_ms")?,
            error_code: from.field("error_code")?,
            generation_id: from.field("generation_id")?,
            protocol_type: from.field_in(7.., "protocol_type")?,
            protocol_name: from.nullable_in(7.., "protocol_name")?,
            leader: from.field("leader")?,
            skip_assignment: from.field_in(9.., "skip_assignment")?,
            member_id: from.field("member_id")?,
            members: from.field("members")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A member of the group, for its leader.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JoinGroupResponseMember {
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 5.
    pub group_instance_id: Option<Str>,
    /// The metadata of the protocol: for consumers a
    /// [`ConsumerProtocolSubscription`](super::ConsumerProtocolSubscription).
    pub metadata: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for JoinGroupResponseMember {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("member_id", &self.member_id)?;
        out.field_in(5.., "group_instance_id", &self.group_instance_id)?;
        out.field("metadata", &self.metadata)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(5.., "group_instance_id")?,
            metadata: from.field("metadata")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
