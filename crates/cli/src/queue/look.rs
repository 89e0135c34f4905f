//! `inspect` and `verify`.

use std::fmt;

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
        if index > 0 {
            console::print("")?;
        }
        console::print_lines(&Picture { inspection, depth })
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

/// The sum over several queues.
#[derive(Default)]
struct Total {
    queues: u64,
    unreadable: u64,
    items: u64,
    bytes: u64,
    leases: usize,
    disk_bytes: u64,
    damaged_places: usize,
}

impl Total {
    fn add(&mut self, inspection: &Inspection) {
        self.queues = self.queues.saturating_add(1);
        self.items = self.items.saturating_add(inspection.open_items);
        self.bytes = self.bytes.saturating_add(inspection.open_bytes);
        self.leases = self.leases.saturating_add(inspection.leases.len());
        self.disk_bytes = self.disk_bytes.saturating_add(inspection.disk_bytes);
        self.damaged_places = self.damaged_places.saturating_add(inspection.damage.len());
    }
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "total: {} queues, {} items wait ({}), {} leases, {} on disk, {}",
            HumanCount(self.queues),
            HumanCount(self.items),
            HumanBytes(self.bytes),
            self.leases,
            HumanBytes(self.disk_bytes),
            match self.damaged_places {
                0 => "no damage".to_owned(),
                count => places(count),
            }
        )?;
        match self.unreadable {
            0 => Ok(()),
            count => write!(formatter, "; {count} more could not be read"),
        }
    }
}

/// Looks at every queue, and sums up where there are several; one that cannot be read does not hide
/// the others.
fn look(
    args: &LookArgs,
    depth: Depth,
    show: impl Fn(&Inspection, usize) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let found = find::queues(&args.directory)?;
    let mut exit = found.exit;
    let mut total = Total::default();
    for (index, directory) in found.queues.iter().enumerate() {
        match Inspector::new().inspect(directory, depth) {
            Ok(inspection) => {
                total.add(&inspection);
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
                console::failure(&failure);
                exit = failure.exit;
                total.unreadable = total.unreadable.saturating_add(1);
            }
        }
    }
    if found.queues.len() > 1 && !args.json {
        console::print(format_args!("{total}"))?;
    }
    Ok(exit)
}
