//! GetTelemetrySubscriptions (key 71): which metrics the cluster wants from a client (KIP-714).
//!
//! Always flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::ClientInstanceId;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks what to push.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GetTelemetrySubscriptionsRequest {
    /// The client; zero to be given an id.
    pub client_instance_id: ClientInstanceId,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for GetTelemetrySubscriptionsRequest {
    const API_KEY: ApiKey = ApiKey::GET_TELEMETRY_SUBSCRIPTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for GetTelemetrySubscriptionsRequest {
    type Response = GetTelemetrySubscriptionsResponse;
}

impl Field for GetTelemetrySubscriptionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("client_instance_id", &self.client_instance_id)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client_instance_id: from.field("client_instance_id")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Metrics that the client should push, and the interval.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GetTelemetrySubscriptionsResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// The client: its id from now on if it had none, else zero.
    pub client_instance_id: ClientInstanceId,
    /// A number that changes with the subscription.
    pub subscription_id: i32,
    /// Compressions that the broker accepts, the best first, numbered as in record batches.
    pub accepted_compression_types: Vec<i8>,
    /// Interval of pushes, in milliseconds.
    pub push_interval_ms: i32,
    /// The number of bytes a push may have, compressed.
    pub telemetry_max_bytes: i32,
    /// True if to push differences instead of sums.
    pub delta_temporality: bool,
    /// Prefixes of the names of the metrics wanted; one empty string for all, nothing for none.
    pub requested_metrics: Vec<Str>,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for GetTelemetrySubscriptionsResponse {
    const API_KEY: ApiKey = ApiKey::GET_TELEMETRY_SUBSCRIPTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for GetTelemetrySubscriptionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.field("client_instance_id", &self.client_instance_id)?;
        out.field("subscription_id", &self.subscription_id)?;
        out.field(
            "accepted_compression_types",
            &self.accepted_compression_types,
        )?;
        out.field("push_interval_ms", &self.push_interval_ms)?;
        out.field("telemetry_max_bytes", &self.telemetry_max_bytes)?;
        out.field("delta_temporality", &self.delta_temporality)?;
        out.field("requested_metrics", &self.requested_metrics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            client_instance_id: from.field("client_instance_id")?,
            subscription_id: from.field("subscription_id")?,
            accepted_compression_types: from.field("accepted_compression_types")?,
            push_interval_ms: from.field("push_interval_ms")?,
            telemetry_max_bytes: from.field("telemetry_max_bytes")?,
            delta_temporality: from.field("delta_temporality")?,
            requested_metrics: from.field("requested_metrics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
