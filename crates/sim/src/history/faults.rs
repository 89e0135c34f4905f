//! The steps of a run, and what goes wrong in them.

use std::time::Duration;

use replayq::vfs::sim::{Fault as DiskFault, FaultKind};
use tokio::time::sleep;
use wolff::Producer;
use wolff_codec::{ApiKey, ErrorCode};
use wolff_testbroker::{Fault, FaultId};

use super::History;
use crate::ledger::Violation;
use crate::world::TOPIC;

/// The error of a full disk.
const ENOSPC: i32 = 28;

/// Most partitions that a topic grows to.
const MOST_PARTITIONS: i32 = 8;

/// The topic's limit of a batch when it is low, bytes: less than two calls.
const LOW_LIMIT: u64 = 200;

/// The same when it is high: more than any batch has.
const HIGH_LIMIT: u64 = 10_000_000;

/// Errors that a leader can answer with after it has appended a batch.
const AFTER_APPEND: [ErrorCode; 6] = [
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::KAFKA_STORAGE_ERROR,
];
impl History {
    /// One step of a run.
    pub(super) async fn step(&mut self, producer: &Producer) -> Result<(), Violation> {
        match self.below(100) {
            0..55 => self.call(producer).await?,
            55..68 => {
                let pause = self.below(60);
                sleep(Duration::from_millis(pause)).await;
            }
            68..76 => self.spoil_answer(),
            76..80 => self.refuse(),
            80..85 => self.delay(),
            85..90 => self.move_leader(producer),
            90..94 => self.fail_disk(),
            94..96 => self.kill_and_revive().await?,
            96..98 => self.change_topic()?,
            _ => self.fill_window(producer).await?,
        }
        Ok(())
    }

    /// The next batch is applied, and nobody is told, or something else is.
    fn spoil_answer(&mut self) {
        match self.below(4) {
            0 => {
                let fault = self.inject("answer lost", Fault::drop_answer());
                self.lost_answers.push(fault);
            }
            1 => {
                let fault = self.inject("half an answer", Fault::half_answer());
                self.lost_answers.push(fault);
            }
            _ => {
                let index = usize::try_from(self.below(6)).unwrap_or(0);
                let code = AFTER_APPEND.get(index).copied().unwrap_or_default();
                let fault = Fault::error_after_applying(code);
                let fault = self.inject("error after append", fault);
                self.late_errors.push(fault);
            }
        }
    }

    /// The next batch is not applied.
    fn refuse(&mut self) {
        let fault = match self.below(3) {
            0 => Fault::drop_request(),
            1 => Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).times(2),
            _ => Fault::error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        };
        let _ = self.inject("refusal", fault);
    }

    fn delay(&mut self) {
        let duration = Duration::from_millis(1 + self.below(500));
        let fault = match self.below(2) {
            0 => Fault::delay(duration),
            _ => Fault::delay_answer(duration),
        };
        let _ = self.inject("delay", fault);
    }

    fn inject(&self, what: &str, fault: Fault) -> FaultId {
        self.note(format_args!("{what}: {fault:?}"));
        self.world.cluster.inject(fault.api(ApiKey::PRODUCE))
    }

    fn move_leader(&mut self, producer: &Producer) {
        let partition = self.any_partition();
        let to =
            1 + i32::try_from(self.below(self.world.brokers.unsigned_abs().into())).unwrap_or(0);
        let moved = self.world.cluster.move_leader(TOPIC, partition, to);
        self.note(format_args!(
            "partition {partition} moves to broker {to}: {moved:?}"
        ));
        self.rare.leader_moved += u64::from(moved.is_ok() && producer.stats().in_flight > 0);
    }

    /// The process will end in one of the next writes, which is made in part.
    pub(super) fn break_disk(&mut self) {
        let change = self.world.disk.changes() + self.below(150);
        let torn_bytes = usize::try_from(self.below(600)).unwrap_or(0);
        self.note(format_args!(
            "change {change} of the disk is the last, after {torn_bytes} bytes"
        ));
        self.world.disk.crash_at(change, torn_bytes);
    }

    /// One of the next calls of the disk fails.
    fn fail_disk(&mut self) {
        let call = self.world.disk.calls() + self.below(3);
        self.note(format_args!("the disk is full at its call {call}"));
        self.world.disk.inject(DiskFault {
            call,
            for_ever: false,
            kind: FaultKind::Error(ENOSPC),
        });
    }

    async fn kill_and_revive(&mut self) -> Result<(), Violation> {
        let broker =
            1 + i32::try_from(self.below(self.world.brokers.unsigned_abs().into())).unwrap_or(0);
        let failed = |error: wolff_testbroker::ClusterError| Violation(error.to_string());
        self.note(format_args!("broker {broker} is killed"));
        self.world.cluster.kill(broker).await.map_err(failed)?;
        let pause = self.below(300);
        sleep(Duration::from_millis(pause)).await;
        self.world.cluster.revive(broker).await.map_err(failed)?;
        self.note(format_args!("broker {broker} is back"));
        self.rare.broker_killed += 1;
        Ok(())
    }

    /// The topic grows, or its limit changes, where this history has any of these.
    fn change_topic(&mut self) -> Result<(), Violation> {
        let knobs = self.world.knobs;
        match self.below(3) {
            0 if knobs.grows && self.world.partitions < MOST_PARTITIONS => {
                self.world.partitions += 1;
                let count = self.world.partitions;
                self.note(format_args!("the topic grows to {count} partitions"));
                let grown = self.world.cluster.add_partitions(TOPIC, count);
                grown.map_err(|error| Violation(error.to_string()))?;
                self.rare.grown += 1;
            }
            1 if knobs.is_limited => {
                self.limit(LOW_LIMIT)?;
                self.rare.limited += 1;
            }
            2 if knobs.is_limited => self.raise_limit()?,
            _ => {}
        }
        Ok(())
    }

    /// Lets the topic have batches of any size again.
    pub(super) fn raise_limit(&self) -> Result<(), Violation> {
        self.limit(HIGH_LIMIT)
    }

    fn limit(&self, bytes: u64) -> Result<(), Violation> {
        self.note(format_args!("batches may have {bytes} bytes"));
        let cluster = &self.world.cluster;
        let limited = cluster.configure_topic(TOPIC, "max.message.bytes", &bytes.to_string());
        limited.map_err(|error| Violation(error.to_string()))
    }

    /// Metadata comes late, so that calls are queued before their partition is known.
    pub(super) fn hide_metadata(&mut self) {
        let times = 1 + self.below(6);
        self.note(format_args!(
            "{times} requests for metadata are not answered"
        ));
        let fault = match self.below(2) {
            0 => Fault::drop_request(),
            _ => Fault::delay(Duration::from_millis(300)),
        };
        (self.world.cluster).inject(fault.api(ApiKey::METADATA).times(times));
    }
}
