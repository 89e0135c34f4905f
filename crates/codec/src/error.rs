//! Errors between a message and its bytes, and where in the message they are.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

use crate::api::ApiKey;

/// Why a message has no encoding. The caller's value is at fault.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// This crate does not know that version of the API.
    #[error("{api} has no version {version} here: known are {} to {}", supported.start(), supported.end())]
    UnsupportedVersion {
        /// The API of the message.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// The versions that can be asked for.
        supported: RangeInclusive<i16>,
    },
    /// The consumer protocol has no such version here.
    #[error("the consumer protocol has no version {version} here: known are {} to {}", supported.start(), supported.end())]
    UnsupportedConsumerProtocol {
        /// The version to encode.
        version: i16,
        /// The versions that are known.
        supported: RangeInclusive<i16>,
    },
    /// A field has a value that matters and that this version cannot carry.
    #[error("{field} is set, but version {version} does not have it")]
    NotInVersion {
        /// The field.
        field: FieldPath,
        /// The version asked for.
        version: i16,
    },
    /// A field is none where this version requires a value.
    #[error("{field} is none, but version {version} requires it")]
    NoneNotAllowed {
        /// The field.
        field: FieldPath,
        /// The version asked for.
        version: i16,
    },
    /// A field has more bytes or elements than its length prefix can say.
    #[error("{field} has a length of {length}, the limit is {limit}")]
    TooLong {
        /// The field.
        field: FieldPath,
        /// Its length: bytes, or elements of an array.
        length: usize,
        /// The longest that can be encoded.
        limit: usize,
    },
    /// An unknown tagged field has the number of one that this crate knows.
    #[error("{field} holds tag {tag}, which this version defines")]
    TagTaken {
        /// The field with the unknown tags.
        field: FieldPath,
        /// The tag's number.
        tag: u32,
    },
    /// The whole frame is longer than its length prefix can say.
    #[error("a frame of {length} bytes exceeds the limit of {limit}")]
    FrameTooLarge {
        /// Bytes of the frame without its length prefix.
        length: usize,
        /// The longest that can be encoded.
        limit: i32,
    },
}

impl EncodeError {
    /// The same error, one field further out.
    #[cold]
    pub(crate) fn inside(mut self, step: Step) -> Self {
        match &mut self {
            Self::NotInVersion { field, .. }
            | Self::NoneNotAllowed { field, .. }
            | Self::TooLong { field, .. }
            | Self::TagTaken { field, .. } => field.push_outer(step),
            Self::UnsupportedVersion { .. }
            | Self::UnsupportedConsumerProtocol { .. }
            | Self::FrameTooLarge { .. } => {}
        }
        self
    }
}

/// Why bytes are not a message. The peer is at fault, or the two sides disagree on the version.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// This crate does not know that version of the API.
    #[error("{api} has no version {version} here: known are {} to {}", supported.start(), supported.end())]
    UnsupportedVersion {
        /// The API of the message.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// The versions that can be asked for.
        supported: RangeInclusive<i16>,
    },
    /// The consumer protocol has no such version here.
    #[error("the consumer protocol has no version {version} here: known are {} to {}", supported.start(), supported.end())]
    UnsupportedConsumerProtocol {
        /// The version that the bytes begin with.
        version: i16,
        /// The versions that are known.
        supported: RangeInclusive<i16>,
    },
    /// This crate does not know that API.
    #[error("{api} is not supported")]
    UnsupportedApi {
        /// The API.
        api: ApiKey,
    },
    /// The bytes are not what the version prescribes.
    #[error(transparent)]
    Malformed(Box<Malformed>),
}

impl DecodeError {
    /// An error at a byte, without a field yet.
    #[cold]
    pub(crate) fn at(offset: usize, defect: Defect) -> Self {
        Self::Malformed(Box::new(Malformed {
            field: FieldPath::default(),
            offset,
            defect,
        }))
    }

    /// The same error, one field further out.
    #[cold]
    pub(crate) fn inside(mut self, step: Step) -> Self {
        if let Self::Malformed(malformed) = &mut self {
            malformed.field.push_outer(step);
        }
        self
    }
}

