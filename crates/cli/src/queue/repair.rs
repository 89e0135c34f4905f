//! `repair`: every queue in turn.

use replayq::{Repair, RepairError};
use serde_json::json;

use super::picture::places;
use super::{find, report};
use crate::args::RepairArgs;
use crate::console::{self, OneLine};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &RepairArgs) -> Result<Exit, Failure> {
    let found = find::queues(&args.directory)?;
    let mut exit = found.exit;
    for directory in found.queues {
        match replayq::repair(&directory) {
            Ok(repaired) => {
                if args.json {
                    console::print_json(&json!({
                        "directory": repaired.after.directory.to_string_lossy(),
                        "clean": repaired.after.is_clean(),
                        "rewritten": repaired.rewritten,
                        "before": report::json(&repaired.before),
                        "after": report::json(&repaired.after),
                    }))?;
                } else {
                    print_repair(&repaired)?;
                }
                if !repaired.after.is_clean() && exit == Exit::Done {
                    exit = Exit::Damaged;
                }
            }
            Err(RepairError::Inspect(error)) => {
                let failure = report::failure(&error);
                console::failure(&failure);
                exit = failure.exit;
            }
            Err(error) => {
                console::error(error);
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn print_repair(repaired: &Repair) -> Result<(), Failure> {
    let directory = OneLine(&repaired.after.directory);
    if repaired.before.is_clean() {
        return console::print(format_args!("{directory}: was clean"));
    }
    let outcome = if repaired.after.is_clean() {
        "repaired".to_owned()
    } else {
        format!("still {}", places(repaired.after.damage.len()))
    };
    console::print(format_args!(
        "{directory}: {outcome}, {} items wait",
        repaired.after.open_items
    ))?;
    for damage in &repaired.before.damage {
        console::print(format_args!("  was: {damage}"))?;
    }
    for file in &repaired.rewritten {
        console::print(format_args!("  kept aside: {file}.damaged"))?;
    }
    for damage in &repaired.after.damage {
        console::print(format_args!("  is: {damage}"))?;
    }
    Ok(())
}
