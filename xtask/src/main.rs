//! Automation of this workspace, started as `cargo xtask …`. Its `--help` is its manual.
//!
//! One module per subcommand; what they share lies in the lower paragraph. Nothing here is part of
//! the product, and no crate of the product depends on it.

mod bench;
mod features;
mod golden;
mod interop;
mod soak;
mod test;

mod real_kafka;
mod turns;

mod guard;
mod kafka;
mod tidy;

mod workspace;

mod program;

mod failure;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Automation of the wolff workspace: a real Kafka to work against, all tests, the layering check,
/// benchmarks.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Real Apache Kafka on loopback: start, stop, status, env, kill, pause, resume, restart.
    #[command(subcommand)]
    Kafka(kafka::KafkaCommand),
    /// Runs every test there is; the last line is the tally.
    ///
    /// Unit, property and documentation tests, end to end on the test broker, and end to end on a
    /// real Kafka: the one that WOLFF_KAFKA=host:port names, else one that is started (and stopped)
    /// here by Java and Maven, else by Docker. Without any of them those tests count as skipped,
    /// except with CI=true on a machine that has Java and Maven: there it is a failure. A test that
    /// lacks something appends a line `<its name>: <reason>` to the file named by WOLFF_SKIPS.
    Test,
    /// Runs a named set of benchmarks and repeats the lines `ratio <name> <value>` at the end.
    Bench(bench::BenchArguments),
    /// Runs a test engine seed by seed, and notes what was run in RELIABILITY.md.
    Soak(soak::SoakArguments),
    /// Records again what real brokers and foreign clients say: the golden files of
    /// tests/codec-conformance.
    ///
    /// Needs Java and Maven, for the brokers and Kafka's own clients, and a C compiler for
    /// librdkafka. franz-go is asked where Go is installed; what it said before is kept elsewhere.
    Golden,
    /// Compiles each crate without its features and with each of them alone.
    ///
    /// With the oldest supported Rust too, if that is installed.
    Features,
    /// Foreign clients against `wolff broker`, and `wolff produce` against foreign brokers; prints
    /// a table.
    ///
    /// librdkafka's mock cluster, franz-go's kfake and tansu; kcat, confluent-kafka, kafka-python,
    /// aiokafka, Java and franz-go. They come from registries by pip, Go, Maven and Cargo; kcat,
    /// Python 3, Go, Java and Maven must be installed. A cell that fails, or whose programs are
    /// missing, makes the exit code a failure. What was fetched stays in target/interop.
    Interop(interop::InteropArguments),
    /// Rules of the workspace that the compiler does not know: layers, manifests, maps, no host
    /// names, no ignored tests.
    Tidy,
    /// Waits for the end of its standard input, then runs a command.
    #[command(hide = true)]
    Guard {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Kafka(command) => kafka::run(command),
        Command::Test => return test::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Features => features::run(),
        Command::Golden => golden::run(),
        Command::Interop(arguments) => interop::run(&arguments),
        Command::Guard { command } => guard::serve(&command),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
