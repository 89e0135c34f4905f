//! AddOffsetsToTxn (key 25): tells the coordinator that a transaction is about to commit offsets of
//! a group.
//!
//! Version 3 is flexible, 4 may answer `TRANSACTION_ABORTABLE`.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Adds a group's offsets to a transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddOffsetsToTxnRequest {
    /// The transactional id of the producer.
    pub transactional_id: Str,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The group.
    pub group_id: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for AddOffsetsToTxnRequest {
    const API_KEY: ApiKey = ApiKey::ADD_OFFSETS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for AddOffsetsToTxnRequest {
    type Response = AddOffsetsToTxnResponse;
}

impl Field for AddOffsetsToTxnRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.field("group_id", &self.group_id)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            group_id: from.field("group_id")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of adding the group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddOffsetsToTxnResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for AddOffsetsToTxnResponse {
    const API_KEY: ApiKey = ApiKey::ADD_OFFSETS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for AddOffsetsToTxnResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
