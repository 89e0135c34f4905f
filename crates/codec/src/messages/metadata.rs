//! Metadata (key 3): brokers, topics, partitions and their leaders.
//!
//! Version 5 names offline replicas, 7 leader epochs, 8 authorized operations, 9 is flexible, 10
//! knows topic ids (by which topics can be asked for since 12), 13 has an error for the whole
//! response (KIP-1102).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::broker_ids::BrokerIds;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for the brokers of the cluster and for topics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetadataRequest {
    /// The topics to describe; none for all.
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// True if the broker may create topics that do not exist, if it is configured to. Default:
    /// true.
    pub allow_auto_topic_creation: bool,
    /// True if to tell what the client may do with the cluster. Versions 8 to 10.
    pub include_cluster_authorized_operations: bool,
    /// True if to tell what the client may do with each topic. Since version 8.
    pub include_topic_authorized_operations: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for MetadataRequest {
    fn default() -> Self {
        Self {
            topics: None,
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for MetadataRequest {
    const API_KEY: ApiKey = ApiKey::METADATA;
    const VERSIONS: RangeInclusive<i16> = 4..=13;
    const FIRST_FLEXIBLE: Option<i16> = Some(9);
}

impl Request for MetadataRequest {
    type Response = MetadataResponse;

    /// Since version 11 a broker tells what may be done with the cluster in another response:
    /// `DescribeClusterResponse`.
    fn newest_version(&self) -> i16 {
        if self.include_cluster_authorized_operations {
            10
        } else {
            13
        }
    }
}

impl Field for MetadataRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("allow_auto_topic_creation", &self.allow_auto_topic_creation)?;
        out.strict_field_in(
            8..=10,
            "include_cluster_authorized_operations",
            &self.include_cluster_authorized_operations,
            &false,
        )?;
        out.strict_field_in(
            8..,
            "include_topic_authorized_operations",
            &self.include_topic_authorized_operations,
            &false,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            allow_auto_topic_creation: from.field("allow_auto_topic_creation")?,
            include_cluster_authorized_operations: from
                .field_in(8..=10, "include_cluster_authorized_operations")?,
            include_topic_authorized_operations: from
                .field_in(8.., "include_topic_authorized_operations")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic to describe, by name or (since version 12) by id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MetadataRequestTopic {
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// The name of the topic.  None only since version 10.
    pub name: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for MetadataRequestTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.nullable_in(10.., "name", &self.name)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic_id: from.field_in(10.., "topic_id")?,
            name: from.nullable_in(10.., "name")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The cluster as the broker that answers knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetadataResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The brokers that are alive.
    pub brokers: Vec<MetadataResponseBroker>,
    /// The cluster, if it has an id.
    pub cluster_id: Option<Str>,
    /// The controller.
    pub controller_id: BrokerId,
    /// The topics, with errors of their own.
    pub topics: Vec<MetadataResponseTopic>,
    /// Operations that the client may do with the cluster, a bit for each. Versions 8 to 10.
    /// Default: `i32::MIN`, not asked for.
    pub cluster_authorized_operations: i32,
    /// An error of the whole response. Since version 13.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for MetadataResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: BrokerId::NONE,
            topics: Vec::new(),
            cluster_authorized_operations: i32::MIN,
            error_code: ErrorCode::NONE,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for MetadataResponse {
    const API_KEY: ApiKey = ApiKey::METADATA;
    const VERSIONS: RangeInclusive<i16> = 4..=13;
    const FIRST_FLEXIBLE: Option<i16> = Some(9);
}

impl Field for MetadataResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("brokers", &self.brokers)?;
        out.field("cluster_id", &self.cluster_id)?;
        out.field("controller_id", &self.controller_id)?;
        out.field("topics", &self.topics)?;
        out.strict_field_in(
            8..=10,
            "cluster_authorized_operations",
            &self.cluster_authorized_operations,
            &i32::MIN,
        )?;
        out.field_in(13.., "error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            brokers: from.field("brokers")?,
            cluster_id: from.field("cluster_id")?,
            controller_id: from.field("controller_id")?,
            topics: from.field("topics")?,
            cluster_authorized_operations: from.field_in_or(
                8..=10,
                "cluster_authorized_operations",
                i32::MIN,
            )?,
            error_code: from.field_in(13.., "error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A broker and where to reach it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MetadataResponseBroker {
    /// The broker.
    pub node_id: BrokerId,
    /// The host to connect to.
    pub host: Str,
    /// The port to connect to.
    pub port: i32,
    /// The rack it is in, if it was told.
    pub rack: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for MetadataResponseBroker {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("node_id", &self.node_id)?;
        out.field("host", &self.host)?;
        out.field("port", &self.port)?;
        out.field("rack", &self.rack)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            node_id: from.field("node_id")?,
            host: from.field("host")?,
            port: from.field("port")?,
            rack: from.field("rack")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetadataResponseTopic {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The name of the topic.  None only since version 12.
    pub name: Option<Str>,
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// True if Kafka keeps the topic for itself.
    pub is_internal: bool,
    /// The partitions.
    pub partitions: Vec<MetadataResponsePartition>,
    /// Operations that the client may do with the topic, a bit for each. Since version 8. Default:
    /// `i32::MIN`, not asked for.
    pub topic_authorized_operations: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for MetadataResponseTopic {
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

impl Field for MetadataResponseTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.nullable_in(12.., "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("is_internal", &self.is_internal)?;
        out.field("partitions", &self.partitions)?;
        out.strict_field_in(
            8..,
            "topic_authorized_operations",
            &self.topic_authorized_operations,
            &i32::MIN,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            name: from.nullable_in(12.., "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            is_internal: from.field("is_internal")?,
            partitions: from.field("partitions")?,
            topic_authorized_operations: from.field_in_or(
                8..,
                "topic_authorized_operations",
                i32::MIN,
            )?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MetadataResponsePartition {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The partition.
    pub partition_index: PartitionId,
    /// The leader; -1 while there is none.
    pub leader_id: BrokerId,
    /// The leader's epoch. Since version 7.
    pub leader_epoch: LeaderEpoch,
    /// All its replicas.
    pub replica_nodes: BrokerIds,
    /// The replicas that are in sync.
    pub isr_nodes: BrokerIds,
    /// The replicas that are offline. Since version 5.
    pub offline_replicas: BrokerIds,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for MetadataResponsePartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("partition_index", &self.partition_index)?;
        out.field("leader_id", &self.leader_id)?;
        out.field_in(7.., "leader_epoch", &self.leader_epoch)?;
        out.field("replica_nodes", &self.replica_nodes)?;
        out.field("isr_nodes", &self.isr_nodes)?;
        out.field_in(5.., "offline_replicas", &self.offline_replicas)?;
        out.unknown_tags(&self.unknown_tags)
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            partition_index: from.field("partition_index")?,
            leader_id: from.field("leader_id")?,
            leader_epoch: from.field_in(7.., "leader_epoch")?,
            replica_nodes: from.field("replica_nodes")?,
            isr_nodes: from.field("isr_nodes")?,
            offline_replicas: from.field_in(5.., "offline_replicas")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
