//! Ends of the records, counted, and the exit code that follows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;

use super::counts::{Counts, QUEUE_UNAVAILABLE, count_records};
use super::refusals::Refusals;
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

/// End of the wait for acknowledgements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drained {
    All,
    TimedOut(Duration),
    Interrupted,
}

/// Most lines that are named when they are refused.
const MOST_NAMED: u64 = 10;

/// Lines of the input that the producer never got.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Lines that are larger than any record can be.
    pub(super) too_large: u64,
    /// Lines that are not what they should be.
    pub(super) wrong: u64,
    /// Lines for partitions whose queue cannot be opened.
    pub(super) closed: u64,
    /// The line at which the queue stopped to store records.
    pub(super) not_stored: u64,
}

impl Refused {
    /// True if lines are still named one by one: more than a few help nobody.
    pub(super) fn names_lines(&self) -> bool {
        self.too_large + self.wrong + self.closed < MOST_NAMED
    }

    pub(super) fn lines(&self) -> u64 {
        self.too_large + self.wrong + self.closed + self.not_stored
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let too_large = (
            "line_too_large",
            "larger than any record can be",
            self.too_large,
        );
        let wrong = (
            "invalid_line",
            "no record can be made of the line",
            self.wrong,
        );
        let closed = (
            QUEUE_UNAVAILABLE,
            "the partition's queue cannot be opened",
            self.closed,
        );
        let all = [too_large, wrong, closed].into_iter();
        all.filter(|(.., lines)| *lines > 0)
    }
}

/// Records that a run leaves behind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Left {
    /// Of this run's input.
    pub(super) own: u64,
    pub(super) from_earlier: u64,
    /// Of this run's input: they should be on disk, and there is no queue any more.
    pub(super) vanished: u64,
}

impl Left {
    /// `own`: as the producer counts them; `on_disk`: all that is there, where it could be counted.
    pub(super) fn new(own: u64, on_disk: Option<u64>) -> Self {
        Self {
            own,
            from_earlier: on_disk.unwrap_or(own).saturating_sub(own),
            vanished: 0,
        }
    }

    /// `own` of them should be in queues that are gone.
    pub(super) fn vanished(own: u64) -> Self {
        Self {
            vanished: own,
            ..Self::default()
        }
    }
}

/// The counts of a run, as `--json` prints them. All but the last are records.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Of this run's input: accepted = acked + sent + failed + in_doubt + left.
    pub(super) accepted: u64,
    pub(super) acked: u64,
    /// With acks=none: given to the socket, and nobody says more.
    pub(super) sent: u64,
    pub(super) failed: u64,
    /// Sent, and nobody can say whether Kafka has them.
    pub(super) in_doubt: u64,
    /// In the queue on disk.
    pub(super) left: u64,
    /// Lines of the input that were not accepted.
    pub(super) refused: u64,
    /// Of earlier runs: Kafka has them now.
    pub(super) replayed: u64,
    /// Of earlier runs: given up.
    pub(super) replay_failed: u64,
    /// Of earlier runs: still in the queue on disk.
    pub(super) left_from_earlier: u64,
    pub(super) possibly_duplicated: u64,
    /// Of earlier runs, in doubt: sent again under the sequence numbers that they had.
    pub(super) resumed: u64,
    /// Number of times that the cluster turned out to have lost what it had acknowledged.
    pub(super) broker_data_loss: u64,
    /// Partitions that wait, since the cluster is not the one that has what is in doubt.
    pub(super) other_cluster_partitions: u64,
    /// Lost to damage of the queue's files, or with its directory.
    pub(super) damaged_records: u64,
    pub(super) idempotent: bool,
    /// Records that failed, are in doubt or were refused, by reason.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Partitions whose records the broker refused last, by its code.
    pub(super) refusing_partitions: BTreeMap<String, u64>,
    /// Why records were not acknowledged when the wait for that ended, for a person.
    pub(super) waits_for: Option<String>,
    pub(super) seconds: f64,
    #[serde(skip)]
    pub(super) vanished: u64,
}

