//! Record batches, format version 2 (KIP-98): the only one that Kafka 4 speaks, and every release
//! since 0.11 does.
//!
//! Writing in one call: [`encode_batch`]. Step by step: a [`RecordsBuilder`] encodes records one by
//! one into [`Frame`]s; [`FrameTotals`] sums frames up to one batch; a [`BatchHeader`] is built
//! apart, for any stamp, without touching the records again. [`compress`] works on the same frames.
//!
//! Reading: [`Batches`] finds the batches in the bytes of a response or request, each [`Batch`] can
//! be verified and gives its [`Records`].

mod batch;
mod whole;

mod builder;

mod reader;
mod small;

mod encoding;
mod header;

mod compression;
mod frame;
mod record;

mod checksum;

pub use batch::{Batch, Batches, ChecksumMismatch};
pub use builder::{MAX_RECORDS_BYTES, Mark, RecordTooLarge, RecordsBuilder};
pub use checksum::{combine as combine_crc32c, crc32c};
pub use compression::{
    CompressError, Compression, CompressionLevel, DecompressError, UnknownCompression, compress,
    decompress,
};
pub use frame::{Frame, FrameMetadata, FrameTotals, FramesMismatch};
pub use header::{
    BATCH_HEADER_BYTES, BatchHeader, BatchTooLarge, HeaderError, RecordsPart, TimestampType,
};
pub use reader::{Field, RecordDefect, RecordError, Records};
pub use record::{Header, Record, RecordRef};
pub use whole::{EncodeBatchError, encode_batch};
