//! Makes files of lines, and checks what became of them in a topic.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use serde_json::json;
use wolff_end_to_end::check::{Check, Expectation, Report};
use wolff_end_to_end::lines::Lines;
use wolff_end_to_end::{Failure, admin, consumer};

/// Makes files of lines, and checks what became of them in a topic, read by librdkafka.
#[derive(Debug, Parser)]
#[command(after_help = "\
Example:
  wolff-e2e-verify generate --lines 2000000 --out lines
  wolff-e2e-verify create-topic --brokers $WOLFF_KAFKA --topic t --partitions 6
  wolff produce --brokers $WOLFF_KAFKA --topic t --queue-dir q lines
  wolff-e2e-verify check --brokers $WOLFF_KAFKA --topic t --input lines")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes lines of text: mixed lengths and scripts, empty lines, some of 100 KiB; no two alike
    /// but the empty ones.
    Generate(GenerateArguments),
    /// Makes a topic.
    CreateTopic(CreateArguments),
    /// Reads all of a topic and compares it with a file of lines. Prints what it counted as JSON;
    /// exit code 0 if each line is there exactly once (or as told), and in the file's order within
    /// each partition; else 1.
    Check(CheckArguments),
    /// Serves librdkafka's mock cluster of three brokers with one topic: prints its addresses, ends
    /// with its standard input.
    MockCluster(MockClusterArguments),
}

#[derive(Args, Debug)]
struct MockClusterArguments {
    /// The topic.
    #[arg(long)]
    topic: String,
    /// Number of its partitions.
    #[arg(long, default_value_t = 6)]
    partitions: i32,
}

#[derive(Args, Debug)]
struct GenerateArguments {
    /// Number of them.
    #[arg(long)]
    lines: u64,
    /// The same seed makes the same lines.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Default: stdout.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct CreateArguments {
    /// Addresses of the cluster.
    #[arg(long)]
    brokers: String,
    /// Its name.
    #[arg(long)]
    topic: String,
    /// Number of them.
    #[arg(long, default_value_t = 6)]
    partitions: i32,
    /// Brokers that hold each partition.
    #[arg(long, default_value_t = 1)]
    replication: i32,
}

#[derive(Args, Debug)]
struct CheckArguments {
    /// Addresses of the cluster.
    #[arg(long)]
    brokers: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// The lines that were sent.
    #[arg(long)]
    input: PathBuf,
    /// A line may be there more than once: duplicates are counted, and are no failure.
    #[arg(long)]
    allow_duplicates: bool,
    /// Only the first N lines must be there; the others may be.
    #[arg(long, value_name = "N")]
    required: Option<usize>,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().action {
        Action::Generate(arguments) => generate(&arguments).map(|()| true),
        Action::CreateTopic(arguments) => create_topic(&arguments).map(|()| true),
        Action::Check(arguments) => check(&arguments),
        Action::MockCluster(arguments) => serve_mock_cluster(&arguments).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(arguments: &GenerateArguments) -> Result<(), Failure> {
    let mut lines = Lines::new(arguments.seed);
    match &arguments.out {
        Some(path) => {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(at(path))?);
            lines.write(arguments.lines, &mut out).map_err(at(path))?;
            out.flush().map_err(at(path))
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            lines.write(arguments.lines, &mut out)?;
            Ok(out.flush()?)
        }
    }
}

fn create_topic(arguments: &CreateArguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let CreateArguments {
        brokers,
        topic,
        partitions,
        replication,
    } = arguments;
    runtime.block_on(admin::create_topic(
        brokers,
        topic,
        *partitions,
        *replication,
        &[],
    ))
}

fn check(arguments: &CheckArguments) -> Result<bool, Failure> {
    let start = Instant::now();
    let CheckArguments {
        brokers,
        topic,
        input,
        ..
    } = arguments;
    let text = std::fs::read(input).map_err(at(input))?;
    let expectation = Expectation {
        required_lines: arguments.required,
        allow_duplicates: arguments.allow_duplicates,
    };
    let mut check = Check::new(
        &text,
        consumer::partition_count(brokers, topic)?,
        expectation,
    )?;
    consumer::read_all(brokers, topic, |message| {
        check.message(message.partition(), message.payload())
    })?;
    let report: Report = check.finish();
    let mut facts = serde_json::to_value(&report)?;
    if let Some(object) = facts.as_object_mut() {
        object.insert("topic".to_owned(), json!(topic));
        object.insert("seconds".to_owned(), json!(start.elapsed().as_secs_f64()));
    }
    println!("{facts}");
    Ok(report.ok)
}

fn serve_mock_cluster(arguments: &MockClusterArguments) -> Result<(), Failure> {
    let cluster = MockCluster::new(3)?;
    cluster.create_topic(&arguments.topic, arguments.partitions, 3)?;
    println!("{}", cluster.bootstrap_servers());
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| format!("{}: {error}", path.display()).into()
}
