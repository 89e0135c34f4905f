//! DescribeCluster (key 60): the brokers or the controllers of a cluster.
//!
//! Always flexible. Version 1 can ask for controllers (KIP-919).

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::BrokerId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for the nodes of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribeClusterRequest {
    /// True if to tell what the client may do with the cluster.
    pub include_cluster_authorized_operations: bool,
    /// Kind of the nodes: 1 brokers, 2 controllers. Since version 1. Default: 1.
    pub endpoint_type: i8,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribeClusterRequest {
    fn default() -> Self {
        Self {
            include_cluster_authorized_operations: false,
            endpoint_type: 1,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for DescribeClusterRequest {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_CLUSTER;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for DescribeClusterRequest {
    type Response = DescribeClusterResponse;
}

impl Field for DescribeClusterRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field(
            "include_cluster_authorized_operations",
            &self.include_cluster_authorized_operations,
        )?;
        out.strict_field_in(1.., "endpoint_type", &self.endpoint_type, &1)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            include_cluster_authorized_operations: from
                .field("include_cluster_authorized_operations")?,
            endpoint_type: from.field_in_or(1.., "endpoint_type", 1)?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The nodes of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescribeClusterResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Kind of the nodes: 1 brokers, 2 controllers. Since version 1. Default: 1.
    pub endpoint_type: i8,
    /// The cluster.
    pub cluster_id: Str,
    /// The controller.
    pub controller_id: BrokerId,
    /// The nodes.
    pub brokers: Vec<DescribeClusterBroker>,
    /// Operations that the client may do with the cluster, a bit for each. Default: `i32::MIN`, not
    /// asked for.
    pub cluster_authorized_operations: i32,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for DescribeClusterResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: None,
            endpoint_type: 1,
            cluster_id: Str::default(),
            controller_id: BrokerId::NONE,
            brokers: Vec::new(),
            cluster_authorized_operations: i32::MIN,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for DescribeClusterResponse {
    const API_KEY: ApiKey = ApiKey::DESCRIBE_CLUSTER;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for DescribeClusterResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.strict_field_in(1.., "endpoint_type", &self.endpoint_type, &1)?;
        out.field("cluster_id", &self.cluster_id)?;
        out.field("controller_id", &self.controller_id)?;
        out.field("brokers", &self.brokers)?;
        out.field(
            "cluster_authorized_operations",
            &self.cluster_authorized_operations,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            endpoint_type: from.field_in_or(1.., "endpoint_type", 1)?,
            cluster_id: from.field("cluster_id")?,
            controller_id: from.field("controller_id")?,
            brokers: from.field("brokers")?,
            cluster_authorized_operations: from.field("cluster_authorized_operations")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A node and where to reach it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DescribeClusterBroker {
    /// The node.
    pub broker_id: BrokerId,
    /// The host to connect to.
    pub host: Str,
    /// The port to connect to.
    pub port: i32,
    /// The rack it is in, if it was told.
    pub rack: Option<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for DescribeClusterBroker {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("broker_id", &self.broker_id)?;
        out.field("host", &self.host)?;
        out.field("port", &self.port)?;
        out.field("rack", &self.rack)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            broker_id: from.field("broker_id")?,
            host: from.field("host")?,
            port: from.field("port")?,
            rack: from.field("rack")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
