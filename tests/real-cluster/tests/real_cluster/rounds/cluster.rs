//! The topic of a scenario, its queue, and the oracle that reads its log.

use std::collections::HashMap;

use rdkafka::message::Message as _;
use tempfile::TempDir;
use wolff_end_to_end::{admin, consumer};
use wolff_real_cluster::oracle::{Oracle, Verdict};
use wolff_real_cluster::report::Seen;

use super::child::{Child, Scene};
use crate::nodes::{Listener, Nodes, in_time};

/// Partitions of the topic.
const PARTITIONS: i32 = 12;

/// A topic on all nodes of which two must have a record, and a queue on disk.
pub(crate) struct Rounds {
    brokers: String,
    topic: String,
    queue: TempDir,
    next_run: u32,
    oracle: Oracle,
    /// Offsets up to which the log was read.
    positions: HashMap<i32, i64>,
}

impl Rounds {
    pub(crate) async fn new(nodes: &Nodes, name: &str) -> Self {
        let brokers = nodes.addresses(Listener::Plaintext).join(",");
        let topic = format!("rounds-{name}-{}", std::process::id());
        let settings = [("min.insync.replicas", "2")];
        let created = admin::create_topic(&brokers, &topic, PARTITIONS, 3, &settings);
        in_time(created).await.unwrap();
        Self {
            brokers,
            topic,
            queue: tempfile::tempdir().unwrap(),
            next_run: 0,
            oracle: Oracle::default(),
            positions: HashMap::new(),
        }
    }

    /// Starts the next run.
    pub(crate) fn start(&mut self, further: &[&str]) -> Child {
        self.next_run += 1;
        Child::start(&self.scene(), self.next_run, further)
    }

    /// Starts the next run, which is killed when it enters a system call for the nth time.
    pub(crate) fn start_to_die(&mut self, further: &[&str], at: (&str, u64)) -> Child {
        self.next_run += 1;
        Child::start_to_die(&self.scene(), self.next_run, further, at)
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            brokers: &self.brokers,
            topic: &self.topic,
            partitions: PARTITIONS,
            queue_dir: self.queue.path(),
        }
    }

    /// Sends what is left, and checks that nothing is afterwards. Returns what it reported.
    pub(crate) async fn drain(&mut self) -> Seen {
        let seen = self.start(&["--drain"]).stopped().await;
        assert_eq!(seen.counts.recovered_items, 0, "{seen:#?}");
        assert_eq!(seen.counts.replay_failed, 0, "{seen:#?}");
        assert_eq!(seen.counts.damaged, 0, "{seen:#?}");
        seen
    }

    /// Has the oracle expect in the log what a run reported as accepted.
    pub(crate) fn must_have(&mut self, run: u32, seen: &Seen) {
        assert!(seen.wrong.is_empty(), "run {run}: {:?}", seen.wrong);
        for (partition, count) in (0..).zip(&seen.accepted) {
            self.oracle.accepted(run, partition, *count);
        }
    }

    /// Reads on to the end of the log.
    pub(crate) async fn read(&mut self) -> Verdict {
        let (brokers, topic) = (self.brokers.clone(), self.topic.clone());
        let mut positions = std::mem::take(&mut self.positions);
        let mut oracle = std::mem::take(&mut self.oracle);
        let reading = tokio::task::spawn_blocking(move || {
            consumer::read_on(&brokers, &topic, &mut positions, |message| {
                oracle.message(message.partition(), message.payload().unwrap_or_default());
                Ok(())
            })
            .unwrap();
            (positions, oracle)
        });
        (self.positions, self.oracle) = in_time(reading).await.unwrap();
        self.oracle.verdict()
    }
}

/// Prints the figures that `cargo xtask soak` adds up.
pub(crate) fn print_figures(figures: &[(&str, u64)]) {
    for (name, number) in figures {
        println!("figure {name} {number}");
    }
}

/// Prints those of a verdict.
pub(crate) fn print_verdict(verdict: &Verdict) {
    print_figures(&[
        ("records accepted", verdict.accepted),
        ("unreported", verdict.unreported),
        ("missing", verdict.missing),
        ("out of order", verdict.out_of_order),
        ("sent twice", verdict.repeated),
    ]);
}
