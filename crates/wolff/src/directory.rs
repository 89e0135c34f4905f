//! Where queues are on disk: `<base>/client/<client id>/<topic>/<partition>`, and `…/unrouted` for
//! what was accepted before the topic's partitions were known.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wolff_codec::PartitionId;

/// Partitions that a topic can have here: their numbers are below it. Kafka's own limits are far
/// lower. Whatever a caller, a configuration, a directory's name or a broker says, nothing larger
/// is believed.
pub(crate) const MAX_PARTITIONS: i32 = 100_000;

/// Name of the directory of records that are not routed yet. Partition directories are numbers, so
/// it cannot clash.
const UNROUTED: &str = "unrouted";

/// The longest name that is written as it is, once encoded, bytes. File systems allow 255.
const MAX_NAME_BYTES: usize = 200;

/// Bytes of a longer name that are kept for people to read.
const PREFIX_BYTES: usize = 120;

/// The queue directories of one topic.
#[derive(Clone, Debug)]
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

    /// Partitions that have a queue, in order. A directory alone is none: on a full disk its queue
    /// could not be made.
    ///
    /// One that cannot be looked into counts as a queue, so that opening it reports what is wrong
    /// with it, and the others are not affected. A number that no partition can have is logged and
    /// left alone.
    ///
    /// # Errors
    /// When the topic's own directory cannot be read.
    pub(crate) fn partitions(&self) -> io::Result<Vec<PartitionId>> {
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let Some(number) = number(&name) else {
                continue;
            };
            let path = self.0.join(&name);
            match replayq::Queue::is_in(&path) {
                Ok(false) => {}
                Ok(true) if !is_partition(PartitionId(number)) => {
                    tracing::error!(
                        path = %path.display(),
                        "no topic has a partition of this number: the queue is left alone; move it away, or replay it with the queue tools"
                    );
                }
                Ok(true) => found.push(PartitionId(number)),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot look into a queue directory");
                    let partition = PartitionId(number);
                    found.extend(is_partition(partition).then_some(partition));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// Returns whether a topic can have a partition of this number.
pub(crate) fn is_partition(partition: PartitionId) -> bool {
    (0..MAX_PARTITIONS).contains(&partition.0)
}

/// The partition number that a directory is named after. Only names that this program writes: "007"
/// is somebody else's.
fn number(name: &OsStr) -> Option<i32> {
    let number: i32 = name.to_str()?.parse().ok()?;
    (number >= 0 && number.to_string().as_str() == name).then_some(number)
}

/// A name as one path component: letters, digits, `-`, `_` and dots that are not in front stay,
/// every other byte becomes `=XX`. What is longer than a file name can be keeps its beginning, and
/// has the SHA-256 of the whole name after `==`, which no short name contains.
///
/// Different names have different components.
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
    if out.len() > MAX_NAME_BYTES {
        // All of it is ASCII.
        out.truncate(PREFIX_BYTES);
        out.push_str("==");
        for byte in Sha256::digest(name.as_bytes()) {
            out.push_str(&format!("{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue_in(path: &Path) {
        replayq::Queue::open(replayq::Config::disk(path)).unwrap();
    }

    #[test]
    fn names_are_one_component_and_stay_apart() {
        assert_eq!(component("my-topic.v1"), "my-topic.v1");
        assert_eq!(component(".."), "=2E.");
        assert_eq!(component("a/b"), "a=2Fb");
        assert_ne!(component("a=2Fb"), component("a/b"));
        assert_eq!(component(""), "=");
    }

    #[test]
    fn long_names_fit_a_file_system_and_stay_apart() {
        let base = tempfile::tempdir().unwrap();
        let names: Vec<String> = ["a", "a/", "é", "="]
            .iter()
            .flat_map(|unit| [199, 200, 201, 1_024].map(|times| unit.repeat(times)))
            .collect();
        let mut components: Vec<String> = names.iter().map(|name| component(name)).collect();
        assert_eq!(components[0], names[0], "what fits stays as it is");
        for component in &components {
            std::fs::create_dir(base.path().join(component)).unwrap();
        }
        // A name that looks like the component of another one is encoded itself.
        components.push(component(&components[3]));
        components.sort_unstable();
        components.dedup();
        assert_eq!(components.len(), names.len() + 1);
    }

    #[test]
    fn only_queues_of_partitions_count() {
        let base = tempfile::tempdir().unwrap();
        let directory = TopicDirectory::new(base.path(), "c", "t");
        assert!(directory.partitions().unwrap().is_empty());
        for name in [
            "10",
            "2",
            "007",
            "unrouted",
            "-1",
            "x",
            "100000",
            "2147483647",
        ] {
            queue_in(&directory.path().join(name));
        }
        std::fs::create_dir_all(directory.path().join("3")).unwrap();
        assert_eq!(
            directory.partitions().unwrap(),
            vec![PartitionId(2), PartitionId(10)]
        );
    }

    proptest! {
        #[test]
        fn different_names_give_different_components(a in ".{0,120}", b in ".{0,120}", times in 1_usize..4) {
            let (a, b) = (a.repeat(times), b.repeat(times));
            prop_assert_eq!(component(&a) == component(&b), a == b);
            prop_assert!(component(&a).len() <= MAX_NAME_BYTES);
            prop_assert!(!component(&a).contains('/') && !component(&a).starts_with('.'));
        }
    }
}
