//! AddPartitionsToTxn (key 24): tells the coordinator which partitions a transaction is about to
//! write to.
//!
//! Version 3 is flexible. Since version 4 only brokers send it, for several transactions at once
//! (KIP-890): clients keep to 3, and have no use for it with brokers that take part in transactions
//! by themselves.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{PartitionId, ProducerEpoch, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Adds partitions to transactions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnRequest {
    /// The transactions. Since version 4.
    pub transactions: Vec<AddPartitionsToTxnTransaction>,
    /// The transactional id of the producer. Up to version 3.
    pub v3_and_below_transactional_id: Str,
    /// The producer. Up to version 3.
    pub v3_and_below_producer_id: ProducerId,
    /// The producer's epoch. Up to version 3.
    pub v3_and_below_producer_epoch: ProducerEpoch,
    /// The partitions to add, by topic. Up to version 3.
    pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for AddPartitionsToTxnRequest {
    const API_KEY: ApiKey = ApiKey::ADD_PARTITIONS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for AddPartitionsToTxnRequest {
    type Response = AddPartitionsToTxnResponse;

    /// Since version 4 there is a list of transactions.
    fn newest_version(&self) -> i16 {
        if self.transactions.is_empty() { 3 } else { 5 }
    }
}

impl Field for AddPartitionsToTxnRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(4.., "transactions", &self.transactions, &Vec::new())?;
        out.strict_field_in(
            ..=3,
            "v3_and_below_transactional_id",
            &self.v3_and_below_transactional_id,
            &Str::default(),
        )?;
        out.strict_field_in(
            ..=3,
            "v3_and_below_producer_id",
            &self.v3_and_below_producer_id,
            &ProducerId::NONE,
        )?;
        out.strict_field_in(
            ..=3,
            "v3_and_below_producer_epoch",
            &self.v3_and_below_producer_epoch,
            &ProducerEpoch::NONE,
        )?;
        out.strict_field_in(
            ..=3,
            "v3_and_below_topics",
            &self.v3_and_below_topics,
            &Vec::new(),
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactions: from.field_in(4.., "transactions")?,
            v3_and_below_transactional_id: from.field_in(..=3, "v3_and_below_transactional_id")?,
            v3_and_below_producer_id: from.field_in(..=3, "v3_and_below_producer_id")?,
            v3_and_below_producer_epoch: from.field_in(..=3, "v3_and_below_producer_epoch")?,
            v3_and_below_topics: from.field_in(..=3, "v3_and_below_topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A transaction and the partitions to add to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnTransaction {
    /// The transactional id of the producer.
    pub transactional_id: Str,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// True if to check only that the partitions are part of the transaction.
    pub verify_only: bool,
    /// The partitions to add, by topic.
    pub topics: Vec<AddPartitionsToTxnTopic>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AddPartitionsToTxnTransaction {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("producer_id", &self.producer_id)?;
        out.field("producer_epoch", &self.producer_epoch)?;
        out.field("verify_only", &self.verify_only)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            producer_id: from.field("producer_id")?,
            producer_epoch: from.field("producer_epoch")?,
            verify_only: from.field("verify_only")?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnTopic {
    /// The name of the topic.
    pub name: Str,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AddPartitionsToTxnTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of each partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// An error of the whole response. Since version 4.
    pub error_code: ErrorCode,
    /// The outcomes, by transaction. Since version 4.
    pub results_by_transaction: Vec<AddPartitionsToTxnResult>,
    /// The outcomes, by topic. Up to version 3.
    pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for AddPartitionsToTxnResponse {
    const API_KEY: ApiKey = ApiKey::ADD_PARTITIONS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Field for AddPartitionsToTxnResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field_in(4.., "error_code", &self.error_code)?;
        out.strict_field_in(
            4..,
            "results_by_transaction",
            &self.results_by_transaction,
            &Vec::new(),
        )?;
        out.strict_field_in(
            ..=3,
            "results_by_topic_v3_and_below",
            &self.results_by_topic_v3_and_below,
            &Vec::new(),
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field_in(4.., "error_code")?,
            results_by_transaction: from.field_in(4.., "results_by_transaction")?,
            results_by_topic_v3_and_below: from.field_in(..=3, "results_by_topic_v3_and_below")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcomes of the partitions of one transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnResult {
    /// The transactional id of the producer.
    pub transactional_id: Str,
    /// The outcomes, by topic.
    pub topic_results: Vec<AddPartitionsToTxnTopicResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AddPartitionsToTxnResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("transactional_id", &self.transactional_id)?;
        out.field("topic_results", &self.topic_results)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: from.field("transactional_id")?,
            topic_results: from.field("topic_results")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcomes of the partitions of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnTopicResult {
    /// The name of the topic.
    pub name: Str,
    /// The outcomes, by partition.
    pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AddPartitionsToTxnTopicResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("results_by_partition", &self.results_by_partition)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            results_by_partition: from.field("results_by_partition")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddPartitionsToTxnPartitionResult {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub partition_error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AddPartitionsToTxnPartitionResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("partition_error_code", &self.partition_error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            partition_error_code: from.field("partition_error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
