//! Where one message ends and the next begins: the only place where bytes can be incomplete.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::error::EncodeError;
use crate::wire::{Chunks, Writer};

/// Every frame begins with its length, which does not count itself.
const PREFIX_BYTES: usize = 4;

/// Why bytes are not a sequence of frames. Nothing behind such a prefix can be trusted: the
/// connection is lost.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame claims {length} bytes")]
    NegativeLength {
        /// The length.
        length: i32,
    },
    /// The length exceeds the ceiling. A peer that speaks another protocol (TLS, HTTP) is a common
    /// cause.
    #[error("a frame claims {length} bytes, the limit is {limit}")]
    TooLarge {
        /// The length in bytes.
        length: usize,
        /// The ceiling in bytes.
        limit: usize,
    },
}

/// Cuts a byte stream into frames, however it arrives.
///
/// ```
/// use bytes::BytesMut;
/// use wolff_codec::FrameSplitter;
///
/// let splitter = FrameSplitter::new(1024);
/// let mut buffer = BytesMut::from(&b"\x00\x00\x00\x05ka"[..]);
/// assert_eq!(splitter.next_frame(&mut buffer)?, None);
/// buffer.extend_from_slice(b"fka\x00");
/// assert_eq!(splitter.next_frame(&mut buffer)?.as_deref(), Some(&b"kafka"[..]));
/// assert_eq!(&buffer[..], b"\x00");
/// # Ok::<(), wolff_codec::FrameError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameSplitter {
    max_frame_bytes: usize,
}

impl FrameSplitter {
    /// A splitter that refuses frames of more bytes than that, their length prefix not counted.
    #[must_use]
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { max_frame_bytes }
    }

    /// Takes the first frame off the buffer, without its length prefix and without copying; none if
    /// it is incomplete. Nothing is allocated or reserved for what a peer only claims.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the prefix shows it; the buffer is left as it was.
    pub fn next_frame(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*prefix);
        let Ok(length) = usize::try_from(length) else {
            return Err(FrameError::NegativeLength { length });
        };
        if length > self.max_frame_bytes {
            return Err(FrameError::TooLarge {
                length,
                limit: self.max_frame_bytes,
            });
        }
        if buffer.len() - PREFIX_BYTES < length {
            return Ok(None);
        }
        buffer.advance(PREFIX_BYTES);
        Ok(Some(buffer.split_to(length).freeze()))
    }

    /// The bytes that the first frame still lacks, by what its length prefix claims; zero when it
    /// is complete, and while its prefix is not there or is one that is refused.
    #[must_use]
    pub fn missing_bytes(&self, buffer: &[u8]) -> usize {
        let prefix = buffer.first_chunk::<PREFIX_BYTES>();
        let length = prefix.and_then(|prefix| usize::try_from(i32::from_be_bytes(*prefix)).ok());
        let length = length.filter(|length| *length <= self.max_frame_bytes);
        let frame = length.map_or(0, |length| length + PREFIX_BYTES);
        frame.saturating_sub(buffer.len())
    }
}

/// Room for the small fields of a usual message.
const USUAL_BYTES: usize = 512;

/// Puts the length in front of what `encode` writes.
pub(crate) fn encode_frame(
    encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Chunks, EncodeError> {
    let mut writer = Writer::with_capacity(USUAL_BYTES);
    writer.put(&[0; PREFIX_BYTES]);
    encode(&mut writer)?;
    let length = writer.len() - PREFIX_BYTES;
    let limit = i32::MAX;
    let prefix = i32::try_from(length).map_err(|_| EncodeError::FrameTooLarge { length, limit })?;
    writer.overwrite_start(&prefix.to_be_bytes());
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_beyond_the_ceiling_is_refused_before_the_frame_arrives() {
        let splitter = FrameSplitter::new(10);
        let mut buffer = BytesMut::from(&[0, 0, 0, 11][..]);
        let error = FrameError::TooLarge {
            length: 11,
            limit: 10,
        };
        assert_eq!(splitter.next_frame(&mut buffer), Err(error));
        assert_eq!(buffer.len(), 4);
    }

    #[test]
    fn a_negative_length_is_refused() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xfe][..]);
        let error = FrameError::NegativeLength { length: -2 };
        assert_eq!(FrameSplitter::new(10).next_frame(&mut buffer), Err(error));
    }

    #[test]
    fn what_a_frame_lacks_is_what_its_prefix_claims_within_the_ceiling() {
        let splitter = FrameSplitter::new(10);
        assert_eq!(splitter.missing_bytes(&[0, 0, 0]), 0);
        assert_eq!(splitter.missing_bytes(&[0, 0, 0, 10]), 10);
        assert_eq!(splitter.missing_bytes(&[0, 0, 0, 2, 7]), 1);
        assert_eq!(splitter.missing_bytes(&[0, 0, 0, 1, 7, 0, 0, 0, 9]), 0);
        assert_eq!(splitter.missing_bytes(&[0, 0, 0, 11]), 0);
        assert_eq!(splitter.missing_bytes(&[0xff, 0xff, 0xff, 0xff]), 0);
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        let mut buffer = BytesMut::from(&[0; 4][..]);
        assert_eq!(
            FrameSplitter::new(10).next_frame(&mut buffer),
            Ok(Some(Bytes::new()))
        );
        assert!(buffer.is_empty());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in proptest::collection::vec(1usize..20, 1..200),
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend_from_slice(&i32::try_from(frame.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(frame);
            }
            let splitter = FrameSplitter::new(40);
            let mut buffer = BytesMut::new();
            let mut out = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                while let Some(frame) = splitter.next_frame(&mut buffer).unwrap() {
                    out.push(frame.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
                let (arrived, later) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(arrived);
                rest = later;
            }
            prop_assert_eq!(out, frames);
            prop_assert!(buffer.is_empty());
        }
    }
}
