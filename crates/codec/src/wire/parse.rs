//! The primitives of the protocol as nom parsers over a body that is complete.

use nom::bytes::complete::take;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Parser};

use super::varint::{self, VarintError};
use crate::error::{Defect, Wanted};

/// The longest string that any version can carry, in bytes; compact ones could say more, but no
/// implementation does.
pub(super) const MAX_STRING_BYTES: usize = 0x7fff;

/// Output of a parser: the rest of the input, and the value.
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Fault<'a>>;

/// A defect and the bytes that begin with it.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) input: &'a [u8],
    pub(super) defect: Defect,
}

/// As many bytes as an array has. One bounds check and one load: nom's own numbers go byte by byte.
#[inline(always)]
pub(super) fn array<const N: usize>(wanted: Wanted) -> impl Fn(&[u8]) -> Parsed<'_, [u8; N]> {
    move |input| match input.split_first_chunk() {
        Some((bytes, rest)) => Ok((rest, *bytes)),
        None => Err(truncated(input, wanted, N)),
    }
}

/// An unsigned variable-length integer.
#[inline(always)]
pub(super) fn uvarint(wanted: Wanted) -> impl Fn(&[u8]) -> Parsed<'_, u32> {
    move |input| match varint::decode(input) {
        Ok((value, len)) => Ok((input.get(len..).unwrap_or_default(), value)),
        Err(VarintError::Truncated) => Err(truncated(input, wanted, input.len() + 1)),
        Err(VarintError::TooLarge { .. }) => Err(fault(input, Defect::VarintTooLarge)),
    }
}

/// The bytes of a string, or null.
#[inline(always)]
pub(super) fn string(is_flexible: bool) -> impl Fn(&[u8]) -> Parsed<'_, Option<&[u8]>> {
    move |input| {
        let (content, length) = if is_flexible {
            compact_length(Wanted::StringLength)(input)?
        } else {
            let (content, length) = array(Wanted::StringLength)
                .map(i16::from_be_bytes)
                .parse(input)?;
            (content, signed_length(input, i32::from(length))?)
        };
        match length {
            Some(length) if length > MAX_STRING_BYTES => {
                Err(fault(input, Defect::StringTooLong { length }))
            }
            Some(length) => bytes(length)(content).map(|(rest, bytes)| (rest, Some(bytes))),
            None => Ok((content, None)),
        }
    }
}

/// A byte sequence, or null.
#[inline(always)]
pub(super) fn byte_sequence(is_flexible: bool) -> impl Fn(&[u8]) -> Parsed<'_, Option<&[u8]>> {
    move |input| {
        let (content, length) = length(is_flexible, Wanted::BytesLength)(input)?;
        match length {
            Some(length) => bytes(length)(content).map(|(rest, bytes)| (rest, Some(bytes))),
            None => Ok((content, None)),
        }
    }
}

/// The number of elements of an array, or null. Every element takes a byte at least, so a larger
/// number than there are bytes is a lie, and is found out before anything is allocated.
#[inline(always)]
pub(super) fn array_length(is_flexible: bool) -> impl Fn(&[u8]) -> Parsed<'_, Option<usize>> {
    move |input| {
        let (rest, length) = length(is_flexible, Wanted::ArrayLength)(input)?;
        match length {
            Some(count) if count > rest.len() => Err(fault(
                input,
                Defect::CountTooLarge {
                    count,
                    remaining: rest.len(),
                },
            )),
            _ => Ok((rest, length)),
        }
    }
}

/// Value of another parser, which must not be null.
#[inline(always)]
pub(super) fn required<'a, T>(
    parser: impl Fn(&'a [u8]) -> Parsed<'a, Option<T>>,
) -> impl Fn(&'a [u8]) -> Parsed<'a, T> {
    move |input| match parser(input)? {
        (rest, Some(value)) => Ok((rest, value)),
        (_, None) => Err(fault(input, Defect::UnexpectedNull)),
    }
}

/// That many bytes.
#[inline(always)]
pub(super) fn bytes(length: usize) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> {
    move |input| {
        take::<_, _, ()>(length)(input).map_err(|_| truncated(input, Wanted::Content, length))
    }
}

#[inline(always)]
fn length(is_flexible: bool, wanted: Wanted) -> impl Fn(&[u8]) -> Parsed<'_, Option<usize>> {
    move |input| {
        if is_flexible {
            return compact_length(wanted)(input);
        }
        let (rest, length) = array(wanted).map(i32::from_be_bytes).parse(input)?;
        Ok((rest, signed_length(input, length)?))
    }
}

