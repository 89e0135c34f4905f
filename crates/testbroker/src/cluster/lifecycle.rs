//! A cluster that runs: its brokers die and come back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wolff_codec::ids::BrokerId;

use crate::broker::RunningBroker;
use crate::error::ClusterError;
use crate::port::Port;
use crate::shared::Shared;

/// A Kafka cluster in this process: brokers on TCP ports or on a
/// [`MemoryNetwork`](crate::MemoryNetwork), logs in memory.
///
/// Dropping it closes all sockets. The [crate's page](crate) has an example.
#[derive(Debug)]
pub struct Cluster {
    pub(super) shared: Arc<Shared>,
    addresses: BTreeMap<BrokerId, SocketAddr>,
    /// Locked while brokers are killed and revived, one at a time.
    slots: tokio::sync::Mutex<BTreeMap<BrokerId, Slot>>,
}

/// The place of a broker.
#[derive(Debug)]
pub(super) enum Slot {
    Running(RunningBroker),
    Dead(Port),
}

impl Cluster {
    pub(super) fn new(
        shared: Arc<Shared>,
        addresses: BTreeMap<BrokerId, SocketAddr>,
        slots: BTreeMap<BrokerId, Slot>,
    ) -> Self {
        Self {
            shared,
            addresses,
            slots: tokio::sync::Mutex::new(slots),
        }
    }

    /// Where the brokers listen, for a client to begin with: `host:port`, separated by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.addresses.values().map(SocketAddr::to_string).collect();
        addresses.join(",")
    }

    /// The brokers, alive or dead, and where they listen.
    #[must_use]
    pub fn addresses(&self) -> &BTreeMap<BrokerId, SocketAddr> {
        &self.addresses
    }

    /// Closes the broker's port and all its connections at once, as if its process had been killed.
    /// What it led goes to another living replica. When this returns it applies nothing any more,
    /// and connecting to it is refused.
    ///
    /// # Errors
    /// When there is no such broker, or it is dead already.
    pub async fn kill(&self, broker: impl Into<BrokerId>) -> Result<(), ClusterError> {
        let broker = broker.into();
        let mut slots = self.slots.lock().await;
        match slots.remove(&broker) {
            None => Err(ClusterError::UnknownBroker { broker }),
            Some(dead @ Slot::Dead(_)) => {
                slots.insert(broker, dead);
                Err(ClusterError::BrokerDown { broker })
            }
            Some(Slot::Running(running)) => {
                let now_ms = self.shared.now_ms();
                self.shared.change(|model| model.bury(broker, now_ms));
                let address = running.address();
                let port = running
                    .stop()
                    .await
                    .map_err(|source| ClusterError::Listen { address, source })?;
                slots.insert(broker, Slot::Dead(port));
                Ok(())
            }
        }
    }

    /// Brings a killed broker back, on the same port. Its logs are there; of each producer it knows
    /// the last batch from before its death, as a broker that reloaded its snapshots does: unless
    /// the records of that batch are older than
    /// [`ClusterBuilder::producer_expiration`](super::ClusterBuilder::producer_expiration). No
    /// effect on a living one.
    ///
    /// # Errors
    /// When there is no such broker, or it cannot listen.
    pub async fn revive(&self, broker: impl Into<BrokerId>) -> Result<(), ClusterError> {
        let broker = broker.into();
        let mut slots = self.slots.lock().await;
        match slots.remove(&broker) {
            None => Err(ClusterError::UnknownBroker { broker }),
            Some(running @ Slot::Running(_)) => {
                slots.insert(broker, running);
                Ok(())
            }
            Some(Slot::Dead(port)) => {
                // Alive before it listens: its first client shall not find it dead.
                let now_ms = self.shared.now_ms();
                self.shared.change(|model| model.revive(broker, now_ms));
                let address = port.address();
                let running = RunningBroker::start(port, &self.shared, broker)
                    .map_err(|source| ClusterError::Listen { address, source })?;
                slots.insert(broker, Slot::Running(running));
                Ok(())
            }
        }
    }
}
