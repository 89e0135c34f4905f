//! A record as it goes into a batch, borrowed, and as it comes out of one, sharing the batch's
//! bytes.

use bytes::Bytes;

use crate::{Str, ids::Offset};

/// A record header: a name with an optional value. Order counts and names may repeat.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Header {
    /// The name; may be empty.
    pub key: Str,
    /// The value; null and empty differ.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    #[must_use]
    pub fn new(key: impl Into<Str>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }
}

/// A record to be encoded, borrowed from wherever it lives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecordRef<'a> {
    /// Milliseconds since the Unix epoch; any value, of any sign, is encodable.
    pub timestamp_ms: i64,
    /// The key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// The value; null (a tombstone in compacted topics) and empty differ.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header],
}

/// A record read from a batch; its bytes are slices of the batch's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The record's offset: the batch's base offset plus the record's delta.
    pub offset: Offset,
    /// Milliseconds since the Unix epoch, set by whom the batch's
    /// [`TimestampType`](super::TimestampType) says.
    pub timestamp_ms: i64,
    /// The key; null and empty differ.
    pub key: Option<Bytes>,
    /// The value; null and empty differ.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

impl Record {
    /// The same record, borrowed, ready to be encoded again.
    #[must_use]
    pub fn as_record_ref(&self) -> RecordRef<'_> {
        RecordRef {
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}
