//! Reads encoded records one by one, without copying and without trusting a single length.

use std::{fmt, iter::FusedIterator, str::Utf8Error};

use bytes::Bytes;
use thiserror::Error;

use super::{
    frame::Frame,
    header::{BatchHeader, TimestampType},
    record::{Header, Record},
};
use crate::{
    Str,
    ids::Offset,
    wire::varint::{self, VarintError},
};

/// The fewest bytes of a record header: two lengths.
const MIN_HEADER_BYTES: usize = 2;

/// The records of a batch or frame, read as they are asked for; their bytes are slices of the
/// batch's.
///
/// Yields as many records as the batch claims, or an error and nothing after it. Bytes left behind
/// the last record are an error too.
#[derive(Clone, Debug)]
pub struct Records {
    /// All records.
    bytes: Bytes,
    /// Where the next record begins.
    position: usize,
    /// Number of records that there should be.
    record_count: u32,
    /// Number of records that were read.
    read_count: u32,
    base_offset: Offset,
    base_timestamp_ms: i64,
    /// The timestamp of every record, where the broker has set it.
    append_timestamp_ms: Option<i64>,
    is_finished: bool,
}

impl Records {
    /// The records of a batch, decompressed.
    pub(super) fn of_batch(header: &BatchHeader, records: Bytes) -> Self {
        Self {
            bytes: records,
            position: 0,
            // The header's decoder admits no negative count.
            record_count: u32::try_from(header.record_count).unwrap_or(0),
            read_count: 0,
            base_offset: header.base_offset,
            base_timestamp_ms: header.base_timestamp_ms,
            append_timestamp_ms: match header.timestamp_type {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(header.max_timestamp_ms),
            },
            is_finished: false,
        }
    }

    /// The records of a frame; their offsets are their deltas in the batch.
    ///
    /// With a [`RecordsBuilder`](super::RecordsBuilder), this is the way to spread the records of a
    /// batch that turned out to be too large over several ones.
    #[must_use]
    pub fn of_frame(frame: &Frame) -> Self {
        Self {
            bytes: frame.records.clone(),
            position: 0,
            record_count: frame.record_count,
            read_count: 0,
            base_offset: Offset(0),
            base_timestamp_ms: frame.base_timestamp_ms,
            append_timestamp_ms: None,
            is_finished: false,
        }
    }

    /// Number of records that are still to come, if the batch keeps what it claims. A claim, not a
    /// promise: mind it in allocations.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        if self.is_finished {
            0
        } else {
            self.record_count - self.read_count
        }
    }

    #[inline]
    fn parse_next(&mut self) -> Result<Option<Record>, Flaw> {
        if self.read_count == self.record_count {
            return match self.bytes.len() - self.position {
                0 => Ok(None),
                count => Err(Flaw::new(
                    self.position,
                    RecordDefect::LeftOverRecords { count },
                )),
            };
        }
        let mut input = Input::new(&self.bytes, self.position);
        let length = input.length(Field::Record)?;
        let end = input.end_of(length, Field::Record)?;
        input.end = end;

        // The attributes of a record are not used; some writer may set them some day.
        input.skip_attributes()?;
        let timestamp_delta = input.varlong(Field::Timestamp)?;
        let offset_delta = input.varint(Field::Offset)?;
        let key = input.nullable_bytes(Field::Key)?;
        let value = input.nullable_bytes(Field::Value)?;
        let headers = input.headers()?;
        if input.position != end {
            let count = end - input.position;
            return Err(Flaw::new(input.position, RecordDefect::LeftOver { count }));
        }
        self.position = end;
        self.read_count += 1;
        Ok(Some(Record {
            // As in the Java client, deltas wrap around.
            offset: Offset(self.base_offset.0.wrapping_add(i64::from(offset_delta))),
            timestamp_ms: self
                .append_timestamp_ms
                .unwrap_or_else(|| self.base_timestamp_ms.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        }))
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        match self.parse_next() {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.is_finished = true;
                None
            }
            Err(flaw) => {
                self.is_finished = true;
                Some(Err(flaw.in_record(self.read_count)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more than the records: the error of bytes left behind them.
        let most = usize::try_from(self.remaining())
            .ok()
            .and_then(|count| count.checked_add(1));
        if self.is_finished {
            (0, Some(0))
        } else {
            (0, most)
        }
    }
}

impl FusedIterator for Records {}

/// A field of an encoded record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// The record as a whole.
    Record,
    /// The attributes.
    Attributes,
    /// The timestamp delta.
    Timestamp,
    /// The offset delta.
    Offset,
    /// The key or its length.
    Key,
    /// The value or its length.
    Value,
    /// The number of headers.
    Headers,
    /// The key of a header, or its length.
    HeaderKey {
        /// Which header, from 0.
        index: usize,
    },
    /// The value of a header, or its length.
    HeaderValue {
        /// Which header, from 0.
        index: usize,
    },
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str("record"),
            Self::Attributes => f.write_str("attributes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Offset => f.write_str("offset"),
            Self::Key => f.write_str("key"),
            Self::Value => f.write_str("value"),
            Self::Headers => f.write_str("headers"),
            Self::HeaderKey { index } => write!(f, "headers[{index}].key"),
            Self::HeaderValue { index } => write!(f, "headers[{index}].value"),
        }
    }
}

/// Why a record cannot be read. The batch's writer is at fault, or the bytes were damaged.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("records[{record}] at byte {offset}: {defect}")]
pub struct RecordError {
    /// Which record of the batch, from 0.
    pub record: u32,
    /// Where the flaw is, in bytes from the start of the (decompressed) records.
    pub offset: usize,
    /// The defect.
    pub defect: RecordDefect,
}

/// The defect of an encoded record.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RecordDefect {
    /// An integer is cut off or too large.
    #[error("{field}: {source}")]
    Varint {
        /// The field.
        field: Field,
        /// The defect of the integer.
        source: VarintError,
    },
    /// A field claims more bytes than its record, or the batch, has left.
    #[error("{field} needs {needed} bytes, {remaining} remain")]
    Truncated {
        /// The field.
        field: Field,
        /// The number of bytes that it claims.
        needed: usize,
        /// The number of them.
        remaining: usize,
    },
    /// A length or count is negative where that has no meaning.
    #[error("{field} has a length of {length}")]
    NegativeLength {
        /// The field.
        field: Field,
        /// The length or count.
        length: i32,
    },
    /// The key of a header is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: Field,
    },
    /// The record is longer than its fields.
    #[error("{count} bytes are left over in the record")]
    LeftOver {
        /// The number of bytes.
        count: usize,
    },
    /// There are bytes behind the last record that the batch claims.
    #[error("{count} bytes are left over behind the last record")]
    LeftOverRecords {
        /// The number of bytes.
        count: usize,
    },
}

