//! Running the binary, and looking at what it has done.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};
use serde_json::Value;
use tempfile::TempDir;
use wolff::PartitionId;
use wolff::client::codec::records::Record;
use wolff_testbroker::Cluster;

pub(crate) const TOPIC: &str = "lines";

/// Mark in every password and token of these tests.
pub(crate) const SECRETS_MARK: &str = "s3ntinel";

/// When something takes longer than this it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Says that a test is skipped, and why, on standard error and in the file that `WOLFF_SKIPS`
/// names.
pub(crate) fn tell_skipped(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    // Not with `eprintln`, which is silent in a test that passes.
    let _closed = std::io::stderr().write_all(format!("skipped: {line}").as_bytes());
    if let Some(path) = std::env::var_os("WOLFF_SKIPS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// A broker with the topic [`TOPIC`].
pub(crate) async fn cluster(partitions: i32) -> Cluster {
    Cluster::builder()
        .topic(TOPIC, partitions)
        .start()
        .await
        .unwrap()
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The binary, called in a defined environment. A backtrace would be seen if there were one.
pub(crate) fn wolff<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wolff"));
    command
        .args(args)
        .env_remove("WOLFF_LOG")
        .env("RUST_BACKTRACE", "1");
    command
}

/// `wolff produce` to [`TOPIC`], which gives up in time.
pub(crate) fn produce(brokers: &str) -> Command {
    wolff([
        "produce",
        "--brokers",
        brokers,
        "--topic",
        TOPIC,
        "--drain-timeout",
        "40",
    ])
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        for word in ["panicked", "backtrace", "stack"] {
            assert!(!ended.stderr.contains(word), "{}", ended.stderr);
        }
        // Each secret of these tests is marked so.
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(SECRETS_MARK), "a secret is shown");
        }
        ended
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that all of this is said on stderr.
    #[track_caller]
    pub(crate) fn says(self, what: impl IntoIterator<Item: AsRef<str>>) -> Self {
        for what in what {
            assert!(
                self.stderr.contains(what.as_ref()),
                "{:?} in {self:#?}",
                what.as_ref()
            );
        }
        self
    }

    /// Output of `--json`.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// A count of the summary.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.json()[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name} in {self:#?}"))
    }
}

/// Runs a command on this input until it ends.
pub(crate) fn run(command: &mut Command, input: impl Into<Vec<u8>>) -> Ended {
    run_to(command, input, Stdio::piped())
}

/// The same, with its output going there.
pub(crate) fn run_to(command: &mut Command, input: impl Into<Vec<u8>>, stdout: Stdio) -> Ended {
    let mut running = Running::start_to(command, stdout);
    let mut pipe = running.input();
    let input = input.into();
    let writer = thread::spawn(move || {
        // The command need not read all of it.
        let _closed = pipe.write_all(&input);
    });
    let ended = running.ended();
    writer.join().unwrap();
    ended
}

/// A command that runs. It is killed when this is dropped.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_to(command, Stdio::piped())
    }

    /// With its output going there.
    pub(crate) fn start_to(command: &mut Command, stdout: Stdio) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(child.unwrap()))
    }

    /// Its stdin; closed when dropped.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child().stdin.take().unwrap()
    }

    /// Waits until this is in what it says on stderr, which is read no further.
    pub(crate) fn wait_until_said(&mut self, what: &str) {
        let mut said = BufReader::new(self.child().stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains(what)), "{what}");
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let child = self.0.take().unwrap();
        let id = child.id();
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || tell.send(child.wait_with_output()));
        let Ok(output) = told.recv_timeout(DEADLINE) else {
            signal(id, Signal::Kill);
            panic!("it did not end: {:#?}", told.recv());
        };
        Ended::new(output.unwrap())
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn signal(&mut self, which: Signal) {
        signal(self.child().id(), which);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    /// The signal that ends the processes of a terminal that is closed.
    HangUp,
    Kill,
}

