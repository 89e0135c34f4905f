//! The files that TLS is made of, as bytes: read together, compared to see whether they have
//! changed.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::options::TlsOptions;
use crate::error::TlsFileError;

/// No certificate or key comes near this; what does is another file by mistake.
const LARGEST_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Content of the files.
#[derive(Eq, PartialEq)]
pub(super) struct Material {
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    /// The password that the key of the identity is encrypted with.
    pub(super) key_password: Option<Zeroizing<Vec<u8>>>,
}

impl Material {
    /// Reads all files that the options name. Waits for the disk.
    pub(super) fn read(options: &TlsOptions) -> Result<Self, TlsFileError> {
        let authorities = options.ca_file.as_deref().map(read).transpose()?;
        let identity = match (&options.identity_pem, &options.identity) {
            (Some(identity), _) => Some((
                identity.certificates.as_bytes().to_vec(),
                Zeroizing::new(identity.key.expose().to_vec()),
            )),
            (None, Some(identity)) => Some((
                read(&identity.cert_file)?.to_vec(),
                read(&identity.key_file)?,
            )),
            (None, None) => None,
        };
        let key_password = match (&options.key_password, &options.key_password_file) {
            (Some(password), _) => Some(Zeroizing::new(password.expose().to_vec())),
            (None, Some(file)) => Some(without_line_break(read(file)?)),
            (None, None) => None,
        };
        Ok(Self {
            key_password,
            authorities: authorities.map(|content| content.to_vec()),
            identity,
        })
    }
}

/// The content of a file with a password: a line break at its end does not belong to it.
fn without_line_break(mut content: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    for end in [b'\n', b'\r'] {
        if content.last() == Some(&end) {
            content.pop();
        }
    }
    content
}

/// Reads a file in one piece, since growing would leave copies of a key behind.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates and keys that a user keeps in files are read anew when they change"
)]
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
    let told = |what: String| TlsFileError {
        path: path.to_owned(),
        what,
    };
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let size = usize::try_from(size.min(LARGEST_FILE_BYTES)).unwrap_or(0);
    let mut content = Zeroizing::new(Vec::with_capacity(size + 64));
    // Some files never end.
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut content))
        .map_err(|error| told(format!("cannot be read: {error}")))?;
    if content.len() as u64 > LARGEST_FILE_BYTES {
        return Err(told("is too large for PEM".to_owned()));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_too_large() {
        let said = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(said, "/dev/zero is too large for PEM");
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = read(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(said.starts_with("/no/such/file cannot be read"), "{said}");
    }
}
