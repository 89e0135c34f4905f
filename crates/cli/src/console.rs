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

/// A line of output for whatever reads stdout.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    print_lines(&Shown(text))
}

/// A line of output, and one about what to do.
pub(crate) fn print_advised(what: impl Display, advice: impl Display) -> Result<(), Failure> {
    print_lines(&Advised(what, advice))
}

/// Lines of output in which nobody else's words are, or only as [`Shown`] and in the cells of a
/// table.
pub(crate) fn print_lines(lines: &impl Display) -> Result<(), Failure> {
    // Flushed line by line: who reads a pipe wants to see it, and at exit it would be too late to
    // notice an error.
    let mut stdout = io::stdout().lock();
    judge(writeln!(stdout, "{lines}").and_then(|()| stdout.flush()))
}

/// Text on one line, without what a terminal would obey: in names of files, and in the words of
/// brokers, there may be anything. A line that they begin would pass for one of ours, so that none
/// of their line breaks is one here.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        text.chars().try_for_each(|letter| write_visible(f, letter))
    }
}

/// Something and, on an indented line of its own, what to do about it.
struct Advised<W, A>(W, A);

impl<W: Display, A: Display> Display for Advised<W, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", Shown(&self.0), Shown(&self.1))
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
    write_lines(&Shown(line));
}

fn write_lines(lines: &impl Display) {
    let write = || writeln!(io::stderr().lock(), "{lines}");
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

/// As [`warn`], with what to do about it.
pub(crate) fn warn_advised(what: impl Display, advice: impl Display) {
    write_lines(&Advised(format_args!("warning: {what}"), advice));
}

/// Something went wrong.
pub(crate) fn error(what: impl Display) {
    say(format_args!("error: {what}"));
}

/// As [`error()`], with what to do about it.
pub(crate) fn error_advised(what: impl Display, advice: impl Display) {
    write_lines(&Advised(format_args!("error: {what}"), advice));
}

/// A command, or a part of it, could not do its work.
pub(crate) fn failure(failure: &Failure) {
    match failure.advice_given() {
        Some(advice) => error_advised(failure.what(), advice),
        None => error(failure.what()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_begin_no_line_and_turn_nothing() {
        let words = "broken\nerror: forged\r\n  advice\u{1b}[31m\u{202e}";
        let shown = "broken\\nerror: forged\\r\\n  advice\\u{1b}[31m\\u{202e}";
        assert_eq!(Shown(words).to_string(), shown);
        assert_eq!(
            Advised(words, words).to_string(),
            format!("{shown}\n  {shown}")
        );
    }
}
