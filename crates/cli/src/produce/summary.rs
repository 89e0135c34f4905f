//! What became of the records: counted, told, and made into an exit code.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;
use wolff::ProducerStats;

use crate::args::{ConnectionArgs, SendingArgs, flags_to_go_on};
use crate::console;
use crate::exit::Exit;
use crate::input::Source;

/// A line of the input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) source: Source,
    /// From 1.
    pub(super) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// Why no more of the input is read.
#[derive(Debug)]
pub(super) enum EndOfInput {
    /// There is no more.
    Reached,
    /// Somebody asked to stop.
    Asked,
    /// The input cannot be read any further.
    Broken(String),
    /// The queue on disk does not take records any more.
    QueueFailed { at: Place, why: String },
}

impl EndOfInput {
    fn is_failure(&self) -> bool {
        !matches!(self, Self::Reached | Self::Asked)
    }
}

/// How the wait for acknowledgements ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drained {
    All,
    TimedOut(Duration),
    Interrupted,
}

/// How many of the lines that were refused are named.
const MOST_NAMED: u64 = 10;

/// Start of the reason of records that the queue on disk did not store.
const NOT_STORED: &str = "the local queue could not store the records: ";

/// Records of the input that were refused before the producer counted them.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Lines that are larger than any record can be.
    pub(super) too_large: u64,
    /// Lines that are not what they should be.
    pub(super) wrong: u64,
}

impl Refused {
    /// Whether lines are still named one by one: more than a few help nobody.
    pub(super) fn names_lines(&self) -> bool {
        self.too_large + self.wrong < MOST_NAMED
    }

    /// Records that the producer took and its queue on disk then did not; and why.
    pub(super) fn by_queue(stats: &ProducerStats) -> (u64, String) {
        let words = NOT_STORED;
        let mut refused = (0, String::new());
        for (reason, records) in &stats.failures {
            if let Some(why) = reason.strip_prefix(words) {
                refused.0 += records;
                refused.1 = why.to_owned();
            }
        }
        refused
    }

    /// Whether the queue has stored all that it was given, as far as the counts say. A failure counts before its reason
    /// is told.
    pub(super) fn is_everything_stored(stats: &ProducerStats) -> bool {
        let told: u64 = stats.failures.iter().map(|(_, records)| records).sum();
        Self::by_queue(stats).0 == 0 && told >= stats.failed + stats.replay_failed
    }
}

