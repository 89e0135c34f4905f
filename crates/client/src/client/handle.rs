//! The handle that users hold, clone and drop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wolff_codec::{BrokerId, LeaderEpoch, PartitionId, Str, TopicId};

use super::builder::{ClientBuilder, Ready};
use super::events::TopicEvents;
use crate::connection::{Connection, Settings};
use crate::endpoint::Address;
use crate::error::{ConfigError, ConnectError, HostError, HostReason, MetadataError};
use crate::manager::{HostReport, HostState, LeaderConnection, Manager};
use crate::topology::{ClusterMetadata, TopicMetadata, view};

/// The way to a Kafka cluster. Clones are the same client.
///
/// It is lazy: making one needs no broker and no runtime; connections are opened when something is
/// asked for. Its futures need a tokio runtime, and can be dropped at any time.
#[derive(Clone)]
pub struct Client {
    manager: Arc<Manager>,
    bootstrap: Arc<[Address]>,
    client_id: Arc<str>,
}

impl Client {
    /// A client of the cluster that these hosts belong to: `host:port`, `[::1]:port`, also with
    /// `PLAINTEXT://`, `SSL://`, `SASL_PLAINTEXT://` or `SASL_SSL://` in front, one by one or as
    /// lists with commas.
    pub fn builder(endpoints: impl IntoIterator<Item: Into<String>>) -> ClientBuilder {
        ClientBuilder::new(endpoints)
    }

    /// The topic and its partitions, from memory unless that is stale or nothing is known.
    ///
    /// All who wait for the cluster's answer share one question, and the same topic is not asked
    /// for more often than [`ClientConfig::min_metadata_refresh_interval`] allows.
    ///
    /// # Errors
    /// [`MetadataError`]; after an error of the topic itself, such as `UNKNOWN_TOPIC_OR_PARTITION`,
    /// [`Client::known_topic`] still gives what was known before.
    ///
    /// [`ClientConfig::min_metadata_refresh_interval`]:
    /// crate::ClientConfig::min_metadata_refresh_interval
    pub async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, MetadataError> {
        self.manager.topic(name).await
    }

