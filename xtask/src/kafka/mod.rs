//! Real Apache Kafka in KRaft mode on loopback, from Maven packages: no container, nothing
//! installed system-wide.
//!
//! All state lies below `target/kafka/`:
//!
//! ```text
//! <version>/libs/            the broker's jars, kept between clusters
//! tools-<version>/libs/      Kafka's own command-line tools, for any broker version
//! certificates/              an authority, keys of servers and of a client, for all clusters
//! clusters/<name>/           one cluster, removed by `stop`
//!     cluster.properties     version and ports
//!     node-<n>/              server.properties, kafka.log, kafka.pid, data/
//! ```
//!
//! Nodes outlive the process that started them. They are found again by their pid file, which
//! counts only while the process of that id still runs this very node's `server.properties`.

mod cluster;

mod node;

mod certificates;
mod changes;
mod install;

mod java;
mod layout;
mod ports;
mod probe;
mod process;
mod settings;

pub(crate) use install::missing_programs;

use crate::failure::Failure;
use changes::{Changes, Pair};
use clap::{Args, Subcommand};
use cluster::Cluster;
use layout::Layout;
use settings::Wanted;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Broker version that `start` takes by default: the newest that is published.
pub(crate) const DEFAULT_VERSION: &str = "4.4.0";

/// Commands on a cluster.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo xtask kafka start --nodes 3 --version 3.9.2
  export $(cargo xtask kafka env)
      sets WOLFF_KAFKA=127.0.0.1:PORT,… and the other listeners
  cargo xtask kafka kill 1
      kill -9 of node 1; `restart 1` brings it back with its data
  cargo xtask kafka restart 3 --config connections.max.idle.ms=2000
      node 3 hangs up on whoever is silent for two seconds, until its next restart
  cargo xtask kafka tool org.apache.kafka.tools.TopicCommand \\
      --bootstrap-server $WOLFF_KAFKA --list

Needs Java 17 or newer and Maven. All state is below target/kafka/.")]
pub(crate) enum KafkaCommand {
    /// Starts a cluster and waits until every node answers; says so and does nothing if it runs
    /// already.
    Start(StartArguments),
    /// Kills every node and removes all data; the downloaded jars stay.
    Stop(ClusterArguments),
    /// Shows every node: process, state, ports.
    Status(ClusterArguments),
    /// Prints `NAME=value` lines for the tests and the shell: WOLFF_KAFKA and one line per further
    /// listener.
    Env(ClusterArguments),
    /// Kills nodes as `kill -9` does; their data stays.
    Kill(NodesArguments),
    /// Freezes nodes (SIGSTOP): they keep their connections and answer nothing.
    Pause(NodesArguments),
    /// Lets frozen nodes go on (SIGCONT).
    Resume(NodesArguments),
    /// Starts nodes again with the data they had, after a clean shutdown if they still run.
    Restart(RestartArguments),
    /// Runs one of Kafka's own command-line tools by its class name.
    Tool(ToolArguments),
}

/// Which cluster is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterArguments {
    /// Name of the cluster; several can run side by side. Default: the environment's
    /// WOLFF_KAFKA_CLUSTER, else "default".
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

/// Description of the cluster to start.
#[derive(Args, Clone, Debug)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// Number of nodes, each of them broker and controller.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Version of Apache Kafka (3.9 or newer).
    #[arg(long, default_value = DEFAULT_VERSION)]
    version: String,
    /// First port; each node takes six in a row from there. Default: free ports.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65000))]
    port: Option<u16>,
}

/// Which nodes are meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodesArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// Numbers of the nodes, from 1.
    #[arg(required = true, value_name = "N")]
    nodes: Vec<u16>,
}

/// Which nodes to start again, and what they shall do otherwise.
#[derive(Args, Clone, Debug)]
pub(crate) struct RestartArguments {
    #[command(flatten)]
    which: NodesArguments,
    /// A setting of the broker that differs until the next restart, for example
    /// connections.max.idle.ms=2000.
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<Pair>,
    /// Level of one of Kafka's loggers until the next restart, for example
    /// kafka.request.logger=debug.
    #[arg(long, value_name = "LOGGER=LEVEL")]
    log: Vec<Pair>,
}

/// Which tool to run.
#[derive(Args, Clone, Debug)]
pub(crate) struct ToolArguments {
    /// Java class, for example org.apache.kafka.tools.consumer.ConsoleConsumer.
    class: String,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl ClusterArguments {
    fn open(&self) -> Result<Cluster, Failure> {
        let from_environment = || {
            std::env::var("WOLFF_KAFKA_CLUSTER")
                .ok()
                .filter(|name| !name.is_empty())
        };
        let name = self.cluster.clone().or_else(from_environment);
        Cluster::named(
            Layout::of_workspace()?,
            name.as_deref().unwrap_or("default"),
        )
    }
}

/// Carries out one `cargo xtask kafka …`.
pub(crate) fn run(command: KafkaCommand) -> Result<(), Failure> {
    match command {
        KafkaCommand::Start(arguments) => {
            let cluster = arguments.cluster.open()?;
            cluster.start(&Wanted {
                version: arguments.version,
                nodes: arguments.nodes,
                first_port: arguments.port,
            })?;
            print!("{}", cluster.environment()?);
            Ok(())
        }
        KafkaCommand::Stop(arguments) => arguments.open()?.stop(),
        KafkaCommand::Status(arguments) => arguments.open()?.status(),
        KafkaCommand::Env(arguments) => {
            print!("{}", arguments.open()?.environment()?);
            Ok(())
        }
        KafkaCommand::Kill(arguments) => arguments.cluster.open()?.kill(&arguments.nodes),
        KafkaCommand::Pause(arguments) => arguments.cluster.open()?.pause(&arguments.nodes),
        KafkaCommand::Resume(arguments) => arguments.cluster.open()?.resume(&arguments.nodes),
        KafkaCommand::Restart(arguments) => {
            let changes = Changes {
                config: arguments.config,
                log_levels: arguments.log,
            };
            let which = arguments.which;
            which.cluster.open()?.restart(&which.nodes, &changes)
        }
        KafkaCommand::Tool(arguments) => install::run_tool(
            &Layout::of_workspace()?,
            &arguments.class,
            &arguments.arguments,
        ),
    }
}

/// A `java` command with all jars of a folder on its class path.
pub(crate) fn java_with_libs(libs: &Path) -> Command {
    java::with_libs(libs)
}

/// A port of 127.0.0.1 that nothing listens on.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let ports = ports::choose(1, None)?;
    let port = ports.first().copied();
    port.ok_or_else(|| Failure::new("found no free port"))
}

/// The folder with the jars of a broker.
pub(crate) fn broker_libs(version: &str) -> Result<PathBuf, Failure> {
    install::broker(&Layout::of_workspace()?, version)
}

/// Starts a cluster of so many nodes under this name and returns the environment that the tests
/// need.
pub(crate) fn start_for_tests(
    name: &str,
    version: &str,
    nodes: u16,
) -> Result<Vec<(String, String)>, Failure> {
    let cluster = Cluster::named(Layout::of_workspace()?, name)?;
    cluster.start(&Wanted {
        version: version.to_owned(),
        nodes,
        first_port: None,
    })?;
    let text = cluster.environment()?;
    let variables = text.lines().filter_map(|line| line.split_once('='));
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
