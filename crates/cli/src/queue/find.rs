//! The queues that a directory means: it is one, or they are somewhere below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::console::{self, OneLine};
use crate::exit::{Exit, Failure};

/// Queues lie a few levels below a base directory; no link is followed.
const DEEPEST: usize = 8;

const WHAT_TO_GIVE: &str =
    "give the directory of a queue, or the one that was produce's --queue-dir";

/// Queues that were found.
pub(super) struct Found {
    /// The directories of all queues, in order of their names.
    pub(super) queues: Vec<PathBuf>,
    /// [`Exit::Failed`] where a directory among them could not be read, which was told.
    pub(super) exit: Exit,
}

/// Looks for queues.
pub(super) fn queues(directory: &Path) -> Result<Found, Failure> {
    let mut found = Found {
        queues: Vec::new(),
        exit: Exit::Done,
    };
    let below = found.look_into(directory)?;
    found.search(below, DEEPEST);
    if found.queues.is_empty() && found.exit == Exit::Done {
        return Err(
            Failure::usage(format!("there is no queue in {}", OneLine(directory)))
                .advice(WHAT_TO_GIVE),
        );
    }
    found.queues.sort_by_key(|path| key(path));
    Ok(found)
}

impl Found {
    /// One that cannot be read does not hide the others.
    fn search(&mut self, directories: Vec<PathBuf>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        for directory in directories {
            match self.look_into(&directory) {
                Ok(below) => self.search(below, depth),
                // It was there a moment ago: its owner has no more use for it.
                Err(failure) if failure.exit == Exit::Usage => {}
                Err(failure) => {
                    console::failure(&failure);
                    self.exit = Exit::Failed;
                }
            }
        }
    }

    /// The directories in it, if it is no queue itself. Those may have any name, that of a queue's
    /// file too: topics can be called so.
    fn look_into(&mut self, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut below = Vec::new();
        let mut is_queue = false;
        for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
            let entry = entry.map_err(|error| unreadable(directory, &error))?;
            if entry.file_type().is_ok_and(|file_type| file_type.is_dir()) {
                below.push(entry.path());
                continue;
            }
            let name = entry.file_name();
            is_queue |= name == "control"
                || Path::new(&name)
                    .extension()
                    .is_some_and(|extension| extension == "segment");
        }
        if is_queue {
            self.queues.push(directory.to_owned());
            below.clear();
        }
        Ok(below)
    }
}

/// A path that is not there, or no directory, is a mistake in the command; one that cannot be read
/// is not.
fn unreadable(directory: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot read {}: {error}", OneLine(directory));
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::usage(what).advice(WHAT_TO_GIVE)
        }
        io::ErrorKind::PermissionDenied => Failure::failed(what)
            .advice("run this as the user that the queue belongs to: nobody else may look into it"),
        _ => Failure::failed(what).advice("check the disk and the kernel's log"),
    }
}

/// Partition 2 stands before 10.
fn key(path: &Path) -> (PathBuf, u64, PathBuf) {
    let number = path
        .file_name()
        .and_then(|name| name.to_str()?.parse().ok())
        .unwrap_or(u64::MAX);
    (
        path.parent().unwrap_or(path).to_owned(),
        number,
        path.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_found_in_order_of_their_partitions() {
        let room = tempfile::tempdir().unwrap();
        for name in ["10", "2", "unrouted", "empty"] {
            let directory = room.path().join("client/c/t").join(name);
            fs::create_dir_all(&directory).unwrap();
            if name != "empty" {
                fs::write(directory.join("control"), "").unwrap();
            }
        }
        let found = queues(room.path()).unwrap();
        let names: Vec<_> = found
            .queues
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["2", "10", "unrouted"]);
        assert!(queues(&room.path().join("client/c/t/empty")).is_err());
        assert!(queues(&room.path().join("missing")).is_err());
    }
}