/// The counts of a run, as `--json` prints them.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    /// Records of this run's input that were accepted: they are acked, failed or in the queue.
    accepted: u64,
    /// Of those: Kafka has them.
    acked: u64,
    /// Records of this run's input that were given up, or refused at once.
    failed: u64,
    /// Records in the queue on disk, of this run and earlier ones.
    queued: u64,
    /// Records of earlier runs that Kafka has now.
    replayed: u64,
    seconds: f64,
    /// Of the failed ones: never accepted.
    #[serde(skip_serializing_if = "is_zero")]
    refused: u64,
    /// Records of earlier runs that were given up.
    #[serde(skip_serializing_if = "is_zero")]
    replay_failed: u64,
    #[serde(skip)]
    reasons: Vec<(String, u64)>,
    #[serde(skip)]
    args: &'a SendingArgs,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> Summary<'a> {
    /// Of the counts of a producer that has stopped.
    pub(super) fn new(
        args: &'a SendingArgs,
        stats: &ProducerStats,
        refused: &Refused,
        queued: u64,
        elapsed: Duration,
    ) -> Self {
        let (not_stored, _) = Refused::by_queue(stats);
        let words = NOT_STORED;
        let reasons = stats
            .failures
            .iter()
            .filter(|(reason, _)| !reason.starts_with(words));
        let mut reasons: Vec<_> = reasons.cloned().collect();
        if refused.too_large > 0 {
            reasons.push((
                "larger than any record can be".to_owned(),
                refused.too_large,
            ));
        }
        if refused.wrong > 0 {
            reasons.push((
                "no record can be made of the line".to_owned(),
                refused.wrong,
            ));
        }
        let refused = refused.too_large + refused.wrong;
        Self {
            accepted: stats.accepted.saturating_sub(not_stored),
            acked: stats.acked,
            failed: stats.failed + refused,
            queued,
            replayed: stats.replayed,
            seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            refused: not_stored + refused,
            replay_failed: stats.replay_failed,
            reasons,
            args,
        }
    }

    pub(super) fn exit(&self, end: &EndOfInput) -> Exit {
        if self.failed + self.replay_failed > 0 || end.is_failure() {
            Exit::Failed
        } else if self.queued > 0 {
            Exit::LeftInQueue
        } else {
            Exit::Done
        }
    }

    /// Tells what went wrong and what is left to do: what, where, and how to go on.
    pub(super) fn report(&self, end: &EndOfInput, waits_for: &str) {
        match end {
            EndOfInput::Reached | EndOfInput::Asked => {}
            EndOfInput::Broken(why) => console::error(format_args!(
                "{why}\n  reading stopped there; {} before it were accepted",
                count_records(self.accepted)
            )),
            EndOfInput::QueueFailed { at, why } => console::error(format_args!(
                "the queue in {} cannot store records any more: {why}\n  reading stopped at {at}; {} records up to \
                 there were accepted, {} were not",
                self.queue_dir(),
                HumanCount(self.accepted),
                HumanCount(self.refused)
            )),
        }
        for (reason, records) in &self.reasons {
            console::error(format_args!(
                "{} failed for good: {reason}",
                count_records(*records)
            ));
        }
        self.report_rest(waits_for);
    }

    fn report_rest(&self, why: &str) {
        if self.queued > 0 {
            console::warn(format_args!(
                "{} left in the queue in {}: {why}\n  they are safe on disk; to deliver them: {}",
                count_records(self.queued),
                self.queue_dir(),
                self.command_to_go_on()
            ));
        } else if self.failed > self.refused && self.args.queue_dir.is_none() && !why.is_empty() {
            console::error(format_args!(
                "what was not acknowledged is lost with this process: {why}\n  with --queue-dir it would be kept on disk"
            ));
        }
    }

    fn queue_dir(&self) -> String {
        let path = self.args.queue_dir.as_deref();
        path.map_or_else(|| "memory".to_owned(), |path| path.display().to_string())
    }

    fn command_to_go_on(&self) -> String {
        let connection = &self.args.connection;
        let mut command = format!("wolff produce --brokers {}", quoted(&connection.brokers()));
        command.push_str(&format!(" --topic {}", quoted(&self.args.topic)));
        if connection.client_id != ConnectionArgs::CLIENT_ID {
            command.push_str(&format!(" --client-id {}", quoted(&connection.client_id)));
        }
        command.push_str(&format!(" --queue-dir {}", quoted(&self.queue_dir())));
        for word in flags_to_go_on(std::env::args()) {
            command.push_str(&format!(" {}", quoted(&word)));
        }
        command.push_str(" </dev/null");
        command
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = count_records(self.accepted);
        write!(
            f,
            "{records} accepted, {} acknowledged",
            HumanCount(self.acked)
        )?;
        for (count, what) in [
            (self.replayed, "replayed from an earlier run"),
            (self.failed, "failed"),
            (self.replay_failed, "of an earlier run failed"),
            (self.queued, "left in the queue"),
        ] {
            if count > 0 {
                write!(f, ", {} {what}", HumanCount(count))?;
            }
        }
        write!(f, " in {:.1} s", self.seconds)
    }
}

fn count_records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{} records", HumanCount(count)),
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+[]".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell_are_quoted_where_they_need_it() {
        assert_eq!(quoted("/var/lib/q-1"), "/var/lib/q-1");
        assert_eq!(quoted("my dir"), "'my dir'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
