//! The example `steps` as a process of its own, and what its lines promise.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use replayq::{Config, PopLimits, Queue};

/// The example's program, built if it is not there yet.
pub(crate) fn program() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let target = deps.parent().and_then(Path::parent).unwrap();
    let program = target.join("examples").join("steps");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "steps", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .status();
        assert!(built.unwrap().success(), "the example builds");
    }
    program
}

/// What a run said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    appended: BTreeSet<String>,
    acking: BTreeSet<String>,
    acked: BTreeSet<String>,
    pub(crate) refused: usize,
    pub(crate) lines: Vec<String>,
}

impl Said {
    fn read(&mut self, line: &str) {
        let (word, names) = line.split_once(' ').unwrap_or((line, ""));
        let names = names.split(' ').map(str::to_owned);
        match word {
            "appended" => self.appended.extend(names),
            "acking" => self.acking.extend(names),
            "acked" => self.acked.extend(names),
            "refused" => self.refused += 1,
            _ => {}
        }
        self.lines.push(line.to_owned());
    }

    /// Opens the directory: all that was answered must be there, once, and nothing that was acked.
    pub(crate) fn check(&self, directory: &Path) {
        let (queue, recovery) = Queue::open(Config::disk(directory)).unwrap();
        let mut found = Vec::new();
        for lease in &recovery.leases {
            found.extend(queue.read_lease(lease.id).unwrap().items);
        }
        while let Some(lease) = queue.pop(PopLimits::default()).unwrap() {
            found.extend(lease.items);
        }
        let names: Vec<String> = found
            .iter()
            .map(|item| {
                assert_eq!(item.payload.len(), 700);
                String::from_utf8(item.payload.to_vec())
                    .unwrap()
                    .trim()
                    .to_owned()
            })
            .collect();
        let unique: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(
            unique.len(),
            names.len(),
            "an item is there twice: {names:?}"
        );
        for name in &self.appended {
            assert!(
                unique.contains(name) || self.acking.contains(name),
                "{name} is lost: {self:?}"
            );
        }
        for name in &self.acked {
            assert!(!unique.contains(name), "{name} came back: {self:?}");
        }
    }
}

/// Runs the command up to its end, or kills it after so many lines.
pub(crate) fn listen(command: &mut Command, kill_after: Option<usize>) -> (Said, ExitStatus) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut said = Said::default();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        // A line that was cut short was not said.
        if line.ends_with('\n') {
            said.read(line.trim_end());
        }
        line.clear();
        if Some(said.lines.len()) == kill_after {
            child.kill().unwrap();
        }
    }
    reader.read_to_end(&mut Vec::new()).unwrap();
    (said, child.wait().unwrap())
}

pub(crate) fn steps(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg(directory).args(arguments);
    command
}

/// The example under limits of its shell.
pub(crate) fn limited(limits: &str, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    command
        .args([OsStr::new("-c"), OsStr::new(&script)])
        .arg(program())
        .arg(directory)
        .args(arguments);
    command
}

/// Says that a test cannot be run here.
pub(crate) fn skip(name: &str, reason: &str) {
    use std::io::Write;

    eprintln!("skipped: {name}: {reason}");
    if let Some(path) = std::env::var_os("WOLFF_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(format!("{name}: {reason}\n").as_bytes())
            .unwrap();
    }
}
