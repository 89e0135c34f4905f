//! `inspect` and `verify`.

use indicatif::{HumanBytes, HumanCount};
use replayq::{Depth, Inspection, Inspector};

use super::picture::Picture;
use super::{find, report};
use crate::args::LookArgs;
use crate::console;
use crate::exit::{Exit, Failure};

pub(super) fn inspect(args: &LookArgs) -> Result<Exit, Failure> {
    look(args, Depth::Summaries, |inspection| {
        console::print(Picture(inspection))
    })
}

pub(super) fn verify(args: &LookArgs) -> Result<Exit, Failure> {
    look(args, Depth::EveryByte, |inspection| {
        let directory = inspection.directory.display();
        if inspection.is_clean() {
            console::print(format_args!(
                "{directory}: clean, {} items wait, {}",
                HumanCount(inspection.open_items),
                HumanBytes(inspection.open_bytes)
            ));
        } else {
            console::print(format_args!(
                "{directory}: damaged in {} places, {} sound items wait",
                inspection.damage.len(),
                HumanCount(inspection.open_items)
            ));
            for damage in &inspection.damage {
                console::print(format_args!("  {damage}"));
            }
        }
    })
}

/// Looks at every queue; one that cannot be read does not hide the others.
fn look(args: &LookArgs, depth: Depth, show: impl Fn(&Inspection)) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for (index, directory) in find::queues(&args.directory)?.iter().enumerate() {
        match Inspector::new().inspect(directory, depth) {
            Ok(inspection) => {
                if args.json {
                    console::print_json(&report::json(&inspection));
                } else {
                    if index > 0 && depth == Depth::Summaries {
                        console::print("");
                    }
                    show(&inspection);
                }
                if !inspection.is_clean() && exit == Exit::Done {
                    exit = Exit::Damaged;
                }
            }
            Err(error) => {
                let failure = report::failure(&error);
                console::error(&failure);
                exit = failure.exit;
            }
        }
    }
    Ok(exit)
}
