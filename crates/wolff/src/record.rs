//! Records to produce, and what can be handed over as one call.

use bytes::Bytes;
use wolff_codec::Str;
use wolff_codec::records::{Header, RecordRef};

/// A record to produce. Null and empty keys and values differ: a record without a value is a
/// tombstone in compacted topics.
///
/// ```
/// use wolff::Record;
///
/// let record = Record::new().key("device-7").value("21.5 C").header("unit", "celsius");
/// assert_eq!(record.key.as_deref(), Some(&b"device-7"[..]));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record {
    /// Decides the partition with the keyed partitioners, and what compaction keeps.
    pub key: Option<Bytes>,
    /// The payload.
    pub value: Option<Bytes>,
    /// In order; names may repeat.
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch. `None`: the time at which the record is accepted. It is kept
    /// when the record is replayed from disk.
    pub timestamp_ms: Option<i64>,
}

impl Record {
    /// A record without key, value or headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With this value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<Str>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// With this timestamp, milliseconds since the epoch.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}

/// Records that can be handed over as one call: it lends them to be encoded in place.
///
/// Implemented for [`Record`], slices, arrays and vectors of records, and for borrowed
/// [`RecordRef`]s, which cost no allocation of their own. The timestamp of a `RecordRef` is used as
/// it is.
///
/// Implement it for types of your own, to send them without building records first:
///
/// ```
/// use wolff::{Call, Producer, RecordRef, Rejected};
///
/// struct Reading {
///     device: String,
///     payload: Vec<u8>,
/// }
///
/// impl Call for Reading {
///     fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
///         std::iter::once(RecordRef {
///             timestamp_ms: now_ms,
///             key: Some(self.device.as_bytes()),
///             value: Some(&self.payload),
///             headers: &[],
///         })
///     }
/// }
///
/// async fn publish(producer: &Producer, reading: Reading) -> Result<(), Rejected<Reading>> {
///     let _receipt = producer.enqueue(reading).await?;
///     Ok(())
/// }
/// ```
///
/// `records` is called more than once for a call, and has to yield the same records each time. It
/// runs while the partition is locked: it should do no more than lend what is there, and must not
/// use the producer.
pub trait Call {
    /// The records, in order. `now_ms` is the time for records that bring none.
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone;
}

#[inline]
fn borrow(record: &Record, now_ms: i64) -> RecordRef<'_> {
    RecordRef {
        timestamp_ms: record.timestamp_ms.unwrap_or(now_ms),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
    }
}

impl Call for Record {
    #[inline]
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        std::iter::once(borrow(self, now_ms))
    }
}

impl Call for [Record] {
    #[inline]
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        self.iter().map(move |record| borrow(record, now_ms))
    }
}

impl Call for Vec<Record> {
    #[inline]
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        self.as_slice().records(now_ms)
    }
}

impl<const N: usize> Call for [Record; N] {
    #[inline]
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        self.as_slice().records(now_ms)
    }
}

impl Call for RecordRef<'_> {
    #[inline]
    fn records(&self, _now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        std::iter::once(*self)
    }
}

impl Call for [RecordRef<'_>] {
    #[inline]
    fn records(&self, _now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        self.iter().copied()
    }
}

impl<C: Call + ?Sized> Call for &C {
    #[inline]
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        (**self).records(now_ms)
    }
}
