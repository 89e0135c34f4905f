//! Errors of stopping a producer.

use std::error::Error;
use std::fmt;

use wolff_codec::PartitionId;
use wolff_core::StorageError;

use crate::stopped::Leftover;

/// A queue could not be closed cleanly: its last acknowledgements may be forgotten, and its
/// directory may still be locked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the queue of {} could not be closed", Queue(*partition))]
#[non_exhaustive]
pub struct CloseError {
    /// Which queue; `None` for that of records without a partition.
    pub partition: Option<PartitionId>,
    /// Why.
    pub source: StorageError,
}

impl CloseError {
    /// A queue that could not be closed.
    pub(crate) fn new(partition: Option<PartitionId>, source: StorageError) -> Self {
        Self { partition, source }
    }
}

/// The producer is stopped, every call has ended, and some queues could not be closed cleanly.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StopError {
    /// Records that were left, as after a clean stop.
    pub leftover: Leftover,
    /// Errors, queue by queue.
    pub errors: Vec<CloseError>,
}

impl StopError {
    /// Errors of closing; there is at least one.
    pub(crate) fn new(leftover: Leftover, errors: Vec<CloseError>) -> Self {
        Self { leftover, errors }
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.errors.len();
        write!(
            f,
            "the producer is stopped, but {queues} of its queues could not be closed cleanly"
        )
    }
}

/// The source is the first of the errors.
impl Error for StopError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let first = self.errors.first()?;
        Some(first)
    }
}

/// Shows which queue it is.
struct Queue(Option<PartitionId>);

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(partition) => write!(f, "partition {}", partition.0),
            None => f.write_str("records without a partition"),
        }
    }
}
