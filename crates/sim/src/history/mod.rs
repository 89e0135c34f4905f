//! Course of a run: a producer is started a few times on one disk, with calls, faults, stops and
//! kills that are drawn from the seed.

mod calls;
mod faults;

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wolff::{Producer, StartError};
use wolff_codec::records::crc32c;
use wolff_testbroker::FaultId;

use crate::ledger::{Ledger, Rules, Violation};
use crate::report::{Rare, Report};
use crate::world::{TOPIC, World};

/// Runs of a producer before the last one, which has no faults.
const RUNS: u64 = 3;

/// After so long without a producer, brokers have forgotten it (`producer.id.expiration.ms`).
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 3_600);

/// Attempts to start a producer whose disk fails; each fault is met once.
const MOST_STARTS: u32 = 50;

/// Virtual time after which a step is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

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
            possibly_duplicated: 0,
            damaged: 0,
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
    /// Records that any run has counted so.
    possibly_duplicated: u64,
    /// Records that any run has counted as lost to damage.
    damaged: u64,
    /// Faults that lose an answer.
    lost_answers: Vec<FaultId>,
    /// Faults that answer with an error after the append.
    late_errors: Vec<FaultId>,
}

impl History {
    async fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..RUNS {
            self.run_once().await?;
            if self.world.knobs.is_forgotten && self.below(2) == 0 {
                self.note(format_args!("two days pass"));
                sleep(TWO_DAYS).await;
                self.rare.forgotten += 1;
            }
            if self.world.knobs.is_damaged && self.below(2) == 0 {
                let flips = 1 + self.below(4);
                for _ in 0..flips {
                    self.world.flip_bit();
                }
            }
        }
        self.heal()?;
        self.deliver_all().await
    }

    /// Adds up what a producer has counted, before it is gone.
    fn count(&mut self, producer: &Producer) {
        let stats = producer.stats();
        self.rare.replayed += stats.replayed;
        self.rare.resumed += stats.resumed;
        self.possibly_duplicated += stats.possibly_duplicated;
        self.damaged += stats.damaged_records;
        self.note(format_args!(
            "possibly duplicated: {}, damaged: {}",
            stats.possibly_duplicated, stats.damaged_records
        ));
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
        if self.world.knobs.is_routed && self.below(2) == 0 {
            self.hide_metadata();
        }
        let producer = self.start(&client).await?;
        let first_call = self.next_call;
        let steps = 10 + self.below(60);
        // Where a disk is broken for good, unrouted records are sent without a note on it.
        let breaks_disk = self.below(8) == 0 && !self.world.knobs.is_routed;
        if breaks_disk {
            self.break_disk();
        }
        for _ in 0..steps {
            if self.world.disk.is_crashed() {
                return self.kill(producer, &client).await;
            }
            self.step(&producer).await?;
            self.check(&producer)?;
        }
        let deadline = match self.below(5) {
            // The disk that breaks down later is only of this run.
            _ if breaks_disk => return self.kill(producer, &client).await,
            0 => return self.kill(producer, &client).await,
            1 => Duration::ZERO,
            2 => Duration::from_millis(self.below(200)),
            _ => Duration::from_secs(60),
        };
        let stopped = timeout(PATIENCE, producer.stop(deadline)).await;
        let stopped = stopped.map_err(|_| Violation("a stop does not return".into()))?;
        self.note(format_args!("stopped within {deadline:?}: {stopped:?}"));
        let left = match stopped {
            Ok(left) => left,
            // The queue says so itself.
            Err(error) => {
                self.rare.close_failed += 1;
                error.leftover
            }
        };
        self.rare.left_in_queue += u64::from(left.in_queue > 0);
        self.check_ended(&producer).await?;
        self.ledger.check_left(first_call, &left)?;
        self.count(&producer);
        drop(producer);
        client.close().await;
        Ok(())
    }

    /// The process is killed: of its disk there is what was written, and requests that were on
    /// their way may still be executed.
    async fn kill(&mut self, producer: Producer, client: &wolff::Client) -> Result<(), Violation> {
        self.count(&producer);
        self.world.lose_process();
        drop(producer);
        client.close().await;
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
        self.count(&producer);
        let partitions = self.world.partitions;
        let may_duplicate = self.world.knobs.may_duplicate();
        let rules = Rules {
            may_duplicate,
            damaged: self.damaged,
        };
        let repeated =
            (self.ledger).check_logs(&self.world.cluster, partitions, rules, &self.world.trace)?;
        self.rare.damaged += self.damaged;
        // Nobody is left to count a record that is there again if its item is lost.
        let counted = self.possibly_duplicated + self.damaged;
        if repeated > counted {
            return Err(Violation(format!(
                "{repeated} records are there again, only {counted} are counted"
            )));
        }
        if counted > 0 && !may_duplicate {
            return Err(Violation(format!(
                "{counted} records are counted as possibly duplicated: the brokers have forgotten nothing"
            )));
        }
        self.rare.repeated += repeated;
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
        let mut attempts = 0;
        loop {
            let builder = self.world.producer(client).max_linger(linger);
            let started = timeout(PATIENCE, builder.start()).await;
            let started = started.map_err(|_| Violation("a start does not return".into()))?;
            match started {
                Ok(producer) => {
                    self.note(format_args!("started"));
                    return Ok(producer);
                }
                // A fault of the disk that the run before has not met.
                Err(StartError::Queue { .. }) if attempts < MOST_STARTS => {
                    self.note(format_args!("the start failed"));
                    attempts += 1;
                }
                Err(error) => return Err(Violation(format!("a start failed: {error:?}"))),
            }
        }
    }

    fn heal(&self) -> Result<(), Violation> {
        self.world.cluster.clear_faults();
        self.world.disk.heal();
        // A batch in doubt that has become too large is sent again until it is not.
        self.raise_limit()?;
        self.note(format_args!("nothing goes wrong any more"));
        Ok(())
    }

    /// Checks what must hold at every moment.
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
