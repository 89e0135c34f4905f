//! The only place that writes to stdout and stderr. A reader that has gone away has enough; that
//! stdout cannot be written to is a failure, since a script takes silence for good news.

use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

use indicatif::MultiProgress;
use serde::Serialize;

use crate::exit::Failure;
use crate::visible::write_visible;

/// The bars of this process: lines of text must go above them.
fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Shows a bar on the terminal until it is finished.
pub(crate) fn show_bar(bar: indicatif::ProgressBar) -> indicatif::ProgressBar {
    bars().add(bar)
}

/// True if a person sees stderr as it is written.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// A line of output, or several, for whatever reads stdout.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    // Flushed line by line: who reads a pipe wants to see it, and at exit it would be too late to
    // notice an error.
    judge(writeln!(stdout, "{}", Shown(text)).and_then(|()| stdout.flush()))
}

/// Lines of output in which nobody else's words are, or only in the cells of a table.
pub(crate) fn print_lines(lines: &impl Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    judge(writeln!(stdout, "{lines}").and_then(|()| stdout.flush()))
}

/// Text without what a terminal would obey: in names of files, and in the words of brokers, there
/// may be anything. A line of ours that goes on in another one is indented there, so that nothing
/// else can begin a line: it would pass for one of ours.
struct Shown<T>(T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        for (at, letter) in text.char_indices() {
            let rest = text.get(at..).unwrap_or_default();
            let is_indented = rest.trim_start_matches('\n').starts_with("  ");
            match letter {
                '\n' if is_indented => f.write_char(letter)?,
                letter => write_visible(f, letter)?,
            }
        }
        Ok(())
    }
}

/// An error with its causes, on one line.
pub(crate) struct WithCauses<'a>(pub(crate) &'a (dyn Error + 'a));

impl Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(next) = cause {
            let shown = next.to_string();
            // Some errors have their cause in their own words.
            if !text.contains(&shown) {
                write!(text, ": {shown}")?;
            }
            cause = next.source();
        }
        f.write_str(&text)
    }
}

/// A path on one line: a name may have line breaks in it, which would pass for lines of ours.
pub(crate) struct OneLine<'a>(pub(crate) &'a Path);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.display().to_string();
        f.write_str(&name.replace('\n', "\\n").replace('\t', "\\t"))
    }
}

/// A value as JSON on a line of its own.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    match serde_json::to_string(value) {
        Ok(json) => {
            let mut stdout = io::stdout().lock();
            judge(writeln!(stdout, "{json}").and_then(|()| stdout.flush()))
        }
        // Only maps with odd keys cannot be written, and there are none.
        Err(problem) => Err(Failure::failed(problem.to_string())),
    }
}

/// The report of a run as JSON on a line of its own. A reader that has gone away did not get it,
/// which is an error here: whoever started the command must not take silence for good news.
pub(crate) fn report_json(report: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(report).map_err(io::Error::from);
    let mut stdout = io::stdout().lock();
    let written = json.and_then(|json| writeln!(stdout, "{json}"));
    written.and_then(|()| stdout.flush()).map_err(|error| {
        Failure::failed(format!("cannot write to the standard output: {error}"))
            .advice("give it another place to write to")
    })
}

/// Outcome of a write to stdout.
pub(crate) fn judge(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to the standard output: {error}"
        ))
        .advice("give it another place to write to")),
        _ => Ok(()),
    }
}

/// A line for the person at the terminal, on stderr.
pub(crate) fn say(line: impl Display) {
    let write = || writeln!(io::stderr().lock(), "{}", Shown(&line));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_begin_no_line_and_turn_nothing() {
        let shown = Shown("broken\nerror: forged\r\n  advice\u{1b}[31m\u{202e}");
        assert_eq!(
            shown.to_string(),
            "broken\\nerror: forged\\r\n  advice\\u{1b}[31m\\u{202e}"
        );
    }
}
