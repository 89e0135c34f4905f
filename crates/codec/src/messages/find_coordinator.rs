//! FindCoordinator (key 10): which broker coordinates a group or a transactional id.
//!
//! Version 1 knows transactions, 3 is flexible, 4 asks for several coordinators at once; 5 may
//! answer `TRANSACTION_ABORTABLE` and 6 knows share groups.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::BrokerId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks which broker coordinates something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FindCoordinatorRequest {
    /// The group or transactional id. Up to version 3.
    pub key: Str,
    /// Kind of the keys: 0 groups, 1 transactional ids, 2 share groups. Since version 1.
    pub key_type: i8,
    /// The groups or transactional ids. Since version 4.
    pub coordinator_keys: Vec<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for FindCoordinatorRequest {
    const API_KEY: ApiKey = ApiKey::FIND_COORDINATOR;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for FindCoordinatorRequest {
    type Response = FindCoordinatorResponse;

    /// Since version 4 there is a list of keys.
    fn newest_version(&self) -> i16 {
        if self.coordinator_keys.is_empty() {
            3
        } else {
            6
        }
    }
}

impl Field for FindCoordinatorRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(..=3, "key", &self.key, &Str::default())?;
        out.strict_field_in(1.., "key_type", &self.key_type, &0)?;
        out.strict_field_in(4.., "coordinator_keys", &self.coordinator_keys, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: from.field_in(..=3, "key")?,
            key_type: from.field_in(1.., "key_type")?,
            coordinator_keys: from.field_in(4.., "coordinator_keys")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The coordinator, or one for each key since version 4.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FindCoordinatorResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The outcome. Up to version 3.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any. Versions 1 to 3.
    pub error_message: Option<Str>,
    /// The coordinator. Up to version 3.
    pub node_id: BrokerId,
    /// The host to connect to. Up to version 3.
    pub host: Str,
    /// The port to connect to. Up to version 3.
    pub port: i32,
    /// The coordinators, by key. Since version 4.
    pub coordinators: Vec<Coordinator>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for FindCoordinatorResponse {
    const API_KEY: ApiKey = ApiKey::FIND_COORDINATOR;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for FindCoordinatorResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.strict_field_in(..=3, "error_code", &self.error_code, &ErrorCode::NONE)?;
        out.field_in(1..=3, "error_message", &self.error_message)?;
        out.strict_field_in(..=3, "node_id", &self.node_id, &BrokerId::NONE)?;
        out.strict_field_in(..=3, "host", &self.host, &Str::default())?;
        out.strict_field_in(..=3, "port", &self.port, &0)?;
        out.strict_field_in(4.., "coordinators", &self.coordinators, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            error_code: from.field_in(..=3, "error_code")?,
            error_message: from.field_in(1..=3, "error_message")?,
            node_id: from.field_in(..=3, "node_id")?,
            host: from.field_in(..=3, "host")?,
            port: from.field_in(..=3, "port")?,
            coordinators: from.field_in(4.., "coordinators")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The coordinator of one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coordinator {
    /// The group or transactional id.
    pub key: Str,
    /// The coordinator.
    pub node_id: BrokerId,
    /// The host to connect to.
    pub host: Str,
    /// The port to connect to.
    pub port: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for Coordinator {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("key", &self.key)?;
        out.field("node_id", &self.node_id)?;
        out.field("host", &self.host)?;
        out.field("port", &self.port)?;
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: from.field("key")?,
            node_id: from.field("node_id")?,
            host: from.field("host")?,
            port: from.field("port")?,
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
