//! ListTransactions (key 66): the transactions that a broker coordinates (KIP-664).
//!
//! Always flexible. Version 1 filters by duration (KIP-994), 2 by a pattern of transactional ids
//! (KIP-1152).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::ProducerId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the transactions that the broker coordinates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListTransactionsRequest {
    /// The states of the transactions to return; empty for all.
    pub state_filters: Vec<Str>,
    /// The producer ids of the transactions to return; empty for all.
    pub producer_id_filters: Vec<ProducerId>,
    /// For how many milliseconds a transaction must have been running to be returned; -1 for all
    /// (KIP-994). Since version 1. Default: -1.
    pub duration_filter: i64,
    /// A regular expression that the transactional ids must match; none for all (KIP-1152). Since
    /// version 2.
    pub transactional_id_pattern: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ListTransactionsRequest {
    fn default() -> Self {
        Self {
            state_filters: Vec::new(),
            producer_id_filters: Vec::new(),
            duration_filter: -1,
            transactional_id_pattern: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for ListTransactionsRequest {
    const API_KEY: ApiKey = ApiKey::LIST_TRANSACTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for ListTransactionsRequest {
    type Response = ListTransactionsResponse;
}

impl Field for ListTransactionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("state_filters", &self.state_filters)?;
        out.field("producer_id_filters", &self.producer_id_filters)?;
        out.strict_field_in(1.., "duration_filter", &self.duration_filter, &-1)?;
        out.strict_field_in(
            2..,
            "transactional_id_pattern",
            &self.transactional_id_pattern,
            &None,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            state_filters: from.field("state_filters")?,
            producer_id_filters: from.field("producer_id_filters")?,
            duration_filter: from.field_in_or(1.., "duration_filter", -1)?,
            transactional_id_pattern: from.field_in(2.., "transactional_id_pattern")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The transactions that the broker coordinates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListTransactionsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The states of the filter that the broker does not know.
    pub unknown_state_filters: Vec<Str>,
    /// The transactions.
    pub transaction_states: Vec<ListedTransaction>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for ListTransactionsResponse {
    const API_KEY: ApiKey = ApiKey::LIST_TRANSACTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for ListTransactionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("unknown_state_filters", &self.unknown_state_filters)?;
        out.field("transaction_states", &self.transaction_states)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            unknown_state_filters: from.field("unknown_state_filters")?,
            transaction_states: from.field("transaction_states")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A transaction. Kafka calls it `TransactionState`, as it does another structure of
/// DescribeTransactions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListedTransaction {
    /// The transactional id.
    pub transactional_id: Str,
    /// The producer id.
    pub producer_id: ProducerId,
    /// The state of the transaction: `Ongoing`, `PrepareCommit`, `Empty` …
    pub transaction_state: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ListedTransaction {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("transaction_state", &self.transaction_state)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            producer_id: from.field("producer_id")?,
            transaction_state: from.field("transaction_state")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
