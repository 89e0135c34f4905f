//! `replay`: what is in queues goes to a topic, through the same producer as `produce` has.

use std::fs;
use std::path::{Path, PathBuf};

use replayq::{Depth, Inspector};

use super::{find, report};
use crate::args::{Format, InputArgs, ReplayArgs};
use crate::console::{self, OneLine};
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::produce;
use crate::stop::Stop;

/// Format of the queues' records on their way.
const INPUT: InputArgs = InputArgs {
    key_delimiter: None,
    format: Format::Jsonl,
    accepted_log: None,
    files: Vec::new(),
};

pub(super) async fn run(args: &ReplayArgs, stop: &Stop) -> Result<Exit, Failure> {
    let find::Found { queues, exit } = find::queues(&args.directory)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    if let Some(own) = &args.sending.queue_dir
        && overlap(own, &args.directory)
    {
        return Err(Failure::usage(format!(
            "--queue-dir {} and {} are in each other",
            OneLine(own),
            OneLine(&args.directory)
        ))
        .advice(
            "a producer with that --queue-dir delivers what is in it by itself: use wolff produce",
        ));
    }
    let is_clean = check(&queues)?;
    let sources = queues.into_iter().map(Source::Queue).collect();
    let exit = produce::send(&args.sending, &INPUT, sources, stop).await?;
    Ok(match exit {
        Exit::Usage => Exit::Usage,
        _ if !is_clean => Exit::Damaged,
        exit => exit,
    })
}

/// Says what is damaged before anything is sent.
fn check(queues: &[PathBuf]) -> Result<bool, Failure> {
    let mut is_clean = true;
    for directory in queues {
        let inspection = Inspector::new()
            .inspect(directory, Depth::EveryByte)
            .map_err(|error| report::failure(&error))?;
        for damage in &inspection.damage {
            console::warn(format_args!("{}: {damage}", OneLine(directory)));
        }
        is_clean &= inspection.is_clean();
    }
    Ok(is_clean)
}

fn overlap(left: &Path, right: &Path) -> bool {
    let (Ok(left), Ok(right)) = (fs::canonicalize(left), fs::canonicalize(right)) else {
        return false;
    };
    left.starts_with(&right) || right.starts_with(&left)
}
