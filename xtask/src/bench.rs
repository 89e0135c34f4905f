//! Named sets of benchmarks.
//!
//! A benchmark may print lines `ratio <name> <value>`: how many times as fast as a peer it is, or
//! any other figure that is worth keeping. They are repeated together at the end.

use crate::failure::Failure;
use crate::program;
use crate::real_kafka::RealKafka;
use crate::turns;
use crate::workspace;
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

/// One program of a set.
struct Benchmark {
    set: &'static str,
    /// Folder of its package.
    folder: &'static str,
    target: Target,
    needs_kafka: bool,
}

enum Target {
    /// A `[[bench]]` target, run by `cargo bench`.
    Bench(&'static str),
    /// A `[[bin]]` target, run by `cargo run --release`.
    Program(&'static str),
}

/// Benchmarks of each set, in order.
const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        set: "codec",
        folder: "benches",
        target: Target::Bench("codec_messages"),
        needs_kafka: false,
    },
    Benchmark {
        set: "codec",
        folder: "benches",
        target: Target::Bench("codec_records"),
        needs_kafka: false,
    },
    Benchmark {
        set: "partitioner",
        folder: "benches",
        target: Target::Bench("partitioner"),
        needs_kafka: false,
    },
    Benchmark {
        set: "replayq",
        folder: "benches",
        target: Target::Bench("replayq"),
        needs_kafka: false,
    },
    Benchmark {
        set: "unrouted",
        folder: "benches",
        target: Target::Bench("unrouted"),
        needs_kafka: false,
    },
    Benchmark {
        set: "links",
        folder: "benches",
        target: Target::Bench("links"),
        needs_kafka: false,
    },
    Benchmark {
        set: "client",
        folder: "benches",
        target: Target::Bench("client"),
        needs_kafka: false,
    },
    Benchmark {
        set: "client",
        folder: "benches/peers",
        target: Target::Program("requests"),
        needs_kafka: false,
    },
    Benchmark {
        set: "produce",
        folder: "benches/peers",
        target: Target::Program("produce"),
        needs_kafka: false,
    },
    Benchmark {
        set: "latency",
        folder: "benches/peers",
        target: Target::Program("latency"),
        needs_kafka: false,
    },
    Benchmark {
        set: "pipe",
        folder: "benches/peers",
        target: Target::Program("pipe"),
        needs_kafka: true,
    },
];

/// Which set, and what its programs are told.
#[derive(Args, Debug)]
#[command(after_help = "\
Sets:
  codec     encoding and decoding of messages and record batches
  replayq   append, pop, ack, reopen, in memory and on disk
  client    requests over a connection, also beside other clients; leaders of many partitions
  produce   the library's hot path on a null broker, beside other clients
  latency   from a call to its acknowledgement at a steady rate, beside other clients
  pipe      lines from a pipe into a real Kafka, beside other clients
  all       all of these")]
pub(crate) struct BenchArguments {
    /// codec, replayq, client, produce, latency, pipe, or all.
    #[arg(value_name = "SET")]
    set: String,
    /// Another checkout, whose queue is compared with this one's. For the set replayq, instead of
    /// its benchmarks.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Rounds of that comparison.
    #[arg(long, value_name = "N", default_value_t = 9, requires = "against")]
    rounds: usize,
    /// Passed on to each program; with `--against`, parts of the names of the lines wanted.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs the set. A program that fails ends it.
pub(crate) fn run(wanted: &BenchArguments) -> Result<(), Failure> {
    if let Some(before) = &wanted.against {
        if wanted.set != "replayq" {
            return Err(Failure::new(format!(
                "`--against` is for the set `replayq`, not `{}`",
                wanted.set
            )));
        }
        return turns::run(before, wanted.rounds, &wanted.arguments);
    }
    let is_wanted = |benchmark: &&Benchmark| wanted.set == "all" || benchmark.set == wanted.set;
    let chosen: Vec<&Benchmark> = BENCHMARKS.iter().filter(is_wanted).collect();
    if chosen.is_empty() {
        let mut sets: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.set).collect();
        sets.dedup();
        return Err(Failure::new(format!(
            "there is no set of benchmarks called `{}`",
            wanted.set
        ))
        .advise(format!("There are: {}, all.", sets.join(", "))));
    }
    let kafka = chosen
        .iter()
        .any(|benchmark| benchmark.needs_kafka)
        .then(|| RealKafka::provide(1));
    if let Some(RealKafka::Absent { reason, .. }) = &kafka {
        return Err(Failure::new(format!(
            "`{}` needs a real Kafka: {reason}",
            wanted.set
        )));
    }
    let targets = workspace::runnable_targets()?;
    let mut ratios = Vec::new();
    for benchmark in chosen {
        let (Target::Bench(target) | Target::Program(target)) = benchmark.target;
        if !targets.iter().any(|name| name == target) {
            let what = format!(
                "the set `{}` has no benchmark `{target}` in {}",
                benchmark.set, benchmark.folder
            );
            if wanted.set != "all" {
                return Err(Failure::new(what));
            }
            eprintln!("left out: {what}");
            continue;
        }
        eprintln!("benchmark {} …", benchmark.set);
        let mut command = command(benchmark);
        command.args(&wanted.arguments);
        if let Some(RealKafka::Ready { environment, .. }) = &kafka {
            command.envs(environment.iter().map(|(name, value)| (name, value)));
        }
        let status = program::stream(&mut command, |line| {
            println!("{line}");
            if line.starts_with("ratio ") {
                ratios.push(line.to_owned());
            }
        })?;
        if !status.success() {
            return Err(Failure::new(format!(
                "`{}` failed ({status})",
                program::line_of(&command)
            )));
        }
    }
    if let Some(kafka) = kafka {
        kafka.stop();
    }
    if !ratios.is_empty() {
        println!("\nAll ratios:\n{}", ratios.join("\n"));
    }
    Ok(())
}

fn command(benchmark: &Benchmark) -> Command {
    let manifest = format!("{}/Cargo.toml", benchmark.folder);
    let mut command = workspace::cargo();
    match benchmark.target {
        Target::Bench(name) => {
            command.args(["bench", "--manifest-path", &manifest, "--bench", name, "--"])
        }
        Target::Program(name) => command.args([
            "run",
            "--release",
            "--manifest-path",
            &manifest,
            "--bin",
            name,
            "--",
        ]),
    };
    command
}
