//! What happens in a run: a producer is started a few times on one disk, with calls, faults, stops
//! and kills that are drawn from the seed.

use std::time::Duration;

use replayq::vfs::sim::{Fault as DiskFault, FaultKind};
use tokio::time::{sleep, timeout};
use wolff::{Producer, Record, SendError};
use wolff_codec::records::crc32c;
use wolff_codec::{ApiKey, ErrorCode};
use wolff_testbroker::{Fault, FaultId};

use crate::ledger::{Ledger, Violation, partition_id, value};
use crate::report::{Rare, Report};
use crate::world::{TOPIC, World};

/// Runs of a producer before the last one, which has no faults.
const RUNS: u64 = 3;

/// The error of a full disk.
const ENOSPC: i32 = 28;

/// Virtual time after which a step is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// Errors that a leader can answer with after it has appended a batch.
const AFTER_APPEND: [ErrorCode; 6] = [
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::KAFKA_STORAGE_ERROR,
];

/// Runs the history of a seed, on a runtime of its own in this thread.
///
/// # Errors
/// The first promise that was broken, with the trace up to there.
pub fn run(seed: u64) -> Result<Report, (Violation, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| (Violation(error.to_string()), Vec::new()))?;
    runtime.block_on(async {
        let world = World::new(seed).await;
        let mut history = History {
            world: world.map_err(|error| (Violation(error), Vec::new()))?,
            ledger: Ledger::default(),
            rare: Rare::default(),
            next_call: 0,
            lost_answers: Vec::new(),
            late_errors: Vec::new(),
        };
        let outcome = history.run().await;
        let trace = history.world.trace.clone();
        match outcome {
            Ok(()) => Ok(Report {
                trace,
                rare: history.rare,
            }),
            Err(violation) => Err((violation, trace.lines())),
        }
    })
}

struct History {
    world: World,
    ledger: Ledger,
    rare: Rare,
    next_call: u32,
    /// Faults that lose an answer.
    lost_answers: Vec<FaultId>,
    /// Faults that answer with an error after the append.
    late_errors: Vec<FaultId>,
}

