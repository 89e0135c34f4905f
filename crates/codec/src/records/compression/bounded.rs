//! Output that grows with the data and stops at a limit.

use std::{
    error::Error,
    io::{self, Read},
};

/// Why there is no output.
#[derive(Debug)]
pub(super) enum Fault {
    TooLarge,
    Corrupt(Box<dyn Error + Send + Sync>),
}

impl Fault {
    pub(super) fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt(source.into())
    }
}

impl From<io::Error> for Fault {
    fn from(source: io::Error) -> Self {
        Self::corrupt(source)
    }
}

/// Reads everything, if it is at most `max_output_bytes`; one byte more is all that a bomb gets.
///
/// `input_len` serves as a first guess of the size only.
pub(super) fn read_all(
    reader: &mut impl Read,
    input_len: usize,
    max_output_bytes: usize,
) -> Result<Vec<u8>, Fault> {
    let mut output = Vec::with_capacity(input_len.saturating_mul(3).min(max_output_bytes));
    let one_too_many = u64::try_from(max_output_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    reader.take(one_too_many).read_to_end(&mut output)?;
    if output.len() > max_output_bytes {
        return Err(Fault::TooLarge);
    }
    Ok(output)
}
