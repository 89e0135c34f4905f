//! Why there is no choice.

use std::fmt;

/// Why a partition could not be chosen. Nothing was changed: the same call may succeed later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChooseError {
    /// The topic has no partitions, or their number is not known yet. The world's fault: ask again
    /// with newer metadata.
    NoPartitions,
    /// A fixed partition, or what the caller's own function has chosen, does not exist. The
    /// caller's fault.
    OutOfRange {
        /// The partition that was asked for.
        partition: i32,
        /// Partition count, so the highest that can be chosen is one less.
        partition_count: u32,
    },
}

impl fmt::Display for ChooseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPartitions => f.write_str("the topic has no partitions to choose from"),
            Self::OutOfRange {
                partition,
                partition_count,
            } => {
                write!(
                    f,
                    "partition {partition} does not exist: the topic has {partition_count}"
                )
            }
        }
    }
}

impl std::error::Error for ChooseError {}
