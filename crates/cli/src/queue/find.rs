//! The queues that a directory means: it is one, or they are somewhere below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Queues lie a few levels below a base directory; no link is followed.
const DEEPEST: usize = 8;

/// The directories of all queues, in order of their names.
pub(super) fn queues(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot =
        |error: io::Error| Failure::usage(format!("cannot read {}: {error}", directory.display()));
    let mut found = Vec::new();
    search(directory, DEEPEST, &mut found).map_err(cannot)?;
    if found.is_empty() {
        return Err(
            Failure::usage(format!("there is no queue in {}", directory.display()))
                .advice("give the directory of a queue, or the one that was produce's --queue-dir"),
        );
    }
    found.sort_by_key(|path| key(path));
    Ok(found)
}

fn search(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut below = Vec::new();
    let mut is_queue = false;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        is_queue |= name == "control"
            || Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "segment");
        if entry.file_type()?.is_dir() {
            below.push(entry.path());
        }
    }
    if is_queue {
        found.push(directory.to_owned());
    } else if depth > 0 {
        for path in below {
            search(&path, depth - 1, found)?;
        }
    }
    Ok(())
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
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["2", "10", "unrouted"]);
        assert!(queues(&room.path().join("client/c/t/empty")).is_err());
        assert!(queues(&room.path().join("missing")).is_err());
    }
}
