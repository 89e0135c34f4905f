//! Bytes that nobody should see.

use std::fmt;

use bytes::Bytes;
use wolff_codec::wire::Chunks;
use zeroize::{Zeroize as _, Zeroizing};

/// A password, a token, or a message made of one.
///
/// It never shows what it holds, and wipes its memory when it goes, as do the messages of the
/// built-in mechanisms that are made of it. Buffers of TLS are not wiped.
///
/// ```
/// use wolff_client::Secret;
///
/// let secret = Secret::from("tr0ub4dor");
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// assert_eq!(secret.expose(), b"tr0ub4dor");
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Returns the bytes. The name is to be noticed where it is used.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.expose()
    }
}

/// Moves a frame into memory that is wiped when it goes, and wipes where it was.
pub(crate) fn wiped(frame: Chunks) -> Chunks {
    let mut whole = Vec::with_capacity(frame.len());
    for piece in frame {
        whole.extend_from_slice(&piece);
        if let Ok(mut piece) = piece.try_into_mut() {
            piece.zeroize();
        }
    }
    Bytes::from_owner(Secret::from(whole)).into()
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.as_bytes().to_vec().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
