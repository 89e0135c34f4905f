//! SaslAuthenticate (key 36): one step of a SASL exchange.
//!
//! Version 1 tells how long the session lasts (KIP-368), 2 is flexible. What the mechanism says is
//! not shown by `Debug`: it may be a password.

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// The client's part of a step.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct SaslAuthenticateRequest {
    /// Bytes of the mechanism.
    pub auth_bytes: Bytes,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for SaslAuthenticateRequest {
    const API_KEY: ApiKey = ApiKey::SASL_AUTHENTICATE;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Request for SaslAuthenticateRequest {
    type Response = SaslAuthenticateResponse;
}

impl Field for SaslAuthenticateRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("auth_bytes", &self.auth_bytes)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            auth_bytes: from.field("auth_bytes")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The broker's part of a step.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct SaslAuthenticateResponse {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The error in words, if the broker has any.
    pub error_message: Option<Str>,
    /// Bytes of the mechanism.
    pub auth_bytes: Bytes,
    /// When the broker will close the connection unless the client authenticates again, in
    /// milliseconds from now; 0 for never. Since version 1.
    pub session_lifetime_ms: i64,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Message for SaslAuthenticateResponse {
    const API_KEY: ApiKey = ApiKey::SASL_AUTHENTICATE;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FIRST_FLEXIBLE: Option<i16> = Some(2);
}

impl Field for SaslAuthenticateResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("error_message", &self.error_message)?;
        out.field("auth_bytes", &self.auth_bytes)?;
        out.field_in(1.., "session_lifetime_ms", &self.session_lifetime_ms)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: from.field("error_code")?,
            error_message: from.field("error_message")?,
            auth_bytes: from.field("auth_bytes")?,
            session_lifetime_ms: from.field_in(1.., "session_lifetime_ms")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

impl fmt::Debug for SaslAuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslAuthenticateRequest")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SaslAuthenticateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslAuthenticateResponse")
            .field("error_code", &self.error_code)
            .field("error_message", &self.error_message)
            .field("session_lifetime_ms", &self.session_lifetime_ms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mechanism_says_is_not_shown() {
        let auth_bytes = Bytes::from_static(b"\0alice\0sentinel");
        let request = SaslAuthenticateRequest {
            auth_bytes: auth_bytes.clone(),
            ..Default::default()
        };
        let response = SaslAuthenticateResponse {
            auth_bytes,
            ..Default::default()
        };
        assert!(!format!("{request:?}{response:?}").contains("sentinel"));
    }
}
