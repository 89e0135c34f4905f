//! Output that nobody takes: a full disk behind stdout is a failure that is told, a reader that has
//! gone has enough.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use replayq::{Config, Queue};
use wolff_testbroker::Cluster;

use crate::support::{Ended, Running, Signal, TOPIC, cluster, directory, run_to, wolff};

/// All commands that write to stdout and come to an end by themselves.
fn commands(cluster: &Cluster, queue: &Path) -> Vec<Command> {
    let brokers = cluster.bootstrap();
    let at = ["--brokers", &brokers];
    let queue = queue.to_str().unwrap();
    let own = |words: &[&str]| wolff(words);
    let asking = |words: &[&str]| {
        let mut command = wolff(words);
        command.args(at);
        command
    };
    let mut replay = asking(&["queue", "replay", "--json", "--topic", TOPIC]);
    replay.arg(queue);
    let mut create = asking(&["topic", "create"]);
    create.arg("made");
    let mut list = vec![
        own(&["--help"]),
        own(&["--version"]),
        own(&["queue", "inspect", "--help"]),
        own(&["demo", "--records", "1000"]),
        own(&["demo", "--records", "1000", "--json"]),
        asking(&["produce", "--json", "--topic", TOPIC]),
        create,
        asking(&["topic", "list"]),
        asking(&["topic", "list", "--json"]),
        asking(&["topic", "describe", TOPIC]),
        asking(&["topic", "describe", TOPIC, "--json"]),
        asking(&["metadata"]),
        asking(&["metadata", "--json"]),
        asking(&["metadata", "--check"]),
        asking(&["metadata", "--check", "--json"]),
        replay,
    ];
    for what in ["inspect", "verify", "dump", "repair"] {
        list.push(own(&["queue", what, queue]));
        list.push(own(&["queue", what, "--json", queue]));
    }
    list
}

async fn each_with(stdout: impl Fn() -> Stdio, check: impl Fn(&str, Ended)) {
    let room = directory();
    let path = room.path().join("queue");
    let (queue, _) = Queue::open(Config::disk(&path)).unwrap();
    queue.append_one(Bytes::from_static(b"item")).unwrap();
    queue.close().unwrap();
    let cluster = cluster(1).await;
    for mut command in commands(&cluster, &path) {
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        check(&words.join(" "), run_to(&mut command, "line\n", stdout()));
    }
}

/// True if the output of a command is the report of what it has delivered, all of it.
fn delivers(name: &str) -> bool {
    name.starts_with("produce") || name.starts_with("queue replay")
}

fn full() -> Stdio {
    Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap())
}

/// A pipe of which nobody has the other end.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Stdio::from(writer)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    each_with(full, |name, ended| {
        let code = if delivers(name) { 6 } else { 2 };
        assert_eq!(ended.code, Some(code), "{name}: {ended:#?}");
        assert!(ended.stderr.contains("No space left"), "{name}: {ended:#?}");
    })
    .await;
    let ended = run_to(
        &mut wolff(["broker", "--listen", "127.0.0.1:0"]),
        "",
        full(),
    );
    ended.code(2).says(["No space left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_has_enough_unless_it_is_to_learn_what_was_delivered() {
    each_with(closed, |name, ended| {
        if delivers(name) {
            assert_eq!(ended.code, Some(6), "{name}: {ended:#?}");
            assert!(
                ended.stderr.contains("1 acknowledged"),
                "{name}: {ended:#?}"
            );
            return;
        }
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
        assert!(!ended.stderr.contains("error"), "{name}: {ended:#?}");
    })
    .await;
    // A broker is there for others than who reads where it listens.
    let mut broker = wolff(["broker", "--listen", "127.0.0.1:0"]);
    let mut running = Running::start_to(&mut broker, closed());
    running.wait_until_said("Ctrl-C stops it");
    running.signal(Signal::Terminate);
    running.ended().code(0);
}

/// The end of the records says more than that their count could not be written.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn that_records_are_left_is_told_also_when_the_summary_cannot_be_written() {
    let room = directory();
    let mut command = wolff(["produce", "--brokers", "127.0.0.1:1", "--topic", TOPIC]);
    command
        .args(["--json", "--drain-timeout", "0.1", "--queue-dir"])
        .arg(room.path());
    let ended = run_to(&mut command, "line\n", full());
    ended.code(3).says(["No space left"]);
}
