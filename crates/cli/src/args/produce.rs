//! The flags of `produce`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wolff::{Compression, RequiredAcks};

use super::connection::ConnectionArgs;
use super::values::{self, Delimiter, PartitionerName, Seconds};

/// Produce records: each line of the input is one.
///
/// Reads the files one after the other, or stdin. Brokers that cannot be reached are no error:
/// records wait in the queue until one answers. With --queue-dir the queue is on disk and survives
/// this process; run the command again on the same directory, with no input (</dev/null), to
/// deliver what is in it.
///
/// Ctrl-C stops reading; what is accepted and not delivered yet stays in the queue on disk.
#[derive(Args, Debug)]
#[command(after_long_help = FORMATS)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

/// Target of records, and the way there.
#[derive(Args, Debug)]
pub(crate) struct SendingArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// The topic. It must exist: see `wolff topic create`.
    #[arg(long, value_name = "T", value_parser = values::topic_name)]
    pub(crate) topic: String,
    /// Keep the queue on disk in this directory. Default: in memory, lost with the process.
    #[arg(long, value_name = "DIR")]
    pub(crate) queue_dir: Option<PathBuf>,
    /// Acknowledgement that makes a record delivered: all in-sync replicas, the leader alone, or
    /// nobody's.
    #[arg(long, value_enum, default_value_t = Acks::All, allow_hyphen_values = true)]
    pub(crate) acks: Acks,
    /// Compression of batches on their way.
    #[arg(long, value_enum, default_value_t = CompressionName::None)]
    pub(crate) compression: CompressionName,
    /// Choice of a record's partition. By key: as Java clients do (murmur2), librdkafka (crc32),
    /// sarama (fnv1a) or Erlang's wolff (phash2); without a key at random. adaptive, sticky:
    /// murmur2, and without a key one partition for 16 KiB and then another, with adaptive the less
    /// the more waits for it. random, roundrobin: whatever the key. Or the number of a partition
    /// for all.
    #[arg(
        long,
        value_name = "NAME|N",
        default_value = "murmur2",
        allow_hyphen_values = true
    )]
    pub(crate) partitioner: PartitionerName,
    /// Time that an undersized batch waits for more records, milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    pub(crate) linger_ms: u32,
    /// Size of a batch in bytes, before compression. Up to five per partition are on their way, in
    /// memory.
    #[arg(long, value_name = "N", default_value_t = 512 * 1024, value_parser = clap::value_parser!(u32).range(100..=100_000_000))]
    pub(crate) max_batch_bytes: u32,
    /// Time to wait for acknowledgements after the end of the input, seconds. Default: until Ctrl-C
    /// on a terminal, 300 otherwise.
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub(crate) drain_timeout: Option<Seconds>,
    /// Print the summary as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Input, and the meaning of its lines.
#[derive(Args, Debug)]
pub(crate) struct InputArgs {
    /// Separator of key and value in a line; \t is a tab. A line without it has no key.
    #[arg(long, value_name = "STR", allow_hyphen_values = true)]
    pub(crate) key_delimiter: Option<Delimiter>,
    /// Meaning of a line: the value itself, or a JSON object.
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    pub(crate) format: Format,
    /// Append to this file how many records of this run's input are on disk for sure, each time
    /// that it is more of them: the first N that were accepted survive this process.
    #[arg(long, value_name = "FILE", requires = "queue_dir")]
    pub(crate) accepted_log: Option<PathBuf>,
    /// Files to read, - for stdin. Default: stdin.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

const FORMATS: &str = r#"Formats:
  lines  The bytes between two line feeds are the value, whatever they are; a carriage return is kept. An empty line
         is a record with an empty value.
  jsonl  A JSON object per line, every field of which can be left out; blank lines are skipped:
         {"key":"k","value":"v","headers":{"name":"value"},"partition":0,"timestamp":1700000000000}
         key, value and the headers' values are strings or null, which Kafka tells apart from empty; or
         {"base64":"AAEC"} for bytes that are no text. headers can be a list of ["name","value"] pairs.
         partition overrides the partitioner. timestamp is in milliseconds since 1970.

Exit codes:
  0  All records are acknowledged. Some may be in Kafka twice: then a warning says how many.
  1  Wrong usage or configuration; nothing was accepted.
  2  Some records failed for good, or it is in doubt whether Kafka has them: the messages say how many, which and why.
     A line of which no record can be made is one of them; the lines behind it are sent.
  3  Stopped with records still in the queue on disk: the message says how many, where, and how to go on.
  4  Records were lost to damage of the queue's files, or with its directory; or the cluster has lost what it had
     acknowledged. This comes before 2 and 3.
  6  All records are acknowledged, but the summary could not be written to the standard output.

Summary (--json), in records:
  accepted = acked + sent + failed + in_doubt + left   of this run's input; sent: with --acks none
  refused                                              lines that were not accepted at all
  replayed, replay_failed, left_from_earlier           of earlier runs' records in the queue
  resumed                                              of those, in doubt: sent under the numbers that they had
  possibly_duplicated, damaged_records, broker_data_loss, other_cluster_partitions, reasons, idempotent, seconds"#;

/// Acknowledgement that makes a record delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Acks {
    #[value(alias = "-1")]
    All,
    #[value(alias = "1")]
    Leader,
    #[value(alias = "0")]
    None,
}

impl From<Acks> for RequiredAcks {
    fn from(acks: Acks) -> Self {
        match acks {
            Acks::All => Self::All,
            Acks::Leader => Self::Leader,
            Acks::None => Self::None,
        }
    }
}

/// Compression of batches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum CompressionName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::None => Self::None,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::Snappy => Self::Snappy,
            CompressionName::Lz4 => Self::Lz4,
            CompressionName::Zstd => Self::Zstd,
        }
    }
}

/// Meaning of a line of the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Lines,
    Jsonl,
}
