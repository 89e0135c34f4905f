//! The producing process: this program's own `produce`, as a child that can be killed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::workload;

/// Interval at which the feeding thread looks at the time.
const BEAT: Duration = Duration::from_millis(10);

/// Working directory of the process.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) brokers: String,
    pub(super) topic: &'static str,
    pub(super) directory: PathBuf,
}

impl Place {
    fn accepted_log(&self, run: u32) -> PathBuf {
        self.directory.join(format!("accepted-{run}"))
    }

    fn error_file(&self, run: u32) -> PathBuf {
        self.directory.join(format!("stderr-{run}"))
    }
}

/// A running `wolff produce`. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Producing {
    child: Child,
    accepted_log: PathBuf,
    error_file: PathBuf,
}

/// Records to write to its input: from this number on, before that one, so many a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) per_second: u64,
}

impl Producing {
    /// Starts the process, the `run`th one; without a feed it has no input.
    pub(super) fn start(place: &Place, run: u32, feed: Option<Feed>) -> io::Result<Self> {
        let error_file = place.error_file(run);
        let accepted_log = place.accepted_log(run);
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "produce",
                "--brokers",
                &place.brokers,
                "--topic",
                place.topic,
            ])
            .args(["--key-delimiter", r"\t", "--drain-timeout", "30"])
            .arg("--queue-dir")
            .arg(place.directory.join("queue"))
            .arg("--accepted-log")
            .arg(&accepted_log)
            .stdin(if feed.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::null())
            .stderr(File::create(&error_file)?)
            .spawn()?;
        if let Some((feed, input)) = feed.zip(child.stdin.take()) {
            // It ends with the records, or with the process that reads them.
            thread::spawn(move || feed.write(input));
        }
        Ok(Self {
            child,
            accepted_log,
            error_file,
        })
    }

    /// Number of its records that are on disk for sure, as it reports.
    pub(super) fn accepted(&self) -> u64 {
        last_number(&self.accepted_log)
    }

    /// Ends it as `kill -9` does: it cannot know.
    pub(super) fn kill(mut self) -> io::Result<u64> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.accepted())
    }

    /// Exit status, if it has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Its output on stderr.
    pub(super) fn said(&self) -> String {
        let text = fs::read(&self.error_file).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Feed {
    fn write(self, input: impl Write) {
        let mut input = BufWriter::new(input);
        let start = Instant::now();
        let mut next = self.from;
        while next < self.to {
            let due = start.elapsed().as_millis() * u128::from(self.per_second) / 1000;
            let due = u64::try_from(due)
                .unwrap_or(u64::MAX)
                .saturating_add(self.from);
            for number in next..due.min(self.to) {
                if input.write_all(workload::line(number).as_bytes()).is_err() {
                    return;
                }
            }
            next = next.max(due);
            if input.flush().is_err() {
                return;
            }
            thread::sleep(BEAT);
        }
    }
}

/// The last whole line of a file, as a number; 0 where there is none.
fn last_number(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .next_back()
        .and_then(|line| line.parse().ok())
        .unwrap_or(0)
}
