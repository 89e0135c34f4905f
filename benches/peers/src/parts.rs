//! The parts that a comparison plays in processes of their own: its program starts itself again, as
//! a broker or as a client.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::job::Job;
use crate::{Failure, null_broker};

/// Part that runs as a process of its own.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The broker.
    #[command(hide = true)]
    BeNullBroker {
        /// Partitions of the topic.
        #[arg(long)]
        partitions: i32,
        /// The core that it has for itself.
        #[arg(long)]
        core: Option<usize>,
    },
    /// A client.
    #[command(hide = true)]
    BeContender {
        /// Its task: a [`Job`] as JSON.
        job: String,
    },
}

/// Plays the part, or without one directs the comparison. `contend` does a client's job; what it
/// returns is printed as JSON.
pub fn play<M: Serialize>(
    part: Option<&Part>,
    direct: impl FnOnce() -> Result<(), Failure>,
    contend: impl FnOnce(&Job) -> Result<M, Failure>,
) -> ExitCode {
    let outcome = match part {
        None => direct(),
        Some(Part::BeNullBroker { partitions, core }) => null_broker::serve_on(*core, *partitions),
        Some(Part::BeContender { job }) => be_contender(job, contend),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn be_contender<M: Serialize>(
    job: &str,
    contend: impl FnOnce(&Job) -> Result<M, Failure>,
) -> Result<(), Failure> {
    let job: Job = serde_json::from_str(job)?;
    println!("{}", serde_json::to_string(&contend(&job)?)?);
    Ok(())
}
