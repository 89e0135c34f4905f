//! All requests, or all responses, in all their versions.

use std::fmt::Debug;

use bytes::Bytes;
use wolff_codec::messages::{AnyRequest, AnyResponse};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, DecodeError, EncodeError};

use crate::grown::{Random, grow};

/// Interface that [`AnyRequest`] and [`AnyResponse`] have in common.
pub(crate) trait AnyMessage: Clone + Debug + PartialEq {
    fn decode(kind: Kind, body: &Bytes) -> Result<Self, DecodeError>;
    fn encode(&self, version: i16) -> Result<Bytes, EncodeError>;
}

/// An API in one of its versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
}

impl Kind {
    /// Every API in every version that this crate speaks.
    pub(crate) fn all() -> Vec<Self> {
        let versions = |&api_key: &ApiKey| {
            let versions = AnyRequest::versions(api_key).into_iter().flatten();
            versions.map(move |version| Self { api_key, version })
        };
        ApiKey::NAMED.iter().flat_map(versions).collect()
    }

    pub(crate) fn is_flexible(self) -> bool {
        self.api_key
            .first_flexible_version()
            .is_some_and(|first| self.version >= first)
    }

    /// A random message of this kind, with bytes that it can be decoded from.
    pub(crate) fn grow<M: AnyMessage>(self, random: &mut Random) -> (Bytes, M) {
        grow(random, self.is_flexible(), |body| M::decode(self, body))
    }

    /// Calls `check` with random messages of every kind, `per_kind` of each unless
    /// `WOLFF_CODEC_CASES` says otherwise; `WOLFF_CODEC_SEED` chooses which.
    pub(crate) fn for_random_messages<M: AnyMessage>(
        per_kind: u64,
        check: impl Fn(Self, &Bytes, &M),
    ) {
        let count = number("WOLFF_CODEC_CASES").unwrap_or(per_kind);
        let begin = number("WOLFF_CODEC_SEED").unwrap_or(0) * count;
        let kinds = Self::all();
        for kind in &kinds {
            for seed in begin..begin + count {
                let (body, message) = kind.grow(&mut Random::new(seed));
                check(*kind, &body, &message);
            }
        }
        println!("figure messages {}", kinds.len() as u64 * count);
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

impl AnyMessage for AnyRequest {
    fn decode(kind: Kind, body: &Bytes) -> Result<Self, DecodeError> {
        Self::decode(kind.api_key, kind.version, body)
    }

    fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        self.encode(version, &mut writer)?;
        Ok(writer.finish().to_bytes())
    }
}

impl AnyMessage for AnyResponse {
    fn decode(kind: Kind, body: &Bytes) -> Result<Self, DecodeError> {
        Self::decode(kind.api_key, kind.version, body)
    }

    fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        self.encode(version, &mut writer)?;
        Ok(writer.finish().to_bytes())
    }
}
