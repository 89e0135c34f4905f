//! A proxy as its owner sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::conditions::{Conditions, Direction};
use super::fault::{Fate, ProxyFault, ProxyFaultId};
use super::shared::Shared;
use super::stats::ProxyStats;

/// Stands between clients and the brokers of any Kafka cluster, and makes the network bad.
///
/// Clients connect to [`Proxy::bootstrap`] instead of the cluster. Where brokers say where brokers
/// are (Metadata, the leader hints of Produce, FindCoordinator, DescribeCluster) the proxy puts
/// ports of its own, so that clients stay behind it; and brokers offer no version of these APIs
/// that the proxy cannot read. Everything else passes as it is.
///
/// A connection that speaks TLS cannot be looked into: conditions and faults of connections work,
/// the rest does not, and the brokers themselves have to name the proxy's ports
/// ([`Cluster::advertise`](crate::Cluster::advertise) does that for a test broker,
/// `advertised.listeners` for a real one; [`Proxy::front`] tells them).
///
/// What can be random (jitter) comes from a seed. Faults count connections and responses, so a
/// single client meets them at the same place in every run.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use wolff_codec::ApiKey;
/// use wolff_testbroker::{Cluster, Conditions, Direction, Proxy, ProxyFault};
///
/// let cluster = Cluster::builder().brokers(3).topic("orders", 6).start().await?;
/// // Any bootstrap servers will do: also those of a real cluster.
/// let proxy = Proxy::builder(cluster.bootstrap()).start().await?;
/// println!("brokers: {}", proxy.bootstrap());
///
/// // Responses take 20 to 30 ms, in small pieces …
/// let line = Conditions::default()
///     .latency(Duration::from_millis(20))
///     .jitter(Duration::from_millis(10))
///     .slice_bytes(7);
/// proxy.set_conditions(Direction::ToClient, line);
/// // … and the third answer to Produce is lost together with its connection.
/// let lost = proxy.inject(ProxyFault::kill_after_applying().api(ApiKey::PRODUCE).skip(2));
///
/// // A client produces; this waits until it has met the fault.
/// # if false {
/// proxy.wait_for(|stats| stats.hits(lost) == 1).await;
/// # }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it closes its ports and all connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// In the order of the bootstrap servers: these, and the ports in front of them.
    fronts: Vec<(String, SocketAddr)>,
    /// Closes everything when it is dropped.
    _open: watch::Sender<()>,
}

impl Proxy {
    pub(super) fn new(
        shared: Arc<Shared>,
        fronts: Vec<(String, SocketAddr)>,
        open: watch::Sender<()>,
    ) -> Self {
        Self {
            shared,
            fronts,
            _open: open,
        }
    }

    /// Where clients begin: `host:port`, separated by commas, in the order of the cluster's
    /// bootstrap servers.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .fronts
            .iter()
            .map(|(_, front)| front.to_string())
            .collect();
        addresses.join(",")
    }

    /// The port in front of one of the bootstrap servers, as it was given; none if it is not one of
    /// them.
    #[must_use]
    pub fn front(&self, upstream: &str) -> Option<SocketAddr> {
        let mut fronts = self.fronts.iter();
        fronts
            .find(|(other, _)| other == upstream)
            .map(|(_, front)| *front)
    }

    /// Sets the line of all connections from now on, in one direction.
    pub fn set_conditions(&self, direction: Direction, conditions: Conditions) {
        self.shared.conditions(direction).send_replace(conditions);
    }

    /// Sets the line of all connections from now on, in both directions.
    pub fn set_all_conditions(&self, conditions: Conditions) {
        self.set_conditions(Direction::ToBroker, conditions);
        self.set_conditions(Direction::ToClient, conditions);
    }

    /// Puts a fault in place.
    pub fn inject(&self, fault: ProxyFault) -> ProxyFaultId {
        self.shared.change_faults(|faults| faults.add(fault))
    }

    /// Takes a fault away; connections that it is meant for already keep it. Returns whether it was
    /// there.
    pub fn remove_fault(&self, fault: ProxyFaultId) -> bool {
        self.shared.change_faults(|faults| faults.remove(fault))
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.shared.change_faults(|faults| faults.clear());
    }

    /// Closes all connections that are open now, on both sides.
    pub fn close_connections(&self) {
        self.order(Fate::Close);
    }

    /// Resets all connections that are open now, on both sides.
    pub fn reset_connections(&self) {
        self.order(Fate::Reset);
    }

    /// Closes the brokers' side of all connections that are open now, and does not tell the
    /// clients.
    pub fn half_open_connections(&self) {
        self.order(Fate::HalfOpen);
    }

    /// Lets nothing pass any more on all connections that are open now. New ones work.
    pub fn black_hole_connections(&self) {
        self.order(Fate::BlackHole);
    }

    fn order(&self, fate: Fate) {
        self.shared.orders.send_replace(fate);
    }

    /// Returns the counts of what has gone through so far.
    #[must_use]
    pub fn stats(&self) -> ProxyStats {
        self.shared.stats.borrow().clone()
    }

    /// Waits until what has gone through fulfils a condition; at once if it does already.
    ///
    /// There is no time limit: wrap it in `tokio::time::timeout`.
    pub async fn wait_for(&self, condition: impl FnMut(&ProxyStats) -> bool) -> ProxyStats {
        let mut stats = self.shared.stats.subscribe();
        match stats.wait_for(condition).await {
            Ok(stats) => stats.clone(),
            // The sender lives as long as `self`.
            Err(_) => self.stats(),
        }
    }
}
