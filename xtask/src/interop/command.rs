//! A foreign program that must come to its end in time, its output kept in a file.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Context as _, Failure};
use crate::program;

/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// The pause between two looks at a program that runs.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a program to its end; its standard output. All that it writes is in `log` afterwards.
pub(super) fn run(command: &mut Command, log: &Path) -> Result<String, Failure> {
    let line = program::line_of(command);
    let errors = log.with_extension("err");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(log).context(log.display())?)
        .stderr(File::create(&errors).context(errors.display())?)
        .spawn()
        .context(format!("cannot run `{line}`"))?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().context(&line)? {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                let seconds = PATIENCE.as_secs();
                return Err(
                    Failure::new(format!("`{line}` hangs: ended after {seconds} s"))
                        .advise(program::tail_of_file(&errors)),
                );
            }
            None => std::thread::sleep(PAUSE),
        }
    };
    if status.success() {
        return std::fs::read_to_string(log).context(log.display());
    }
    Err(Failure::new(format!("`{line}` failed ({status})"))
        .advise(program::tail_of_file(log))
        .advise(program::tail_of_file(&errors)))
}
