//! Lines from a file into a real Kafka, beside a small program that does the same with the rdkafka
//! crate.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use wolff_peers::Failure;
use wolff_peers::drive::rdkafka::{Run, Settings as RdkafkaSettings};
use wolff_peers::pipe::{PARTITIONS, Program, Settings, compare, for_each_line, write_lines};
use wolff_peers::report::{print_ratios, print_table};

/// Pipes a file of lines into a topic of six partitions: `wolff produce` with a queue on disk, and
/// without one, beside a program that uses the rdkafka crate. Whole processes, from start to exit;
/// acks=all, idempotent, every record acknowledged, the topic's records counted afterwards. Nothing
/// is pinned: the cluster works on the same machine.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Args, Debug)]
struct RunArguments {
    /// Addresses of the cluster.
    #[arg(long, env = "WOLFF_KAFKA")]
    brokers: Option<String>,
    /// The file; default: one is made.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Lines of the file that is made.
    #[arg(long, default_value_t = 1_000_000)]
    lines: usize,
    /// Rounds that count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The program to measure; default: it is built.
    #[arg(long)]
    wolff: Option<PathBuf>,
    /// Where queues on disk are made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    queue_dir: PathBuf,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Args, Debug)]
struct SettingsArguments {
    /// Time that an undersized batch waits, in milliseconds.
    #[arg(long, default_value_t = 5)]
    linger_ms: u64,
    /// Bytes of a batch.
    #[arg(long, default_value_t = 1_000_000)]
    batch_bytes: usize,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "none")]
    compression: String,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The same with the rdkafka crate.
    #[command(hide = true)]
    BeRdkafka {
        #[arg(long)]
        brokers: String,
        #[arg(long)]
        topic: String,
        #[command(flatten)]
        settings: SettingsArguments,
        input: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.part {
        Some(Part::BeRdkafka {
            brokers,
            topic,
            settings,
            input,
        }) => be_rdkafka(brokers, topic, settings, input),
        None => run(&arguments.run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn be_rdkafka(
    brokers: &str,
    topic: &str,
    settings: &SettingsArguments,
    input: &Path,
) -> Result<(), Failure> {
    let mut producer = Run::start(&RdkafkaSettings {
        brokers,
        in_flight: 5,
        linger: Duration::from_millis(settings.linger_ms),
        batch_bytes: settings.batch_bytes,
        outstanding: 500_000,
        compression: &settings.compression,
    })?;
    for_each_line(input, |line| producer.send(topic, None, line))?;
    producer.wait()
}

fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let brokers = arguments
        .brokers
        .clone()
        .filter(|brokers| !brokers.is_empty());
    let brokers = brokers.ok_or("no cluster: say --brokers HOST:PORT or set WOLFF_KAFKA")?;
    let binary = match &arguments.wolff {
        Some(binary) => binary.clone(),
        None => build_wolff()?,
    };
    let made = tempfile::NamedTempFile::new()?;
    let input = arguments.input.as_deref().unwrap_or(made.path());
    if arguments.input.is_none() {
        write_lines(input, arguments.lines)?;
    }
    let (mut lines, mut bytes) = (0_usize, 0_usize);
    for_each_line(input, |line| {
        (lines, bytes) = (lines.saturating_add(1), bytes.saturating_add(line.len()));
        Ok(())
    })?;

    let queue_dir = Some(arguments.queue_dir.clone());
    let programs = [
        (
            "wolff produce --queue-dir".to_owned(),
            Program::Wolff {
                binary: binary.clone(),
                queue_dir,
            },
        ),
        (
            "wolff produce".to_owned(),
            Program::Wolff {
                binary,
                queue_dir: None,
            },
        ),
        (
            "a program with the rdkafka crate".to_owned(),
            Program::Rdkafka,
        ),
    ];
    let settings = Settings {
        brokers,
        linger_ms: arguments.settings.linger_ms,
        batch_bytes: arguments.settings.batch_bytes,
        compression: arguments.settings.compression.clone(),
    };
    let series = compare(&programs, &settings, input, lines, arguments.rounds)?;
    let title = format!(
        "{lines} lines, {bytes} bytes, into {PARTITIONS} partitions, acks=all, linger {} ms, batches of {} B, compression {}",
        settings.linger_ms, settings.batch_bytes, settings.compression,
    );
    print_table(&title, &series);
    if let [disk, memory, peer] = series.as_slice() {
        print_ratios("pipe_disk", disk, peer, "librdkafka");
        print_ratios("pipe_memory", memory, peer, "librdkafka");
    }
    Ok(())
}

/// Builds the command-line tool with the cargo that runs this, into the folder that this program is
/// in.
fn build_wolff() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().ok_or("this program is in no folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--package",
            "wolff-cli",
            "--bin",
            "wolff",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !built.success() {
        return Err(
            "wolff-cli does not build; --wolff names a program that is built already".into(),
        );
    }
    Ok(folder.join(format!("wolff{}", std::env::consts::EXE_SUFFIX)))
}
