//! `wolff demo`: the broker dies, the producing process dies, nothing is lost.
//!
//! The broker is the embedded one, on a real socket; the producing process is a child that is
//! killed with SIGKILL; its queue is real files. What is told at the end is counted in the broker's
//! log.

mod child;
mod report;

mod tally;

mod workload;

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use wolff::PartitionId;
use wolff::client::codec::BrokerId;
use wolff_testbroker::Cluster;

use crate::args::DemoArgs;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::stop::Stop;

use child::{Feed, Place, Producing};
use report::Report;
use tally::Tally;

const TOPIC: &str = "demo";
const PARTITIONS: i32 = 6;
const BROKER: BrokerId = BrokerId(1);

/// Time that the feeding is to take, so that a person can follow.
const FEEDING: Duration = Duration::from_secs(9);

/// The slowest feed; smaller demos are shorter.
const LEAST_PER_SECOND: u64 = 33_000;

/// Limit of the time, after which the demo has failed.
const TIME_LIMIT: Duration = Duration::from_secs(58);

/// Interval at which the counts are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demo.
pub(crate) async fn run(args: &DemoArgs, stop: &Stop) -> Result<Exit, Failure> {
    tokio::select! {
        biased;
        () = stop.asked() => Err(Failure::failed("the demo was stopped before its end")),
        ended = tokio::time::timeout(TIME_LIMIT, run_story(args)) => ended.unwrap_or_else(|_| {
            Err(Failure::failed(format!("the demo did not come to its end within {TIME_LIMIT:?}")))
        }),
    }
}

async fn run_story(args: &DemoArgs) -> Result<Exit, Failure> {
    let report = Story::begin(args.records).await?.run().await?;
    if args.json {
        console::print_json(&report)?;
    } else {
        console::print_lines(&report)?;
    }
    match report.verdict() {
        Ok(()) => Ok(Exit::Done),
        Err(what) => Err(Failure::failed(what)),
    }
}

/// Course of the demo, and what is seen of it.
struct Story {
    started: Instant,
    records: u64,
    cluster: Cluster,
    place: Place,
    bar: Option<ProgressBar>,
    /// Removes queue and logs when the story is over.
    _directory: tempfile::TempDir,
}

impl Story {
    async fn begin(records: u64) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("wolff-demo-").tempdir();
        let directory = directory.map_err(|error| {
            Failure::usage(format!("cannot make a directory for the queue: {error}"))
                .advice("set TMPDIR to a directory that can be written to")
        })?;
        let cluster = Cluster::builder().topic(TOPIC, PARTITIONS).start().await;
        let cluster = cluster
            .map_err(|error| Failure::failed(format!("the broker cannot start: {error}")))?;
        let place = Place {
            brokers: cluster.bootstrap(),
            topic: TOPIC,
            directory: directory.path().to_owned(),
        };
        let bar = console::is_watched().then(|| {
            let style = ProgressStyle::with_template("         {bar:30} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            console::show_bar(ProgressBar::new(records).with_style(style))
        });
        Ok(Self {
            started: Instant::now(),
            records,
            cluster,
            place,
            bar,
            _directory: directory,
        })
    }

    async fn run(mut self) -> Result<Report, Failure> {
        self.say(format_args!(
            "a broker listens on {}; topic {TOPIC} has {PARTITIONS} partitions",
            self.place.brokers
        ));
        let mut report = self.until_the_producer_dies().await?;
        self.deliver_what_is_on_disk(&mut report).await?;
        self.produce_the_rest(&report).await?;
        report.take(&self.count()?, self.records, self.started.elapsed());
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        Ok(report)
    }

