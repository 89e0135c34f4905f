//! Erlang's replayq, where `escript` and the source of the application are at hand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Message for when it does not take part.
pub(crate) const ABSENT: &str = "Erlang's replayq is left out: set ERLANG_REPLAYQ to a checkout of its source, and have `escript` installed";

const DRIVER: &str = include_str!("driver.escript");

/// A process with a queue, which does what it is told and says how long that took.
pub(crate) struct Erlang {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Erlang {
    /// Starts it; none where it is not at hand.
    pub(crate) fn start(directory: &Path, item_bytes: usize, group: usize) -> Option<Self> {
        let source = std::env::var_os("ERLANG_REPLAYQ").filter(|path| !path.is_empty())?;
        std::fs::create_dir_all(directory).expect("a directory");
        let script = directory.join("driver.escript");
        std::fs::write(&script, DRIVER).expect("a file");
        let mut child = Command::new("escript")
            .args([script.as_os_str(), &source, directory.as_os_str()])
            .args([item_bytes.to_string(), group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut erlang = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take()?),
            child,
        };
        let mut line = String::new();
        while erlang
            .output
            .read_line(&mut line)
            .is_ok_and(|read| read > 0)
        {
            if line.trim() == "ready" {
                return Some(erlang);
            }
            line.clear();
        }
        None
    }

    pub(crate) fn append(&mut self, groups: usize) -> Duration {
        self.ask(&format!("append {groups}\n")).0
    }

    pub(crate) fn drain(&mut self) -> (Duration, usize) {
        self.ask("drain\n")
    }

    fn ask(&mut self, what: &str) -> (Duration, usize) {
        let input = self.input.as_mut().expect("open until dropped");
        input.write_all(what.as_bytes()).expect("it runs");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        let (micros, items) = line.trim().split_once(' ').expect("two numbers");
        (
            Duration::from_micros(micros.parse().expect("a number")),
            items.parse().expect("a number"),
        )
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        let _ended = self.child.wait();
    }
}
