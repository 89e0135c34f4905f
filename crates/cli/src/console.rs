//! The only place that writes to stdout and stderr. A reader that has gone away is no reason to panic.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use serde::Serialize;

/// The bars of this process: lines of text must go above them.
fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Shows a bar on the terminal until it is finished.
pub(crate) fn show_bar(bar: indicatif::ProgressBar) -> indicatif::ProgressBar {
    bars().add(bar)
}

/// Whether a person sees stderr as it is written.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// A line of output, for whatever reads stdout.
pub(crate) fn print(line: impl Display) {
    let mut stdout = io::stdout().lock();
    // Flushed line by line: who reads a pipe wants to see it, and at exit it would be too late to notice an error.
    let _reader_is_gone = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// A value as JSON on a line of its own.
pub(crate) fn print_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(json) => print(json),
        // Only maps with odd keys cannot be written, and there are none.
        Err(problem) => error(problem),
    }
}

/// A line for the person at the terminal, on stderr.
pub(crate) fn say(line: impl Display) {
    let write = || writeln!(io::stderr().lock(), "{line}");
    let _nobody_reads = if is_watched() {
        bars().suspend(write)
    } else {
        write()
    };
}

/// Something that a person should know; the command goes on.
pub(crate) fn warn(what: impl Display) {
    say(format_args!("warning: {what}"));
}

/// Something went wrong.
pub(crate) fn error(what: impl Display) {
    say(format_args!("error: {what}"));
}
