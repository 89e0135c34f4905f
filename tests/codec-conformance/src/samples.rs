//! The records that every implementation writes and reads: nulls, empty bytes, headers that repeat,
//! and enough content for compressions to do something.

use bytes::Bytes;
use wolff_codec::records::{Header, Record};
use wolff_codec::{Offset, Str};

use crate::text::{from_hex, to_hex};

/// Number of them.
const COUNT: i64 = 40;

/// The records, as they come out of a batch whose offsets begin with 0.
#[must_use]
pub fn records() -> Vec<Record> {
    (0..COUNT).map(record).collect()
}

fn record(index: i64) -> Record {
    let key = match index % 5 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("key-{index}")),
    };
    let value = match index % 7 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("value {index}: {}", "wölfe heulen ".repeat(10))),
    };
    let headers = [
        Header::new("trace", format!("id-{index}")),
        Header {
            key: Str::from_static("trace"),
            value: None,
        },
        Header::new("größe", Bytes::new()),
    ];
    let header_count = usize::try_from(index % 4).unwrap_or_default();
    Record {
        offset: Offset(index),
        timestamp_ms: 1_700_000_000_000 + 7 * index,
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: headers.into_iter().take(header_count).collect(),
    }
}

/// A record as the programs in `peers/` write and read it: timestamp, key, value and headers, with
/// tabs between.
#[must_use]
pub fn line_of(record: &Record) -> String {
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|header| {
            let key = nullable(Some(header.key.as_bytes()));
            format!("{key}:{}", nullable(header.value.as_ref()))
        })
        .collect();
    [
        record.timestamp_ms.to_string(),
        nullable(record.key.as_ref()),
        nullable(record.value.as_ref()),
        headers.join(","),
    ]
    .join("\t")
}

/// The record behind [`line_of`], its offset unknown; none if it is something else.
#[must_use]
pub fn record_of(line: &str) -> Option<Record> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    Some(Record {
        offset: Offset::UNKNOWN,
        timestamp_ms: field()?.parse().ok()?,
        key: bytes_of(field()?)?,
        value: bytes_of(field()?)?,
        headers: field()?
            .split(',')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (key, value) = header.split_once(':')?;
                Some(Header {
                    key: Str::try_from(bytes_of(key)??).ok()?,
                    value: bytes_of(value)?,
                })
            })
            .collect::<Option<_>>()?,
    })
}

fn nullable(bytes: Option<&Bytes>) -> String {
    bytes.map_or_else(
        || String::from("null"),
        |bytes| format!("x{}", to_hex(bytes)),
    )
}

fn bytes_of(text: &str) -> Option<Option<Bytes>> {
    match text.strip_prefix('x') {
        Some(hex) => from_hex(hex).map(Some),
        None => (text == "null").then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_all_of_a_record_but_its_offset() {
        for record in records() {
            let offset = Offset::UNKNOWN;
            let expected = Record { offset, ..record };
            assert_eq!(record_of(&line_of(&expected)), Some(expected));
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in [
            "",
            "1",
            "1\tx\tnull",
            "1\tx0\tnull\t",
            "1\tx\tnil\t",
            "a\tx\tx\t",
        ] {
            assert_eq!(record_of(line), None, "{line:?}");
        }
    }
}