    async fn until_the_producer_dies(&self) -> Result<Report, Failure> {
        self.say(format_args!(
            "wolff produce starts, with its queue on disk; {} records come in",
            HumanCount(self.records)
        ));
        let mut producing = self.start(1, Some(0))?;
        let third = self.records / 3;
        self.watch(&mut producing, |accepted| accepted >= third)
            .await?;
        self.cluster
            .kill(BROKER)
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        let in_topic_at_outage = self.cluster.stats().records();
        self.say(format_args!(
            "the broker is killed; it has {} records; the producer goes on accepting",
            HumanCount(in_topic_at_outage)
        ));
        self.watch(&mut producing, |accepted| accepted >= 2 * third)
            .await?;
        let promised = producing.kill().map_err(|error| system(&error))?;
        self.say(format_args!(
            "the producer is killed with SIGKILL; {} records were reported to be on disk",
            HumanCount(promised)
        ));
        Ok(Report::new(in_topic_at_outage, promised))
    }

    async fn deliver_what_is_on_disk(&self, report: &mut Report) -> Result<(), Failure> {
        self.cluster
            .revive(BROKER)
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        self.say(format_args!(
            "the broker is back; wolff produce runs on the same queue, without input"
        ));
        let mut producing = self.start(2, None)?;
        self.until_done(&mut producing).await?;
        let tally = self.count()?;
        report.missing_of_promised = tally.missing_of(report.promised);
        report.arrived_without_input = tally.total().arrived;
        self.say(format_args!(
            "{} of the {} promised records are missing; {} have arrived",
            HumanCount(report.missing_of_promised),
            HumanCount(report.promised),
            HumanCount(report.arrived_without_input)
        ));
        Ok(())
    }

    async fn produce_the_rest(&self, report: &Report) -> Result<(), Failure> {
        self.say(format_args!(
            "the input goes on behind record {}, as its source does not know more",
            HumanCount(report.promised)
        ));
        let mut producing = self.start(3, Some(report.promised))?;
        self.until_done(&mut producing).await
    }

    fn start(&self, run: u32, from: Option<u64>) -> Result<Producing, Failure> {
        let feed = from.map(|from| Feed {
            from,
            to: self.records,
            per_second: LEAST_PER_SECOND.max(self.records / FEEDING.as_secs()),
        });
        Producing::start(&self.place, run, feed).map_err(|error| system(&error))
    }

    /// Watches until the records that are on disk are as many as wanted.
    async fn watch(
        &self,
        producing: &mut Producing,
        is_enough: impl Fn(u64) -> bool,
    ) -> Result<(), Failure> {
        loop {
            let accepted = producing.accepted();
            if is_enough(accepted) {
                return Ok(());
            }
            if producing.ended().map_err(|error| system(&error))?.is_some() {
                return Err(ended_early(producing));
            }
            self.show(Some(accepted));
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn until_done(&self, producing: &mut Producing) -> Result<(), Failure> {
        loop {
            match producing.ended().map_err(|error| system(&error))? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(ended_early(producing)),
                None => self.show(None),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn count(&self) -> Result<Tally, Failure> {
        let mut tally = Tally::new(self.records);
        for partition in 0..PARTITIONS {
            let records = self.cluster.records(TOPIC, PartitionId(partition));
            for record in records.map_err(|error| Failure::failed(error.to_string()))? {
                tally.take(partition, record.key.as_deref(), record.value.as_deref());
            }
        }
        Ok(tally)
    }

    fn show(&self, accepted: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        let in_topic = self.cluster.stats().records();
        bar.set_position(in_topic.min(self.records));
        let accepted = accepted.map(|count| format!(" · {} on disk for sure", HumanCount(count)));
        bar.set_message(format!(
            "{} in the topic{}",
            HumanCount(in_topic),
            accepted.unwrap_or_default()
        ));
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        console::say(format_args!(
            "{:6.1} s {what}",
            self.started.elapsed().as_secs_f64()
        ));
    }
}

fn system(error: &std::io::Error) -> Failure {
    Failure::failed(format!("the producing process cannot be run: {error}"))
}

fn ended_early(producing: &Producing) -> Failure {
    Failure::failed("the producing process failed")
        .advice(format!("it said:\n{}", producing.said()))
}
