//! AlterUserScramCredentials (key 51), as far as a test needs it: a user's password for both SCRAM
//! mechanisms. A client never does that, so it is a message of our own here.

use std::ops::RangeInclusive;

use bytes::Bytes;
use sha2::{Sha256, Sha512};
use wolff_client::Client;
use wolff_client::codec::wire::{Decoder, Encoder, Field, TaggedFields};
use wolff_client::codec::{ApiKey, DecodeError, EncodeError, ErrorCode, Message, Request, Str};

const ITERATIONS: u32 = 4_096;
const SALT: &[u8] = b"any salt will do";

/// Lets the cluster know a user, or a known user's new password.
pub(crate) async fn set_password(client: &Client, name: &str, password: &str) {
    let mut sha_256 = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), SALT, ITERATIONS, &mut sha_256);
    let mut sha_512 = [0; 64];
    pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), SALT, ITERATIONS, &mut sha_512);
    let upsertion = |mechanism, salted: &[u8]| Upsertion {
        name: name.into(),
        mechanism,
        iterations: i32::try_from(ITERATIONS).unwrap(),
        salt: Bytes::from_static(SALT),
        salted_password: Bytes::copy_from_slice(salted),
    };
    let connection = client.any_connection().await.unwrap();
    // A request may name a user once.
    for upsertion in [upsertion(1, &sha_256), upsertion(2, &sha_512)] {
        let request = AlterRequest {
            upsertions: vec![upsertion],
        };
        let answer = connection.request(&request).await.unwrap();
        assert_eq!(answer.results.len(), 1);
        let AlterResult { code, words, .. } = &answer.results[0];
        assert_eq!(*code, ErrorCode::NONE, "{words:?}");
    }
}

const KEY: ApiKey = ApiKey(51);

#[derive(Clone, Debug, Default, PartialEq)]
struct AlterRequest {
    upsertions: Vec<Upsertion>,
}

impl Message for AlterRequest {
    const API_KEY: ApiKey = KEY;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Request for AlterRequest {
    type Response = AlterResponse;
}

impl Field for AlterRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        // Nobody is deleted.
        out.field("deletions", &Vec::<Upsertion>::new())?;
        out.field("upsertions", &self.upsertions)?;
        out.unknown_tags(&TaggedFields::default())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let _deletions: Vec<Upsertion> = from.field("deletions")?;
        let upsertions = from.field("upsertions")?;
        from.unknown_tags()?;
        Ok(Self { upsertions })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Upsertion {
    name: Str,
    mechanism: i8,
    iterations: i32,
    salt: Bytes,
    salted_password: Bytes,
}

impl Field for Upsertion {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("name", &self.name)?;
        out.field("mechanism", &self.mechanism)?;
        out.field("iterations", &self.iterations)?;
        out.field("salt", &self.salt)?;
        out.field("salted_password", &self.salted_password)?;
        out.unknown_tags(&TaggedFields::default())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let upsertion = Self {
            name: from.field("name")?,
            mechanism: from.field("mechanism")?,
            iterations: from.field("iterations")?,
            salt: from.field("salt")?,
            salted_password: from.field("salted_password")?,
        };
        from.unknown_tags()?;
        Ok(upsertion)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct AlterResponse {
    throttle_time_ms: i32,
    results: Vec<AlterResult>,
}

impl Message for AlterResponse {
    const API_KEY: ApiKey = KEY;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FIRST_FLEXIBLE: Option<i16> = Some(0);
}

impl Field for AlterResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("results", &self.results)?;
        out.unknown_tags(&TaggedFields::default())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            results: from.field("results")?,
        };
        from.unknown_tags()?;
        Ok(response)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct AlterResult {
    user: Str,
    code: ErrorCode,
    words: Option<Str>,
}

impl Field for AlterResult {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("user", &self.user)?;
        out.field("error_code", &self.code)?;
        out.field("error_message", &self.words)?;
        out.unknown_tags(&TaggedFields::default())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let result = Self {
            user: from.field("user")?,
            code: from.field("error_code")?,
            words: from.field("error_message")?,
        };
        from.unknown_tags()?;
        Ok(result)
    }
}
