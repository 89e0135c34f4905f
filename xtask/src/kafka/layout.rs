//! Names of all files and folders below `target/kafka/`.

use crate::failure::Failure;
use crate::workspace;
use std::path::{Path, PathBuf};

/// The folder that everything about Kafka lies in.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// `target/kafka` of this workspace.
    pub(crate) fn of_workspace() -> Result<Self, Failure> {
        Ok(Self {
            root: workspace::target_directory()?.join("kafka"),
        })
    }

    /// This folder, for tests.
    #[cfg(test)]
    pub(crate) fn in_directory(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Held while a command changes anything, so that two of them never interleave.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Where the broker of this version is installed.
    pub(crate) fn broker(&self, version: &str) -> PathBuf {
        self.root.join(version)
    }

    /// Where Kafka's command-line tools are installed.
    pub(crate) fn tools(&self, version: &str) -> PathBuf {
        self.root.join(format!("tools-{version}"))
    }

    /// Where the certificates are.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// Where this cluster's state is.
    pub(crate) fn cluster(&self, name: &str) -> PathBuf {
        self.root.join("clusters").join(name)
    }
}
