//! `inspect` and `verify`.

use indicatif::{HumanBytes, HumanCount};
use replayq::{Depth, Inspection, Inspector};

use super::picture::{Picture, places};
use super::{find, report};
use crate::args::{InspectArgs, LookArgs};
use crate::console::{self, OneLine};
use crate::exit::{Exit, Failure};

pub(super) fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let depth = if args.quick {
        Depth::Summaries
    } else {
        Depth::EveryByte
    };
    look(&args.look, depth, |inspection, index| {
        // Between two pictures.
        let gap = if index > 0 { "\n" } else { "" };
        console::print(format_args!("{gap}{}", Picture { inspection, depth }))
    })
}

pub(super) fn verify(args: &LookArgs) -> Result<Exit, Failure> {
    look(args, Depth::EveryByte, |inspection, _| {
        let directory = OneLine(&inspection.directory);
        if inspection.is_clean() {
            let aside = inspection.others.iter();
            let aside = aside.filter(|other| other.is_put_aside).count();
            return console::print(format_args!(
                "{directory}: clean, {} items wait, {}{}",
                HumanCount(inspection.open_items),
                HumanBytes(inspection.open_bytes),
                match aside {
                    0 => String::new(),
                    1 => "; 1 damaged or foreign file was put aside".to_owned(),
                    count => format!("; {count} damaged or foreign files were put aside"),
                }
            ));
        }
        console::print(format_args!(
            "{directory}: {}, {} sound items wait",
            places(inspection.damage.len()),
            HumanCount(inspection.open_items)
        ))?;
        inspection
            .damage
            .iter()
            .try_for_each(|damage| console::print(format_args!("  {damage}")))
    })
}

/// Looks at every queue; one that cannot be read does not hide the others.
fn look(
    args: &LookArgs,
    depth: Depth,
    show: impl Fn(&Inspection, usize) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let found = find::queues(&args.directory)?;
    let mut exit = found.exit;
    for (index, directory) in found.queues.iter().enumerate() {
        match Inspector::new().inspect(directory, depth) {
            Ok(inspection) => {
                if args.json {
                    console::print_json(&report::json(&inspection))?;
                } else {
                    show(&inspection, index)?;
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
