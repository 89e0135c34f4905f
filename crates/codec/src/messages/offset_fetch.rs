//! OffsetFetch (key 9): how far groups have consumed.
//!
//! Version 2 can return all offsets of a group, 5 has leader epochs (KIP-320), 6 is flexible, 7 can
//! wait for transactions (KIP-447), 8 asks for several groups at once, 9 serves the new group
//! protocol too (KIP-848).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, PartitionId, TopicId};
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Requests committed offsets: of one group up to version 7, of several since version 8.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchRequest {
    /// The group. Up to version 7.
    pub group_id: Str,
    /// The partitions, by topic; none for all that have an offset, which version 2 was the first to
    /// allow. Up to version 7.
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// The groups. Since version 8.
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// True if to return `UNSTABLE_OFFSET_COMMIT` while a transaction may change the offset
    /// (KIP-447). Since version 7.
    pub require_stable: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for OffsetFetchRequest {
    const API_KEY: ApiKey = ApiKey::OFFSET_FETCH;
    const VERSIONS: RangeInclusive<i16> = 0..=10;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Request for OffsetFetchRequest {
    type Response = OffsetFetchResponse;

    /// Since version 8 there is a list of groups. Since version 10 topics go by id: all of them
    /// must be known.
    fn newest_version(&self) -> i16 {
        let mut topics = self
            .groups
            .iter()
            .flat_map(|group| group.topics.iter().flatten());
        if !self.group_id.is_empty() || self.topics.is_some() {
            7
        } else if topics.any(|topic| topic.topic_id.is_zero()) {
            9
        } else {
            10
        }
    }
}

impl Field for OffsetFetchRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.strict_field_in(..=7, "group_id", &self.group_id, &Str::default())?;
        if out.version() < 2 {
            out.nullable_in(2.., "topics", &self.topics)?;
        } else {
            out.strict_field_in(..=7, "topics", &self.topics, &None)?;
        }
        out.strict_field_in(8.., "groups", &self.groups, &Vec::new())?;
        out.strict_field_in(7.., "require_stable", &self.require_stable, &false)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field_in(..=7, "group_id")?,
            topics: if from.version() < 2 {
                from.nullable_in(2.., "topics")?
            } else {
                from.field_in(..=7, "topics")?
            },
            groups: from.field_in(8.., "groups")?,
            require_stable: from.field_in(7.., "require_stable")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Partitions of one topic whose offsets to fetch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchRequestTopic {
    /// The name of the topic. Up to version 9.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// The partitions.
    pub partition_indexes: Vec<PartitionId>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetFetchRequestTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=9, "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("partition_indexes", &self.partition_indexes)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=9, "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            partition_indexes: from.field("partition_indexes")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A group whose offsets to fetch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetFetchRequestGroup {
    /// The group.
    pub group_id: Str,
    /// The member that asks, in a group of the new protocol (KIP-848). Since version 9.
    pub member_id: Option<Str>,
    /// The epoch of that member. Since version 9. Default: -1.
    pub member_epoch: i32,
    /// The partitions, by topic; none for all that have an offset.
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for OffsetFetchRequestGroup {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            member_id: None,
            member_epoch: -1,
            topics: None,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Field for OffsetFetchRequestGroup {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field_in(9.., "member_id", &self.member_id)?;
        out.field_in(9.., "member_epoch", &self.member_epoch)?;
        out.field("topics", &self.topics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            member_id: from.field_in(9.., "member_id")?,
            member_epoch: from.field_in_or(9.., "member_epoch", -1)?,
            topics: from.field("topics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The committed offsets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 3.
    pub throttle_time_ms: i32,
    /// The offsets, by topic. Up to version 7.
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// The outcome. Versions 2 to 7.
    pub error_code: ErrorCode,
    /// The offsets, by group. Since version 8.
    pub groups: Vec<OffsetFetchResponseGroup>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for OffsetFetchResponse {
    const API_KEY: ApiKey = ApiKey::OFFSET_FETCH;
    const VERSIONS: RangeInclusive<i16> = 0..=10;
    const FIRST_FLEXIBLE: Option<i16> = Some(6);
}

impl Field for OffsetFetchResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(3.., "throttle_time_ms", &self.throttle_time_ms)?;
        out.strict_field_in(..=7, "topics", &self.topics, &Vec::new())?;
        out.field_in(2..=7, "error_code", &self.error_code)?;
        out.strict_field_in(8.., "groups", &self.groups, &Vec::new())?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field_in(3.., "throttle_time_ms")?,
            topics: from.field_in(..=7, "topics")?,
            error_code: from.field_in(2..=7, "error_code")?,
            groups: from.field_in(8.., "groups")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The committed offsets in one topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchResponseTopic {
    /// The name of the topic. Up to version 9.
    pub name: Str,
    /// The id of the topic; zero if not known. Since version 10.
    pub topic_id: TopicId,
    /// The offsets, by partition.
    pub partitions: Vec<OffsetFetchResponsePartition>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetFetchResponseTopic {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(..=9, "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("partitions", &self.partitions)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field_in(..=9, "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            partitions: from.field("partitions")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The committed offset in one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchResponsePartition {
    /// The partition.
    pub partition_index: PartitionId,
    /// The offset of the next record to consume; unknown if none is committed.
    pub committed_offset: Offset,
    /// The epoch of the last record consumed. Since version 5.
    pub committed_leader_epoch: LeaderEpoch,
    /// The text that was stored with the offset.
    pub metadata: Option<Str>,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetFetchResponsePartition {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("partition_index", &self.partition_index)?;
        out.field("committed_offset", &self.committed_offset)?;
        out.field_in(5.., "committed_leader_epoch", &self.committed_leader_epoch)?;
        out.field("metadata", &self.metadata)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: from.field("partition_index")?,
            committed_offset: from.field("committed_offset")?,
            committed_leader_epoch: from.field_in(5.., "committed_leader_epoch")?,
            metadata: from.field("metadata")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The committed offsets of one group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffsetFetchResponseGroup {
    /// The group.
    pub group_id: Str,
    /// The offsets, by topic.
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for OffsetFetchResponseGroup {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("group_id", &self.group_id)?;
        out.field("topics", &self.topics)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: from.field("group_id")?,
            topics: from.field("topics")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
