//! SaslHandshake (key 17): the choice of a SASL mechanism.
//!
//! After version 0 the mechanism's bytes follow bare on the connection, after version 1 in
//! SaslAuthenticate requests. Never flexible.

use std::ops::RangeInclusive;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field};

/// Names the mechanism that the client wants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SaslHandshakeRequest {
    /// The mechanism.
    pub mechanism: Str,
}

impl Message for SaslHandshakeRequest {
    const API_KEY: ApiKey = ApiKey::SASL_HANDSHAKE;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = None;
}

impl Request for SaslHandshakeRequest {
    type Response = SaslHandshakeResponse;
}

impl Field for SaslHandshakeRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("mechanism", &self.mechanism)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            mechanism: from.field("mechanism")?,
        })
    }
}

/// The mechanisms that the broker offers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SaslHandshakeResponse {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The mechanisms that the broker offers.
    pub mechanisms: Vec<Str>,
}

impl Message for SaslHandshakeResponse {
    const API_KEY: ApiKey = ApiKey::SASL_HANDSHAKE;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FIRST_FLEXIBLE: Option<i16> = None;
}

impl Field for SaslHandshakeResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("mechanisms", &self.mechanisms)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            mechanisms: from.field("mechanisms")?,
        })
    }
}
