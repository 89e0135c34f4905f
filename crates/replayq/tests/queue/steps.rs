//! The example `steps` as a process of its own, and what its lines promise.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use replayq::{Config, PopLimits, Queue};

/// The example's program, of this checkout: Cargo builds it with one test target only if it is
/// asked to, so what lies there may be old.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--offline", "--message-format", "json"])
            .args(["--example", "steps", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .stderr(Stdio::inherit());
        // …/target/debug/deps/queue-0123: with the checks of overflow and of assumptions that this
        // test has too.
        let own = std::env::current_exe().unwrap();
        if own.ancestors().nth(2).unwrap().ends_with("release") {
            build.arg("--release");
        }
        let built = build.output().unwrap();
        assert!(built.status.success(), "the example builds");
        let messages = String::from_utf8(built.stdout).unwrap();
        let executable = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
        executable.expect("Cargo says where the example is")
    })
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

    /// How many items were appended, and how many acked.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.appended.len(), self.acked.len())
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
                let payload = String::from_utf8(item.payload.to_vec()).unwrap();
                let name = payload.trim().to_owned();
                let bytes = if name.ends_with('5') { 3000 } else { 700 };
                assert_eq!(payload, format!("{name:<bytes$}"));
                name
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
    let mut said = Said::default();
    let status = each_line(command, |line| {
        said.read(line);
        Some(said.lines.len()) == kill_after
    });
    (said, status)
}

/// Runs the command up to its end, with each of its lines, and kills it after the first one for
/// which that is asked. What it had said by then counts.
pub(crate) fn each_line(command: &mut Command, mut hear: impl FnMut(&str) -> bool) -> ExitStatus {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        // A line that was cut short was not said.
        if line.ends_with('\n') && hear(line.trim_end()) {
            child.kill().unwrap();
        }
        line.clear();
    }
    reader.read_to_end(&mut Vec::new()).unwrap();
    child.wait().unwrap()
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

    // Not with `eprintln`, which is silent in a test that passes.
    let _closed = std::io::stderr().write_all(format!("skipped: {name}: {reason}\n").as_bytes());
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
