//! Cost of a request on one connection to a null broker, beside other clients.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use wolff_peers::comparison::{NullBroker, compare};
use wolff_peers::job::{Compression, Contender, Job, KEY_BYTES, Measurement};
use wolff_peers::parts::{self, Part};
use wolff_peers::report::{Series, print_memory, print_ratios, print_table};
use wolff_peers::{Failure, affinity, drive};

/// Sends Produce requests with one record each through one pipelined connection to a broker that
/// keeps nothing, acks=all. The client has one core, the broker another. librdkafka and the
/// producer of this workspace are idempotent, which allows five requests in flight; rskafka and our
/// connection manager alone are not.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Requests of the measured part of a turn.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 1_000)]
    value_bytes: usize,
    /// Rounds that count.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    parts::play(arguments.part.as_ref(), || run(&arguments), drive::run)
}

/// Title, who, requests in flight.
const ROWS: [(&str, Contender, usize); 5] = [
    ("wolff-client, 5 in flight", Contender::WolffClient, 5),
    ("rdkafka, 5 in flight", Contender::Rdkafka, 5),
    ("rskafka, 5 in flight", Contender::Rskafka, 5),
    ("wolff-client, 64 in flight", Contender::WolffClient, 64),
    ("rskafka, 64 in flight", Contender::Rskafka, 64),
];

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (client_core, broker_core) = affinity::two_cores()?;
    let broker = NullBroker::start(1, broker_core)?;
    let jobs: Vec<(String, Job)> = ROWS
        .iter()
        .map(|&(title, contender, in_flight)| {
            let job = Job {
                contender,
                broker: broker.address().to_owned(),
                broker_pid: broker.pid(),
                records: arguments.requests,
                warm_up_records: arguments.requests / 8,
                value_bytes: arguments.value_bytes,
                partitions: 1,
                records_per_call: 1,
                outstanding: 1_000,
                compression: Compression::None,
                linger: Duration::ZERO,
                // So that no second record has room.
                batch_bytes: 1,
                in_flight,
                queue_dir: None,
                core: client_core,
                pace: Duration::ZERO,
                worker_threads: 0,
            };
            (title.to_owned(), job)
        })
        .collect();
    let series: Vec<Series<Measurement>> = compare(&jobs, arguments.rounds)?;
    let title = format!(
        "{} requests with one record of {} B + {KEY_BYTES} B key each, one connection, acks=all (a record is a request)",
        arguments.requests, arguments.value_bytes,
    );
    print_table(&title, &series);
    print_memory(&series);
    if let [ours, rdkafka, rskafka, ours_64, rskafka_64] = series.as_slice() {
        print_ratios("requests", ours, rdkafka, "librdkafka");
        print_ratios("requests", ours, rskafka, "rskafka");
        print_ratios("requests_64", ours_64, rskafka_64, "rskafka");
    }
    Ok(())
}
