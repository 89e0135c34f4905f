//! The real Kafka that the environment names.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Effect of a case on the cluster that all cases share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// It produces and reads.
    Peaceful,
    /// It kills nodes: no other case runs meanwhile.
    Disruptive,
    /// It asks for what only the test broker does on command.
    TestBrokerOnly,
}

/// The cluster, as long as a case uses it.
pub(crate) struct Kafka {
    addresses: String,
    xtask: Option<OsString>,
    _turn: Turn,
}

/// Peaceful cases run side by side, a disruptive one alone.
enum Turn {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Kafka {
    /// The cluster for a case; or why there is none that can be used so.
    pub(crate) async fn for_use(wanted: Use) -> Result<Self, &'static str> {
        let addresses = variable("WOLFF_KAFKA").and_then(|addresses| addresses.into_string().ok());
        let addresses = addresses.ok_or("no real Kafka")?;
        // xtask says the cluster's name only where its nodes may be killed.
        let xtask = variable("WOLFF_KAFKA_CLUSTER").and_then(|_| variable("WOLFF_XTASK"));
        let lock = everybody();
        let turn = match wanted {
            Use::Peaceful => Turn::Shared {
                _guard: lock.read_owned().await,
            },
            Use::Disruptive if xtask.is_none() => return Err("the real Kafka is not ours to kill"),
            Use::Disruptive => Turn::Alone {
                _guard: lock.write_owned().await,
            },
            Use::TestBrokerOnly => {
                return Err("a single real Kafka node cannot do that on command");
            }
        };
        Ok(Self {
            addresses,
            xtask,
            _turn: turn,
        })
    }

    pub(crate) fn addresses(&self) -> &str {
        &self.addresses
    }

    fn nodes(&self) -> usize {
        self.addresses.split(',').count()
    }

    pub(crate) fn replication(&self) -> i32 {
        i32::try_from(self.nodes().min(3)).unwrap()
    }

    /// Has xtask do something with all nodes.
    pub(crate) async fn control(&self, action: &str) {
        let nodes = (1..=self.nodes()).map(|number| number.to_string());
        let status = tokio::process::Command::new(self.xtask.as_ref().unwrap())
            .args(["kafka", action])
            .args(nodes)
            .status()
            .await
            .unwrap();
        assert!(status.success(), "xtask kafka {action}: {status}");
    }
}

fn everybody() -> Arc<RwLock<()>> {
    static LOCK: std::sync::OnceLock<Arc<RwLock<()>>> = std::sync::OnceLock::new();
    LOCK.get_or_init(Arc::default).clone()
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Says that a test did not run: to people, and to xtask's tally.
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("{test}: skipped: {reason}");
    if let Some(file) = variable("WOLFF_SKIPS") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        file.write_all(format!("{test}: {reason}\n").as_bytes())
            .unwrap();
    }
}