/// A compact length is one more than the length; zero is null.
#[inline(always)]
fn compact_length(wanted: Wanted) -> impl Fn(&[u8]) -> Parsed<'_, Option<usize>> {
    move |input| {
        let (rest, length) = uvarint(wanted)(input)?;
        match length.checked_sub(1).map(usize::try_from) {
            None => Ok((rest, None)),
            Some(Ok(length)) => Ok((rest, Some(length))),
            Some(Err(_)) => Err(fault(input, Defect::VarintTooLarge)),
        }
    }
}

/// A signed length is the length; -1 is null.
#[inline(always)]
fn signed_length(input: &[u8], length: i32) -> Result<Option<usize>, nom::Err<Fault<'_>>> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(fault(input, Defect::NegativeLength { length })),
    }
}

#[cold]
fn truncated(input: &[u8], wanted: Wanted, needed: usize) -> nom::Err<Fault<'_>> {
    fault(
        input,
        Defect::Truncated {
            wanted,
            needed,
            remaining: input.len(),
        },
    )
}

#[cold]
fn fault(input: &[u8], defect: Defect) -> nom::Err<Fault<'_>> {
    nom::Err::Error(Fault { input, defect })
}

/// Interface that nom's combinators need of an error. None of those used here makes one of its own.
impl<'a> ParseError<&'a [u8]> for Fault<'a> {
    fn from_error_kind(input: &'a [u8], _: ErrorKind) -> Self {
        let remaining = input.len();
        let defect = Defect::Truncated {
            wanted: Wanted::Content,
            needed: remaining + 1,
            remaining,
        };
        Self { input, defect }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defect<T: std::fmt::Debug>(parsed: Parsed<'_, T>) -> Defect {
        match parsed {
            Err(nom::Err::Error(fault)) => fault.defect,
            other => panic!("no fault: {other:?}"),
        }
    }

    #[test]
    fn both_forms_of_a_string() {
        assert_eq!(
            string(false)(b"\x00\x02hix").unwrap(),
            (&b"x"[..], Some(&b"hi"[..]))
        );
        assert_eq!(
            string(true)(b"\x03hix").unwrap(),
            (&b"x"[..], Some(&b"hi"[..]))
        );
        assert_eq!(string(false)(b"\xff\xff").unwrap(), (&b""[..], None));
        assert_eq!(string(true)(b"\x00").unwrap(), (&b""[..], None));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(
            defect(string(false)(b"\xff\xfe")),
            Defect::NegativeLength { length: -2 }
        );
        assert_eq!(
            defect(string(true)(b"\x81\x80\x02")),
            Defect::StringTooLong { length: 0x8000 }
        );
        assert_eq!(
            defect(byte_sequence(false)(b"\x7f\xff\xff\xff\x00")),
            Defect::Truncated {
                wanted: Wanted::Content,
                needed: 0x7fff_ffff,
                remaining: 1
            }
        );
        assert_eq!(
            defect(array_length(true)(b"\x04\x00\x00")),
            Defect::CountTooLarge {
                count: 3,
                remaining: 2
            }
        );
        assert_eq!(
            defect(array_length(true)(b"\xff\xff\xff\xff\x1f")),
            Defect::VarintTooLarge
        );
        assert_eq!(
            defect(array_length(false)(b"\x80\x00\x00\x00")),
            Defect::NegativeLength { length: i32::MIN }
        );
    }

    #[test]
    fn null_is_refused_where_a_value_is_required() {
        assert_eq!(
            defect(required(string(true))(b"\x00")),
            Defect::UnexpectedNull
        );
    }
}
