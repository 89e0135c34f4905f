//! `dump`: the items as JSON lines.

use std::io::{self, BufWriter, ErrorKind, Write};

use super::find;
use crate::args::DumpArgs;
use crate::console::{self, OneLine};
use crate::exit::{Exit, Failure};
use crate::stored::{self, Selection};

pub(super) fn run(args: &DumpArgs) -> Result<Exit, Failure> {
    let selection = Selection {
        items: args.items,
        all: args.all,
    };
    let found = find::queues(&args.directory)?;
    let mut exit = found.exit;
    for directory in found.queues {
        let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let written = stored::write(&directory, selection, &mut out)
            .and_then(|inspection| out.flush().map(|()| inspection));
        drop(out);
        match written {
            Ok(inspection) if inspection.is_clean() => {}
            Ok(inspection) => {
                for damage in &inspection.damage {
                    console::warn(format_args!("{}: {damage}", OneLine(&directory)));
                }
                if exit == Exit::Done {
                    exit = Exit::Damaged;
                }
            }
            // Whoever reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(exit),
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot dump {}: {error}",
                    OneLine(&directory)
                )));
            }
        }
    }
    Ok(exit)
}
