//! A command that is carried out when its owner ends, however that happens: returned, interrupted,
//! or killed.
//!
//! The guard is a small process in a process group of its own, so Ctrl-C does not reach it. It
//! reads from a pipe that its owner never writes to; the end of that pipe is the end of the owner.

use crate::failure::{Context as _, Failure};
use crate::program;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Has the command carried out when dropped, and also when this process dies before that.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
}

impl Guard {
    /// From now on `command` is carried out sooner or later.
    pub(crate) fn over(command: &[OsString]) -> Result<Self, Failure> {
        let this_program = std::env::current_exe().context("cannot find this program")?;
        let child = Command::new(this_program)
            .arg("guard")
            .args(command)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start a guard")?;
        Ok(Self { child })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("warning: a guard cannot be waited for: {error}");
        }
    }
}

/// The guard's own work: waits for the end of standard input, then runs the command.
pub(crate) fn serve(command: &[OsString]) -> Result<(), Failure> {
    io::copy(&mut io::stdin().lock(), &mut io::sink()).context("reading from the pipe")?;
    match command.split_first() {
        Some((name, arguments)) => program::run(Command::new(name).args(arguments)),
        None => Ok(()),
    }
}
