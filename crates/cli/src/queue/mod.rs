//! `wolff queue`: looking into queues on disk, checking, repairing and replaying them.

mod dump;
mod look;
mod repair;
mod replay;

mod picture;

mod find;
mod report;

use crate::args::QueueCommand;
use crate::exit::{Exit, Failure};
use crate::stop::Stop;

/// Runs the command.
pub(crate) async fn run(command: &QueueCommand, stop: &Stop) -> Result<Exit, Failure> {
    match command {
        QueueCommand::Inspect(args) => look::inspect(args),
        QueueCommand::Verify(args) => look::verify(args),
        QueueCommand::Dump(args) => dump::run(args),
        QueueCommand::Repair(args) => repair::run(args),
        QueueCommand::Replay(args) => replay::run(args, stop).await,
    }
}
