//! Leader of a partition, named by a broker that is not (KIP-951): parts of Produce and Fetch
//! responses.

use crate::error::{DecodeError, EncodeError};
use crate::ids::{BrokerId, LeaderEpoch};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// A leader and its epoch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// The leader; none if not known.
    pub leader_id: BrokerId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for LeaderIdAndEpoch {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("leader_id", &self.leader_id)?;
        out.field("leader_epoch", &self.leader_epoch)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            leader_id: from.field("leader_id")?,
            leader_epoch: from.field("leader_epoch")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A broker and where to reach it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeEndpoint {
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

impl Field for NodeEndpoint {
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
