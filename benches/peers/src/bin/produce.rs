//! The library's hot path on a null broker, beside other clients.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use wolff_peers::comparison::{NullBroker, compare};
use wolff_peers::job::{Compression, Contender, Job, KEY_BYTES, Measurement};
use wolff_peers::parts::{self, Part};
use wolff_peers::report::{Series, print_ratios, print_table};
use wolff_peers::{Failure, affinity, drive};

/// Produces to a broker that keeps nothing, with like settings: acks=all, idempotent where the
/// client can, each completion observed. The client has one core, the broker another. Rates are
/// records per second of wall time, costs are CPU time of the client's process, user and system.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cargo xtask bench produce
  cargo xtask bench produce -- --value-bytes 100 --rounds 5 --contenders wolff,rdkafka --storage memory
  cargo xtask bench produce -- --value-bytes 200 --compression lz4

Ratios are our median to the peer's best round: the rdkafka crate is bimodal when it has one core, and its fast mode is
the bar.")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Bytes of a value; one table each.
    #[arg(long, value_delimiter = ',', default_value = "100,1024")]
    value_bytes: Vec<usize>,
    /// Records of the measured part. Default: 2,000,000 of up to 200 bytes, fewer of larger ones.
    #[arg(long)]
    records: Option<usize>,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Where our queue is; one row each.
    #[arg(long, value_delimiter = ',', default_value = "memory,disk")]
    storage: Vec<Storage>,
    /// Records that our producer is handed in one call; one row each.
    #[arg(long, value_delimiter = ',', default_value = "1,100")]
    per_call: Vec<usize>,
    /// Contenders.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "wolff,rdkafka,rskafka,rskafka-batch,raw-file"
    )]
    contenders: Vec<Contender>,
    /// Compression of batches.
    #[arg(long, default_value = "none")]
    compression: Compression,
    /// Rounds that count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Records handed over and not acknowledged, at most.
    #[arg(long, default_value_t = 500_000)]
    outstanding: usize,
    /// Time that an undersized batch waits, in milliseconds.
    #[arg(long, default_value_t = 5)]
    linger_ms: u64,
    /// Bytes of a batch.
    #[arg(long, default_value_t = 1_000_000)]
    batch_bytes: usize,
    /// Requests in flight.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Threads of the runtime beside the one that produces; 0: one thread for everything.
    #[arg(long, default_value_t = 1)]
    worker_threads: usize,
    /// Where queues on disk are made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    queue_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Storage {
    Memory,
    Disk,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    parts::play(arguments.part.as_ref(), || run(&arguments), drive::run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (client_core, broker_core) = affinity::two_cores()?;
    let broker = NullBroker::start(arguments.partitions, broker_core)?;
    for &value_bytes in &arguments.value_bytes {
        let jobs = jobs(arguments, value_bytes, &broker, client_core);
        let series = compare::<Measurement>(&jobs, arguments.rounds)?;
        let records = jobs.first().map_or(0, |(_, job)| job.records);
        let title = format!(
            "{records} records of {value_bytes} B + {KEY_BYTES} B key, {} partitions, acks=all, linger {} ms, batches of {} B, \
             {} in flight, compression {}",
            arguments.partitions,
            arguments.linger_ms,
            arguments.batch_bytes,
            arguments.in_flight,
            arguments.compression.name(),
        );
        print_table(&title, &series);
        print_all_ratios(arguments, value_bytes, &jobs, &series);
    }
    Ok(())
}

