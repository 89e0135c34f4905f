//! From a partition to a connection to its leader, and from the cluster to its controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use wolff_backoff::Random;
use wolff_codec::{BrokerId, LeaderEpoch, PartitionId, Str, TopicId};

use super::connections::{Connections, Purpose};
use super::hosts::HostState;
use super::probe::HostReport;
use super::questions::Questions;
use crate::config::{ClientConfig, ConnectionStrategy};
use crate::connection::{Connection, Settings};
use crate::endpoint::Address;
use crate::error::{ConnectError, HostError, HostReason, MetadataError};
use crate::leaders_response::LeadersResponse;
use crate::topology::{ClusterMetadata, Leader, NoLeader, TopicEvent, TopicMetadata, Topology};

/// A connection to the leader of a partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaderConnection {
    /// The connection; with [`ConnectionStrategy::PerBroker`] others use it as well.
    pub connection: Connection,
    /// The broker at its other end.
    pub broker: BrokerId,
    /// The epoch in which that broker leads the partition.
    pub leader_epoch: LeaderEpoch,
    /// The topic's id, zero from brokers before 2.8.
    pub topic_id: TopicId,
}

/// State shared by all clones of a client.
pub(crate) struct Manager {
    strategy: ConnectionStrategy,
    connections: Arc<Connections>,
    questions: Arc<Questions>,
    /// Why the last attempt to connect to a partition's leader failed.
    failures: Mutex<BTreeMap<(Str, PartitionId), ConnectError>>,
}

impl Manager {
    pub(crate) fn new(
        config: &ClientConfig,
        settings: Settings,
        bootstrap: Vec<Address>,
        mut random: Random,
    ) -> Self {
        let connections = Connections::new(config, settings, bootstrap, random.fork());
        let connections = Arc::new(connections);
        let questions = Questions::new(config, Arc::clone(&connections), random);
        Self {
            strategy: config.connection_strategy,
            connections,
            questions: Arc::new(questions),
            failures: Mutex::default(),
        }
    }

    pub(crate) async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, MetadataError> {
        self.questions.topic_or_create(name).await
    }

    /// As [`Manager::topic`], but what is known counts only if it was learnt just now.
    pub(crate) async fn topic_of_now(
        &self,
        name: &str,
    ) -> Result<Arc<TopicMetadata>, MetadataError> {
        self.questions.mark_stale_if_old(name);
        self.topic(name).await
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<TopicEvent> {
        self.questions.events()
    }

    pub(crate) fn known_topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.questions.read(|topology| topology.topic(name))
    }

    /// All topics, as the cluster tells them now; the answer is not kept.
    pub(crate) async fn all_topics(&self) -> Result<LeadersResponse, MetadataError> {
        let (response, _) = self.questions.fetch(None).await?;
        Ok(response)
    }

    /// The brokers, as the cluster tells them now.
    pub(crate) async fn cluster(&self) -> Result<Arc<ClusterMetadata>, MetadataError> {
        self.questions.fetch(Some(&[])).await?;
        Ok(self.questions.read(Topology::cluster))
    }

    pub(crate) fn known_cluster(&self) -> Arc<ClusterMetadata> {
        self.questions.read(Topology::cluster)
    }

    /// Checks that some broker responds.
    pub(crate) async fn check(&self) -> Result<(), Vec<HostError>> {
        let known = self.questions.read(Topology::addresses);
        self.connections.check(known).await
    }

    pub(crate) fn mark_stale(&self, topic: &str) {
        self.questions.mark_stale(topic);
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.questions.forget(topic);
        self.failures.lock().retain(|(name, _), _| &**name != topic);
    }

    pub(crate) fn update_leader(
        &self,
        topic: &str,
        partition: PartitionId,
        leader: BrokerId,
        epoch: LeaderEpoch,
        address: Option<Address>,
    ) -> bool {
        self.questions.change(|topology| {
            topology.handle_leader_hint(topic, partition, leader, epoch, address)
        })
    }

    /// All hosts that were ever dialled, with what came of it.
    pub(crate) fn host_states(&self) -> Vec<HostState> {
        self.connections.host_states()
    }

