//! DescribeTransactions (key 65): the state of transactions (KIP-664).
//!
//! Always flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{PartitionId, ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the state of transactions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeTransactionsRequest {
    /// The transactional ids.
    pub transactional_ids: Vec<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeTransactionsRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_TRANSACTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for DescribeTransactionsRequest {
    type Response = DescribeTransactionsResponse;
}

impl Field for DescribeTransactionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_ids", &self.transactional_ids)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_ids: from.field("transactional_ids")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The state of the transactions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeTransactionsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The transactions.
    pub transaction_states: Vec<TransactionState>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeTransactionsResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_TRANSACTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for DescribeTransactionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("transaction_states", &self.transaction_states)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            transaction_states: from.field("transaction_states")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The state of one transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TransactionState {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The transactional id.
    pub transactional_id: Str,
    /// The state of the transaction: `Ongoing`, `PrepareCommit`, `Empty` …
    pub transaction_state: Str,
    /// The timeout of the transaction, in milliseconds.
    pub transaction_timeout_ms: i32,
    /// When the transaction began, in milliseconds since 1970; -1 if there is none.
    pub transaction_start_time_ms: i64,
    /// The producer id.
    pub producer_id: ProducerId,
    /// The epoch of the producer id.
    pub producer_epoch: ProducerEpoch,
    /// The partitions that are part of the transaction, by topic.
    pub topics: Vec<TopicData>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TransactionState {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("transactional_id", &self.transactional_id)?;
        out.field("transaction_state", &self.transaction_state)?;
        out.field("transaction_timeout_ms", &self.transaction_timeout_ms)?;
        out.field("transaction_start_time_ms", &self.transaction_start_time_ms)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            transactional_id: from.field("transactional_id")?,
            transaction_state: from.field("transaction_state")?,
            transaction_timeout_ms: from.field("transaction_timeout_ms")?,
            transaction_start_time_ms: from.field("transaction_start_time_ms")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of one topic that are part of a transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicData {
    /// The name of the topic.
    pub topic: Str,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for TopicData {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topic", &self.topic)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: from.field("topic")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