fn signal(process: u32, signal: Signal) {
    let name = match signal {
        Signal::Interrupt => "-INT",
        Signal::Terminate => "-TERM",
        Signal::HangUp => "-HUP",
        Signal::Kill => "-KILL",
    };
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Looks again and again until there is something to see.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < DEADLINE, "waiting for {what}");
        thread::yield_now();
    }
}

/// The whole lines of an accepted-log, as numbers.
pub(crate) fn accepted(log: &Path) -> Vec<u64> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}

/// Waits until the log reports at least so many records.
pub(crate) fn wait_for_accepted(log: &Path, count: u64) {
    wait_for("the accepted-log", || {
        accepted(log)
            .last()
            .is_some_and(|last| *last >= count)
            .then_some(())
    });
}

/// The records of a partition, in order.
pub(crate) fn records(cluster: &Cluster, partition: i32) -> Vec<Record> {
    cluster.records(TOPIC, PartitionId(partition)).unwrap()
}

/// The values of a partition, in order; null is nothing to these tests.
pub(crate) fn values(cluster: &Cluster, partition: i32) -> Vec<Vec<u8>> {
    let records = records(cluster, partition);
    records
        .into_iter()
        .map(|record| record.value.unwrap().to_vec())
        .collect()
}

/// The values of all partitions.
pub(crate) fn all_values(cluster: &Cluster) -> Vec<Vec<u8>> {
    let partitions = cluster
        .topics()
        .iter()
        .find(|(name, _)| **name == *TOPIC)
        .unwrap()
        .1;
    (0..partitions)
        .flat_map(|partition| values(cluster, partition))
        .collect()
}

/// Numbered lines.
pub(crate) fn numbered(count: usize) -> String {
    (0..count)
        .map(|number| format!("line {number}\n"))
        .collect()
}

/// Asserts that of numbered lines all that were reported as stored have arrived, first appearances
/// in order; of what came in while the queue stored nothing there may be holes. Returns how often a
/// line came again.
#[track_caller]
pub(crate) fn assert_reported(values: &[Vec<u8>], reported: u64) -> usize {
    let mut first_appearances: Vec<u64> = Vec::new();
    let mut repeated = 0;
    for number in values.iter().map(|value| number(value)) {
        if first_appearances.last().is_none_or(|last| number > *last) {
            first_appearances.push(number);
        } else {
            assert!(
                first_appearances.binary_search(&number).is_ok(),
                "{number} too late"
            );
            repeated += 1;
        }
    }
    let expected: Vec<u64> = (0..reported).collect();
    assert!(first_appearances.starts_with(&expected), "{reported}");
    repeated
}

/// The number of a numbered line.
pub(crate) fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.strip_prefix("line ").unwrap().parse().unwrap()
}

/// Asserts that all numbered lines have arrived in one partition, first appearances in order.
/// Returns how often a line came again.
#[track_caller]
pub(crate) fn assert_numbered(values: &[Vec<u8>], at_least: usize) -> usize {
    let mut next = 0;
    let mut repeated = 0;
    for value in values {
        let number = number(value) as usize;
        assert!(number <= next, "{number} before {next}");
        if number == next {
            next += 1
        } else {
            repeated += 1
        }
    }
    assert!(next >= at_least, "{next} of {at_least}");
    repeated
}

/// A queue of three segments with eighteen items, of which the first three are done and the next
/// three leased.
pub(crate) fn example_queue(path: &Path) -> Queue {
    let config = Config::disk(path).segment_bytes(8192).spare_segments(0);
    let (queue, _) = Queue::open(config).unwrap();
    for number in 1..=18 {
        let payload = format!("item {number} {}", "x".repeat(600));
        queue.append_one(Bytes::from(payload)).unwrap();
    }
    let done = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.ack(done.id).unwrap();
    let leased = queue.pop(PopLimits::items(3)).unwrap().unwrap();
    queue.tag(leased.id, Bytes::from_static(b"stamp")).unwrap();
    queue
}

/// Its segment files, in order.
pub(crate) fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "segment"))
        .collect();
    found.sort();
    found
}
