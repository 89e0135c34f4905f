//! EndTxn (key 26): commits or aborts a transaction.
//!
//! Version 3 is flexible, 4 may answer `TRANSACTION_ABORTABLE`, 5 bumps the producer's epoch
//! (KIP-890).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks the coordinator to end a transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndTxnRequest {
    /// The transactional id of the producer.
    pub transactional_id: Str,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// True if to commit; else to abort.
    pub committed: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for EndTxnRequest {
    const API_KEY: ApiKey = ApiKey::END_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for EndTxnRequest {
    type Response = EndTxnResponse;
}

impl Field for EndTxnRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.field("committed", &self.committed)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            committed: from.field("committed")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of ending the transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndTxnResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The producer id to use from now on. Since version 5.
    pub producer_id: ProducerId,
    /// The epoch to use from now on. Since version 5.
    pub producer_epoch: ProducerEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for EndTxnResponse {
    const API_KEY: ApiKey = ApiKey::END_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for EndTxnResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field_in(5.., "producer_id", &self.producer_id)?;
        out.field_in(5.., "producer_epoch", &self.producer_epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            producer_id: from.field_in(5.., "producer_id")?,
            producer_epoch: from.field_in(5.., "producer_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
