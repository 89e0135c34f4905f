//! The lines that `wolff-numbered` writes to its standard output, one for each step, and what a
//! test knows from them.
//!
//! A line is written in one piece, after what it says has happened. So all that a killed process
//! has written is true, and the pipe keeps it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The producer has started.
    Started,
    /// A call is queued on disk.
    Accepted(Run),
    /// A call has ended.
    Ended(Run, End),
    /// A call was refused though nobody stops the producer.
    Refused(String),
    /// Counts have changed.
    Counted(Counts),
    /// The stop begins.
    Stopping,
    /// The producer has stopped.
    Stopped(Counts),
}

/// Records of one call: consecutive numbers of a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// The partition.
    pub partition: usize,
    /// The first number.
    pub first: u64,
    /// Number of them.
    pub count: u64,
}

/// The end of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Kafka has it.
    Acked,
    /// Kafka has it, perhaps twice.
    PossiblyDuplicated,
    /// It waits on disk for the next run.
    Left,
    /// It failed.
    Failed,
    /// Nobody knows.
    InDoubt,
}

/// The producer's own counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Records of this run that were accepted.
    pub accepted: u64,
    /// Of those, acknowledged.
    pub acked: u64,
    /// Of those, failed.
    pub failed: u64,
    /// Of those, in doubt.
    pub in_doubt: u64,
    /// Of those, left on disk.
    pub left: u64,
    /// Records of previous runs that were acknowledged.
    pub replayed: u64,
    /// Records of previous runs that failed.
    pub replay_failed: u64,
    /// Queue items of previous runs that are still to be sent.
    pub recovered_items: u64,
    /// Records that may be in Kafka twice.
    pub possibly_duplicated: u64,
    /// Records that the queue lost to damage.
    pub damaged: u64,
    /// Batches that were sent again.
    pub retried_batches: u64,
}

const ENDS: [(End, &str); 5] = [
    (End::Acked, "acked"),
    (End::PossiblyDuplicated, "possibly-duplicated"),
    (End::Left, "left"),
    (End::Failed, "failed"),
    (End::InDoubt, "in-doubt"),
];

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            first,
            count,
        } = self;
        write!(f, "{partition} {first} {count}")
    }
}

impl FromStr for Run {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let mut read = || {
            Some(Self {
                partition: usize::try_from(number()?).ok()?,
                first: number()?,
                count: number()?,
            })
        };
        read().ok_or(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |counts: &Counts| serde_json::to_string(counts).map_err(|_| fmt::Error);
        match self {
            Self::Started => write!(f, "started"),
            Self::Accepted(run) => write!(f, "accepted {run}"),
            Self::Ended(run, end) => {
                let word = ENDS.iter().find(|(one, _)| one == end).ok_or(fmt::Error)?.1;
                write!(f, "{word} {run}")
            }
            Self::Refused(why) => write!(f, "refused {}", why.replace('\n', " ")),
            Self::Counted(counts) => write!(f, "counts {}", json(counts)?),
            Self::Stopping => write!(f, "stopping"),
            Self::Stopped(counts) => write!(f, "stopped {}", json(counts)?),
        }
    }
}

impl FromStr for Step {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let counts = || serde_json::from_str(rest).map_err(|_| ());
        Ok(match word {
            "started" => Self::Started,
            "accepted" => Self::Accepted(rest.parse()?),
            "refused" => Self::Refused(rest.to_owned()),
            "counts" => Self::Counted(counts()?),
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped(counts()?),
            word => {
                let (end, _) = ENDS.iter().find(|(_, name)| *name == word).ok_or(())?;
                Self::Ended(rest.parse()?, *end)
            }
        })
    }
}

/// All that a run has reported so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// True if the producer has started.
    pub has_started: bool,
    /// True if the stop has begun.
    pub is_stopping: bool,
    /// The last counts.
    pub counts: Counts,
    /// True if these are those of the stopped producer.
    pub has_stopped: bool,
    /// Reported calls.
    pub accepted_calls: u64,
    /// Records per partition that were reported as queued.
    pub accepted: Vec<u64>,
    /// Calls that were reported to have ended.
    pub ended_calls: u64,
    /// Records per partition that were reported as acknowledged.
    pub acked: Vec<u64>,
    /// Records that were reported to have ended otherwise: left, failed, in doubt.
    pub not_acked: [u64; 3],
    /// Whatever must not be: refusals, lines that nobody understands, numbers out of turn.
    pub wrong: Vec<String>,
}

