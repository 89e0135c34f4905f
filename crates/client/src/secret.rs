//! Bytes that nobody should see.

use std::fmt;

use zeroize::Zeroizing;

/// A password, a token, or a message made of one.
///
/// It never shows what it holds, and wipes its memory when it goes. What a password was read from, and
/// what is sent to a broker, passes through buffers that are not wiped.
///
/// ```
/// use wolff_client::Secret;
///
/// let secret = Secret::from("tr0ub4dor");
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// assert_eq!(secret.expose(), b"tr0ub4dor");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// What it holds. The name is to be noticed where it is used.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
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
