//! Latency of a single record up to its acknowledgement by a null broker, beside other clients.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use wolff_peers::comparison::{NullBroker, compare};
use wolff_peers::job::{Compression, Contender, Job, KEY_BYTES};
use wolff_peers::latency::Latencies;
use wolff_peers::parts::{self, Part};
use wolff_peers::report::{Series, print_latencies};
use wolff_peers::{Failure, affinity, drive};

/// Produces at a steady rate to a broker that keeps nothing, without linger, acks=all, idempotent
/// where the client can: from the call that hands a record over to the look at its acknowledgement.
/// The client has one core, the broker another.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Records per second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Records of the measured part of a turn.
    #[arg(long, default_value_t = 4000)]
    records: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Rounds that count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where queues on disk are made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    queue_dir: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    parts::play(
        arguments.part.as_ref(),
        || run(&arguments),
        drive::run_paced,
    )
}

/// Title, who, whether the queue is on disk, threads of the runtime beside the one that produces.
const ROWS: [(&str, Contender, bool, usize); 5] = [
    ("wolff, memory", Contender::Wolff, false, 1),
    ("wolff, memory, one thread", Contender::Wolff, false, 0),
    ("wolff, disk", Contender::Wolff, true, 1),
    ("rdkafka, BaseProducer", Contender::Rdkafka, false, 1),
    ("rskafka, batches of one", Contender::Rskafka, false, 1),
];

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (client_core, broker_core) = affinity::two_cores()?;
    let broker = NullBroker::start(arguments.partitions, broker_core)?;
    let pace = Duration::from_secs(1) / arguments.rate.max(1);
    let jobs: Vec<(String, Job)> = ROWS
        .iter()
        .map(|&(title, contender, on_disk, worker_threads)| {
            let job = Job {
                contender,
                broker: broker.address().to_owned(),
                broker_pid: broker.pid(),
                records: arguments.records,
                warm_up_records: arguments.records / 8,
                value_bytes: arguments.value_bytes,
                partitions: arguments.partitions,
                records_per_call: 1,
                outstanding: 1000,
                compression: Compression::None,
                linger: Duration::ZERO,
                batch_bytes: 1_000_000,
                in_flight: 5,
                queue_dir: on_disk.then(|| arguments.queue_dir.clone()),
                core: client_core,
                pace,
                worker_threads,
            };
            (title.to_owned(), job)
        })
        .collect();
    let series = compare::<Latencies>(&jobs, arguments.rounds)?;
    let title = format!(
        "{} records of {} B + {KEY_BYTES} B key, {} per second, one at a time, {} partitions, acks=all, no linger",
        arguments.records, arguments.value_bytes, arguments.rate, arguments.partitions,
    );
    print_latencies(&title, &series);
    print_ratios(&series);
    Ok(())
}

/// Ratios of medians; what the disk adds, in microseconds.
fn print_ratios(series: &[Series<Latencies>]) {
    let [memory, one_thread, disk, rdkafka, rskafka] = series else {
        return;
    };
    for (name, ours) in [("", memory), ("one_thread_", one_thread), ("disk_", disk)] {
        for (peer_name, peer) in [("librdkafka", rdkafka), ("rskafka", rskafka)] {
            for (figure, ours, theirs) in [
                ("p50", ours.p50(), peer.p50()),
                ("p99", ours.p99(), peer.p99()),
            ] {
                if let (Some(ours), Some(theirs)) = (ours, theirs) {
                    let ratio = ours.median / theirs.median;
                    println!("ratio latency_{name}{figure}_vs_{peer_name} {ratio:.2}");
                }
            }
        }
    }
    if let (Some(memory), Some(disk)) = (memory.p50(), disk.p50()) {
        let added = disk.median - memory.median;
        println!("ratio latency_disk_adds_us_at_p50 {added:.1}");
    }
}
