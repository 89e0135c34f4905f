//! What the queue commands print. A reader that has gone away has enough; that nothing can be written is a failure, since a script takes silence for good news.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use crate::exit::Failure;

/// A line, or several, on stdout.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    judge(writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
}

/// An object on a line of its own.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print(value)
}

fn judge(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to the standard output: {error}"
        ))
        .advice("give it another place to write to")),
        _ => Ok(()),
    }
}