/// The rows of one table.
fn jobs(
    arguments: &Arguments,
    value_bytes: usize,
    broker: &NullBroker,
    core: Option<usize>,
) -> Vec<(String, Job)> {
    let records = arguments.records.unwrap_or(if value_bytes <= 200 {
        2_000_000
    } else {
        500_000
    });
    let job = |contender, storage, records_per_call: usize| Job {
        contender,
        broker: broker.address().to_owned(),
        broker_pid: broker.pid(),
        records: records - records % records_per_call.max(1),
        warm_up_records: (records / 5).next_multiple_of(records_per_call.max(1)),
        value_bytes,
        partitions: arguments.partitions,
        records_per_call: records_per_call.max(1),
        outstanding: arguments.outstanding.max(1),
        compression: arguments.compression,
        linger: Duration::from_millis(arguments.linger_ms),
        batch_bytes: arguments.batch_bytes,
        in_flight: arguments.in_flight,
        queue_dir: (storage == Storage::Disk).then(|| arguments.queue_dir.clone()),
        core,
        pace: Duration::ZERO,
        worker_threads: arguments.worker_threads,
    };
    let mut jobs = Vec::new();
    for &contender in &arguments.contenders {
        if contender != Contender::Wolff {
            let storage = match contender {
                Contender::RawFile => Storage::Disk,
                _ => Storage::Memory,
            };
            jobs.push((peer_title(contender).to_owned(), job(contender, storage, 1)));
            continue;
        }
        for &storage in &arguments.storage {
            for &per_call in &arguments.per_call {
                let place = if storage == Storage::Disk {
                    "disk"
                } else {
                    "memory"
                };
                jobs.push((
                    format!("wolff, {place}, {per_call} a call"),
                    job(contender, storage, per_call),
                ));
            }
        }
    }
    jobs
}

fn peer_title(contender: Contender) -> &'static str {
    match contender {
        Contender::Wolff => "wolff",
        Contender::WolffClient => "wolff-client, a record a request",
        Contender::Rdkafka => "rdkafka, BaseProducer",
        Contender::Rskafka => "rskafka, batches made by hand",
        Contender::RskafkaBatch => "rskafka, BatchProducer",
        Contender::RawFile => "the same bytes written to files",
    }
}

fn peer_name(contender: Contender) -> &'static str {
    match contender {
        Contender::Wolff => "wolff",
        Contender::WolffClient => "wolff_client",
        Contender::Rdkafka => "librdkafka",
        Contender::Rskafka => "rskafka",
        Contender::RskafkaBatch => "rskafka_batch_producer",
        Contender::RawFile => "raw_file",
    }
}

/// `produce_100b_msgs_vs_librdkafka` is ours in memory with one record a call; other rows of ours
/// say what differs.
fn print_all_ratios(
    arguments: &Arguments,
    value_bytes: usize,
    jobs: &[(String, Job)],
    series: &[Series],
) {
    let rows = || jobs.iter().map(|(_, job)| job).zip(series);
    let size = if value_bytes == 1024 {
        "1k".to_owned()
    } else {
        format!("{value_bytes}b")
    };
    for (our_job, ours) in rows().filter(|(job, _)| job.contender == Contender::Wolff) {
        let mut prefix = format!("produce_{size}");
        if arguments.compression != Compression::None {
            prefix.push_str(&format!("_{}", arguments.compression.name()));
        }
        if our_job.queue_dir.is_some() {
            prefix.push_str("_disk");
        }
        if our_job.records_per_call > 1 {
            prefix.push_str(&format!("_{}_a_call", our_job.records_per_call));
        }
        let peers = rows()
            .filter(|(job, _)| !matches!(job.contender, Contender::Wolff | Contender::RawFile));
        for (peer, theirs) in peers {
            print_ratios(&prefix, ours, theirs, peer_name(peer.contender));
        }
        let same_in_memory = |job: &Job| {
            job.contender == Contender::Wolff
                && job.queue_dir.is_none()
                && job.records_per_call == our_job.records_per_call
        };
        let memory = rows().find(|(job, _)| same_in_memory(job));
        let raw = rows().find(|(job, _)| job.contender == Contender::RawFile);
        if our_job.queue_dir.is_some()
            && let (Some((_, memory)), Some((_, raw))) = (memory, raw)
            && let (Some(ours), Some(memory), Some(raw)) =
                (ours.costs(), memory.costs(), raw.costs())
        {
            let added = (ours.median - memory.median) / raw.median;
            println!("ratio {prefix}_added_cpu_vs_raw_file {added:.2}");
        }
    }
}
