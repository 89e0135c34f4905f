//! Errors of the operating system, in a form that can be told to many.

use std::io;

use thiserror::Error;

/// An error of the operating system, in a form that can be cloned.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct IoFailure {
    /// The kind by which a program tells errors apart.
    pub kind: io::ErrorKind,
    /// The system's words.
    pub message: String,
}

impl From<io::Error> for IoFailure {
    fn from(error: io::Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}
