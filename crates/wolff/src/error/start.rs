//! Why a producer does not start.

use std::path::PathBuf;

use super::config::ConfigError;

/// The producer could not be started. Nothing was accepted, and what is on disk is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself or is out of range.
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    /// There is no async runtime to run the producer in: `start` was polled outside of one.
    #[error("start needs a tokio runtime: await it within one")]
    NoRuntime,
    /// The async runtime is shutting down.
    #[error("the async runtime is shutting down")]
    RuntimeShutDown,
    /// A broker responds that there is no such topic.
    #[error(
        "topic {topic:?} does not exist on the cluster; create it, or allow automatic creation"
    )]
    UnknownTopic {
        /// The name that was requested.
        topic: String,
    },
    /// The user may not use the topic.
    #[error("not allowed to use topic {topic:?}: {reason}")]
    Unauthorized {
        /// The name that was requested.
        topic: String,
        /// The broker's words.
        reason: String,
    },
    /// A queue directory could not be opened.
    #[error("cannot open the queue directory {}", path.display())]
    Queue {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: replayq::OpenError,
    },
    /// A queue directory holds records that this version cannot read. They are left untouched.
    #[error("cannot use the queue directory {}", path.display())]
    UnknownItems {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: wolff_core::QueueItemError,
    },
    /// The base of the queue directories could not be made or read.
    #[error("cannot use the queue directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
