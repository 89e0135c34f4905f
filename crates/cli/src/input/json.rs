//! Lines that are JSON objects as records.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wolff::{Call, Header, PartitionId, RecordRef, Str};

/// A line as a call of its own. Text without escapes is borrowed from the line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JsonRecord<'a> {
    #[serde(borrow)]
    key: Option<Payload<'a>>,
    #[serde(borrow)]
    value: Option<Payload<'a>>,
    headers: Option<Headers>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

/// A line that is no record.
#[derive(Debug, thiserror::Error)]
#[error(
    "{reason} (column {column}); expected an object like {{\"key\":\"k\",\"value\":\"v\"}}, see wolff produce --help"
)]
pub(crate) struct FormatError {
    reason: String,
    column: usize,
}

impl<'a> JsonRecord<'a> {
    /// Reads one line; `None` for a blank one.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Option<Self>, FormatError> {
        let error = |column: usize, reason: &str| FormatError {
            reason: reason.to_owned(),
            column,
        };
        let blank = line
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        match line.get(blank) {
            None => return Ok(None),
            Some(b'{') => {}
            Some(_) => return Err(error(blank + 1, "not a JSON object")),
        }
        let record: Self = serde_json::from_slice(line).map_err(|error| FormatError {
            reason: without_position(&error),
            column: error.column(),
        })?;
        // Kafka takes -1 for "none" and brokers refuse what is below; a partition below 0 is no
        // partition.
        if record.timestamp.is_some_and(|timestamp| timestamp < 0) {
            return Err(error(
                1,
                "timestamp: expected milliseconds since 1970, 0 or more",
            ));
        }
        if record.partition.is_some_and(|partition| partition < 0) {
            return Err(error(1, "partition: expected 0 or more"));
        }
        Ok(Some(record))
    }

    /// The partition that the record asks for.
    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition.map(PartitionId)
    }
}

impl Call for JsonRecord<'_> {
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        std::iter::once(RecordRef {
            timestamp_ms: self.timestamp.unwrap_or(now_ms),
            key: self.key.as_ref().map(Payload::bytes),
            value: self.value.as_ref().map(Payload::bytes),
            headers: self.headers.as_ref().map_or(&[], |headers| &headers.0),
        })
    }
}

/// serde_json's words, without the line number: it counts from the line's own start.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

/// Bytes: text as it is, or an object with base64.
#[derive(Debug)]
struct Payload<'a>(Cow<'a, [u8]>);

impl Payload<'_> {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PayloadVisitor).map(Self)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, null or {\"base64\":\"…\"}")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let name: Option<Cow<'_, str>> = map.next_key()?;
        if name.as_deref() != Some("base64") {
            return Err(A::Error::custom(
                "expected a string, null or {\"base64\":\"…\"}",
            ));
        }
        let text: String = map.next_value()?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("expected nothing beside base64"));
        }
        let decoded = STANDARD.decode(&text);
        decoded
            .map(Cow::Owned)
            .map_err(|error| A::Error::custom(format!("invalid base64: {error}")))
    }
}

/// Headers in their order; names can repeat.
#[derive(Debug)]
struct Headers(Vec<Header>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor).map(Self)
    }
}

struct HeadersVisitor;

