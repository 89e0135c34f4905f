//! The flags of `queue`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::produce::SendingArgs;

const LOOK_CODES: &str = "\
DIR is the directory of one queue, or one above it, as produce's --queue-dir: then all queues below are meant.
Nothing is changed and no lock is taken: it can be run while the queue is in use.

Exit codes:
  0  Clean.
  1  Wrong usage: DIR is not there, or there is no queue in it.
  2  It could not be read, a newer program wrote it, or the output could not be written.
  4  Damaged.";

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Show what is in queues on disk: segments, items waiting, leased and done, damage.
    ///
    /// Every byte is read, unless --quick is given.
    #[command(after_help = LOOK_CODES)]
    Inspect(InspectArgs),
    /// Read every byte of queues on disk, and say what is damaged.
    #[command(after_help = LOOK_CODES)]
    Verify(LookArgs),
    /// Print the records in queues on disk as JSON lines, as `produce --format jsonl` reads them.
    ///
    /// Items that are no records of wolff are printed as records with that value. Damaged items are
    /// left out.
    #[command(after_help = LOOK_CODES)]
    Dump(DumpArgs),
    /// Make damaged queues on disk sound: keep what is whole, put aside what is damaged, say what
    /// is lost.
    ///
    /// Nobody may have them open. Damaged files are kept beside the queue, with the suffix
    /// .damaged.
    #[command(after_help = REPAIR_CODES)]
    Repair(RepairArgs),
    /// Send the records in queues on disk to a topic.
    ///
    /// The queues stay as they are: whoever opens them again still delivers what is in them. This
    /// is for directories that nobody will open again: of a machine that is gone, damaged ones,
    /// copies.
    #[command(after_help = REPLAY_CODES)]
    Replay(Box<ReplayArgs>),
}

const REPAIR_CODES: &str = "\
DIR is the directory of one queue, or one above it, as produce's --queue-dir: then all queues below are meant.

Exit codes:
  0  They are clean now.
  1  Wrong usage: DIR is not there, or there is no queue in it.
  2  It failed: somebody has a queue open, or a file operation failed. It can be tried again.
  4  Something is damaged still.";

const REPLAY_CODES: &str = "\
DIR is the directory of one queue, or one above it, as produce's --queue-dir: then all queues below are meant.

Exit codes: as produce; 4 also when something in the queues that are read is damaged.";

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Believe what full segments say about themselves, as opening the queue does: fast, and blind
    /// to damage in them.
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LookArgs {
    /// Print JSON on stdout: an object per queue, each on a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the queues are.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// Print an object per item instead: its id, state, place and bytes, and the records in it.
    #[arg(long)]
    pub(crate) items: bool,
    /// Print items that are done as well, as far as their bytes are still there.
    #[arg(long)]
    pub(crate) all: bool,
    /// Accepted for the sake of uniformity: the output is JSON in any case.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the queues are.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    /// Print JSON on stdout: an object per queue, each on a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the queues are.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    /// Where the queues are.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}
