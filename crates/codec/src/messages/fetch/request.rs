//! The request.

use std::ops::RangeInclusive;

use super::response::FetchResponse;
use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::ids::{BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for records of partitions, from an offset onwards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchRequest {
    /// The cluster that the replica belongs to; for replicas of the metadata log. Since version 12.
    /// Tagged.
    pub cluster_id: Option<Str>,
    /// The replica that fetches; none for a consumer. Up to version 14.
    pub replica_id: BrokerId,
    /// The replica that fetches and its epoch; the default for a consumer. Since version 15.
    /// Tagged.
    pub replica_state: ReplicaState,
    /// Time that the broker may wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// The number of bytes of records the broker shall wait for.
    pub min_bytes: i32,
    /// Most bytes of records to return, except that the first batch is returned whole. Default: no
    /// limit.
    pub max_bytes: i32,
    /// 0: all records; 1: none of open or aborted transactions.
    pub isolation_level: i8,
    /// The fetch session (KIP-227); 0 for none. Since version 7. All requests of a session have one
    /// version: those before 13 and those since then name topics differently.
    pub session_id: i32,
    /// The epoch of the fetch session; -1 for none. Since version 7. Default: -1.
    pub session_epoch: i32,
    /// Records to fetch, by topic.
    pub topics: Vec<FetchTopic>,
    /// Partitions that the fetch session shall forget. Since version 7.
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
            replica_state: ReplicaState::default(),
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
    const VERSIONS: RangeInclusive<i16> = 4..=18;
    const FIRST_FLEXIBLE: Option<i16> = Some(12);
}

impl Request for FetchRequest {
    type Response = FetchResponse;

    /// Since version 13 topics go by id: all of them must be known. Since version 15 a replica says
    /// who it is otherwise.
    fn newest_version(&self) -> i16 {
        let mut fetched = self.topics.iter().map(|topic| topic.topic_id);
        let mut forgotten = self
            .forgotten_topics_data
            .iter()
            .map(|topic| topic.topic_id);
        if fetched.any(|id| id.is_zero()) || forgotten.any(|id| id.is_zero()) {
            12
        } else if self.replica_id != BrokerId::NONE {
            14
        } else {
            18
        }
    }
}

impl Field for FetchRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(..=14, "replica_id", &self.replica_id, &BrokerId::NONE)?;
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
        tags.field_in(
            15..,
            1,
            "replica_state",
            &self.replica_state,
            &ReplicaState::default(),
        )?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut cluster_id = None;
        let mut replica_state = ReplicaState::default();
        Ok(Self {
            replica_id: from.field_in(..=14, "replica_id")?,
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
                1 if from.version() >= 15 => from.known_tag("replica_state", &mut replica_state),
                _ => Ok(false),
            })?,
            cluster_id,
            replica_state,
        })
    }
}

/// A replica that fetches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplicaState {
    /// The replica; none for a consumer.
    pub replica_id: BrokerId,
    /// The epoch of the broker; -1 if not known. Default: -1.
    pub replica_epoch: i64,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self {
            replica_id: BrokerId::NONE,
            replica_epoch: -1,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for ReplicaState {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("replica_id", &self.replica_id)?;
        out.field("replica_epoch", &self.replica_epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            replica_id: from.field("replica_id")?,
            replica_epoch: from.field("replica_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Records to fetch of one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchTopic {
    /// The name of the topic. Up to version 12.
    pub topic: Str,
    /// The id of the topic; zero if not known. Since version 13.
    pub topic_id: TopicId,
    /// Records to fetch, by partition.
    pub partitions: Vec<FetchPartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FetchTopic {
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

/// Records to fetch of one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that the client knows; the broker refuses others unless it is unknown. Since
    /// version 9.
    pub current_leader_epoch: LeaderEpoch,
    /// The offset of the first record wanted.
    pub fetch_offset: Offset,
    /// The epoch of the last record fetched; for replicas. Since version 12.
    pub last_fetched_epoch: LeaderEpoch,
    /// Where the replica's log starts; for replicas. Since version 5.
    pub log_start_offset: Offset,
    /// The directory of the replica; zero if not known. Since version 17. Tagged.
    pub replica_directory_id: DirectoryId,
    /// The high watermark that the replica knows; for replicas. Since version 18. Tagged. Default:
    /// `i64::MAX`, which says that the replica does not send it.
    pub high_watermark: Offset,
    /// Most bytes of records to return, with the same exception.
    pub partition_max_bytes: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

/// A replica that does not send its high watermark (KIP-1166).
const NO_HIGH_WATERMARK: Offset = Offset(i64::MAX);

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            partition: PartitionId::default(),
            current_leader_epoch: LeaderEpoch::UNKNOWN,
            fetch_offset: Offset::UNKNOWN,
            last_fetched_epoch: LeaderEpoch::UNKNOWN,
            log_start_offset: Offset::UNKNOWN,
            partition_max_bytes: 0,
            replica_directory_id: DirectoryId::ZERO,
            high_watermark: NO_HIGH_WATERMARK,
            unknown_tags: TaggedFields::new(),
        }
    }
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
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(
            17..,
            0,
            "replica_directory_id",
            &self.replica_directory_id,
            &DirectoryId::ZERO,
        )?;
        tags.field_in(
            18..,
            1,
            "high_watermark",
            &self.high_watermark,
            &NO_HIGH_WATERMARK,
        )?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut replica_directory_id = DirectoryId::ZERO;
        let mut high_watermark = NO_HIGH_WATERMARK;
        Ok(Self {
            partition: from.field("partition")?,
            current_leader_epoch: from.field_in(9.., "current_leader_epoch")?,
            fetch_offset: from.field("fetch_offset")?,
            last_fetched_epoch: from.field_in(12.., "last_fetched_epoch")?,
            log_start_offset: from.field_in(5.., "log_start_offset")?,
            partition_max_bytes: from.field("partition_max_bytes")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 if from.version() >= 17 => {
                    from.known_tag("replica_directory_id", &mut replica_directory_id)
                }
                1 if from.version() >= 18 => from.known_tag("high_watermark", &mut high_watermark),
                _ => Ok(false),
            })?,
            replica_directory_id,
            high_watermark,
        })
    }
}

/// Partitions of a topic that the fetch session shall forget.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ForgottenTopic {
    /// The name of the topic. Up to version 12.
    pub topic: Str,
    /// The id of the topic; zero if not known. Since version 13.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ForgottenTopic {
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
