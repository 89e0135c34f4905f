//! From bytes to fields.

use std::ops::RangeBounds;

use bytes::Bytes;

use super::Field;
use super::parse::{self, Fault, Parsed};
use super::tagged::{TaggedField, TaggedFields};
use crate::broker_ids::BrokerIds;
use crate::error::{DecodeError, Defect, Step, Wanted};
use crate::ids::BrokerId;
use crate::text::Str;

/// Bytes that may be allocated for the elements of an array per byte that is left of the message,
/// before the first element has been seen. The lists of real messages seldom need more; a lie does
/// not get more than this, and where lists are nested it gets this for each of them.
const RESERVED_BYTES_PER_BYTE: usize = 8;

/// Bytes that decoding may allocate per byte of a message.
const MEMORY_PER_BYTE: usize = 4;

/// Bytes that decoding may allocate beside: enough for everything that is small.
const MEMORY_BYTES: usize = 1 << 20;

/// The most memory that decoding a message allocates, in bytes.
fn memory_limit(body: &[u8]) -> usize {
    body.len()
        .saturating_mul(MEMORY_PER_BYTE)
        .saturating_add(MEMORY_BYTES)
}

/// Name of tagged fields in errors, before it is known which one it is.
const TAGGED_FIELDS: Step = Step::Name("tagged_fields");

/// Which of the tagged fields an error is in, counted from 0.
fn in_tagged_field(index: u32) -> impl Fn(DecodeError) -> DecodeError {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    move |error| error.inside(Step::Index(index)).inside(TAGGED_FIELDS)
}

