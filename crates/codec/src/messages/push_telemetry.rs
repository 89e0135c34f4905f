//! PushTelemetry (key 72): metrics of a client (KIP-714).
//!
//! Always flexible.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::ids::ClientInstanceId;
use crate::message::{Message, Request};
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Metrics, as OpenTelemetry encodes them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PushTelemetryRequest {
    /// The client.
    pub client_instance_id: ClientInstanceId,
    /// A number that changes with the subscription.
    pub subscription_id: i32,
    /// True if the client is about to leave.
    pub terminating: bool,
    /// Compression of `metrics`, numbered as in record batches.
    pub compression_type: i8,
    /// The metrics, in the format of OpenTelemetry.
    pub metrics: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for PushTelemetryRequest {
    const API_KEY: ApiKey = ApiKey::PUSH_TELEMETRY;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for PushTelemetryRequest {
    type Response = PushTelemetryResponse;
}

impl Field for PushTelemetryRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("client_instance_id", &self.client_instance_id)?;
        out.field("subscription_id", &self.subscription_id)?;
        out.field("terminating", &self.terminating)?;
        out.field("compression_type", &self.compression_type)?;
        out.field("metrics", &self.metrics)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client_instance_id: from.field("client_instance_id")?,
            subscription_id: from.field("subscription_id")?,
            terminating: from.field("terminating")?,
            compression_type: from.field("compression_type")?,
            metrics: from.field("metrics")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// Outcome of the push.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PushTelemetryResponse {
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served.
    pub throttle_time_ms: i32,
    /// The outcome.
    pub error_code: ErrorCode,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for PushTelemetryResponse {
    const API_KEY: ApiKey = ApiKey::PUSH_TELEMETRY;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for PushTelemetryResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("error_code", &self.error_code)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            error_code: from.field("error_code")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
