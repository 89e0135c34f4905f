//! Setup and start of a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wolff_codec::ids::BrokerId;
use wolff_codec::{ApiKey, Str};

use super::lifecycle::{Cluster, Slot};
use crate::broker::RunningBroker;
use crate::config::{Config, NewTopic};
use crate::error::ClusterError;
use crate::model::{Model, Node, TopicSpec};
use crate::network::MemoryNetwork;
use crate::partition::UnknownProducers;
use crate::port::Port;
use crate::sasl::Sasl;
use crate::shared::Shared;
#[cfg(feature = "tls")]
use crate::tls::TlsListener;

/// Collects the settings of a [`Cluster`].
#[derive(Clone, Debug, Default)]
#[must_use = "a cluster runs once it is started"]
pub struct ClusterBuilder {
    config: Config,
}

impl Cluster {
    /// Sets up a cluster: a single broker without topics, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }
}

impl ClusterBuilder {
    /// Sets the number of brokers, which are numbered from 1. Default: 1.
    pub fn brokers(mut self, count: i32) -> Self {
        self.config.brokers = count;
        self
    }

    /// Where the first broker listens. With a port, the others listen on the ports after it; with
    /// port 0, each on any. Default: `127.0.0.1:0`.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Has the brokers listen on a network in memory instead of TCP ports, at the addresses that
    /// [`Self::listen`] says. A port 0 is the lowest free one from 9092 on. Default: TCP.
    ///
    /// Then nothing in the cluster depends on sockets, threads or the system's clock: under a
    /// paused clock of tokio, with [`Self::start_time_ms`] and [`Self::cluster_id`], it does the
    /// same in every run.
    pub fn network(mut self, network: &MemoryNetwork) -> Self {
        self.config.network = Some(network.clone());
        self
    }

    /// The time at the start, in milliseconds since the Unix epoch, as append timestamps show it;
    /// it goes on by tokio's clock. Default: the system's time.
    pub fn start_time_ms(mut self, time_ms: i64) -> Self {
        self.config.start_time_ms = Some(time_ms);
        self
    }

    /// The host that clients are told. Default: the address that the brokers listen on, or
    /// `127.0.0.1` if that is all of them.
    pub fn advertised_host(mut self, host: impl Into<Str>) -> Self {
        self.config.advertised_host = Some(host.into());
        self
    }

    /// The id of the cluster. Default: one that no other cluster of this process has.
    pub fn cluster_id(mut self, id: impl Into<Str>) -> Self {
        self.config.cluster_id = Some(id.into());
        self
    }

    /// A topic to be there from the start, with so many partitions.
    pub fn topic(mut self, name: impl Into<Str>, partitions: i32) -> Self {
        self.config.topics.push(NewTopic {
            name: name.into(),
            partitions,
        });
        self
    }

    /// Has topics created when a client requests their metadata. Default: false.
    pub fn auto_create_topics(mut self, is_allowed: bool) -> Self {
        self.config.auto_create_topics = is_allowed;
        self
    }

    /// The number of partitions a topic has if its creator does not say. Default: 1.
    pub fn default_partitions(mut self, count: i32) -> Self {
        self.config.default_partitions = count;
        self
    }

    /// The number of replicas a partition has if its creator does not say; at most one per broker.
    /// Replicas decide who leads when a broker dies: with one, nobody does until it is back.
    /// Default: 3.
    pub fn replication_factor(mut self, count: i16) -> Self {
        self.config.replication_factor = count;
        self
    }

