//! DescribeTopicPartitions (key 75): the partitions of topics, page by page (KIP-966).
//!
//! Always flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::broker_ids::BrokerIds;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests the partitions of topics, page by page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribeTopicPartitionsRequest {
    /// The topics.
    pub topics: Vec<DescribeTopicPartitionsRequestTopic>,
    /// Most partitions to return. Default: 2000.
    pub response_partition_limit: i32,
    /// Where the page begins; none for the first one.
    pub cursor: Option<Cursor>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribeTopicPartitionsRequest {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            response_partition_limit: 2000,
            cursor: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for DescribeTopicPartitionsRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_TOPIC_PARTITIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for DescribeTopicPartitionsRequest {
    type Response = DescribeTopicPartitionsResponse;
}

impl Field for DescribeTopicPartitionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("response_partition_limit", &self.response_partition_limit)?;
        out.field("cursor", &self.cursor)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            response_partition_limit: from.field("response_partition_limit")?,
            cursor: from.field("cursor")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic to describe. Kafka calls it `TopicRequest`, as it does another structure of
/// DescribeProducers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeTopicPartitionsRequestTopic {
    /// The name of the topic.
    pub name: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeTopicPartitionsRequestTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The place where a page begins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// The topic that the page begins with.
    pub topic_name: Str,
    /// The partition that the page begins with.
    pub partition_index: PartitionId,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for Cursor {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topic_name", &self.topic_name)?;
        out.field("partition_index", &self.partition_index)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic_name: from.field("topic_name")?,
            partition_index: from.field("partition_index")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A page of partitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeTopicPartitionsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<Cursor>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for DescribeTopicPartitionsResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_TOPIC_PARTITIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for DescribeTopicPartitionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("topics", &self.topics)?;
        out.field("next_cursor", &self.next_cursor)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            topics: from.field("topics")?,
            next_cursor: from.field("next_cursor")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribeTopicPartitionsResponseTopic {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The name of the topic; none if only its id is known.
    pub name: Option<Str>,
    /// The id of the topic; zero if not known.
    pub topic_id: TopicId,
    /// True if the cluster itself uses the topic.
    pub is_internal: bool,
    /// The partitions.
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    /// Operations that the client may do with the topic, a bit for each. Default: `i32::MIN`, not
    /// given.
    pub topic_authorized_operations: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribeTopicPartitionsResponseTopic {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            name: None,
            topic_id: TopicId::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: i32::MIN,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for DescribeTopicPartitionsResponseTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("name", &self.name)?;
        out.field("topic_id", &self.topic_id)?;
        out.field("is_internal", &self.is_internal)?;
        out.field("partitions", &self.partitions)?;
        out.field(
            "topic_authorized_operations",
            &self.topic_authorized_operations,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            name: from.field("name")?,
            topic_id: from.field("topic_id")?,
            is_internal: from.field("is_internal")?,
            partitions: from.field("partitions")?,
            topic_authorized_operations: from.field("topic_authorized_operations")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Leader and replicas of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeTopicPartitionsResponsePartition {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The partition.
    pub partition_index: PartitionId,
    /// The leader; none if there is none.
    pub leader_id: BrokerId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The brokers that have a replica.
    pub replica_nodes: BrokerIds,
    /// The brokers whose replica is in sync.
    pub isr_nodes: BrokerIds,
    /// The brokers that can lead although they are not in sync (KIP-966).
    pub eligible_leader_replicas: Option<BrokerIds>,
    /// The brokers that could lead when they were last known (KIP-966).
    pub last_known_elr: Option<BrokerIds>,
    /// The brokers whose replica is offline.
    pub offline_replicas: BrokerIds,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeTopicPartitionsResponsePartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("partition_index", &self.partition_index)?;
        out.field("leader_id", &self.leader_id)?;
        out.field("leader_epoch", &self.leader_epoch)?;
        out.field("replica_nodes", &self.replica_nodes)?;
        out.field("isr_nodes", &self.isr_nodes)?;
        out.field("eligible_leader_replicas", &self.eligible_leader_replicas)?;
        out.field("last_known_elr", &self.last_known_elr)?;
        out.field("offline_replicas", &self.offline_replicas)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            partition_index: from.field("partition_index")?,
            leader_id: from.field("leader_id")?,
            leader_epoch: from.field("leader_epoch")?,
            replica_nodes: from.field("replica_nodes")?,
            isr_nodes: from.field("isr_nodes")?,
            eligible_leader_replicas: from.field("eligible_leader_replicas")?,
            last_known_elr: from.field("last_known_elr")?,
            offline_replicas: from.field("offline_replicas")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A byte says whether there is one.
impl Field for Option<Cursor> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        match self {
            Some(cursor) => {
                1_i8.put(out)?;
                cursor.put(out)
            }
            None => (-1_i8).put(out),
        }
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if i8::take(from)? < 0 {
            return Ok(None);
        }
        Cursor::take(from).map(Some)
    }
}
