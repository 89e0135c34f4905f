//! Headers in front of the body of a request or response.

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::ids::CorrelationId;
use crate::text::Str;
use crate::wire::{Decoder, Encoder, TaggedFields, Writer};

/// The header of a request, versions 0 to 2: version 1 added the client's id, 2 tagged fields.
/// [`ApiKey::request_header_version`] tells which one a request has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHeader {
    /// The API.
    pub api_key: ApiKey,
    /// The version of the request and of its response.
    pub api_version: i16,
    /// The id that the response will carry.
    pub correlation_id: CorrelationId,
    /// The name that the client gives itself. Since header version 1.
    pub client_id: Option<Str>,
    /// Tagged fields. Since header version 2.
    pub unknown_tags: TaggedFields,
}

impl RequestHeader {
    /// Writes the header that belongs to its API and version.
    ///
    /// # Errors
    /// [`EncodeError`] when the client's id is longer than 32,767 bytes, or when there are tagged
    /// fields and the header has none.
    pub fn encode(&self, out: &mut Writer) -> Result<(), EncodeError> {
        let version = self.api_key.request_header_version(self.api_version);
        // The client's id never became compact, so that any broker can read it (KIP-511).
        let mut fields = Encoder::new(out, version, false);
        fields.field("api_key", &self.api_key)?;
        fields.field("api_version", &self.api_version)?;
        fields.field("correlation_id", &self.correlation_id)?;
        fields.field_in(1.., "client_id", &self.client_id)?;
        Encoder::new(out, version, version >= 2).unknown_tags(&self.unknown_tags)
    }

    /// Reads the header at the front of a frame, which has lost its length prefix; returns it with
    /// the body.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the frame does not begin with a header.
    pub fn decode(frame: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        let mut prefix = Decoder::new(frame, 0, false);
        let api_key: ApiKey = prefix.field("api_key")?;
        let api_version = prefix.field("api_version")?;
        let version = api_key.request_header_version(api_version);

        let mut fields = Decoder::new(frame, version, false);
        let mut header = Self {
            api_key: fields.field("api_key")?,
            api_version: fields.field("api_version")?,
            correlation_id: fields.field("correlation_id")?,
            client_id: fields.field_in(1.., "client_id")?,
            unknown_tags: TaggedFields::new(),
        };
        let mut tags = fields.with_flexibility(version >= 2);
        header.unknown_tags = tags.unknown_tags()?;
        Ok((header, tags.rest()))
    }
}

/// The header of a response, versions 0 and 1: version 1 added tagged fields.
/// [`ApiKey::response_header_version`] tells which one a response has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHeader {
    /// The id that the request carried.
    pub correlation_id: CorrelationId,
    /// Tagged fields. Since header version 1.
    pub unknown_tags: TaggedFields,
}

impl ResponseHeader {
    /// Writes the header that belongs to a response of that API and version.
    ///
    /// # Errors
    /// [`EncodeError`] when there are tagged fields and the header has none.
    pub fn encode(
        &self,
        api_key: ApiKey,
        api_version: i16,
        out: &mut Writer,
    ) -> Result<(), EncodeError> {
        let version = api_key.response_header_version(api_version);
        let mut fields = Encoder::new(out, version, version >= 1);
        fields.field("correlation_id", &self.correlation_id)?;
        fields.unknown_tags(&self.unknown_tags)
    }

    /// Reads the header at the front of a frame, which has lost its length prefix; returns it with
    /// the body.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the frame does not begin with a header.
    pub fn decode(
        frame: &Bytes,
        api_key: ApiKey,
        api_version: i16,
    ) -> Result<(Self, Bytes), DecodeError> {
        let version = api_key.response_header_version(api_version);
        let mut fields = Decoder::new(frame, version, version >= 1);
        let header = Self {
            correlation_id: fields.field("correlation_id")?,
            unknown_tags: fields.unknown_tags()?,
        };
        Ok((header, fields.rest()))
    }
}