    /// Closes connections that others can do without. Returns how many.
    pub(crate) fn free_descriptors(&self) -> usize {
        self.connections.free_descriptors()
    }

    /// The brokers that owe a response, with the time for which they have sent nothing.
    pub(crate) fn silent_brokers(&self) -> Vec<(Address, Duration)> {
        self.connections.silent()
    }

    /// Attempts to connect that wait for credentials at the moment.
    pub(crate) fn credentials_pending(&self) -> usize {
        self.connections.credentials_pending()
    }

    /// Why the last attempt to connect to the partition's leader failed, if it did.
    pub(crate) fn last_failure(&self, topic: &str, partition: PartitionId) -> Option<ConnectError> {
        let key = (Str::from(topic), partition);
        self.failures.lock().get(&key).cloned()
    }

    /// One attempt to connect to the leader, whose failure is remembered.
    pub(crate) async fn leader_connection(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Result<LeaderConnection, ConnectError> {
        let outcome = self.connect_to_leader(topic, partition).await;
        let key = (Str::from(topic), partition);
        let mut failures = self.failures.lock();
        match &outcome {
            Ok(_) => failures.remove(&key),
            Err(error) => failures.insert(key, error.clone()),
        };
        drop(failures);
        outcome
    }

    /// Requests first what has proved wrong.
    async fn connect_to_leader(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Result<LeaderConnection, ConnectError> {
        let known = self
            .questions
            .read(|topology| topology.leader(topic, partition));
        if let Ok(leader) = known {
            let purpose = self.purpose(topic, partition, leader.broker);
            if self.connections.take_lost(&purpose, &leader.address) {
                self.questions
                    .change(|topology| topology.forget_hint(topic, partition));
                self.questions.handle_disconnect(topic);
            }
        }
        let hinted = self.questions.read(|topology| {
            let leader = topology.hinted_leader(topic, partition)?;
            Some((leader, topology.topic(topic)?.topic_id))
        });
        if let Some((leader, topic_id)) = hinted {
            // A newer leader than metadata knows: there is nothing to ask.
            let connected = self.connect(topic, partition, leader, topic_id).await;
            if connected.is_err() {
                self.questions
                    .change(|topology| topology.forget_hint(topic, partition));
            }
            return connected;
        }
        let (leader, topic_id) = self.leader_in_metadata(topic, partition).await?;
        self.connect(topic, partition, leader, topic_id).await
    }

    /// The leader of a partition as metadata names it, and the id of the topic.
    async fn leader_in_metadata(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Result<(Leader, TopicId), ConnectError> {
        let metadata = self.topic(topic).await.map_err(not_looked_up)?;
        let leader = self
            .questions
            .read(|topology| topology.leader(topic, partition))
            .map_err(|reason| {
                self.questions.mark_stale(topic);
                no_leader(topic, partition, reason)
            })?;
        Ok((leader, metadata.topic_id))
    }

    async fn connect(
        &self,
        topic: &str,
        partition: PartitionId,
        leader: Leader,
        topic_id: TopicId,
    ) -> Result<LeaderConnection, ConnectError> {
        let purpose = self.purpose(topic, partition, leader.broker);
        let connection = self.connections.leader(purpose.clone(), leader.address);
        match connection.await {
            Ok(connection) => {
                connection.set_broker(leader.broker);
                self.watch_silence(&connection, purpose);
                Ok(LeaderConnection {
                    connection,
                    broker: leader.broker,
                    leader_epoch: leader.epoch,
                    topic_id,
                })
            }
            Err(error) if error.reason == HostReason::ClientClosed => {
                Err(ConnectError::ClientClosed)
            }
            Err(error) => {
                // A leader that cannot be reached is often one no longer.
                self.questions.handle_disconnect(topic);
                Err(ConnectError::Host(error))
            }
        }
    }

    /// While the broker owes a response and is silent, the cluster is asked whether it still leads.
    fn watch_silence(&self, connection: &Connection, purpose: Purpose) {
        let questions = Arc::downgrade(&self.questions);
        connection.watch_silence(Box::new(move || {
            if let Some(questions) = questions.upgrade() {
                questions.handle_silence(&purpose);
            }
        }));
    }

    /// Any broker: the one that is asked for metadata.
    pub(crate) async fn any_connection(&self) -> Result<Connection, MetadataError> {
        self.questions.connection().await
    }

    /// The broker that creates topics and the like.
    pub(crate) async fn controller_connection(&self) -> Result<Connection, ConnectError> {
        let cluster = self.cluster().await.map_err(ConnectError::Metadata)?;
        let controller = cluster.controller.ok_or(ConnectError::NoController)?;
        let broker = cluster.broker(controller);
        let address = broker
            .and_then(|broker| broker.address.clone())
            .ok_or(ConnectError::NoController)?;
        let connection = self
            .connections
            .leader(Purpose::Broker(controller), address)
            .await
            .map_err(ConnectError::Host)?;
        connection.set_broker(controller);
        Ok(connection)
    }

    /// A broker by its id; metadata is fetched if it does not name the broker yet.
    pub(crate) async fn broker_connection(
        &self,
        broker: BrokerId,
    ) -> Result<Connection, ConnectError> {
        let address_in = |cluster: &ClusterMetadata| {
            let broker = cluster.broker(broker)?;
            broker.address.clone()
        };
        let address = match address_in(&self.known_cluster()) {
            Some(address) => address,
            None => {
                let cluster = self.cluster().await.map_err(ConnectError::Metadata)?;
                address_in(&cluster).ok_or(ConnectError::UnknownBroker(broker))?
            }
        };
        let connection = self.connections.leader(Purpose::Broker(broker), address);
        let connection = connection.await.map_err(|error| match error.reason {
            HostReason::ClientClosed => ConnectError::ClientClosed,
            _ => ConnectError::Host(error),
        })?;
        connection.set_broker(broker);
        Ok(connection)
    }

    /// The leaders of partitions, each with the id of the topic, by one look at metadata.
    pub(crate) async fn leaders_of(
        &self,
        topic: &str,
        partitions: &[PartitionId],
    ) -> Result<Vec<Result<(BrokerId, TopicId), ConnectError>>, ConnectError> {
        let metadata = self.topic(topic).await.map_err(not_looked_up)?;
        let leaders: Vec<_> = self.questions.read(|topology| {
            let leader = |partition: &PartitionId| {
                let leader = topology.leader(topic, *partition);
                let leader = leader.map_err(|reason| no_leader(topic, *partition, reason))?;
                Ok((leader.broker, metadata.topic_id))
            };
            partitions.iter().map(leader).collect()
        });
        if leaders.iter().any(Result::is_err) {
            self.questions.mark_stale(topic);
        }
        Ok(leaders)
    }

    pub(crate) async fn probe(&self) -> Vec<HostReport> {
        self.connections.probe().await
    }

    pub(crate) fn close(&self) {
        self.questions.close();
        self.connections.close();
    }

    fn purpose(&self, topic: &str, partition: PartitionId, broker: BrokerId) -> Purpose {
        match self.strategy {
            ConnectionStrategy::PerPartition => Purpose::Partition(topic.into(), partition),
            ConnectionStrategy::PerBroker => Purpose::Broker(broker),
        }
    }
}

impl Drop for Manager {
    /// The last clone of the client has gone: what still runs on its behalf ends.
    fn drop(&mut self) {
        self.close();
    }
}

fn not_looked_up(error: MetadataError) -> ConnectError {
    match error {
        MetadataError::ClientClosed => ConnectError::ClientClosed,
        error => ConnectError::Metadata(error),
    }
}

fn no_leader(topic: &str, partition: PartitionId, reason: NoLeader) -> ConnectError {
    let topic = Str::from(topic);
    match reason {
        NoLeader::UnknownTopic => ConnectError::Metadata(MetadataError::Forgotten(topic)),
        NoLeader::UnknownPartition => ConnectError::UnknownPartition { topic, partition },
        NoLeader::Code(code) => ConnectError::NoLeader {
            topic,
            partition,
            code,
        },
        NoLeader::Unreachable(broker) => ConnectError::NotAdvertised {
            topic,
            partition,
            broker,
        },
    }
}
