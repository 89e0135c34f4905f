//! Fetch (key 1): record batches from the log of a partition.
//!
//! Version 5 tells the start of the log, 7 has fetch sessions (KIP-227), 9 checks the leader's epoch (KIP-320), 10 allows
//! zstd, 11 may send a consumer to a nearby replica (KIP-392), 12 is flexible. Later ones, which name topics by id, are not
//! here.

use std::ops::RangeInclusive;

use super::leader_hints::LeaderIdAndEpoch;
use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Chunks, Decoder, Encoder, Field, TaggedFields};

/// Asks for records of partitions, from an offset onwards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchRequest {
    /// The cluster that the replica belongs to; for replicas of the metadata log. Since version 12. Tagged.
    pub cluster_id: Option<Str>,
    /// The replica that fetches; none for a consumer.
    pub replica_id: BrokerId,
    /// How long the broker may wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// How many bytes of records the broker shall wait for.
    pub min_bytes: i32,
    /// How many bytes of records to return at most, except that the first batch is returned whole. Default: no limit.
    pub max_bytes: i32,
    /// 0: all records; 1: none of open or aborted transactions.
    pub isolation_level: i8,
    /// The fetch session (KIP-227); 0 for none. Since version 7.
    pub session_id: i32,
    /// The epoch of the fetch session; -1 for none. Since version 7. Default: -1.
    pub session_epoch: i32,
    /// What to fetch, by topic.
    pub topics: Vec<FetchTopic>,
    /// What the fetch session shall forget. Since version 7.
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    /// The rack of the consumer, for replicas nearby; empty if not known. Since version 11.
    pub rack_id: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self {
            cluster_id: None,
            replica_id: BrokerId::NONE,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics_data: Vec::new(),
            rack_id: Str::default(),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for FetchRequest {
    const API_KEY: ApiKey = ApiKey::FETCH;
    const VERSIONS: RangeInclusive<i16> = 4..=12;
    const FIRST_FLEXIBLE: Option<i16> = Some(12);
}

impl Request for FetchRequest {
    type Response = FetchResponse;
}

impl Field for FetchRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("replica_id", &self.replica_id)?;
        out.field("max_wait_ms", &self.max_wait_ms)?;
        out.field("min_bytes", &self.min_bytes)?;
        out.field("max_bytes", &self.max_bytes)?;
        out.field("isolation_level", &self.isolation_level)?;
        out.field_in(7.., "session_id", &self.session_id)?;
        out.field_in(7.., "session_epoch", &self.session_epoch)?;
        out.field("topics", &self.topics)?;
        out.strict_field_in(
            7..,
            "forgotten_topics_data",
            &self.forgotten_topics_data,
            &Vec::new(),
        )?;
        out.field_in(11.., "rack_id", &self.rack_id)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(12.., 0, "cluster_id", &self.cluster_id, &None)?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut cluster_id = None;
        Ok(Self {
            replica_id: from.field("replica_id")?,
            max_wait_ms: from.field("max_wait_ms")?,
            min_bytes: from.field("min_bytes")?,
            max_bytes: from.field("max_bytes")?,
            isolation_level: from.field("isolation_level")?,
            session_id: from.field_in(7.., "session_id")?,
            session_epoch: from.field_in_or(7.., "session_epoch", -1)?,
            topics: from.field("topics")?,
            forgotten_topics_data: from.field_in(7.., "forgotten_topics_data")?,
            rack_id: from.field_in(11.., "rack_id")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 => from.known_tag("cluster_id", &mut cluster_id),
                _ => Ok(false),
            })?,
            cluster_id,
        })
    }
}

/// What to fetch of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchTopic {
    /// The name of the topic.
    pub topic: Str,
    /// What to fetch, by partition.
    pub partitions: Vec<FetchPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FetchTopic {
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

/// What to fetch of one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that the client knows; the broker refuses others unless it is unknown. Since version 9.
    pub current_leader_epoch: LeaderEpoch,
    /// The offset of the first record wanted.
    pub fetch_offset: Offset,
    /// The epoch of the last record fetched; for replicas. Since version 12.
    pub last_fetched_epoch: LeaderEpoch,
    /// Where the replica's log starts; for replicas. Since version 5.
    pub log_start_offset: Offset,
    /// How many bytes of records to return at most, with the same exception.
    pub partition_max_bytes: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FetchPartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition", &self.partition)?;
        out.field_in(9.., "current_leader_epoch", &self.current_leader_epoch)?;
        out.field("fetch_offset", &self.fetch_offset)?;
        out.strict_field_in(
            12..,
            "last_fetched_epoch",
            &self.last_fetched_epoch,
            &LeaderEpoch::UNKNOWN,
        )?;
        out.field_in(5.., "log_start_offset", &self.log_start_offset)?;
        out.field("partition_max_bytes", &self.partition_max_bytes)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: from.field("partition")?,
            current_leader_epoch: from.field_in(9.., "current_leader_epoch")?,
            fetch_offset: from.field("fetch_offset")?,
            last_fetched_epoch: from.field_in(12.., "last_fetched_epoch")?,
            log_start_offset: from.field_in(5.., "log_start_offset")?,
            partition_max_bytes: from.field("partition_max_bytes")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of a topic that the fetch session shall forget.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ForgottenTopic {
    /// The name of the topic.
    pub topic: Str,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ForgottenTopic {
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

/// Records of the partitions asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchResponse {
    /// How long the broker mutes the connection from now on, because of a quota (KIP-219), in milliseconds. The
    /// request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome. Since version 7.
    pub error_code: ErrorCode,
    /// The fetch session; 0 for none. Since version 7.
    pub session_id: i32,
    /// The records, by topic.
    pub responses: Vec<FetchableTopicResponse>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for FetchResponse {
    const API_KEY: ApiKey = ApiKey::FETCH;
    const VERSIONS: RangeInclusive<i16> = 4..=12;
    const FIRST_FLEXIBLE: Option<i16> = Some(12);
}

impl Field for FetchResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field_in(7.., "error_code", &self.error_code)?;
        out.strict_field_in(7.., "session_id", &self.session_id, &0)?;
        out.field("responses", &self.responses)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field_in(7.., "error_code")?,
            session_id: from.field_in(7.., "session_id")?,
            responses: from.field("responses")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Records of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchableTopicResponse {
    /// The name of the topic.
    pub topic: Str,
    /// The records, by partition.
    pub partitions: Vec<PartitionData>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FetchableTopicResponse {
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
    pub diverging_epoch: EpochEndOffset,
    /// Who leads the partition instead of the broker that answers (KIP-951). Since version 12. Tagged.
    pub current_leader: LeaderIdAndEpoch,
    /// The snapshot to fetch instead. Since version 12. Tagged.
    pub snapshot_id: SnapshotId,
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
        tags.field_in(
            12..,
            0,
            "diverging_epoch",
            &self.diverging_epoch,
            &EpochEndOffset::default(),
        )?;
        tags.field_in(
            12..,
            1,
            "current_leader",
            &self.current_leader,
            &LeaderIdAndEpoch::default(),
        )?;
        tags.field_in(
            12..,
            2,
            "snapshot_id",
            &self.snapshot_id,
            &SnapshotId::default(),
        )?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut diverging_epoch = EpochEndOffset::default();
        let mut current_leader = LeaderIdAndEpoch::default();
        let mut snapshot_id = SnapshotId::default();
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
                0 => from.known_tag("diverging_epoch", &mut diverging_epoch),
                1 => from.known_tag("current_leader", &mut current_leader),
                2 => from.known_tag("snapshot_id", &mut snapshot_id),
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
