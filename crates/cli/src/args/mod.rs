//! Command line of `wolff`. `--help` is made of the comments here.

mod queue;

mod produce;

mod connection;

mod again;
mod network;
mod security;

mod values;

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};

pub(crate) use again::flags_to_go_on;
pub(crate) use connection::ConnectionArgs;
pub(crate) use produce::{Format, InputArgs, ProduceArgs, SendingArgs};
pub(crate) use queue::{DumpArgs, InspectArgs, LookArgs, QueueCommand, RepairArgs, ReplayArgs};
pub(crate) use values::{PartitionerName, TopicSpec};

/// A Kafka producer that does not lose what it has accepted.
#[derive(Debug, Parser)]
#[command(name = "wolff", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Tell more: -v what is going on, -vv details, -vvv everything.
    /// WOLFF_LOG=warn,wolff_client=debug chooses by part.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_ABOUT: &str = "\
A Kafka producer that does not lose what it has accepted.

Try it without Kafka:   wolff demo
Pipe lines into Kafka:  tail -F app.log | wolff produce --brokers localhost:9092 --topic logs --queue-dir /var/lib/wolff
With --queue-dir, records are on disk before they count as accepted; they survive broker outages and restarts.";

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 wrong usage or configuration; 2 something failed for good; \
3 stopped with records still in the queue on disk; 4 a queue on disk is damaged.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Produce(Box<ProduceArgs>),
    Demo(DemoArgs),
    Broker(BrokerArgs),
    /// Create, list or describe topics.
    #[command(subcommand)]
    Topic(TopicCommand),
    Metadata(MetadataArgs),
    /// Look into queues on disk, check, repair and replay them.
    #[command(subcommand)]
    Queue(Box<QueueCommand>),
}

/// Show in less than a minute, without Kafka, that nothing is lost when broker and producer die.
///
/// Runs an embedded broker, and this program's own `produce` as a process that is killed with
/// SIGKILL in the middle of an outage. Then counts what is in the topic: every record must be
/// there, unaltered and in order.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Number of records to produce.
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1_000..=5_000_000))]
    pub(crate) records: u64,
    /// Print the final table as JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run an embedded broker, for trying things out and for tests without Kafka.
///
/// It keeps its topics in memory: they are gone when it stops.
///
/// It has no consumer groups (joining one and committing offsets fail at once; consume from
/// assigned partitions), no transactions, no ACLs, no quotas, no compaction, one replica of each
/// partition, and neither TLS nor authentication.
#[derive(Args, Debug)]
pub(crate) struct BrokerArgs {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9092")]
    pub(crate) listen: SocketAddr,
    /// A topic to have from the start; can be given several times.
    #[arg(long = "topic", value_name = "NAME:PARTITIONS")]
    pub(crate) topics: Vec<TopicSpec>,
    /// Let a topic come into being, with one partition, when a client asks for it.
    #[arg(long)]
    pub(crate) auto_create_topics: bool,
    /// Bytes of each partition that are kept in memory; the oldest records go first.
    #[arg(long, value_name = "N", default_value_t = 1 << 30)]
    pub(crate) retention_bytes: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic.
    Create(CreateTopicArgs),
    /// List the topics of the cluster.
    List(ListTopicsArgs),
    /// Show the partitions of a topic and their leaders.
    Describe(DescribeTopicArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateTopicArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Number of partitions; default: the broker's setting.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// Number of replicas of each partition; default: the broker's setting.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) replication_factor: Option<i16>,
    /// A setting of the topic, as max.message.bytes=2000000; can be given several times.
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = values::setting)]
    pub(crate) configs: Vec<(String, String)>,
    /// The topic's name.
    #[arg(value_name = "TOPIC", value_parser = values::topic_name)]
    pub(crate) topic: String,
}

#[derive(Args, Debug)]
pub(crate) struct ListTopicsArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Print JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the cluster's own topics as well.
    #[arg(long)]
    pub(crate) internal: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DescribeTopicArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Print JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// The topic's name.
    #[arg(value_name = "TOPIC", value_parser = values::topic_name)]
    pub(crate) topic: String,
}

/// Show the brokers of the cluster and its topics.
#[derive(Args, Debug)]
pub(crate) struct MetadataArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Instead, try each host of --brokers by itself and say what is wrong with it; fails unless
    /// all are fine.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
