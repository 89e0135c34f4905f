//! The job of the command-line tool: a file of lines into a topic, each line a record.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;
use crate::child::run_to_end;
use crate::job::Measurement;
use crate::payload::payloads;
use crate::report::Series;
use crate::topic::Topics;

/// Partitions of the topic.
pub const PARTITIONS: i32 = 6;

/// Settings of the programs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the cluster.
    pub brokers: String,
    /// Time that an undersized batch waits, in milliseconds.
    pub linger_ms: u64,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Kafka's name of the compression.
    pub compression: String,
}

/// A program that does the job.
#[derive(Clone, Debug)]
pub enum Program {
    /// `wolff produce`, with a queue on disk below a directory or without one.
    Wolff {
        /// The program's file.
        binary: PathBuf,
        /// Where queues on disk are made; none: in memory.
        queue_dir: Option<PathBuf>,
    },
    /// The small program of this package that uses the rdkafka crate.
    Rdkafka,
}

/// Argument by which the program is told to do the job with the rdkafka crate.
pub const BE_RDKAFKA: &str = "be-rdkafka";

/// Writes a file of so many lines, between 20 and 400 bytes each.
///
/// # Errors
/// The file cannot be written.
pub fn write_lines(path: &Path, lines: usize) -> Result<(), Failure> {
    let payloads = payloads(400);
    let mut file = BufWriter::new(File::create(path)?);
    for (number, payload) in payloads.iter().cycle().take(lines).enumerate() {
        let length = 20 + number.wrapping_mul(7919) % 380;
        let text = payload
            .value
            .get(..length.saturating_sub(10))
            .unwrap_or_default();
        write!(file, "{number:09} ")?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

/// Lets each program do the job once per round, in turns, each time into a fresh topic, whose
/// records are counted. The first round is a rehearsal and does not count.
///
/// # Errors
/// A program fails, or the topic has another number of records than the file has lines.
pub fn compare(
    programs: &[(String, Program)],
    settings: &Settings,
    input: &Path,
    lines: usize,
    rounds: usize,
) -> Result<Vec<Series>, Failure> {
    let topics = Topics::of(&settings.brokers)?;
    let mut series: Vec<Series> = programs
        .iter()
        .map(|(name, _)| Series {
            name: name.clone(),
            measurements: Vec::new(),
        })
        .collect();
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        for (number, ((name, program), series)) in programs.iter().zip(&mut series).enumerate() {
            let topic = format!("bench-pipe-{}-{round}-{number}", std::process::id());
            topics.create(&topic, PARTITIONS)?;
            let measured = take_turn(program, settings, input, &topic, lines);
            let count = topics.record_count(&topic, PARTITIONS);
            topics.delete(&topic)?;
            let count = count?;
            let measurement = measured.map_err(|error| format!("{name}: {error}"))?;
            if usize::try_from(count) != Ok(lines) {
                return Err(format!(
                    "{name}: {count} records in the topic, {lines} lines in the file"
                )
                .into());
            }
            if round > 0 {
                series.measurements.push(measurement);
            }
        }
    }
    Ok(series)
}

fn take_turn(
    program: &Program,
    settings: &Settings,
    input: &Path,
    topic: &str,
    lines: usize,
) -> Result<Measurement, Failure> {
    let linger = settings.linger_ms.to_string();
    let batch = settings.batch_bytes.to_string();
    let mut command = match program {
        Program::Wolff { binary, .. } => Command::new(binary),
        Program::Rdkafka => Command::new(std::env::current_exe()?),
    };
    let mut own_queue = None;
    match program {
        Program::Wolff { queue_dir, .. } => {
            command.args([
                "produce",
                "--json",
                "--acks",
                "all",
                "--linger-ms",
                &linger,
                "--max-batch-bytes",
                &batch,
            ]);
            if let Some(base) = queue_dir {
                let directory = own_queue.insert(tempfile::tempdir_in(base)?);
                command.arg("--queue-dir").arg(directory.path());
            }
        }
        Program::Rdkafka => {
            command.args([BE_RDKAFKA, "--linger-ms", &linger, "--batch-bytes", &batch]);
        }
    }
    command.args([
        "--brokers",
        &settings.brokers,
        "--topic",
        topic,
        "--compression",
        &settings.compression,
    ]);
    let cost = run_to_end(
        command
            .arg(input)
            .stdin(Stdio::null())
            .stdout(Stdio::null()),
    )?;
    Ok(Measurement {
        records: lines,
        wall: cost.wall,
        cpu: cost.cpu,
        broker_cpu: None,
        peak_memory_kib: None,
    })
}

/// The lines of a file, one after the other.
///
/// # Errors
/// The file cannot be read, or `take` fails.
pub fn for_each_line(
    input: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let file = File::open(input).map_err(|error| format!("{}: {error}", input.display()))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        take(line.strip_suffix(b"\n").unwrap_or(&line))?;
    }
}
