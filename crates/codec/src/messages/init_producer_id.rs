//! InitProducerId (key 22): an id and epoch for an idempotent or transactional producer.
//!
//! Version 2 is flexible, 3 can bump the epoch of an id that the producer has (KIP-360), 4 may
//! answer `PRODUCER_FENCED`, 5 `TRANSACTION_ABORTABLE`.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for a producer id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InitProducerIdRequest {
    /// The transactional id; none for a producer that is only idempotent.
    pub transactional_id: Option<Str>,
    /// Time that a transaction may last before the coordinator aborts it, in milliseconds.
    pub transaction_timeout_ms: i32,
    /// The id whose epoch is to be bumped; none for a new one. Since version 3.
    pub producer_id: ProducerId,
    /// The epoch that the producer has; none for a new one. Since version 3.
    pub producer_epoch: ProducerEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for InitProducerIdRequest {
    const API_KEY: ApiKey = ApiKey::INIT_PRODUCER_ID;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Request for InitProducerIdRequest {
    type Response = InitProducerIdResponse;
}

impl Field for InitProducerIdRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("transaction_timeout_ms", &self.transaction_timeout_ms)?;
        out.strict_field_in(3.., "producer_id", &self.producer_id, &ProducerId::NONE)?;
        out.strict_field_in(
            3..,
            "producer_epoch",
            &self.producer_epoch,
            &ProducerEpoch::NONE,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            transaction_timeout_ms: from.field("transaction_timeout_ms")?,
            producer_id: from.field_in(3.., "producer_id")?,
            producer_epoch: from.field_in(3.., "producer_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The producer id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InitProducerIdResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for InitProducerIdResponse {
    const API_KEY: ApiKey = ApiKey::INIT_PRODUCER_ID;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Field for InitProducerIdResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