impl History {
    async fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..RUNS {
            self.run_once().await?;
        }
        self.heal();
        self.deliver_all().await
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.world.random.below(bound)
    }

    fn note(&self, event: std::fmt::Arguments<'_>) {
        self.world.trace.note(event);
    }

    /// A producer starts, gets calls while things go wrong, and is stopped.
    async fn run_once(&mut self) -> Result<(), Violation> {
        let client = self.world.client().map_err(Violation)?;
        let producer = self.start(&client).await?;
        let steps = 10 + self.below(60);
        for _ in 0..steps {
            self.step(&producer).await?;
            self.check(&producer)?;
        }
        self.rare.replayed += producer.stats().replayed;
        let deadline = match self.below(5) {
            0 => return self.kill(producer, &client).await,
            1 => Duration::ZERO,
            2 => Duration::from_millis(self.below(200)),
            _ => Duration::from_secs(60),
        };
        let stopped = timeout(PATIENCE, producer.stop(deadline)).await;
        let stopped = stopped.map_err(|_| Violation("a stop does not return".into()))?;
        self.note(format_args!("stopped within {deadline:?}: {stopped:?}"));
        match stopped {
            Ok(left) => self.rare.left_in_queue += u64::from(left.in_queue > 0),
            // The queue says so itself.
            Err(_) => self.ledger.acks_may_be_lost(),
        }
        self.check_ended(&producer).await?;
        drop(producer);
        client.close().await;
        Ok(())
    }

    /// The process is killed: of its disk there is what was written, and requests that were on their way
    /// may still be executed.
    async fn kill(&mut self, producer: Producer, client: &wolff::Client) -> Result<(), Violation> {
        self.world.disk = self.world.disk.after_kill();
        self.ledger.acks_may_be_lost();
        drop(producer);
        client.close().await;
        self.note(format_args!("the process was killed"));
        self.rare.killed += 1;
        // What its tasks still do, they do to a disk that nobody sees any more.
        sleep(Duration::from_millis(100)).await;
        match self.ledger.open() {
            0 => Ok(()),
            open => Err(Violation(format!("{open} calls have no end after a kill"))),
        }
    }

    /// The last run: nothing goes wrong any more, and everything has to arrive.
    async fn deliver_all(&mut self) -> Result<(), Violation> {
        let client = self.world.client().map_err(Violation)?;
        let producer = self.start(&client).await?;
        for _ in 0..5 {
            self.call(&producer).await?;
        }
        let left = producer.drain(PATIENCE).await;
        self.note(format_args!("drained: {left:?}"));
        match left {
            Ok(left) if left.is_nothing() => {}
            other => {
                return Err(Violation(format!(
                    "not everything was delivered: {other:?}"
                )));
            }
        }
        self.check_ended(&producer).await?;
        self.rare.replayed += producer.stats().replayed;
        let partitions = self.world.partitions;
        self.rare.duplicates += (self.ledger).check_logs(&self.world.cluster, partitions)?;
        let stats = self.world.cluster.stats();
        let hits = |faults: &[FaultId]| faults.iter().map(|fault| stats.hits(*fault)).sum::<u64>();
        self.rare.answer_lost += hits(&self.lost_answers);
        self.rare.error_after_append += hits(&self.late_errors);
        self.note(format_args!("{stats:?}"));
        self.note(format_args!(
            "{} calls of the disk",
            self.world.disk.calls()
        ));
        for partition in 0..partitions {
            let batches = self.world.cluster.batches(TOPIC, partition);
            let batches = batches.map_err(|error| Violation(error.to_string()))?;
            let checksums: Vec<u32> = batches.iter().map(|batch| crc32c(batch)).collect();
            self.note(format_args!("partition {partition}: {checksums:x?}"));
        }
        drop(producer);
        client.close().await;
        Ok(())
    }

    async fn start(&mut self, client: &wolff::Client) -> Result<Producer, Violation> {
        let linger = Duration::from_millis(self.below(3) * 5);
        let builder = self.world.producer(client).max_linger(linger);
        let started = timeout(PATIENCE, builder.start()).await;
        let producer = started
            .map_err(|_| Violation("a start does not return".into()))?
            .map_err(|error| Violation(format!("a start failed: {error:?}")))?;
        self.note(format_args!("started"));
        Ok(producer)
    }

    async fn step(&mut self, producer: &Producer) -> Result<(), Violation> {
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
            _ => self.fill_window(producer).await?,
        }
        Ok(())
    }

    /// One call of one to three records.
    async fn call(&mut self, producer: &Producer) -> Result<(), Violation> {
        let partition =
            i32::try_from(self.below(self.world.partitions.unsigned_abs().into())).unwrap_or(0);
        let records = 1 + u32::try_from(self.below(3)).unwrap_or(0);
        self.call_to(producer, partition, records).await
    }

    async fn call_to(
        &mut self,
        producer: &Producer,
        partition: i32,
        count: u32,
    ) -> Result<(), Violation> {
        let call = self.next_call;
        self.next_call += 1;
        let records: Vec<Record> = (0..count)
            .map(|record| Record::new().value(value(call, record)))
            .collect();
        let prepared = producer.call(records).partition(partition_id(partition));
        let sent = timeout(PATIENCE, prepared.send()).await;
        let sent = sent.map_err(|_| Violation(format!("call {call} is never queued")))?;
        match sent {
            Ok(receipt) => {
                self.note(format_args!(
                    "call {call} of {count} records to {partition} is queued"
                ));
                let trace = &self.world.trace;
                (self.ledger).accepted(call, partition, count, receipt, trace);
            }
            Err(rejected) => {
                self.note(format_args!(
                    "call {call} is refused: {:?}",
                    rejected.reason
                ));
                match rejected.reason {
                    SendError::QueueUnavailable(_) => self.rare.append_failed += 1,
                    other => return Err(Violation(format!("call {call} is refused: {other}"))),
                }
            }
        }
        Ok(())
    }

    /// Holds one partition's requests while calls come that are batches of their own, and lets them go
    /// again.
    async fn fill_window(&mut self, producer: &Producer) -> Result<(), Violation> {
        let flushed = producer.flush(PATIENCE).await;
        self.note(format_args!("flushed: {flushed:?}"));
        flushed.map_err(|error| Violation(error.to_string()))?;
        let hold = Fault::hold().api(ApiKey::PRODUCE);
        let hold = (self.world.cluster).inject(hold.partition(TOPIC, 0).always());
        self.note(format_args!("requests for partition 0 are held"));
        for _ in 0..7 {
            self.call_to(producer, 0, 1).await?;
            sleep(Duration::from_millis(20)).await;
            self.check(producer)?;
        }
        // Each of one record, as nothing else is in flight.
        self.rare.five_in_flight += u64::from(producer.stats().in_flight == 5);
        self.world.cluster.remove_fault(hold);
        self.note(format_args!("and go on"));
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
        let partition =
            i32::try_from(self.below(self.world.partitions.unsigned_abs().into())).unwrap_or(0);
        let to =
            1 + i32::try_from(self.below(self.world.brokers.unsigned_abs().into())).unwrap_or(0);
        let moved = self.world.cluster.move_leader(TOPIC, partition, to);
        self.note(format_args!(
            "partition {partition} moves to broker {to}: {moved:?}"
        ));
        self.rare.leader_moved += u64::from(moved.is_ok() && producer.stats().in_flight > 0);
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

    fn heal(&self) {
        self.world.cluster.clear_faults();
        self.world.disk.heal();
        self.note(format_args!("nothing goes wrong any more"));
    }

    /// What must hold at every moment.
    fn check(&self, producer: &Producer) -> Result<(), Violation> {
        let stats = producer.stats();
        self.ledger.check_counters(&stats)
    }

    /// Every call has ended when a stop has returned, and the counters say so.
    async fn check_ended(&mut self, producer: &Producer) -> Result<(), Violation> {
        // The tasks that await the receipts run before any time passes.
        sleep(Duration::from_nanos(1)).await;
        let (stats, open) = (producer.stats(), self.ledger.open());
        self.ledger.check_counters(&stats)?;
        if open > 0 || stats.queued > 0 {
            return Err(Violation(format!(
                "{open} calls have no end after a stop: {stats:?}"
            )));
        }
        Ok(())
    }
}
