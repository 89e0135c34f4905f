//! Compression of the records of a batch, and back, with a bound on the output.

mod gzip;
mod lz4;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

mod bounded;
mod pieces;

use std::{error::Error, fmt, io, ops::RangeInclusive};

use bytes::Bytes;
use thiserror::Error;

use self::bounded::Fault;

/// A compression of record batches.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
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
    /// Zstandard, RFC 8878; brokers since 2.1, Produce since version 7. Needs the feature `zstd`.
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

    /// True if this build can compress and decompress it.
    #[must_use]
    pub const fn is_available(self) -> bool {
        !matches!(self, Self::Zstd) || cfg!(feature = "zstd")
    }

    /// The levels that this compression has here; `None` when there is nothing to choose.
    #[must_use]
    pub const fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy | Self::Lz4 => None,
            Self::Gzip => Some(1..=9),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// Checks that [`compress`] will take this compression at this level: worth doing when a
    /// configuration is read.
    ///
    /// # Errors
    /// When it will not.
    pub fn check(self, level: CompressionLevel) -> Result<(), CompressError> {
        if !self.is_available() {
            return Err(CompressError::Unavailable { compression: self });
        }
        match (level.0, self.levels()) {
            (None, _) => Ok(()),
            (Some(level), Some(levels)) if levels.contains(&level) => Ok(()),
            (Some(level), _) => Err(CompressError::Level {
                compression: self,
                level,
            }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Level of a compression: slower and smaller with a higher level. See [`Compression::levels`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct CompressionLevel(Option<i32>);

impl CompressionLevel {
    /// The compression's own default: 6 for gzip, 3 for zstd.
    pub const DEFAULT: Self = Self(None);

    /// A certain level.
    #[must_use]
    pub const fn new(level: i32) -> Self {
        Self(Some(level))
    }
}

/// Compresses the records of a batch, given as one or more pieces in order.
///
/// Without compression the result is the pieces in one (shared where it is a single one, else
/// copied).
///
/// # Errors
/// When the compression or the level is not available; [`Compression::check`] tells beforehand.
pub fn compress(
    compression: Compression,
    level: CompressionLevel,
    pieces: &[Bytes],
) -> Result<Bytes, CompressError> {
    compression.check(level)?;
    let compressed = match compression {
        Compression::None => return Ok(pieces::concatenated(pieces)),
        Compression::Gzip => gzip::compress(level.0, pieces),
        Compression::Snappy => snappy::compress(pieces),
        Compression::Lz4 => lz4::compress(pieces),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::compress(level.0, pieces),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err(CompressError::Unavailable { compression }),
    };
    compressed
        .map(Bytes::from)
        .map_err(|source| CompressError::Failed {
            compression,
            source,
        })
}

/// Decompresses the records of a batch.
///
/// The output grows as data comes, whatever the input claims, and never beyond `max_output_bytes`.
///
/// # Errors
/// When the input is damaged, incomplete or followed by something else, when the output would
/// exceed the limit, or when this build lacks the compression.
pub fn decompress(
    compression: Compression,
    input: &Bytes,
    max_output_bytes: usize,
) -> Result<Bytes, DecompressError> {
    let decompressed = match compression {
        Compression::None if input.len() <= max_output_bytes => return Ok(input.clone()),
        Compression::None => Err(Fault::TooLarge),
        Compression::Gzip => gzip::decompress(input, max_output_bytes),
        Compression::Snappy => snappy::decompress(input, max_output_bytes),
        Compression::Lz4 => lz4::decompress(input, max_output_bytes),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(input, max_output_bytes),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err(DecompressError::Unavailable { compression }),
    };
    decompressed.map(Bytes::from).map_err(|fault| match fault {
        Fault::TooLarge => DecompressError::TooLarge {
            compression,
            limit: max_output_bytes,
        },
        Fault::Corrupt(source) => DecompressError::Corrupt {
            compression,
            source,
        },
    })
}

/// The attributes of a batch have a compression number that Kafka does not define.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("compression {code} is unknown")]
pub struct UnknownCompression {
    /// The number.
    pub code: i16,
}

/// Why records were not compressed. The caller asked for what there is not.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompressError {
    /// This build cannot do it: the crate's feature of that name is off.
    #[error("{compression} is not compiled in")]
    Unavailable {
        /// The compression.
        compression: Compression,
    },
    /// The compression has no such level.
    #[error("{compression} has no level {level}")]
    Level {
        /// The compression.
        compression: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The compressor gave up; not known to happen.
    #[error("{compression} failed")]
    Failed {
        /// The compression.
        compression: Compression,
        /// The error of the compressor.
        source: io::Error,
    },
}

/// Why records were not decompressed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// This build cannot do it: the crate's feature of that name is off.
    #[error("{compression} is not compiled in")]
    Unavailable {
        /// The compression.
        compression: Compression,
    },
    /// There is more in it than the caller allows.
    #[error("{compression} data decompresses to more than {limit} bytes")]
    TooLarge {
        /// The compression.
        compression: Compression,
        /// The most that the caller allows, in bytes.
        limit: usize,
    },
    /// The bytes are damaged, incomplete, or not of that compression.
    #[error("{compression} data is damaged")]
    Corrupt {
        /// The compression.
        compression: Compression,
        /// The error of the decompressor.
        source: Box<dyn Error + Send + Sync>,
    },
}