impl HeadersVisitor {
    fn header(name: &str, value: Option<Payload<'_>>) -> Header {
        Header {
            key: Str::from(name),
            value: value.map(|value| Bytes::copy_from_slice(value.bytes())),
        }
    }
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Vec<Header>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object {\"name\":\"value\"} or a list of [\"name\",\"value\"] pairs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, value)) = map.next_entry::<Cow<'_, str>, Option<Payload<'_>>>()? {
            headers.push(Self::header(&name, value));
        }
        Ok(headers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, value)) =
            list.next_element::<(Cow<'_, str>, Option<Payload<'_>>)>()?
        {
            headers.push(Self::header(&name, value));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> JsonRecord<'_> {
        JsonRecord::parse(line.as_bytes()).unwrap().unwrap()
    }

    fn error(line: &str) -> String {
        JsonRecord::parse(line.as_bytes()).unwrap_err().to_string()
    }

    fn only<'a>(record: &'a JsonRecord<'_>) -> RecordRef<'a> {
        record.records(7).next().unwrap()
    }

    #[test]
    fn every_field_is_read() {
        let line = r#" {"key":"k","value":"a\nü","headers":{"a":"1","b":null,"a":{"base64":"AP8="}},"partition":3,"timestamp":12}"#;
        let record = record(line);
        assert_eq!(record.partition(), Some(PartitionId(3)));
        let sent = only(&record);
        assert_eq!(sent.timestamp_ms, 12);
        assert_eq!(sent.key, Some(&b"k"[..]));
        assert_eq!(sent.value, Some("a\nü".as_bytes()));
        let null = Header {
            key: Str::from("b"),
            value: None,
        };
        let expected = [Header::new("a", "1"), null, Header::new("a", &[0, 255][..])];
        assert_eq!(sent.headers, expected);
    }

    #[test]
    fn fields_can_be_left_out_and_null_is_not_empty() {
        let nothing = record("{}");
        assert_eq!(
            only(&nothing),
            RecordRef {
                timestamp_ms: 7,
                ..RecordRef::default()
            }
        );
        let nulls =
            record(r#"{"key":null,"value":null,"headers":null,"partition":null,"timestamp":null}"#);
        assert_eq!(only(&nulls), only(&nothing));
        let empty = record(r#"{"key":"","value":""}"#);
        assert_eq!(
            (only(&empty).key, only(&empty).value),
            (Some(&b""[..]), Some(&b""[..]))
        );
    }

    #[test]
    fn headers_can_be_a_list_of_pairs() {
        let record = record(r#"{"headers":[["a","1"],["a",null]]}"#);
        let null = Header {
            key: Str::from("a"),
            value: None,
        };
        assert_eq!(only(&record).headers, [Header::new("a", "1"), null]);
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let record = record(r#"{"key":"k","value":"plain"}"#);
        assert!(matches!(record.value, Some(Payload(Cow::Borrowed(_)))));
    }

    #[test]
    fn blank_lines_are_no_records() {
        assert!(JsonRecord::parse(b"").unwrap().is_none());
        assert!(JsonRecord::parse(b" \t\r").unwrap().is_none());
    }

    #[test]
    fn errors_say_what_was_expected_and_where() {
        for (line, what) in [
            ("hello", "not a JSON object (column 1)"),
            ("  [1]", "not a JSON object (column 3)"),
            (r#"{"key":5}"#, "expected a string, null or {\"base64\""),
            (
                r#"{"value":{"a":1}}"#,
                "expected a string, null or {\"base64\"",
            ),
            (r#"{"value":{"base64":"?"}}"#, "invalid base64"),
            (r#"{"vaule":"v"}"#, "unknown field `vaule`"),
            (r#"{"key":"a","key":"b"}"#, "duplicate field `key`"),
            (r#"{"headers":"a"}"#, "expected an object"),
            (r#"{"partition":"1"}"#, "expected i32"),
            (r#"{"partition":-1}"#, "partition: expected 0 or more"),
            (r#"{"timestamp":-5}"#, "timestamp: expected milliseconds"),
            (r#"{"timestamp":1.5}"#, "expected i64"),
            (r#"{"key":"a"#, "EOF while parsing a string (column 9)"),
            (r#"{"key":"a"} x"#, "trailing characters (column 13)"),
        ] {
            let text = error(line);
            assert!(
                text.contains(what) && text.contains("wolff produce --help"),
                "{text}"
            );
        }
        assert!(JsonRecord::parse(b"{\"key\":\"\xff\"}").is_err());
    }
}
