//! Heartbeat (key 12): keeps a member in its classic group.
//!
//! Version 3 knows static members (KIP-345), 4 is flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Keeps a member in its group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Str,
    /// The generation of the group: one more after every rebalance.
    pub generation_id: i32,
    /// The member, as the coordinator named it.
    pub member_id: Str,
    /// The name that the operator gave a static member (KIP-345); none for a dynamic one. Since
    /// version 3.
    pub group_instance_id: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for HeartbeatRequest {
    const API_KEY: ApiKey = ApiKey::HEARTBEAT;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Request for HeartbeatRequest {
    type Response = HeartbeatResponse;
}

impl Field for HeartbeatRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("generation_id", &self.generation_id)?;
        out.field("member_id", &self.member_id)?;
        out.strict_field_in(3.., "group_instance_id", &self.group_instance_id, &None)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            generation_id: from.field("generation_id")?,
            member_id: from.field("member_id")?,
            group_instance_id: from.field_in(3.., "group_instance_id")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The state of the membership: `REBALANCE_IN_PROGRESS` requests the member to rejoin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeartbeatResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for HeartbeatResponse {
    const API_KEY: ApiKey = ApiKey::HEARTBEAT;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(4);
}

impl Field for HeartbeatResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
