//! Reports of `produce` about the ends of records: exit codes, the counts of the summary, and what
//! is said.

mod backlogs;
mod damage;
mod failed_records;
mod limits;
mod responses;
mod starting;
mod summary;

use std::path::Path;
use std::process::Command;

use crate::support::{Ended, TOPIC, run, wolff};

/// `produce --json` that does not wait long for brokers that do not answer.
fn produce(brokers: &str, queue: Option<&Path>, drain_timeout: &str) -> Command {
    let mut command = wolff(["produce", "--json", "--brokers", brokers, "--topic", TOPIC]);
    command.args(["--drain-timeout", drain_timeout]);
    if let Some(queue) = queue {
        command.arg("--queue-dir").arg(queue);
    }
    command
}

/// An address at which nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// Leaves this input in the queue.
fn leave(queue: &Path, input: &str) {
    run(&mut produce(NOBODY, Some(queue), "0.1"), input).code(3);
}

/// Asserts that each record of the input is counted under exactly one end.
#[track_caller]
fn assert_sum(ended: &Ended) {
    let ends = ["acked", "sent", "failed", "in_doubt", "left"].map(|name| ended.count(name));
    assert_eq!(
        ended.count("accepted"),
        ends.iter().sum::<u64>(),
        "{ended:#?}"
    );
}
