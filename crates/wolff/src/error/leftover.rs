//! Why what is left on disk cannot be counted.

use std::path::PathBuf;

/// The records left on disk cannot be counted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeftoverError {
    /// A queue cannot be read.
    #[error("cannot read the queue in {}", path.display())]
    Queue {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: replayq::InspectError,
    },
    /// The directory of the topic's queues cannot be read.
    #[error("cannot read the queue directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
