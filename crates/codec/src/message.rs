//! Traits that tie a message to its API: key, versions, and the response that a request gets.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::wire::{Decoder, Encoder, Field, Writer};

/// The body of a request or response, in all its versions: one struct has the fields of them all.
pub trait Message: Field + Clone + Debug + PartialEq {
    /// The API it belongs to.
    const API_KEY: ApiKey;

    /// The versions that can be encoded and decoded.
    const VERSIONS: RangeInclusive<i16>;

    /// The first version with compact lengths and tagged fields (KIP-482); none if there is none
    /// yet.
    const FIRST_FLEXIBLE: Option<i16>;

    /// True if a version has compact lengths and tagged fields.
    #[must_use]
    fn is_flexible(version: i16) -> bool {
        Self::FIRST_FLEXIBLE.is_some_and(|first| version >= first)
    }

    /// Writes the body. Fields that the version lacks are left out, if that does not change what
    /// the message means.
    ///
    /// # Errors
    /// When the version is unknown, or when it cannot carry the message. What has been written by
    /// then is of no use.
    fn encode(&self, version: i16, out: &mut Writer) -> Result<(), EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            let (api, supported) = (Self::API_KEY, Self::VERSIONS);
            return Err(EncodeError::UnsupportedVersion {
                api,
                version,
                supported,
            });
        }
        self.put(&mut Encoder::new(out, version, Self::is_flexible(version)))
    }

    /// Reads a body, which must end where the message does. Fields that the version lacks get their
    /// defaults; strings, bytes and records share the body's bytes.
    ///
    /// # Errors
    /// When the version is unknown, or the bytes are not what it prescribes.
    fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        decode_exactly(body, version)
    }

    /// Reads a body as Apache Kafka's brokers read requests: what stands behind the message does
    /// not matter. Returns also how many bytes that is. (librdkafka 2.12 leaves three zeros behind
    /// its Metadata request for all topics, version 13.)
    ///
    /// # Errors
    /// As [`decode`](Self::decode), bytes behind the message excepted.
    fn decode_front(body: &Bytes, version: i16) -> Result<(Self, usize), DecodeError> {
        let (message, rest) = take_front(body, version)?;
        Ok((message, rest.remaining_bytes()))
    }
}

/// A message that a client sends, and that a broker answers.
pub trait Request: Message {
    /// The answer, which has the version of the request.
    type Response: Message;

    /// The newest version that can carry this very request. Some versions name the same thing in
    /// another way (a topic by its id instead of its name): which of them fits depends on the
    /// fields that are filled.
    #[must_use]
    fn newest_version(&self) -> i16 {
        *Self::VERSIONS.end()
    }
}

/// Reads a body of that very version, which ends where the message does.
pub(crate) fn decode_exactly<M: Message>(body: &Bytes, version: i16) -> Result<M, DecodeError> {
    let (message, rest) = take_front(body, version)?;
    rest.finish()?;
    Ok(message)
}

/// Reads a message of that very version, and what is left.
fn take_front<M: Message>(body: &Bytes, version: i16) -> Result<(M, Decoder<'_>), DecodeError> {
    if !M::VERSIONS.contains(&version) {
        let (api, supported) = (M::API_KEY, M::VERSIONS);
        return Err(DecodeError::UnsupportedVersion {
            api,
            version,
            supported,
        });
    }
    let mut decoder = Decoder::new(body, version, M::is_flexible(version));
    let message = M::take(&mut decoder)?;
    Ok((message, decoder))
}