    /// The name under which brokers know this client: [`ClientConfig::client_id`].
    ///
    /// [`ClientConfig::client_id`]: crate::ClientConfig::client_id
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the known metadata of a topic, without a request or a wait.
    pub fn known_topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.manager.known_topic(name)
    }

    /// The changes of topics from now on, as metadata shows them.
    pub fn topic_events(&self) -> TopicEvents {
        TopicEvents::new(self.manager.events())
    }

    /// True if the cluster has a topic of that name: requested now, unless it was within
    /// [`ClientConfig::min_metadata_refresh_interval`]. With auto topic creation, it then has.
    ///
    /// # Errors
    /// [`MetadataError`] when that cannot be found out.
    ///
    /// [`ClientConfig::min_metadata_refresh_interval`]:
    /// crate::ClientConfig::min_metadata_refresh_interval
    #[doc(alias = "check_topic_exists")]
    pub async fn topic_exists(&self, name: &str) -> Result<bool, MetadataError> {
        use wolff_codec::ErrorCode;
        match self.manager.topic_of_now(name).await {
            Ok(_) => Ok(true),
            Err(MetadataError::Topic {
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All topics of the cluster, by name, asked for now. Nothing of it is kept.
    ///
    /// Topics that the broker does not tell about, for want of permission, are left out.
    ///
    /// # Errors
    /// [`MetadataError`] when the cluster cannot be asked.
    pub async fn topics(&self) -> Result<Vec<TopicMetadata>, MetadataError> {
        let answer = self.manager.all_topics().await?;
        // One after the other in the memory that the response's topics had.
        let mut topics: Vec<_> = answer
            .topics
            .into_iter()
            .filter(|topic| topic.error_code.is_ok())
            // A name that shared the bytes of the response would keep all of them.
            .filter_map(|topic| Some(view(topic.name.as_ref()?.detached(), &topic)))
            .collect();
        topics.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// The brokers of the cluster, asked for now.
    ///
    /// # Errors
    /// [`MetadataError`] when the cluster cannot be asked.
    pub async fn cluster(&self) -> Result<Arc<ClusterMetadata>, MetadataError> {
        self.manager.cluster().await
    }

    /// Returns the known brokers, without a request or a wait; empty before the first answer.
    pub fn known_cluster(&self) -> Arc<ClusterMetadata> {
        self.manager.known_cluster()
    }

    /// Marks the known metadata of a topic as wrong: the next lookup sends a request.
    pub fn mark_stale(&self, topic: &str) {
        self.manager.mark_stale(topic);
    }

    /// Forgets a topic that is not used any more.
    pub fn forget_topic(&self, topic: &str) {
        self.manager.forget(topic);
    }

    /// Takes a hint at a new leader, as answers to Produce 10 and newer carry it (KIP-951).
    ///
    /// Gives whether it was news: if so, [`Client::leader_connection`] goes there without asking
    /// for metadata. `address` is needed where the broker is not among the known ones.
    pub fn update_leader(
        &self,
        topic: &str,
        partition: PartitionId,
        leader: BrokerId,
        epoch: LeaderEpoch,
        address: Option<Address>,
    ) -> bool {
        self.manager
            .update_leader(topic, partition, leader, epoch, address)
    }

    /// A connection to the leader of a partition: the open one, or a new one.
    ///
    /// One attempt is made; whoever calls again after an error brings the pause between
    /// ([`Backoff`](crate::Backoff)). After a lost connection or [`Client::mark_stale`], metadata
    /// is refreshed first.
    ///
    /// # Errors
    /// [`ConnectError`] says who cannot be reached or what is not known.
    pub async fn leader_connection(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Result<LeaderConnection, ConnectError> {
        self.manager.leader_connection(topic, partition).await
    }

    /// Why the last attempt to connect to the partition's leader failed; `None` when it succeeded,
    /// or there was none. For statistics, progress and summaries.
    pub fn last_failure(&self, topic: &str, partition: PartitionId) -> Option<ConnectError> {
        self.manager.last_failure(topic, partition)
    }

    /// All hosts that were dialled, by address, with what came of it.
    pub fn host_states(&self) -> Vec<HostState> {
        self.manager.host_states()
    }

    /// Frees descriptors of this process for others: files, say, that cannot be opened for want of
    /// them. Of the connections of partitions to each broker up to half are closed, those that have
    /// nothing in flight, and for 30 seconds no further ones are opened: their partitions share
    /// what is left. Returns how many were closed.
    pub fn free_descriptors(&self) -> usize {
        self.manager.free_descriptors()
    }

    /// The brokers that are connected and owe a response, with the time for which they have sent
    /// nothing, the longest first.
    pub fn silent_brokers(&self) -> Vec<(Address, Duration)> {
        self.manager.silent_brokers()
    }

    /// The cluster's id, once a broker has told it.
    pub fn cluster_id(&self) -> Option<Str> {
        self.manager.known_cluster().cluster_id.clone()
    }

    /// A connection to some broker: the one that is asked for metadata.
    ///
    /// # Errors
    /// [`MetadataError::Unreachable`] with a reason for each host.
    pub async fn any_connection(&self) -> Result<Connection, MetadataError> {
        self.manager.any_connection().await
    }

    /// A connection to the broker of this id, as metadata names it.
    ///
    /// # Errors
    /// [`ConnectError`] says who cannot be reached or what is not known.
    pub async fn broker_connection(&self, broker: BrokerId) -> Result<Connection, ConnectError> {
        self.manager.broker_connection(broker).await
    }

    /// The leaders of partitions and the id of the topic, without a connection.
    pub(super) async fn leaders_of(
        &self,
        topic: &str,
        partitions: &[PartitionId],
    ) -> Result<Vec<Result<(BrokerId, TopicId), ConnectError>>, ConnectError> {
        self.manager.leaders_of(topic, partitions).await
    }

    /// A connection to the broker that creates topics and the like.
    ///
    /// # Errors
    /// [`ConnectError`] says who cannot be reached or what is not known.
    pub async fn controller_connection(&self) -> Result<Connection, ConnectError> {
        self.manager.controller_connection().await
    }

    /// Checks that some broker can be reached and responds; connects if no connection is open.
    ///
    /// # Errors
    /// Every host that was tried, with the reason why it cannot be used.
    pub async fn check_connectivity(&self) -> Result<(), Vec<HostError>> {
        self.manager.check().await
    }

    /// Tries each bootstrap host by itself, for a person who looks for what is wrong.
    pub async fn probe_hosts(&self) -> Vec<(Address, Result<(), HostReason>)> {
        let reports = self.manager.probe().await.into_iter();
        reports
            .map(|report| (report.host, report.outcome))
            .collect()
    }

    /// As [`Client::probe_hosts`], with the brokers that each host names, and whether the addresses
    /// that those advertise can be connected to.
    pub async fn examine_hosts(&self) -> Vec<HostReport> {
        self.manager.probe().await
    }

    /// Attempts to connect that wait for credentials or a token at the moment.
    pub fn credentials_pending(&self) -> usize {
        self.manager.credentials_pending()
    }

    /// The hosts that the client was given.
    pub fn bootstrap(&self) -> &[Address] {
        &self.bootstrap
    }

    /// Ends all connections; everybody who waits is told, and nothing can be asked any more.
    pub async fn close(&self) {
        self.manager.close();
    }
}

impl ClientBuilder {
    /// Checks the configuration and makes it a client. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the option that cannot work.
    pub fn build(self) -> Result<Client, ConfigError> {
        let Ready {
            config,
            dialer,
            security,
            bootstrap,
            mut random,
        } = self.finish()?;
        let settings = Settings::new(&config, dialer, security, random.fork());
        let manager = Manager::new(&config, settings, bootstrap.clone(), random);
        Ok(Client {
            manager: Arc::new(manager),
            bootstrap: bootstrap.into(),
            client_id: config.client_id.into(),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}
