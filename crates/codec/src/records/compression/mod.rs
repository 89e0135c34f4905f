//! How the records of a batch are compressed.

use std::fmt;

use thiserror::Error;

/// A compression of record batches.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// None: the records as they are.
    #[default]
    None,
    /// Gzip, RFC 1952.
    Gzip,
    /// Snappy, in the block framing of the Java client.
    Snappy,
    /// LZ4, in its standard frame format.
    Lz4,
    /// Zstandard, RFC 8878; brokers since 2.1, Produce since version 7.
    Zstd,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes of a batch.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The compression with that number in the attributes of a batch.
    ///
    /// # Errors
    /// When Kafka has none with that number.
    pub const fn from_code(code: i16) -> Result<Self, UnknownCompression> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            _ => Err(UnknownCompression { code }),
        }
    }

    /// The name that Kafka's configurations use: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The attributes of a batch have a compression number that Kafka does not define.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("compression {code} is unknown")]
pub struct UnknownCompression {
    /// The number.
    pub code: i16,
}
