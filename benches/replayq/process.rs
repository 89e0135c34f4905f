//! This program again, as a process of its own: to be killed, or to have its memory looked at.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};

/// The first argument of a process that is one.
pub(crate) const CHILD: &str = "--child";

/// A child, and the figures it has printed.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
}

impl Helper {
    /// Lets a child do its task; returns the number that it prints when it is done. It then waits
    /// to be ended.
    pub(crate) fn run(task: &str, directory: &Path, bytes: u64) -> (Self, u64) {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([CHILD, task])
            .arg(directory)
            .arg(bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it answers");
        let figure = line.trim().parse().expect("a number");
        (Self { child }, figure)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        let _ended = self.child.wait();
    }
}

/// The work of a child.
pub(crate) fn be_child(arguments: &[String]) {
    let [task, directory, bytes] = arguments else {
        panic!("a child is called with three arguments");
    };
    let bytes: u64 = bytes.parse().expect("a number");
    let before = resident_bytes();
    let (queue, _) = Queue::open(Config::disk(directory)).expect("a queue");
    match task.as_str() {
        "fill" => fill(&queue, bytes),
        // As fill, and closed as a program that ends does.
        "fill-and-close" => {
            fill(&queue, bytes);
            queue.close().expect("a clean close");
        }
        "fill-and-thin" => {
            fill(&queue, bytes);
            thin(&queue);
        }
        "drain" => drain(&queue),
        _ => panic!("unknown task"),
    }
    println!("{}", peak_bytes().saturating_sub(before));
    std::io::stdout().flush().expect("somebody reads");
    let mut line = String::new();
    let _end = std::io::stdin().read_line(&mut line);
}

fn fill(queue: &Queue, bytes: u64) {
    const ITEM_BYTES: usize = 1024;
    const GROUP: usize = 64;
    let groups = bytes / (ITEM_BYTES * GROUP) as u64;
    for _ in 0..groups {
        let group: Vec<Bytes> = (0..GROUP)
            .map(|index| Bytes::from(vec![index as u8; ITEM_BYTES]))
            .collect();
        queue.append(&group).expect("an append");
    }
}

fn drain(queue: &Queue) {
    while let Some(lease) = queue.pop(PopLimits::at_most_bytes(1 << 20)).expect("a pop") {
        queue.ack(lease.id).expect("an ack");
    }
}

/// Acks all but one item in about each segment: none of them is done, and of none all is left.
fn thin(queue: &Queue) {
    const LEFT_ONE_OF: usize = 9_000;
    while let Some(_open) = queue.pop(PopLimits::items(1)).expect("a pop") {
        let more = queue.pop(PopLimits::items(LEFT_ONE_OF)).expect("a pop");
        if let Some(lease) = more {
            queue.ack(lease.id).expect("an ack");
        }
    }
}

/// Resident memory of this process.
pub(crate) fn resident_bytes() -> u64 {
    status_kib("VmRSS:") << 10
}

/// The most of it that ever was.
fn peak_bytes() -> u64 {
    status_kib("VmHWM:") << 10
}

fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap_or_default()
}

/// Open descriptors and threads of this process.
pub(crate) fn descriptors_and_threads() -> (usize, u64) {
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (descriptors, status_threads())
}

fn status_threads() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok())
        .unwrap_or_default()
}