impl Seen {
    /// Takes a line into account.
    pub fn add(&mut self, line: &str) {
        match line.parse() {
            Ok(Step::Started) => self.has_started = true,
            Ok(Step::Accepted(run)) => {
                self.accepted_calls += 1;
                add_to(&mut self.accepted, run, &mut self.wrong);
            }
            Ok(Step::Ended(run, end)) => {
                self.ended_calls += 1;
                match end {
                    End::Acked | End::PossiblyDuplicated => {
                        add_to(&mut self.acked, run, &mut self.wrong);
                    }
                    End::Left => self.not_acked[0] += run.count,
                    End::Failed => self.not_acked[1] += run.count,
                    End::InDoubt => self.not_acked[2] += run.count,
                }
            }
            Ok(Step::Counted(counts)) => self.counts = counts,
            Ok(Step::Stopping) => self.is_stopping = true,
            Ok(Step::Stopped(counts)) => {
                self.counts = counts;
                self.has_stopped = true;
            }
            Ok(Step::Refused(_)) | Err(()) => self.wrong.push(line.to_owned()),
        }
    }

    /// Records of all partitions that were reported as queued.
    #[must_use]
    pub fn accepted_records(&self) -> u64 {
        self.accepted.iter().sum()
    }

    /// Records of all partitions that were reported as acknowledged.
    #[must_use]
    pub fn acked_records(&self) -> u64 {
        self.acked.iter().sum()
    }

    /// Returns what is wrong with the sums of a producer that was stopped cleanly; empty if nothing
    /// is.
    #[must_use]
    pub fn check_sums(&self) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        let mut equal = |what: &str, reported: u64, counted: u64| {
            if reported != counted {
                wrong.push(format!("{what}: {reported} reported, {counted} counted"));
            }
        };
        let counts = &self.counts;
        let [left, failed, in_doubt] = self.not_acked;
        equal("accepted", self.accepted_records(), counts.accepted);
        equal("acked", self.acked_records(), counts.acked);
        equal("left", left, counts.left);
        equal("failed", failed, counts.failed);
        equal("in doubt", in_doubt, counts.in_doubt);
        equal("calls", self.ended_calls, self.accepted_calls);
        let ended = counts.acked + counts.failed + counts.in_doubt + counts.left;
        equal("ended", ended, counts.accepted);
        if !self.has_stopped {
            wrong.push("the producer did not stop".to_owned());
        }
        wrong
    }
}

/// Calls of a partition are reported in order, and without a gap.
fn add_to(counts: &mut Vec<u64>, run: Run, wrong: &mut Vec<String>) {
    if counts.len() <= run.partition {
        counts.resize(run.partition + 1, 0);
    }
    if let Some(count) = counts.get_mut(run.partition) {
        if *count != run.first {
            wrong.push(format!("{run} is reported after {count} records"));
        }
        *count = run.first + run.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run {
        partition: 3,
        first: 10,
        count: 2,
    };

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let counts = Counts {
            accepted: 5,
            ..Counts::default()
        };
        let mut steps = vec![
            Step::Started,
            Step::Accepted(RUN),
            Step::Refused("full".to_owned()),
            Step::Counted(counts),
            Step::Stopping,
            Step::Stopped(counts),
        ];
        steps.extend(ENDS.map(|(end, _)| Step::Ended(RUN, end)));
        for step in steps {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        for line in ["", "accepted 1", "acked 1 2 x", "nonsense 1 2 3"] {
            assert_eq!(line.parse::<Step>(), Err(()), "{line}");
        }
    }

    #[test]
    fn sums_that_differ_and_calls_out_of_turn_are_found() {
        let counts = Counts {
            accepted: 5,
            acked: 5,
            ..Counts::default()
        };
        let steps = ["accepted 0 0 5", "acked 0 0 2", "acked 0 2 3"];
        let mut seen = Seen::default();
        for step in steps {
            seen.add(step);
        }
        seen.add(&Step::Stopped(counts).to_string());
        assert_eq!(seen.check_sums(), ["calls: 2 reported, 1 counted"]);
        seen.accepted_calls = 2;
        assert_eq!(seen.check_sums(), Vec::<String>::new());
        seen.add("acked 0 6 1");
        assert_eq!(seen.check_sums().len(), 3);
    }
}
