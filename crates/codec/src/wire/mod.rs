//! Fields and their bytes: what every message is made of.
//!
//! [`Field`] is a type that has a place in messages; an [`Encoder`] puts fields to a [`Writer`], a
//! [`Decoder`] takes them from shared bytes without copying what is large. Both know the version of
//! the message and whether it is *flexible*, that is, whether lengths are compact and structures
//! carry tagged fields (KIP-482).

mod values;

mod put;
mod take;

mod tagged;

mod parse;

mod writer;

mod chunks;
pub mod varint;

pub use chunks::Chunks;
pub use put::{Encoder, TagWriter};
pub use tagged::{TaggedField, TaggedFields};
pub use take::Decoder;
pub use writer::Writer;

use crate::error::{DecodeError, EncodeError};

/// A value that can be a field of a message: numbers, strings, bytes, arrays, and structures of
/// fields. `Option` is what may be null.
///
/// A structure puts and takes its fields in one order; that order is the protocol.
///
/// ```
/// use bytes::Bytes;
/// use wolff_codec::wire::{Decoder, Encoder, Field, Writer};
/// use wolff_codec::{DecodeError, EncodeError, Str};
///
/// #[derive(Debug, PartialEq)]
/// struct Greeting {
///     text: Str,
///     /// Since version 2.
///     volume: i16,
/// }
///
/// impl Field for Greeting {
///     fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
///         out.field("text", &self.text)?;
///         out.field_in(2.., "volume", &self.volume)
///     }
///
///     fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
///         Ok(Self { text: from.field("text")?, volume: from.field_in_or(2.., "volume", 11)? })
///     }
/// }
///
/// let mut writer = Writer::new();
/// let greeting = Greeting { text: Str::from("hello"), volume: 3 };
/// greeting.put(&mut Encoder::new(&mut writer, 1, false))?;
/// let bytes = writer.finish().to_bytes();
/// assert_eq!(bytes, Bytes::from_static(b"\x00\x05hello"));
/// let decoded = Greeting::take(&mut Decoder::new(&bytes, 1, false))?;
/// assert_eq!(decoded, Greeting { text: Str::from("hello"), volume: 11 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Field: Sized {
    /// Puts the field.
    ///
    /// # Errors
    /// [`EncodeError`] when the value does not fit the version.
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError>;

    /// Takes the field.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the bytes are not such a field.
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Takes the elements of an array, one after the other. Numbers come all at once instead, and
    /// strings are measured first.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    #[inline]
    fn take_elements(from: &mut Decoder<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
        from.elements(count)
    }
}
