//! The wolff command line: produce lines to Kafka, see the demo, run a broker, look at a cluster,
//! look into queues.
//!
//! What a command needs to know of Kafka and of queues is in the layers below; here is only how a
//! person calls it, and what a person is told.
#![expect(
    clippy::disallowed_methods,
    reason = "the command line is the edge: files, clock and terminal are its own"
)]

mod broker;
mod demo;
mod metadata;
mod queue;
mod topic;

mod produce;

mod connect;
mod input;

mod stored;

mod args;

mod token;

mod log;

mod console;
#[cfg(unix)]
mod descriptors;
mod stop;
mod table;

mod exit;
mod visible;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use args::{Cli, Command};
use exit::{Exit, Failure};
use stop::Stop;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return show_usage(&error).into(),
    };
    let ended = log::start(cli.verbose).and_then(|()| {
        #[cfg(unix)]
        descriptors::raise_limit();
        run(&cli.command)
    });
    let exit = ended.unwrap_or_else(|failure| {
        console::failure(&failure);
        failure.exit
    });
    exit.into()
}

/// Help and version are asked for, and printed on stdout; everything else is wrong usage.
fn show_usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    if error.use_stderr() {
        return Exit::Usage;
    }
    match console::judge(printed) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            console::failure(&failure);
            failure.exit
        }
    }
}

/// Threads of the runtime, at most.
const MOST_THREADS: usize = 4;

fn run(command: &Command) -> Result<Exit, Failure> {
    let cannot =
        |what: &str, error: std::io::Error| Failure::failed(format!("cannot {what}: {error}"));
    // The work of a pipe is done by its reading and writing; more threads would only take memory.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores.min(MOST_THREADS))
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| cannot("start the async runtime", error))?;
    let exit = runtime.block_on(async {
        let stop = Stop::listen().map_err(|error| cannot("listen for signals", error))?;
        match command {
            Command::Produce(args) => produce::run(args, &stop).await,
            Command::Demo(args) => demo::run(args, &stop).await,
            Command::Broker(args) => broker::run(args, &stop).await,
            Command::Topic(command) => topic::run(command).await,
            Command::Metadata(args) => metadata::run(args).await,
            Command::Queue(command) => queue::run(command, &stop).await,
        }
    });
    // Whatever still runs has nothing to say any more; a file system that hangs must not hold the
    // process.
    runtime.shutdown_background();
    exit
}
