//! Automation of this workspace, started as `cargo xtask …`. Its `--help` is its manual.
//!
//! One module per subcommand; what they share lies in the lower paragraph. Nothing here is part of the product, and no
//! crate of the product depends on it.

mod kafka;
mod tidy;

mod workspace;

mod program;

mod failure;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Automation of the wolff workspace: a real Kafka to work against, all tests, the layering check, benchmarks.
#[derive(Parser, Debug)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Real Apache Kafka on loopback: start, stop, status, env, kill, pause, resume, restart.
    #[command(subcommand)]
    Kafka(kafka::KafkaCommand),
    /// Rules of the workspace that the compiler does not know: layers, manifests, maps, no host names, no ignored tests.
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Kafka(command) => kafka::run(command),
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