/// Where bytes are not what the version prescribes, and in what way.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{field} at byte {offset}: {defect}")]
pub struct Malformed {
    /// The field that was being read.
    pub field: FieldPath,
    /// Where in the message's body (or the header) the defect is, in bytes from its start.
    pub offset: usize,
    /// The defect.
    pub defect: Defect,
}

/// The defect of the bytes of a field.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Defect {
    /// The bytes end before the field does.
    #[error("{wanted} needs {needed} bytes, {remaining} remain")]
    Truncated {
        /// The field that was to be read.
        wanted: Wanted,
        /// The number of bytes that it takes.
        needed: usize,
        /// The number of bytes that are left.
        remaining: usize,
    },
    /// An array claims more elements than there are bytes left.
    #[error("an array claims {count} elements, {remaining} bytes remain")]
    CountTooLarge {
        /// The elements claimed.
        count: usize,
        /// The number of bytes that are left.
        remaining: usize,
    },
    /// A length is negative and does not mean null.
    #[error("a length is {length}")]
    NegativeLength {
        /// The length.
        length: i32,
    },
    /// A string is longer than any version allows.
    #[error("a string of {length} bytes exceeds the limit of 32767")]
    StringTooLong {
        /// Bytes of the string.
        length: usize,
    },
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A field is null where this version requires a value.
    #[error("null is not allowed here")]
    UnexpectedNull,
    /// A variable-length integer has more than 32 bits.
    #[error("a variable-length integer exceeds 32 bits")]
    VarintTooLarge,
    /// Tagged fields are not in ascending order, or one occurs twice.
    #[error("tag {tag} is out of order")]
    TagOutOfOrder {
        /// The number that is not above the one before it.
        tag: u32,
    },
    /// The lists of the message take more memory than a message of its size may: four times its
    /// bytes and 1 MiB. No broker's messages come near; tiny elements in great number do.
    #[error("the message takes more than {limit} bytes of memory")]
    TooMuchMemory {
        /// The most that may be allocated, in bytes.
        limit: usize,
    },
    /// There are bytes behind the last field.
    #[error("{count} bytes are left over")]
    LeftOver {
        /// Their number.
        count: usize,
    },
}

/// Part of a truncated field that was about to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wanted {
    /// An integer or a boolean of that many bytes.
    Number(usize),
    /// An id of 16 bytes.
    Uuid,
    /// The length of a string or its null.
    StringLength,
    /// The length of a byte sequence or its null.
    BytesLength,
    /// The number of elements of an array or its null.
    ArrayLength,
    /// The content of a string or byte sequence.
    Content,
    /// The number of tagged fields.
    TagCount,
    /// The number of a tagged field.
    Tag,
    /// The size of a tagged field.
    TagSize,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "a number",
            Self::Uuid => "a uuid",
            Self::StringLength => "the length of a string",
            Self::BytesLength => "the length of bytes",
            Self::ArrayLength => "the length of an array",
            Self::Content => "the content",
            Self::TagCount => "the number of tagged fields",
            Self::Tag => "a tag",
            Self::TagSize => "the size of a tagged field",
        })
    }
}

/// The way to a field, from the message inwards: `topics[2].name`. What is wrong with tagged fields
/// themselves is in `tagged_fields[1]`, say, counted from 0 as they come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldPath {
    /// Innermost first: an error finds its way out of the message.
    steps: Vec<Step>,
}

/// A step of a [`FieldPath`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Name(&'static str),
    Index(usize),
}

impl FieldPath {
    fn push_outer(&mut self, step: Step) {
        self.steps.push(step);
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("message");
        }
        for (position, step) in self.steps.iter().rev().enumerate() {
            match step {
                Step::Name(name) if position == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_and_the_byte() {
        let defect = Defect::Truncated {
            wanted: Wanted::Number(4),
            needed: 4,
            remaining: 1,
        };
        let error = DecodeError::at(17, defect)
            .inside(Step::Name("index"))
            .inside(Step::Index(2))
            .inside(Step::Name("partitions"));
        assert_eq!(
            error.to_string(),
            "partitions[2].index at byte 17: a number needs 4 bytes, 1 remain"
        );
    }

    #[test]
    fn an_error_outside_of_any_field_speaks_of_the_message() {
        let error = DecodeError::at(3, Defect::LeftOver { count: 2 });
        assert_eq!(
            error.to_string(),
            "message at byte 3: 2 bytes are left over"
        );
    }
}
