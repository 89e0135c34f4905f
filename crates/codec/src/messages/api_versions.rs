//! ApiVersions (key 18): which versions of which APIs a broker speaks.
//!
//! Version 1 has a throttle time, 3 is flexible and names the client's software (KIP-511), 4 allows
//! features with a minimum of 0. Its response always has header version 0, because the client does
//! not know yet what the broker speaks.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::message::{Message, Request, decode_exactly};
use crate::text::Str;
use crate::wire::{Decoder, Encoder, Field, TaggedFields};

/// Asks for the versions that the broker speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiVersionsRequest {
    /// The name of the client's software: letters, digits, dots and hyphens, at least one. A broker
    /// refuses an empty name with `INVALID_REQUEST`. Since version 3. Default: `wolff-codec`.
    pub client_software_name: Str,
    /// The version of the client's software, of the same characters. Since version 3. Default: this
    /// crate's.
    pub client_software_version: Str,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ApiVersionsRequest {
    fn default() -> Self {
        Self {
            client_software_name: Str::from_static("wolff-codec"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for ApiVersionsRequest {
    const API_KEY: ApiKey = ApiKey::API_VERSIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);
}

impl Request for ApiVersionsRequest {
    type Response = ApiVersionsResponse;
}

impl Field for ApiVersionsRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field_in(3.., "client_software_name", &self.client_software_name)?;
        out.field_in(
            3..,
            "client_software_version",
            &self.client_software_version,
        )?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client_software_name: from.field_in(3.., "client_software_name")?,
            client_software_version: from.field_in(3.., "client_software_version")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// The versions that the broker speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiVersionsResponse {
    /// The outcome.
    pub error_code: ErrorCode,
    /// The APIs that the broker speaks.
    pub api_keys: Vec<ApiVersion>,
    /// Time for which the broker mutes the connection from now on, because of a quota (KIP-219), in
    /// milliseconds. The request itself was served. Since version 1.
    pub throttle_time_ms: i32,
    /// The features that the broker supports. Since version 3. Tagged.
    pub supported_features: Vec<SupportedFeatureKey>,
    /// The epoch of `finalized_features`; -1 if not known. Since version 3. Tagged. Default: -1.
    pub finalized_features_epoch: i64,
    /// The features that the cluster has agreed on. Since version 3. Tagged.
    pub finalized_features: Vec<FinalizedFeatureKey>,
    /// True if the cluster can be migrated from ZooKeeper. Since version 3. Tagged.
    pub zk_migration_ready: bool,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Default for ApiVersionsResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
            unknown_tags: TaggedFields::new(),
        }
    }
}

impl Message for ApiVersionsResponse {
    const API_KEY: ApiKey = ApiKey::API_VERSIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FIRST_FLEXIBLE: Option<i16> = Some(3);

    /// A broker that does not know the version of the request answers with version 0 and
    /// `UNSUPPORTED_VERSION`: such a response is accepted for every version. Some brokers answer
    /// with that code and a body of no version at all (librdkafka's mock cluster): nothing but the
    /// code is read then, and version 0 is left to ask with.
    fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        decode_exactly(body, version).or_else(|error| {
            let Some(&code) = body.first_chunk() else {
                return Err(error);
            };
            let error_code = ErrorCode(i16::from_be_bytes(code));
            if error_code != ErrorCode::UNSUPPORTED_VERSION {
                return Err(error);
            }
            Ok(decode_exactly(body, 0).unwrap_or(Self {
                error_code,
                ..Self::default()
            }))
        })
    }
}

impl ApiVersionsResponse {
    /// The version to ask with again after `UNSUPPORTED_VERSION`: the newest that both sides speak,
    /// or 0 if the broker did not say (before Kafka 2.4).
    #[must_use]
    pub fn retry_version(&self) -> i16 {
        let theirs = self
            .api_keys
            .iter()
            .find(|api| api.api_key == ApiKey::API_VERSIONS);
        theirs.map_or(0, |theirs| {
            theirs.max_version.clamp(0, *Self::VERSIONS.end())
        })
    }
}

impl Field for ApiVersionsResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("api_keys", &self.api_keys)?;
        out.field_in(1.., "throttle_time_ms", &self.throttle_time_ms)?;
        let mut tags = out.tags(&self.unknown_tags);
        tags.field_in(
            3..,
            0,
            "supported_features",
            &self.supported_features,
            &Vec::new(),
        )?;
        tags.field_in(
            3..,
            1,
            "finalized_features_epoch",
            &self.finalized_features_epoch,
            &-1,
        )?;
        tags.field_in(
            3..,
            2,
            "finalized_features",
            &self.finalized_features,
            &Vec::new(),
        )?;
        tags.field_in(
            3..,
            3,
            "zk_migration_ready",
            &self.zk_migration_ready,
            &false,
        )?;
        tags.finish()
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut supported_features = Vec::new();
        let mut finalized_features_epoch = -1;
        let mut finalized_features = Vec::new();
        let mut zk_migration_ready = false;
        Ok(Self {
            error_code: from.field("error_code")?,
            api_keys: from.field("api_keys")?,
            throttle_time_ms: from.field_in(1.., "throttle_time_ms")?,
            unknown_tags: from.tags(|tag, from| match tag {
                0 => from.known_tag("supported_features", &mut supported_features),
                1 => from.known_tag("finalized_features_epoch", &mut finalized_features_epoch),
                2 => from.known_tag("finalized_features", &mut finalized_features),
                3 => from.known_tag("zk_migration_ready", &mut zk_migration_ready),
                _ => Ok(false),
            })?,
            supported_features,
            finalized_features_epoch,
            finalized_features,
            zk_migration_ready,
        })
    }
}

/// The versions of one API that the broker speaks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApiVersion {
    /// The API.
    pub api_key: ApiKey,
    /// The lowest version.
    pub min_version: i16,
    /// The highest version.
    pub max_version: i16,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for ApiVersion {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("api_key", &self.api_key)?;
        out.field("min_version", &self.min_version)?;
        out.field("max_version", &self.max_version)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            api_key: from.field("api_key")?,
            min_version: from.field("min_version")?,
            max_version: from.field("max_version")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A feature that the broker supports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SupportedFeatureKey {
    /// The name of the feature.
    pub name: Str,
    /// The lowest version.
    pub min_version: i16,
    /// The highest version.
    pub max_version: i16,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for SupportedFeatureKey {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("min_version", &self.min_version)?;
        out.field("max_version", &self.max_version)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            min_version: from.field("min_version")?,
            max_version: from.field("max_version")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}

/// A feature that the cluster has agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FinalizedFeatureKey {
    /// The name of the feature.
    pub name: Str,
    /// The highest level.
    pub max_version_level: i16,
    /// The lowest level.
    pub min_version_level: i16,
    /// Tagged fields that this crate does not know.
    pub unknown_tags: TaggedFields,
}

impl Field for FinalizedFeatureKey {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("max_version_level", &self.max_version_level)?;
        out.field("min_version_level", &self.min_version_level)?;
        out.unknown_tags(&self.unknown_tags)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: from.field("name")?,
            max_version_level: from.field("max_version_level")?,
            min_version_level: from.field("min_version_level")?,
            unknown_tags: from.unknown_tags()?,
        })
    }
}
