//! Record batches, format version 2 (KIP-98): the only one that Kafka 4 speaks, and every release since 0.11 does.
//!
//! Writing: a [`RecordsBuilder`] encodes records one by one into [`Frame`]s; [`FrameTotals`] sums frames up to one batch; a
//! [`BatchHeader`] is built apart, for any stamp, without touching the records again.

mod builder;

mod header;

mod compression;
mod frame;
mod record;

mod checksum;

pub use builder::{MAX_RECORDS_BYTES, RecordTooLarge, RecordsBuilder};
pub use checksum::{combine as combine_crc32c, crc32c};
pub use compression::{Compression, UnknownCompression};
pub use frame::{Frame, FrameMetadata, FrameTotals, FramesMismatch};
pub use header::{
    BATCH_HEADER_BYTES, BatchHeader, BatchTooLarge, HeaderError, RecordsPart, TimestampType,
};
pub use record::{Header, Record, RecordRef};
