//! Where queues live on disk: `<base>/client/<client id>/<topic>/<partition>`, and `…/unrouted` for what was accepted before
//! the topic's partitions were known.

use std::io;
use std::path::{Path, PathBuf};

use wolff_codec::PartitionId;

/// Name of the directory of records that are not routed yet. Partition directories are numbers, so it cannot clash.
const UNROUTED: &str = "unrouted";

/// The queue directories of one topic.
#[derive(Debug, Clone)]
pub(crate) struct TopicDirectory(PathBuf);

impl TopicDirectory {
    pub(crate) fn new(base: &Path, client_id: &str, topic: &str) -> Self {
        Self(
            base.join("client")
                .join(component(client_id))
                .join(component(topic)),
        )
    }

    pub(crate) fn partition(&self, partition: PartitionId) -> PathBuf {
        self.0.join(partition.0.to_string())
    }

    pub(crate) fn unrouted(&self) -> PathBuf {
        self.0.join(UNROUTED)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Partitions that have a queue. A directory alone is none: on a full disk its queue could not be made.
    pub(crate) fn partitions(&self) -> io::Result<Vec<PartitionId>> {
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
            // Only names that this program writes: "007" is somebody else's.
            if let Some(number) =
                number.filter(|number| *number >= 0 && number.to_string().as_str() == name)
                && replayq::Queue::is_in(&self.0.join(name))?
            {
                found.push(PartitionId(number));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// A name as one path component: letters, digits, `-`, `_` and dots that are not in front stay, every other byte becomes `=XX`.
/// Different names give different components.
fn component(name: &str) -> String {
    if name.is_empty() {
        return "=".to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            b'.' if at > 0 => out.push('.'),
            other => out.push_str(&format!("={other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_and_stay_apart() {
        assert_eq!(component("my-topic.v1"), "my-topic.v1");
        assert_eq!(component(".."), "=2E.");
        assert_eq!(component("a/b"), "a=2Fb");
        assert_ne!(component("a=2Fb"), component("a/b"));
        assert_eq!(component(""), "=");
    }

    #[test]
    fn only_queues_of_partitions_count() {
        let base = tempfile::tempdir().unwrap();
        let directory = TopicDirectory::new(base.path(), "c", "t");
        assert!(directory.partitions().unwrap().is_empty());
        for name in ["10", "2", "007", "unrouted", "-1", "x"] {
            let path = directory.path().join(name);
            replayq::Queue::open(replayq::Config::disk(path)).unwrap();
        }
        std::fs::create_dir_all(directory.path().join("3")).unwrap();
        assert_eq!(
            directory.partitions().unwrap(),
            vec![PartitionId(2), PartitionId(10)]
        );
    }
}
