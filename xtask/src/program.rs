//! Running other programs: found or not, and what they said when they failed.

use crate::failure::{Context as _, Failure};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::process::{Command, ExitStatus, Stdio};

/// Lines of a failed program's output that are shown.
const TAIL_LINES: usize = 25;

/// Runs `command` to its end and returns its standard output. A program that is missing or fails is
/// a [`Failure`] that names it and shows the end of what it wrote.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_run(&name, &error))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let both = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(
        Failure::new(format!("`{}` failed ({})", line_of(command), output.status))
            .advise(tail(&both)),
    )
}

/// Runs `command` with this process's own output. A non-zero exit is a [`Failure`].
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cannot_run(&name, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "`{}` failed ({status})",
            line_of(command)
        )))
    }
}

/// Runs `command` to its end and hands over each line of its standard output as it comes. Its
/// standard error is this process's own.
pub(crate) fn stream(
    command: &mut Command,
    mut handle_line: impl FnMut(&str),
) -> Result<ExitStatus, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_run(&name, &error))?;
    if let Some(stdout) = child.stdout.take() {
        // Programs write what they like: whatever is no UTF-8 is replaced.
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context(format!("reading the output of `{name}`"))?;
            handle_line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        }
    }
    child.wait().context(format!("waiting for `{name}`"))
}

/// Returns whether a program of this name can be started at all.
pub(crate) fn is_there(name: impl AsRef<OsStr>) -> bool {
    Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// The command as one would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    lines.get(start..).unwrap_or_default().join("\n")
}

/// The last lines of a file, or why it can't be read.
pub(crate) fn tail_of_file(path: &std::path::Path) -> String {
    match std::fs::read(path).context(path.display()) {
        Ok(bytes) => tail(&String::from_utf8_lossy(&bytes)),
        Err(failure) => failure.to_string(),
    }
}

fn cannot_run(name: &str, error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("cannot run `{name}`: {error}"));
    match error.kind() {
        ErrorKind::NotFound => {
            failure.advise(format!("Install it so that `{name}` is on the PATH."))
        }
        _ => failure,
    }
}
