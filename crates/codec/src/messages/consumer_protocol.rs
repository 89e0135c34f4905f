//! The consumer protocol: the bytes that consumers of a classic group exchange inside of JoinGroup
//! and SyncGroup.
//!
//! Brokers pass them on unread. They begin with their version, and are never flexible. Version 1
//! has the partitions that a member owns, 2 the generation that it owned them in, 3 its rack
//! (KIP-881).

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::ids::PartitionId;
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, Writer};

/// The versions that can be encoded, and that are decoded field by field.
const VERSIONS: RangeInclusive<i16> = 0..=3;

/// The topics that a member wants to consume: metadata of a
/// [`JoinGroupRequest`](super::JoinGroupRequest).
///
/// ```
/// use wolff_codec::messages::{ConsumerProtocolSubscription, JoinGroupRequestProtocol};
/// use wolff_codec::Str;
///
/// let subscription = ConsumerProtocolSubscription {
///     topics: vec![Str::from("orders")],
///     ..Default::default()
/// };
/// let protocol = JoinGroupRequestProtocol {
///     name: Str::from("range"),
///     metadata: subscription.encode(3)?,
///     ..Default::default()
/// };
/// assert_eq!(ConsumerProtocolSubscription::decode(&protocol.metadata)?, subscription);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsumerProtocolSubscription {
    /// The names of the topics.
    pub topics: Vec<Str>,
    /// Bytes of the assignor.
    pub user_data: Option<Bytes>,
    /// The partitions that the member owns, by topic. Since version 1.
    pub owned_partitions: Vec<TopicPartitions>,
    /// The generation in which the member owned them; -1 if not known. Since version 2. Default:
    /// -1.
    pub generation_id: i32,
    /// The rack of the member. Since version 3.
    pub rack_id: Option<Str>,
}

impl Default for ConsumerProtocolSubscription {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            user_data: None,
            owned_partitions: Vec::new(),
            generation_id: -1,
            rack_id: None,
        }
    }
}

impl ConsumerProtocolSubscription {
    /// The version and the fields that it has; the others are left out.
    ///
    /// # Errors
    /// When the version is unknown, or a name is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        encode(self, version)
    }

    /// Reads the fields of the version that the bytes begin with. A newer version than the newest
    /// known one begins with the fields of that one, by the rules of the protocol: what follows
    /// them is skipped.
    ///
    /// # Errors
    /// When the version is negative, or the bytes are not what it prescribes.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Field for ConsumerProtocolSubscription {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topics", &self.topics)?;
        out.field("user_data", &self.user_data)?;
        out.field_in(1.., "owned_partitions", &self.owned_partitions)?;
        out.field_in(2.., "generation_id", &self.generation_id)?;
        out.field_in(3.., "rack_id", &self.rack_id)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: from.field("topics")?,
            user_data: from.field("user_data")?,
            owned_partitions: from.field_in(1.., "owned_partitions")?,
            generation_id: from.field_in_or(2.., "generation_id", -1)?,
            rack_id: from.field_in(3.., "rack_id")?,
        })
    }
}

/// The partitions of a member: the assignment of a [`SyncGroupResponse`](super::SyncGroupResponse).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConsumerProtocolAssignment {
    /// The partitions, by topic.
    pub assigned_partitions: Vec<TopicPartitions>,
    /// Bytes of the assignor.
    pub user_data: Option<Bytes>,
}

impl ConsumerProtocolAssignment {
    /// The version and the fields; all versions have the same.
    ///
    /// # Errors
    /// When the version is unknown, or a name is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        encode(self, version)
    }

    /// Reads the fields; what follows them in a newer version than the newest known one is skipped.
    ///
    /// # Errors
    /// When the version is negative, or the bytes are not what it prescribes.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Field for ConsumerProtocolAssignment {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("assigned_partitions", &self.assigned_partitions)?;
        out.field("user_data", &self.user_data)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            assigned_partitions: from.field("assigned_partitions")?,
            user_data: from.field("user_data")?,
        })
    }
}

/// Partitions of one topic. Kafka calls it `TopicPartition`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicPartitions {
    /// The name of the topic.
    pub topic: Str,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
}

impl Field for TopicPartitions {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("topic", &self.topic)?;
        out.field("partitions", &self.partitions)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: from.field("topic")?,
            partitions: from.field("partitions")?,
        })
    }
}

fn encode(fields: &impl Field, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    let mut out = Encoder::new(&mut writer, version, false);
    if !VERSIONS.contains(&version) {
        return Err(EncodeError::UnsupportedConsumerProtocol {
            version,
            supported: VERSIONS,
        });
    }
    out.field("version", &version)?;
    fields.put(&mut out)?;
    Ok(writer.finish().to_bytes())
}

fn decode<T: Field>(bytes: &Bytes) -> Result<T, DecodeError> {
    let mut from = Decoder::new(bytes, 0, false);
    let version: i16 = from.field("version")?;
    if version < *VERSIONS.start() {
        return Err(DecodeError::UnsupportedConsumerProtocol {
            version,
            supported: VERSIONS,
        });
    }
    let mut from = from.at_version(version.min(*VERSIONS.end()));
    let fields = T::take(&mut from)?;
    if version <= *VERSIONS.end() {
        from.finish()?;
    }
    Ok(fields)
}