    /// The largest batch, in bytes, its header included: a topic's `max.message.bytes` if its
    /// creator does not say. Default: 1,048,588, as in Kafka.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.config.topic_defaults.max_message_bytes = bytes;
        self
    }

    /// The number of bytes a partition's log may hold before its oldest batches go: a topic's
    /// `retention.bytes` if its creator does not say. The newest batch always stays. Default: no
    /// limit.
    pub fn retention_bytes(mut self, bytes: u64) -> Self {
        self.config.topic_defaults.retention_bytes = Some(bytes);
        self
    }

    /// The longest request that is read, in bytes: a connection that announces a longer one is
    /// closed. Default: 100 MiB, as in Kafka.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.config.max_request_bytes = bytes;
        self
    }

    /// Sets the rule for producer ids that a partition does not know. Default: what Kafka 2.5 to
    /// 4.4 do.
    pub fn unknown_producers(mut self, rule: UnknownProducers) -> Self {
        self.config.unknown_producers = rule;
        self
    }

    /// The age of its last batch's timestamp at which a producer id is forgotten:
    /// `producer.id.expiration.ms`. Brokers look when they restart, and when told to by
    /// [`Cluster::expire_producers`]. Default: 24 h.
    pub fn producer_expiration(mut self, age: Duration) -> Self {
        self.config.producer_expiration = age;
        self
    }

    /// The versions of an API that the brokers advertise, instead of all that they can serve: an
    /// older or an odd broker. What is advertised beyond what can be served closes the connection.
    pub fn versions(mut self, api: ApiKey, versions: RangeInclusive<i16>) -> Self {
        self.config.versions.insert(api, Some(versions));
        self
    }

    /// An API that the brokers do not have.
    pub fn without_api(mut self, api: ApiKey) -> Self {
        self.config.versions.insert(api, None);
        self
    }

    /// Makes all clients authenticate. Default: nobody needs to.
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.config.sasl = Some(sasl);
        self
    }

    /// Limits the time that a connection may be idle between two requests before it is closed:
    /// `connections.max.idle.ms`. Default: no limit.
    pub fn max_idle(mut self, limit: Duration) -> Self {
        self.config.max_idle = Some(limit);
        self
    }

    /// Has all brokers speak TLS. Default: plain TCP.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, listener: TlsListener) -> Self {
        self.config.tls = Some(listener);
        self
    }

    /// Starts the brokers on the tokio runtime of the caller; clients can connect when this
    /// returns.
    ///
    /// # Errors
    /// When a broker cannot listen, or a topic cannot be as asked.
    pub async fn start(self) -> Result<Cluster, ClusterError> {
        let ports = bind(&self.config)?;
        let nodes = ports
            .iter()
            .map(|(broker, port)| (*broker, node(&self.config, port)));
        let cluster_id = self
            .config
            .cluster_id
            .clone()
            .unwrap_or_else(new_cluster_id);
        let mut model = Model::new(&self.config, cluster_id, nodes.collect());
        for NewTopic { name, partitions } in &self.config.topics {
            let spec = TopicSpec {
                partitions: *partitions,
                ..TopicSpec::default()
            };
            model
                .create_topic(name, &spec)
                .map_err(|error| ClusterError::topic(name, error))?;
        }
        let shared = Arc::new(Shared::new(self.config, model));
        let mut addresses = BTreeMap::new();
        let mut slots = BTreeMap::new();
        for (broker, port) in ports {
            let address = port.address();
            let running = RunningBroker::start(port, &shared, broker)
                .map_err(|source| ClusterError::Listen { address, source })?;
            addresses.insert(broker, address);
            slots.insert(broker, Slot::Running(running));
        }
        Ok(Cluster::new(shared, addresses, slots))
    }
}

fn bind(config: &Config) -> Result<BTreeMap<BrokerId, Port>, ClusterError> {
    let (brokers, listen) = (config.brokers, config.listen);
    if brokers < 1 {
        return Err(ClusterError::Brokers { brokers, listen });
    }
    let mut ports = BTreeMap::new();
    for number in 1..=brokers {
        let port = match listen.port() {
            0 => Some(0),
            first => u16::try_from(number - 1)
                .ok()
                .and_then(|next| first.checked_add(next)),
        };
        let port = port.ok_or(ClusterError::Brokers { brokers, listen })?;
        let address = SocketAddr::new(listen.ip(), port);
        let bound = Port::bind(address, config.network.as_ref())
            .map_err(|source| ClusterError::Listen { address, source })?;
        ports.insert(BrokerId(number), bound);
    }
    Ok(ports)
}

fn node(config: &Config, port: &Port) -> Node {
    let ip = match port.address().ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    Node {
        host: config
            .advertised_host
            .clone()
            .unwrap_or_else(|| Str::from(ip.to_string())),
        port: port.address().port(),
        is_alive: true,
    }
}

fn new_cluster_id() -> Str {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    Str::from(format!("wolff-testbroker-{}-{number}", std::process::id()))
}
