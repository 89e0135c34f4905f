//! From fields to bytes.

use std::ops::RangeBounds;

use super::Field;
use super::chunks::Chunks;
use super::parse::MAX_STRING_BYTES;
use super::tagged::TaggedFields;
use super::writer::Writer;
use crate::error::{EncodeError, FieldPath, Step};

/// Puts the fields of a message, one after the other, to a [`Writer`].
///
/// The fields' names serve errors only.
#[derive(Debug)]
pub struct Encoder<'a> {
    writer: &'a mut Writer,
    version: i16,
    is_flexible: bool,
}

impl<'a> Encoder<'a> {
    /// An encoder of a message of that version.
    pub fn new(writer: &'a mut Writer, version: i16, is_flexible: bool) -> Self {
        Self {
            writer,
            version,
            is_flexible,
        }
    }

    /// The version of the message.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// True if lengths are compact and structures have tagged fields.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.is_flexible
    }

    /// A field that every version has.
    ///
    /// # Errors
    /// [`EncodeError`] when the value does not fit the version.
    #[inline]
    pub fn field<T: Field>(&mut self, name: &'static str, value: &T) -> Result<(), EncodeError> {
        value
            .put(self)
            .map_err(|error| error.inside(Step::Name(name)))
    }

    /// A field that some versions have, and that the others can do without: its value is left out
    /// there.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    #[inline]
    pub fn field_in<T: Field>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if versions.contains(&self.version) {
            self.field(name, value)
        } else {
            Ok(())
        }
    }

    /// A field that some versions have, and that changes what the message means: in the others it
    /// must be `absent`.
    ///
    /// # Errors
    /// As [`field`](Self::field), and [`EncodeError::NotInVersion`].
    #[inline]
    pub fn strict_field_in<T: Field + PartialEq>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
        value: &T,
        absent: &T,
    ) -> Result<(), EncodeError> {
        if versions.contains(&self.version) {
            self.field(name, value)
        } else if value == absent {
            Ok(())
        } else {
            Err(self.not_in_version(name))
        }
    }

    /// A field that every version has, and that may be null in some.
    ///
    /// # Errors
    /// As [`field`](Self::field), and [`EncodeError::NoneNotAllowed`] when it is none in another
    /// version.
    #[inline]
    pub fn nullable_in<T: Field>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
        value: &Option<T>,
    ) -> Result<(), EncodeError>
    where
        Option<T>: Field,
    {
        match value {
            Some(value) => self.field(name, value),
            None if versions.contains(&self.version) => self.field(name, value),
            None => {
                let field = FieldPath::default();
                Err(EncodeError::NoneNotAllowed {
                    field,
                    version: self.version,
                }
                .inside(Step::Name(name)))
            }
        }
    }

    /// The tagged fields at the end of a structure that has none of its own.
    ///
    /// # Errors
    /// [`EncodeError::NotInVersion`] when there are some and the version is not flexible.
    #[inline]
    pub fn unknown_tags(&mut self, unknown: &TaggedFields) -> Result<(), EncodeError> {
        if unknown.is_empty() {
            if self.is_flexible {
                self.writer.put(&[0]);
            }
            return Ok(());
        }
        self.tags(unknown).finish()
    }

    /// The tagged fields at the end of a structure: its own ones are put to the returned writer, in
    /// ascending order, which then must be [finished](TagWriter::finish).
    #[must_use]
    pub fn tags<'t>(&'t mut self, unknown: &'t TaggedFields) -> TagWriter<'t, 'a> {
        TagWriter {
            encoder: self,
            unknown,
            known: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.writer.put(bytes);
    }

    pub(super) fn put_string(&mut self, text: Option<&str>) -> Result<(), EncodeError> {
        let Some(text) = text else {
            self.writer.put(if self.is_flexible {
                &[0]
            } else {
                &[0xff, 0xff]
            });
            return Ok(());
        };
        let length = text.len();
        match i16::try_from(length) {
            Ok(_) if self.is_flexible => self.put_compact_length(length)?,
            Ok(short) => self.writer.put(&short.to_be_bytes()),
            Err(_) => return Err(too_long(length, MAX_STRING_BYTES)),
        }
        self.writer.put(text.as_bytes());
        Ok(())
    }

    /// The length of an array or byte sequence; none for null.
    pub(super) fn put_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        match length {
            None => self
                .writer
                .put(if self.is_flexible { &[0] } else { &[0xff; 4] }),
            Some(length) if self.is_flexible => self.put_compact_length(length)?,
            Some(length) => match i32::try_from(length) {
                Ok(length) => self.writer.put(&length.to_be_bytes()),
                Err(_) => return Err(too_long(length, MAX_LENGTH)),
            },
        }
        Ok(())
    }

    pub(super) fn put_chunks(&mut self, chunks: &Chunks) {
        self.writer.append_chunks(chunks);
    }

    pub(super) fn put_bytes(&mut self, bytes: &bytes::Bytes) {
        self.writer.append(bytes);
    }

    fn put_compact_length(&mut self, length: usize) -> Result<(), EncodeError> {
        match i32::try_from(length) {
            Ok(length) => self.writer.put_varint(length.cast_unsigned() + 1),
            Err(_) => return Err(too_long(length, MAX_LENGTH)),
        }
        Ok(())
    }

    #[cold]
    fn not_in_version(&self, name: &'static str) -> EncodeError {
        EncodeError::NotInVersion {
            field: FieldPath::default(),
            version: self.version,
        }
        .inside(Step::Name(name))
    }
}

