//! Queues in the same directory that this run does not send: of other client ids, and of other
//! topics.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use replayq::{Inspector, ItemState, Owner, Queue};

/// Bytes of records that are read at most to count them.
const MOST_READ: usize = 256 * 1024 * 1024;

/// Records that wait for another producer.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Neighbour {
    pub(super) client_id: String,
    pub(super) topic: String,
    /// Directory of its queues.
    pub(super) directory: PathBuf,
    pub(super) records: u64,
    /// There are more than were counted.
    pub(super) is_at_least: bool,
}

/// The backlogs below a queue directory, except for that of this client id and topic. Queues that
/// some process has open are not left behind.
pub(super) fn backlogs(base: &Path, client_id: &str, topic: &str) -> Vec<Neighbour> {
    let mut found = Vec::new();
    let mut budget = MOST_READ;
    for client in directories(&base.join("client")) {
        for queues in directories(&client) {
            let (other_id, other_topic) = (name_of(&client), name_of(&queues));
            if other_id == client_id && other_topic == topic {
                continue;
            }
            let mut neighbour = Neighbour {
                client_id: other_id,
                topic: other_topic,
                directory: queues.clone(),
                records: 0,
                is_at_least: false,
            };
            for queue in directories(&queues) {
                neighbour.count(&queue, &mut budget);
            }
            if neighbour.records > 0 {
                found.push(neighbour);
            }
        }
    }
    found
}

/// True if there is any queue below a queue directory.
pub(super) fn has_queues(base: &Path) -> bool {
    let clients = directories(&base.join("client"));
    let topics = clients.iter().flat_map(|client| directories(client));
    let mut queues = topics.flat_map(|topic| directories(&topic));
    // What cannot be looked into may be one.
    queues.any(|queue| Queue::is_in(&queue).unwrap_or(true))
}

impl Neighbour {
    fn count(&mut self, queue: &Path, budget: &mut usize) {
        let mut records = 0;
        let mut is_at_least = false;
        let inspection = Inspector::new().visit(queue, |item| {
            if item.state == ItemState::Done {
                return ControlFlow::Continue(());
            }
            let Some(left) = budget.checked_sub(item.payload.len()) else {
                is_at_least = true;
                return ControlFlow::Break(());
            };
            *budget = left;
            let in_item = wolff::queued_records(&item.payload).map_or(0, |found| found.len());
            records += u64::try_from(in_item).unwrap_or(u64::MAX);
            ControlFlow::Continue(())
        });
        match inspection {
            Ok(inspection) if !matches!(inspection.owner, Owner::Process(_)) => {
                self.records += records;
                self.is_at_least |= is_at_least;
            }
            Ok(_) => {}
            // Not a queue, or not one that this program reads: `wolff queue verify` says more.
            Err(error) => tracing::debug!(%error, "a directory beside the queue was not counted"),
        }
    }
}

/// The directories in it, in order; none where it cannot be read.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The client id or topic that a directory is called after: `=2F` stands for a slash, `=` alone for
/// nothing.
fn name_of(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    if name == "=" {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| *byte == b'=');
        let value = escaped.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(value.unwrap_or(*byte));
        rest = match value {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_the_names_of_client_ids_and_topics() {
        let name = |text: &str| name_of(Path::new(text));
        assert_eq!(name("base/client/my-topic.v1"), "my-topic.v1");
        assert_eq!(name("a=2Fb"), "a/b");
        assert_eq!(name("=2E."), "..");
        assert_eq!(name("="), "");
        assert_eq!(name("odd=ZZ="), "odd=ZZ=");
    }

    #[test]
    fn a_directory_without_queues_has_no_neighbours() {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir_all(room.path().join("client/c/t/0")).unwrap();
        assert_eq!(backlogs(room.path(), "other", "t"), []);
        assert_eq!(backlogs(&room.path().join("missing"), "c", "t"), []);
        assert!(!has_queues(room.path()) && !has_queues(&room.path().join("missing")));
    }
}