/// Takes the fields of a message, one after the other, from its body. Large values share the body's
/// bytes.
///
/// The fields' names serve errors only.
#[derive(Debug)]
pub struct Decoder<'a> {
    body: &'a Bytes,
    /// Bytes that have not been taken yet: a part of `body`.
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
    /// Memory that may still be allocated, in bytes.
    memory: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder of a body of that version.
    #[must_use]
    pub fn new(body: &'a Bytes, version: i16, is_flexible: bool) -> Self {
        Self {
            body,
            rest: body,
            version,
            is_flexible,
            memory: memory_limit(body),
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

    /// Number of bytes that have not been taken yet.
    #[must_use]
    pub fn remaining_bytes(&self) -> usize {
        self.rest.len()
    }

    /// The same place in the same body, from where on lengths are compact or not.
    pub(crate) fn with_flexibility(self, is_flexible: bool) -> Self {
        Self {
            is_flexible,
            ..self
        }
    }

    /// The same place in the same body, from where on the version is another one.
    pub(crate) fn at_version(self, version: i16) -> Self {
        Self { version, ..self }
    }

    /// Returns the bytes that have not been taken yet; shares the body's bytes.
    pub(crate) fn rest(&self) -> Bytes {
        self.body.slice_ref(self.rest)
    }

    /// A field that every version has.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the bytes are not such a field.
    #[inline]
    pub fn field<T: Field>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        T::take(self).map_err(|error| error.inside(Step::Name(name)))
    }

    /// A field that some versions have; its type's default in the others.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    #[inline]
    pub fn field_in<T: Field + Default>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
    ) -> Result<T, DecodeError> {
        if versions.contains(&self.version) {
            self.field(name)
        } else {
            Ok(T::default())
        }
    }

    /// A field that some versions have; `absent` in the others.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    #[inline]
    pub fn field_in_or<T: Field>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
        absent: T,
    ) -> Result<T, DecodeError> {
        if versions.contains(&self.version) {
            self.field(name)
        } else {
            Ok(absent)
        }
    }

    /// A field that every version has, and that may be null in some.
    ///
    /// # Errors
    /// As [`field`](Self::field), and when it is null in another version.
    #[inline]
    pub fn nullable_in<T: Field>(
        &mut self,
        versions: impl RangeBounds<i16>,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError>
    where
        Option<T>: Field,
    {
        if versions.contains(&self.version) {
            self.field(name)
        } else {
            self.field(name).map(Some)
        }
    }

    /// The tagged fields at the end of a structure that has none of its own.
    ///
    /// # Errors
    /// As [`tags`](Self::tags).
    #[inline]
    pub fn unknown_tags(&mut self) -> Result<TaggedFields, DecodeError> {
        self.tags(|_, _| Ok(false))
    }

    /// The tagged fields at the end of a structure; none where the version is not flexible.
    ///
    /// `known` is asked for each: it takes the value from the decoder it is given, which holds
    /// nothing else, and answers true, as [`known_tag`](Self::known_tag) does; or it answers false,
    /// and the field is returned among the unknown ones.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when numbers do not ascend, when sizes are wrong, or what `known`
    /// fails with.
    #[inline]
    pub fn tags(
        &mut self,
        known: impl FnMut(u32, &mut Decoder<'_>) -> Result<bool, DecodeError>,
    ) -> Result<TaggedFields, DecodeError> {
        if !self.is_flexible {
            return Ok(TaggedFields::new());
        }
        let count = self
            .parsed(parse::uvarint(Wanted::TagCount))
            .map_err(|error| error.inside(TAGGED_FIELDS))?;
        match count {
            0 => Ok(TaggedFields::new()),
            count => self.counted_tags(count, known),
        }
    }

    fn counted_tags(
        &mut self,
        count: u32,
        mut known: impl FnMut(u32, &mut Decoder<'_>) -> Result<bool, DecodeError>,
    ) -> Result<TaggedFields, DecodeError> {
        // Once over all of them, so that nothing is allocated for those that are only claimed.
        let mut ahead = Decoder { ..*self };
        let mut previous = None;
        for index in 0..count {
            let at_tag = ahead.rest;
            let (tag, _) = ahead.tag().map_err(in_tagged_field(index))?;
            if previous.is_some_and(|previous| previous >= tag) {
                let error = self.error_at(at_tag, Defect::TagOutOfOrder { tag });
                return Err(in_tagged_field(index)(error));
            }
            previous = Some(tag);
        }
        let mut unknown = Vec::new();
        for index in 0..count {
            let (tag, value) = self.tag()?;
            let mut inner = Decoder {
                rest: value,
                ..*self
            };
            let is_known = known(tag, &mut inner)?;
            self.memory = inner.memory;
            if is_known {
                inner.finish().map_err(in_tagged_field(index))?;
                continue;
            }
            if unknown.is_empty() {
                self.charge(
                    usize::try_from(count - index).unwrap_or(usize::MAX),
                    size_of::<TaggedField>(),
                )
                .map_err(in_tagged_field(index))?;
                unknown.reserve_exact(usize::try_from(count - index).unwrap_or_default());
            }
            unknown.push(TaggedField {
                tag,
                value: self.body.slice_ref(value),
            });
        }
        Ok(TaggedFields::ascending(unknown))
    }

    /// A tagged field: its number and the bytes of its value.
    fn tag(&mut self) -> Result<(u32, &'a [u8]), DecodeError> {
        let tag = self.parsed(parse::uvarint(Wanted::Tag))?;
        let value = self.parsed(|input| {
            let (rest, size) = parse::uvarint(Wanted::TagSize)(input)?;
            parse::bytes(usize::try_from(size).unwrap_or(usize::MAX))(rest)
        })?;
        Ok((tag, value))
    }

    /// Takes the value of a tagged field to where it belongs; always true.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    pub fn known_tag<T: Field>(
        &mut self,
        name: &'static str,
        value: &mut T,
    ) -> Result<bool, DecodeError> {
        *value = self.field(name)?;
        Ok(true)
    }

    /// The same for a value that is seldom there.
    pub(crate) fn known_boxed_tag<T: Field>(
        &mut self,
        name: &'static str,
        value: &mut Option<Box<T>>,
    ) -> Result<bool, DecodeError> {
        *value = Some(self.boxed(|from| from.field(name))?);
        Ok(true)
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Defect::LeftOver`] when there are bytes left.
    #[inline]
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(self.error_at(self.rest, Defect::LeftOver { count })),
        }
    }

    /// Runs a parser over what is left.
    #[inline]
    pub(super) fn parsed<T>(
        &mut self,
        parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
    ) -> Result<T, DecodeError> {
        match parser(self.rest) {
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(error) => Err(self.error(error)),
        }
    }

    #[inline]
    pub(super) fn string(&mut self) -> Result<Str, DecodeError> {
        let start = self.rest;
        let text = self.parsed(parse::required(parse::string(self.is_flexible)))?;
        self.text(start, text)
    }

    #[inline]
    pub(super) fn nullable_string(&mut self) -> Result<Option<Str>, DecodeError> {
        let start = self.rest;
        let text = self.parsed(parse::string(self.is_flexible))?;
        text.map(|text| self.text(start, text)).transpose()
    }

    /// Accounts for the memory of so many elements of that size.
    #[inline]
    fn charge(&mut self, count: usize, size: usize) -> Result<(), DecodeError> {
        match self.memory.checked_sub(count.saturating_mul(size)) {
            Some(memory) => {
                self.memory = memory;
                Ok(())
            }
            None => {
                let limit = memory_limit(self.body);
                Err(self.error_at(self.rest, Defect::TooMuchMemory { limit }))
            }
        }
    }

    /// Strings are tiny on the wire: what they take is found out first.
    #[inline]
    pub(super) fn strings(&mut self, count: usize) -> Result<Vec<Str>, DecodeError> {
        let mut ahead = Decoder { ..*self };
        for index in 0..count {
            ahead
                .parsed(parse::required(parse::string(self.is_flexible)))
                .map_err(|error| error.inside(Step::Index(index)))?;
        }
        self.charge(count, size_of::<Str>())?;
        let mut strings = Vec::with_capacity(count);
        for index in 0..count {
            strings.push(self.element(index)?);
        }
        Ok(strings)
    }

    #[inline]
    fn text(&self, start: &[u8], text: &[u8]) -> Result<Str, DecodeError> {
        Str::try_from(self.body.slice_ref(text)).map_err(|_| self.error_at(start, Defect::NotUtf8))
    }

    /// A string that is seldom there, in memory of its own.
    #[inline]
    pub(super) fn nullable_boxed_string(&mut self) -> Result<Option<Box<Str>>, DecodeError> {
        let start = self.rest;
        let text = self.parsed(parse::string(self.is_flexible))?;
        text.map(|text| self.boxed(|from| from.text(start, text)))
            .transpose()
    }

    /// A value in memory of its own.
    #[cold]
    fn boxed<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Box<T>, DecodeError> {
        self.charge(1, size_of::<T>())?;
        take(self).map(Box::new)
    }

    #[inline]
    pub(super) fn byte_sequence(&mut self) -> Result<Bytes, DecodeError> {
        let bytes = self.parsed(parse::required(parse::byte_sequence(self.is_flexible)))?;
        Ok(self.body.slice_ref(bytes))
    }

    #[inline]
    pub(super) fn nullable_byte_sequence(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let bytes = self.parsed(parse::byte_sequence(self.is_flexible))?;
        Ok(bytes.map(|bytes| self.body.slice_ref(bytes)))
    }

    #[inline]
    pub(super) fn array<T: Field>(&mut self) -> Result<Vec<T>, DecodeError> {
        let count = self.parsed(parse::required(parse::array_length(self.is_flexible)))?;
        T::take_elements(self, count)
    }

    #[inline]
    pub(super) fn nullable_array<T: Field>(&mut self) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.parsed(parse::array_length(self.is_flexible))?;
        count.map(|count| T::take_elements(self, count)).transpose()
    }

    /// Elements of a fixed size: there is nothing about each of them that could be wrong.
    #[inline]
    pub(super) fn numbers<const N: usize, T>(
        &mut self,
        count: usize,
        from_be_bytes: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, DecodeError> {
        let bytes = self.parsed(parse::bytes(count.saturating_mul(N)))?;
        self.charge(count, size_of::<T>())?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers
            .iter()
            .map(|number| from_be_bytes(*number))
            .collect())
    }

    #[inline]
    pub(super) fn broker_ids(&mut self) -> Result<BrokerIds, DecodeError> {
        let count = self.parsed(parse::required(parse::array_length(self.is_flexible)))?;
        self.counted_broker_ids(count)
    }

    #[inline]
    pub(super) fn nullable_broker_ids(&mut self) -> Result<Option<BrokerIds>, DecodeError> {
        let count = self.parsed(parse::array_length(self.is_flexible))?;
        count
            .map(|count| self.counted_broker_ids(count))
            .transpose()
    }

    #[inline]
    fn counted_broker_ids(&mut self, count: usize) -> Result<BrokerIds, DecodeError> {
        let bytes = self.parsed(parse::bytes(count.saturating_mul(size_of::<BrokerId>())))?;
        self.charge(1, BrokerIds::allocated_bytes(count))?;
        let (ids, _) = bytes.as_chunks();
        Ok(ids
            .iter()
            .map(|id| BrokerId(i32::from_be_bytes(*id)))
            .collect())
    }

    #[inline]
    pub(super) fn elements<T: Field>(&mut self, count: usize) -> Result<Vec<T>, DecodeError> {
        self.charge(count, size_of::<T>())?;
        let allowed = self.rest.len().saturating_mul(RESERVED_BYTES_PER_BYTE);
        let mut elements = Vec::with_capacity(count.min(allowed / size_of::<T>().max(1)));
        for index in 0..count {
            if index == elements.capacity() {
                self.look_ahead::<T>(index, count)?;
                elements.reserve_exact(count - index);
            }
            // Not through `element`: an element is large, and is moved once less so.
            match T::take(self) {
                Ok(element) => elements.push(element),
                Err(error) => return Err(error.inside(Step::Index(index))),
            }
        }
        Ok(elements)
    }

    #[inline]
    fn element<T: Field>(&mut self, index: usize) -> Result<T, DecodeError> {
        T::take(self).map_err(|error| error.inside(Step::Index(index)))
    }

    /// Checks that the elements from `index` on are all there. Only those that are tiny on the wire
    /// come here: reading them twice is the price for allocating nothing that a count only claims.
    #[cold]
    fn look_ahead<T: Field>(&self, index: usize, count: usize) -> Result<(), DecodeError> {
        let mut ahead = Decoder { ..*self };
        (index..count).try_for_each(|index| ahead.element::<T>(index).map(drop))
    }

    #[cold]
    fn error(&self, error: nom::Err<Fault<'_>>) -> DecodeError {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => {
                self.error_at(fault.input, fault.defect)
            }
            // Only nom's streaming parsers say this, and none is used: a body is complete.
            nom::Err::Incomplete(_) => {
                let wanted = Wanted::Content;
                let remaining = self.rest.len();
                self.error_at(
                    self.rest,
                    Defect::Truncated {
                        wanted,
                        needed: remaining + 1,
                        remaining,
                    },
                )
            }
        }
    }

    /// An error at the place in the body where `input`, a part of it, begins.
    #[cold]
    fn error_at(&self, input: &[u8], defect: Defect) -> DecodeError {
        let offset = input
            .as_ptr()
            .addr()
            .saturating_sub(self.body.as_ptr().addr());
        DecodeError::at(offset, defect)
    }
}
