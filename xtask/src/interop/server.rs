//! A broker that runs as a child process until it is dropped.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::failure::{Context as _, Failure};
use crate::guard::Guard;
use crate::program;

/// A running broker.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: String,
    child: Child,
    /// Ends the broker, also when this process dies first.
    guard: Option<Guard>,
}

impl Server {
    /// Starts a broker, and waits for the line of its output that says where it listens, or that it
    /// does.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        address_in: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let line = program::line_of(command);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).context(log.display())?)
            .spawn()
            .context(format!("cannot run `{line}`"))?;
        let end = ["kill".to_owned(), child.id().to_string()];
        let guard = Guard::over(&end.map(OsString::from))?;
        let mut server = Self {
            address: String::new(),
            guard: Some(guard),
            child,
        };
        let Some(output) = server.child.stdout.take() else {
            return Err(Failure::new(format!("`{line}` has no output")));
        };
        for text in BufReader::new(output).lines() {
            if let Some(address) = address_in(&text.context(&line)?) {
                server.address = address;
                return Ok(server);
            }
        }
        Err(Failure::new(format!("`{line}` ended before it listened"))
            .advise(program::tail_of_file(log)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.take());
        let _ = self.child.wait();
    }
}
