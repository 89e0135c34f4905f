//! The response.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId, TopicId};
use crate::message::Message;
use crate::messages::leader_hints::{LeaderIdAndEpoch, NodeEndpoint};
use crate::text::Str;
use crate::wire::{Chunks, Decoder, Encoder, Field, TaggedFields};

/// Records of the partitions asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome. Since version 7.
    pub error_code: ErrorCode,
    /// The fetch session; 0 for none. Since version 7.
    pub session_id: i32,
    /// The records, by topic.
    pub responses: Vec<FetchableTopicResponse>,
    /// Where to reach the leaders named in `current_leader`. Since version 16. Tagged.
    pub node_endpoints: Vec<NodeEndpoint>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for FetchResponse {
    const API_KEY: ApiKey = ApiKey::FETCH;
    const VERSIONS: RangeInclusive<i16> = 4..=18;
    const FIRST_FLEXIBLE: Option<i16> = Some(12);
}

impl Field for FetchResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field_in(7.., "error_code", &self.error_code)?;
        out.strict_field_in(7.., "session_id", &self.session_id, &0)?;
        out.field("responses", &self.responses)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(16.., 0, "node_endpoints", &self.node_endpoints, &Vec::new())?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut node_endpoints = Vec::new();
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field_in(7.., "error_code")?,
            session_id: from.field_in(7.., "session_id")?,
            responses: from.field("responses")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 if from.version() >= 16 => from.known_tag("node_endpoints", &mut node_endpoints),
                _ => Ok(false),
            })?,
            node_endpoints,
        })
    }
}

/// Records of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchableTopicResponse {
    /// The name of the topic. Up to version 12.
    pub topic: Str,
    /// The id of the topic; zero if not known. Since version 13.
    pub topic_id: TopicId,
    /// The records, by partition.
    pub partitions: Vec<PartitionData>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FetchableTopicResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=12, "topic", &self.topic)?;
        out.field_in(13.., "topic_id", &self.topic_id)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: from.field_in(..=12, "topic")?,
            topic_id: from.field_in(13.., "topic_id")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Records of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartitionData {
    /// The partition.
    pub partition_index: PartitionId,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The offset behind the last record that all in-sync replicas have.
    pub high_watermark: Offset,
    /// The offset that all transactions before are decided.
    pub last_stable_offset: Offset,
    /// Where the log starts. Since version 5.
    pub log_start_offset: Offset,
    /// Where the replica's log and the leader's part. Since version 12. Tagged.
    pub diverging_epoch: Option<Box<EpochEndOffset>>,
    /// Leader of the partition where the broker that responds is not (KIP-951). Since version 12.
    /// Tagged.
    pub current_leader: LeaderIdAndEpoch,
    /// The snapshot to fetch instead. Since version 12. Tagged.
    pub snapshot_id: Option<Box<SnapshotId>>,
    /// Aborted transactions among the records; none when all records were asked for.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// The replica that the consumer should fetch from instead; none to stay. Since version 11.
    pub preferred_read_replica: BrokerId,
    /// Record batches, the last of which may be cut short.
    pub records: Option<Chunks>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for PartitionData {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("error_code", &self.error_code)?;
        out.field("high_watermark", &self.high_watermark)?;
        out.field("last_stable_offset", &self.last_stable_offset)?;
        out.field_in(5.., "log_start_offset", &self.log_start_offset)?;
        out.field("aborted_transactions", &self.aborted_transactions)?;
        out.strict_field_in(
            11..,
            "preferred_read_replica",
            &self.preferred_read_replica,
            &BrokerId::NONE,
        )?;
        out.field("records", &self.records)?;
        let mut tags = out.tags(&self.unknown_tags);
        let diverging_epoch = self.diverging_epoch.as_deref();
        tags.optional_in(12.., 0, "diverging_epoch", diverging_epoch)?;
        tags.field_in(
            12..,
            1,
            "current_leader",
            &self.current_leader,
            &LeaderIdAndEpoch::default(),
        )?;
        tags.optional_in(12.., 2, "snapshot_id", self.snapshot_id.as_deref())?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut diverging_epoch = None;
        let mut current_leader = LeaderIdAndEpoch::default();
        let mut snapshot_id = None;
        Ok(Self {
            partition_index: from.field("partition_index")?,
            error_code: from.field("error_code")?,
            high_watermark: from.field("high_watermark")?,
            last_stable_offset: from.field("last_stable_offset")?,
            log_start_offset: from.field_in(5.., "log_start_offset")?,
            aborted_transactions: from.field("aborted_transactions")?,
            preferred_read_replica: from.field_in(11.., "preferred_read_replica")?,
            records: from.field("records")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 => from.known_boxed_tag("diverging_epoch", &mut diverging_epoch),
                1 => from.known_tag("current_leader", &mut current_leader),
                2 => from.known_boxed_tag("snapshot_id", &mut snapshot_id),
                _ => Ok(false),
            })?,
            diverging_epoch,
            current_leader,
            snapshot_id,
        })
    }
}

/// Where an epoch of the leader ends.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EpochEndOffset {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset behind its last record.
    pub end_offset: Offset,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for EpochEndOffset {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("epoch", &self.epoch)?;
        out.field("end_offset", &self.end_offset)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: from.field("epoch")?,
            end_offset: from.field("end_offset")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A snapshot of the metadata log; only for replicas of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SnapshotId {
    /// The offset behind the last record it covers.
    pub end_offset: Offset,
    /// The epoch of that record.
    pub epoch: LeaderEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for SnapshotId {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("end_offset", &self.end_offset)?;
        out.field("epoch", &self.epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            end_offset: from.field("end_offset")?,
            epoch: from.field("epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A transaction that was aborted among the records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// The offset of its first record.
    pub first_offset: Offset,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for AbortedTransaction {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("producer_id", &self.producer_id)?;
        out.field("first_offset", &self.first_offset)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            producer_id: from.field("producer_id")?,
            first_offset: from.field("first_offset")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
