//! A look for the secrets of the tests in all that they write: none may be in any of it.
//!
//! The passwords and tokens of the tests are marked for it. While they run, everything that the
//! client tells is written to a file, down to TRACE (`WOLFF_TRACE`); the command line's output is
//! looked at by its own tests.

use crate::failure::{Context as _, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Text that is in every password and token of the tests, the password of our real Kafka, and what
/// begins a private key.
const MARKS: [&str; 3] = ["s3ntinel", "wolff-secret", "PRIVATE KEY"];

/// Letters that are shown of a place that is found.
const SHOWN: usize = 200;

/// Patterns of secrets, and the file that is searched.
#[derive(Debug)]
pub(crate) struct Secrets {
    forms: Vec<Vec<u8>>,
    trace: PathBuf,
}

impl Secrets {
    /// A fresh file in this folder.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let trace = directory.join("trace.log");
        fs::write(&trace, "").context(trace.display())?;
        Ok(Self {
            forms: MARKS.iter().flat_map(|mark| forms(mark)).collect(),
            trace,
        })
    }

    /// Path for WOLFF_TRACE.
    pub(crate) fn trace(&self) -> &Path {
        &self.trace
    }

    /// Returns whether a secret is in this text.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        let is_in = |form: &Vec<u8>| text.windows(form.len()).any(|piece| piece == form);
        self.forms.iter().any(is_in)
    }

    /// The lines of the file with a secret in them, and how many lines there are.
    pub(crate) fn search_trace(&self) -> Result<(Vec<String>, usize), Failure> {
        let file = File::open(&self.trace).context(self.trace.display())?;
        let (mut found, mut lines) = (Vec::new(), 0_usize);
        for line in BufReader::new(file).split(b'\n') {
            let line = line.context(self.trace.display())?;
            lines = lines.saturating_add(1);
            if self.are_in(&line) {
                let line = String::from_utf8_lossy(&line);
                found.push(line.chars().take(SHOWN).collect());
            }
        }
        Ok((found, lines))
    }
}

/// As it is, as numbers (which `Debug` makes of bytes), in hexadecimal digits, and in base64
/// wherever it begins.
fn forms(mark: &str) -> Vec<Vec<u8>> {
    let numbers: Vec<String> = mark.bytes().map(|byte| byte.to_string()).collect();
    let hexadecimal: String = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        mark.as_bytes().to_vec(),
        numbers.join(", ").into_bytes(),
        hexadecimal.into_bytes(),
    ];
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend(mark.bytes());
        // The first letters depend on what stands before, the last one on what stands behind.
        let text = BASE64.encode(&bytes);
        let begin = before.saturating_mul(8).div_ceil(6);
        let end = bytes.len().saturating_mul(8) / 6;
        forms.extend(text.as_bytes().get(begin..end).map(<[u8]>::to_vec));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_leak_is_found_in_every_form() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path()).unwrap();
        let password = "s3ntinel-of-alice";
        for message in [
            format!("\0alice\0{password}"),
            format!("n,,user={password}"),
            password.into(),
        ] {
            for leak in [
                message.clone(),
                format!("{message:?}"),
                format!("{:?}", message.as_bytes()),
                BASE64.encode(&message),
                message.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ] {
                assert!(secrets.are_in(leak.as_bytes()), "{leak}");
                fs::write(secrets.trace(), format!("fine\nit said {leak}\nfine\n")).unwrap();
                let (found, lines) = secrets.search_trace().unwrap();
                assert_eq!((found.len(), lines), (1, 3), "{leak}");
            }
        }
        assert!(!secrets.are_in(b"alice is let in with [redacted]; c3RyYW5nZXI="));
    }
}