impl Summary {
    pub(super) fn new(counts: &Counts, refused: &Refused, left: Left, elapsed: Duration) -> Self {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for reason in &counts.reasons {
            *reasons.entry(reason.name.clone()).or_default() += reason.records;
        }
        let not_stored = counts.not_stored.records + refused.not_stored;
        if not_stored > 0 {
            reasons.insert(QUEUE_UNAVAILABLE.to_owned(), not_stored);
        }
        for (name, _, lines) in refused.reasons() {
            *reasons.entry(name.to_owned()).or_default() += lines;
        }
        if left.vanished > 0 {
            reasons.insert("queue_vanished".to_owned(), left.vanished);
        }
        Self {
            accepted: counts.accepted,
            acked: counts.acked,
            sent: counts.sent,
            failed: counts.failed + left.vanished,
            in_doubt: counts.in_doubt,
            left: left.own,
            refused: counts.not_stored.records + refused.lines(),
            replayed: counts.replayed,
            replay_failed: counts.replay_failed,
            left_from_earlier: left.from_earlier,
            possibly_duplicated: counts.possibly_duplicated,
            resumed: counts.resumed,
            broker_data_loss: counts.broker_data_loss,
            other_cluster_partitions: counts.other_cluster_partitions,
            damaged_records: counts.damaged + left.vanished,
            idempotent: counts.is_idempotent,
            reasons,
            refusing_partitions: BTreeMap::new(),
            waits_for: None,
            seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            vanished: left.vanished,
        }
    }

    /// Adds what was known when the wait for acknowledgements ended; `waits_for` is empty where all
    /// are there.
    pub(super) fn held_up(mut self, refusals: &Refusals, waits_for: &str) -> Self {
        self.refusing_partitions = refusals.by_code();
        self.waits_for = (!waits_for.is_empty()).then(|| waits_for.to_owned());
        self
    }

    /// The worst end decides. A configuration that contradicts itself ends a run before it has a
    /// summary.
    pub(super) fn exit(&self, end: &EndOfInput) -> Exit {
        if self.damaged_records > 0 || self.broker_data_loss > 0 {
            Exit::Damaged
        } else if self.given_up() > 0 || end.is_failure() {
            Exit::Failed
        } else if self.left + self.left_from_earlier > 0 {
            Exit::LeftInQueue
        } else {
            Exit::Done
        }
    }

    fn given_up(&self) -> u64 {
        self.failed + self.in_doubt + self.refused + self.replay_failed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted", count_records(self.accepted))?;
        if self.sent == 0 {
            write!(f, ", {} acknowledged", HumanCount(self.acked))?;
        }
        for (count, what) in [
            (self.sent, "sent"),
            (self.failed, "failed"),
            (self.in_doubt, "in doubt"),
            (self.left, "left in the queue"),
            (self.refused, "refused"),
            (self.replayed, "replayed from an earlier run"),
            (self.replay_failed, "of an earlier run failed"),
            (
                self.left_from_earlier,
                "of an earlier run left in the queue",
            ),
            (self.damaged_records, "lost to damage"),
            (self.possibly_duplicated, "possibly duplicated"),
            (
                self.resumed,
                "of an earlier run sent under their old numbers",
            ),
        ] {
            if count > 0 {
                write!(f, ", {} {what}", HumanCount(count))?;
            }
        }
        write!(f, " in {:.1} s", self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(change: impl FnOnce(&mut Counts, &mut Left)) -> Summary {
        let (mut counts, mut left) = (Counts::default(), Left::default());
        change(&mut counts, &mut left);
        Summary::new(&counts, &Refused::default(), left, Duration::ZERO)
    }

    #[test]
    fn the_worst_end_decides_the_exit_code() {
        let exit = |change: fn(&mut Counts, &mut Left)| summary(change).exit(&EndOfInput::Reached);
        assert_eq!(exit(|_, _| ()), Exit::Done);
        assert_eq!(exit(|counts, _| counts.possibly_duplicated = 1), Exit::Done);
        assert_eq!(exit(|_, left| left.from_earlier = 1), Exit::LeftInQueue);
        assert_eq!(exit(|counts, _| counts.in_doubt = 1), Exit::Failed);
        let failed_and_left = |counts: &mut Counts, left: &mut Left| {
            counts.failed = 1;
            left.own = 1;
        };
        assert_eq!(exit(failed_and_left), Exit::Failed);
        let damaged_and_failed = |counts: &mut Counts, _: &mut Left| {
            counts.damaged = 1;
            counts.failed = 1;
        };
        assert_eq!(exit(damaged_and_failed), Exit::Damaged);
        assert_eq!(exit(|_, left| left.vanished = 1), Exit::Damaged);
        assert_eq!(exit(|counts, _| counts.broker_data_loss = 1), Exit::Damaged);
        let broken = EndOfInput::Broken(String::new());
        assert_eq!(summary(|_, _| ()).exit(&broken), Exit::Failed);
    }

    #[test]
    fn what_is_on_disk_beside_this_runs_records_is_of_earlier_runs() {
        let left = |own, on_disk| {
            let left = Left::new(own, on_disk);
            (left.own, left.from_earlier)
        };
        assert_eq!(left(5, Some(15)), (5, 10));
        assert_eq!(left(5, Some(5)), (5, 0));
        assert_eq!(left(5, None), (5, 0));
        assert_eq!(Left::vanished(5).own, 0);
    }
}
