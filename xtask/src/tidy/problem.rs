//! Findings of a check.

use std::fmt;
use std::path::Path;

/// One finding: where, what, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    place: String,
    what: String,
}

impl Problem {
    /// A finding about a whole file or folder.
    pub(crate) fn in_file(path: &Path, what: impl Into<String>) -> Self {
        Self {
            place: path.display().to_string(),
            what: what.into(),
        }
    }

    /// A finding in one line, counted from 1.
    pub(crate) fn in_line(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self {
            place: format!("{}:{line}", path.display()),
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