/// The longest array or byte sequence: what a signed 32-bit length can say. Compact ones could say
/// more, but no peer expects it.
const MAX_LENGTH: usize = 0x7fff_ffff;

#[cold]
fn too_long(length: usize, limit: usize) -> EncodeError {
    EncodeError::TooLong {
        field: FieldPath::default(),
        length,
        limit,
    }
}

/// Collects the tagged fields of a structure, which come with their count and sizes first.
#[derive(Debug)]
pub struct TagWriter<'t, 'a> {
    encoder: &'t mut Encoder<'a>,
    unknown: &'t TaggedFields,
    /// Values by tag, ascending.
    known: Vec<(u32, Chunks)>,
}

impl TagWriter<'_, '_> {
    /// A tagged field that some versions know. It is left out where it is `absent`, and in the
    /// other versions.
    ///
    /// # Errors
    /// [`EncodeError`] when the value does not fit the version, or its number is among the unknown
    /// ones.
    pub fn field_in<T: Field + PartialEq>(
        &mut self,
        versions: impl RangeBounds<i16>,
        tag: u32,
        name: &'static str,
        value: &T,
        absent: &T,
    ) -> Result<(), EncodeError> {
        let value = Some(value).filter(|value| *value != absent);
        self.optional_in(versions, tag, name, value)
    }

    /// A tagged field that some versions know. It is left out where it is `None`, and in the other
    /// versions.
    pub(crate) fn optional_in<T: Field>(
        &mut self,
        versions: impl RangeBounds<i16>,
        tag: u32,
        name: &'static str,
        value: Option<&T>,
    ) -> Result<(), EncodeError> {
        let version = self.encoder.version;
        if !self.encoder.is_flexible || !versions.contains(&version) {
            return Ok(());
        }
        if self.unknown.value(tag).is_some() {
            let field = FieldPath::default();
            return Err(EncodeError::TagTaken { field, tag }.inside(Step::Name("unknown_tags")));
        }
        if let Some(value) = value {
            let mut writer = Writer::new();
            Encoder::new(&mut writer, version, true).field(name, value)?;
            self.known.push((tag, writer.finish()));
        }
        Ok(())
    }

    /// Puts what was collected, in the order of the tags; nothing where the version is not
    /// flexible.
    ///
    /// # Errors
    /// [`EncodeError::NotInVersion`] when there are unknown tagged fields and the version is not
    /// flexible.
    pub fn finish(self) -> Result<(), EncodeError> {
        if !self.encoder.is_flexible {
            return if self.unknown.is_empty() {
                Ok(())
            } else {
                Err(self.encoder.not_in_version("unknown_tags"))
            };
        }
        let count = self.known.len() + self.unknown.len();
        let unknown = self
            .unknown
            .iter()
            .map(|field| (field.tag, Chunks::from(field.value.clone())));
        let mut fields: Vec<(u32, Chunks)> = self.known.into_iter().chain(unknown).collect();
        fields.sort_by_key(|(tag, _)| *tag);
        let writer = &mut *self.encoder.writer;
        writer.put_varint(narrow(count)?);
        for (tag, value) in &fields {
            writer.put_varint(*tag);
            writer.put_varint(narrow(value.len())?);
            writer.append_chunks(value);
        }
        Ok(())
    }
}

fn narrow(length: usize) -> Result<u32, EncodeError> {
    u32::try_from(length).map_err(|_| too_long(length, MAX_LENGTH))
}