/// A defect and its place, before it is known in which record.
struct Flaw {
    offset: usize,
    defect: RecordDefect,
}

impl Flaw {
    #[cold]
    fn new(offset: usize, defect: RecordDefect) -> Self {
        Self { offset, defect }
    }

    fn in_record(self, record: u32) -> RecordError {
        RecordError {
            record,
            offset: self.offset,
            defect: self.defect,
        }
    }
}

/// A position in shared bytes, and the end that nothing may cross.
struct Input<'a> {
    shared: &'a Bytes,
    position: usize,
    end: usize,
}

impl<'a> Input<'a> {
    fn new(shared: &'a Bytes, position: usize) -> Self {
        Self {
            shared,
            position,
            end: shared.len(),
        }
    }

    #[inline]
    fn unread(&self) -> &'a [u8] {
        self.shared.get(self.position..self.end).unwrap_or_default()
    }

    /// Where a field of this length, beginning here, ends.
    #[inline]
    fn end_of(&self, length: usize, field: Field) -> Result<usize, Flaw> {
        let remaining = self.end - self.position;
        if length > remaining {
            let defect = RecordDefect::Truncated {
                field,
                needed: length,
                remaining,
            };
            return Err(Flaw::new(self.position, defect));
        }
        Ok(self.position + length)
    }

    #[inline]
    fn skip_attributes(&mut self) -> Result<(), Flaw> {
        self.position = self.end_of(1, Field::Attributes)?;
        Ok(())
    }

    #[inline]
    fn varint(&mut self, field: Field) -> Result<i32, Flaw> {
        match varint::decode(self.unread()) {
            Ok((value, len)) => {
                self.position += len;
                Ok(varint::unzigzag(value))
            }
            Err(source) => Err(Flaw::new(
                self.position,
                RecordDefect::Varint { field, source },
            )),
        }
    }

    #[inline]
    fn varlong(&mut self, field: Field) -> Result<i64, Flaw> {
        match varint::decode_long(self.unread()) {
            Ok((value, len)) => {
                self.position += len;
                Ok(varint::unzigzag_long(value))
            }
            Err(source) => Err(Flaw::new(
                self.position,
                RecordDefect::Varint { field, source },
            )),
        }
    }

    /// A length or count that is not negative.
    #[inline]
    fn length(&mut self, field: Field) -> Result<usize, Flaw> {
        let start = self.position;
        let length = self.varint(field)?;
        usize::try_from(length)
            .map_err(|_| Flaw::new(start, RecordDefect::NegativeLength { field, length }))
    }

    #[inline]
    fn bytes(&mut self, length: usize, field: Field) -> Result<Bytes, Flaw> {
        let end = self.end_of(length, field)?;
        let bytes = self.shared.slice(self.position..end);
        self.position = end;
        Ok(bytes)
    }

    /// Bytes behind their length; a length of -1 means null.
    #[inline]
    fn nullable_bytes(&mut self, field: Field) -> Result<Option<Bytes>, Flaw> {
        let start = self.position;
        let length = self.varint(field)?;
        match usize::try_from(length) {
            Ok(length) => self.bytes(length, field).map(Some),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Flaw::new(
                start,
                RecordDefect::NegativeLength { field, length },
            )),
        }
    }

    #[inline]
    fn headers(&mut self) -> Result<Vec<Header>, Flaw> {
        let start = self.position;
        match self.length(Field::Headers)? {
            0 => Ok(Vec::new()),
            count => self.some_headers(count, start),
        }
    }

    #[inline(never)]
    fn some_headers(&mut self, count: usize, start: usize) -> Result<Vec<Header>, Flaw> {
        // Before anything is allocated for them.
        let (needed, remaining) = (
            count.saturating_mul(MIN_HEADER_BYTES),
            self.end - self.position,
        );
        if needed > remaining {
            let defect = RecordDefect::Truncated {
                field: Field::Headers,
                needed,
                remaining,
            };
            return Err(Flaw::new(start, defect));
        }
        let mut headers = Vec::with_capacity(count);
        for index in 0..count {
            let field = Field::HeaderKey { index };
            let start = self.position;
            let length = self.length(field)?;
            let key = self.bytes(length, field)?;
            let key = Str::try_from(key)
                .map_err(|_: Utf8Error| Flaw::new(start, RecordDefect::NotUtf8 { field }))?;
            let value = self.nullable_bytes(Field::HeaderValue { index })?;
            headers.push(Header { key, value });
        }
        Ok(headers)
    }
}
