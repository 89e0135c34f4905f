//! Report for a person at the end of a run: what went wrong, where, and how to go on.

use std::path::Path;

use indicatif::HumanCount;

use super::counts::{Counts, count_records};
use super::neighbours::Neighbour;
use super::summary::{EndOfInput, Refused, Summary};
use crate::args::{ConnectionArgs, SendingArgs, flags_to_go_on};
use crate::console;

/// Tells of one run.
pub(super) struct Report<'a> {
    pub(super) args: &'a SendingArgs,
    pub(super) summary: &'a Summary,
    pub(super) counts: &'a Counts,
    pub(super) refused: &'a Refused,
}

impl Report<'_> {
    /// Tells what went wrong and what is left to do.
    pub(super) fn print(&self, end: &EndOfInput, waits_for: &str) {
        self.print_end(end);
        for reason in &self.counts.reasons {
            let end = if reason.is_in_doubt {
                "in doubt"
            } else {
                "failed for good"
            };
            console::error(format_args!(
                "{} {end}: {}",
                count_records(reason.records),
                reason.words
            ));
        }
        for (_, words, lines) in self.refused.reasons() {
            console::error(format_args!(
                "{} failed for good: {words}",
                count_records(lines)
            ));
        }
        self.print_damage();
        self.print_doubts();
        self.print_rest(waits_for);
    }

    fn print_end(&self, end: &EndOfInput) {
        match end {
            EndOfInput::Reached | EndOfInput::Asked => {}
            EndOfInput::Broken(why) => console::error_advised(
                why,
                format_args!(
                    "reading stopped there; {} before it were accepted",
                    count_records(self.summary.accepted)
                ),
            ),
            EndOfInput::QueueFailed { at, why } => console::error_advised(
                format_args!(
                    "the queue in {} cannot store records any more: {why}",
                    self.queue_dir()
                ),
                format_args!(
                    "reading stopped at {at}; {} records up to there were accepted, {} were not",
                    HumanCount(self.summary.accepted),
                    HumanCount(self.summary.refused)
                ),
            ),
        }
    }

    fn print_damage(&self) {
        if self.summary.vanished > 0 {
            console::error_advised(
                format_args!(
                    "{} lost: the queue in {} was removed or emptied while it was in use",
                    count_records(self.summary.vanished),
                    self.queue_dir()
                ),
                "look for who removes it; the input has to be read again",
            );
        }
        if self.counts.damaged > 0 {
            let queue = self.queue_dir();
            console::error_advised(
                format_args!(
                    "{} lost: files of the queue in {queue} are damaged",
                    count_records(self.counts.damaged)
                ),
                format_args!(
                    "check the disk; to see what is damaged: wolff queue verify {}",
                    quoted(&queue)
                ),
            );
        }
    }

    fn print_doubts(&self) {
        if self.summary.broker_data_loss > 0 {
            console::warn(
                "the cluster has lost records that it had acknowledged, or took a batch for another one: what was \
                 concerned is sent again, and counted; look for an unclean leader election",
            );
        }
        if self.summary.other_cluster_partitions > 0 {
            console::warn_advised(
                "this is another cluster than the one that an earlier run sent to: what is in doubt waits for that one",
                "connect to that cluster, or use another --queue-dir",
            );
        }
        if self.summary.possibly_duplicated > 0 {
            console::warn(format_args!(
                "{} may be in Kafka twice: they were sent again after an answer that did not say whether Kafka had \
                 them, and nothing could show that it did",
                count_records(self.summary.possibly_duplicated)
            ));
        }
        if !self.summary.idempotent && self.summary.sent == 0 {
            console::warn_advised(
                "sent without idempotence: the cluster gives no producer id, so a lost answer means that records \
                 come twice",
                "it needs Kafka 0.11 or newer and, with ACLs, WRITE on the topic (before 2.8 IDEMPOTENT_WRITE on \
                 the cluster)",
            );
        }
    }

    fn print_rest(&self, why: &str) {
        let left = self.summary.left + self.summary.left_from_earlier;
        if left > 0 {
            let earlier = match self.summary.left_from_earlier {
                0 => String::new(),
                count => format!(" ({} of them of earlier runs)", HumanCount(count)),
            };
            console::warn_advised(
                format_args!(
                    "{} left in the queue in {}{earlier}: {why}",
                    count_records(left),
                    self.queue_dir()
                ),
                format_args!(
                    "they are safe on disk; to deliver them: {}",
                    command_to_go_on(self.args, &self.args.connection.client_id, &self.args.topic)
                ),
            );
        } else if self.summary.failed > 0 && self.args.queue_dir.is_none() && !why.is_empty() {
            console::error_advised(
                format_args!("what was not acknowledged is lost with this process: {why}"),
                "with --queue-dir it would be kept on disk",
            );
        } else if self.summary.in_doubt > 0 && !why.is_empty() {
            console::error(format_args!("what is in doubt was sent, and {why}"));
        }
    }

    /// Names the backlogs of others in the same directory, which this run did not touch.
    pub(super) fn print_neighbours(&self, neighbours: &[Neighbour]) {
        for neighbour in neighbours {
            let at_least = if neighbour.is_at_least {
                "at least "
            } else {
                ""
            };
            console::warn_advised(
                format_args!(
                    "{at_least}{} of client id {:?} for topic {:?} left in {}: this run does not send them",
                    count_records(neighbour.records),
                    neighbour.client_id,
                    neighbour.topic,
                    neighbour.directory.display()
                ),
                format_args!(
                    "to deliver them: {}",
                    command_to_go_on(self.args, &neighbour.client_id, &neighbour.topic)
                ),
            );
        }
    }

    fn queue_dir(&self) -> String {
        shown(self.args.queue_dir.as_deref())
    }
}

fn shown(queue_dir: Option<&Path>) -> String {
    queue_dir.map_or_else(|| "memory".to_owned(), |path| path.display().to_string())
}

/// The command that delivers what a queue holds, for a shell.
fn command_to_go_on(args: &SendingArgs, client_id: &str, topic: &str) -> String {
    let brokers = args.connection.brokers();
    let mut command = format!("wolff produce --brokers {}", quoted(&brokers));
    command.push_str(&format!(" --topic {}", quoted(topic)));
    if client_id != ConnectionArgs::CLIENT_ID {
        command.push_str(&format!(" --client-id {}", quoted(client_id)));
    }
    let queue_dir = shown(args.queue_dir.as_deref());
    command.push_str(&format!(" --queue-dir {}", quoted(&queue_dir)));
    for word in flags_to_go_on(std::env::args()) {
        command.push_str(&format!(" {}", quoted(&word)));
    }
    command.push_str(" </dev/null");
    command
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
