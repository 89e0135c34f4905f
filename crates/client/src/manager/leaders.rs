//! From a partition to a connection to its leader, and from the cluster to its controller.

use std::sync::Arc;

use tokio::sync::broadcast;
use wolff_backoff::Random;
use wolff_codec::messages::MetadataResponse;
use wolff_codec::{BrokerId, LeaderEpoch, PartitionId, Str, TopicId};

use super::connections::{Connections, Purpose};
use super::questions::Questions;
use crate::config::{ClientConfig, ConnectionStrategy};
use crate::connection::{Connection, Settings};
use crate::endpoint::Address;
use crate::error::{ConnectError, HostError, HostReason, MetadataError};
use crate::topology::{ClusterMetadata, NoLeader, TopicEvent, TopicMetadata, Topology};

/// A connection to the leader of a partition.
#[derive(Debug, Clone)]
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

/// What all clones of a client share.
pub(crate) struct Manager {
    strategy: ConnectionStrategy,
    connections: Arc<Connections>,
    questions: Arc<Questions>,
}

impl Manager {
    pub(crate) fn new(
        config: &ClientConfig,
        settings: Settings,
        bootstrap: Vec<Address>,
        mut random: Random,
    ) -> Self {
        let backoff = config.reconnect_backoff;
        let connections = Connections::new(settings, bootstrap, backoff, random.fork());
        let connections = Arc::new(connections);
        let questions = Questions::new(config, Arc::clone(&connections), random);
        Self {
            strategy: config.connection_strategy,
            connections,
            questions: Arc::new(questions),
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
    pub(crate) async fn all_topics(&self) -> Result<MetadataResponse, MetadataError> {
        self.questions.fetch(None).await
    }

    /// The brokers, as the cluster tells them now.
    pub(crate) async fn cluster(&self) -> Result<Arc<ClusterMetadata>, MetadataError> {
        self.questions.fetch(Some(&[])).await?;
        Ok(self.questions.read(Topology::cluster))
    }

    pub(crate) fn known_cluster(&self) -> Arc<ClusterMetadata> {
        self.questions.read(Topology::cluster)
    }

    /// Whether some broker answers.
    pub(crate) async fn check(&self) -> Result<(), Vec<HostError>> {
        let known = self.questions.read(Topology::addresses);
        self.connections.check(known).await
    }

    pub(crate) fn mark_stale(&self, topic: &str) {
        self.questions.mark_stale(topic);
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.questions.forget(topic);
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

    /// One attempt to connect to the leader; what has proved wrong is asked for again first.
    pub(crate) async fn leader_connection(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Result<LeaderConnection, ConnectError> {
        let known = self
            .questions
            .read(|topology| topology.leader(topic, partition));
        if let Ok(leader) = known {
            let purpose = self.purpose(topic, partition, leader.broker);
            if self.connections.take_lost(&purpose) {
                self.questions.handle_disconnect(topic);
            }
        }
        let metadata = self.topic(topic).await.map_err(|error| match error {
            MetadataError::ClientClosed => ConnectError::ClientClosed,
            error => ConnectError::Metadata(error),
        })?;
        let leader = self
            .questions
            .read(|topology| topology.leader(topic, partition))
            .map_err(|reason| {
                self.questions.mark_stale(topic);
                no_leader(topic, partition, reason)
            })?;
        let purpose = self.purpose(topic, partition, leader.broker);
        match self.connections.leader(purpose, leader.address).await {
            Ok(connection) => Ok(LeaderConnection {
                connection,
                broker: leader.broker,
                leader_epoch: leader.epoch,
                topic_id: metadata.topic_id,
            }),
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
            .await;
        connection.map_err(ConnectError::Host)
    }

    pub(crate) async fn probe(&self) -> Vec<(Address, Result<(), HostReason>)> {
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

fn no_leader(topic: &str, partition: PartitionId, reason: NoLeader) -> ConnectError {
    let topic = Str::from(topic);
    match reason {
        NoLeader::UnknownTopic => ConnectError::Metadata(MetadataError::LeftOut(topic)),
        NoLeader::UnknownPartition => ConnectError::UnknownPartition { topic, partition },
        NoLeader::Code(code) => ConnectError::NoLeader {
            topic,
            partition,
            code,
        },
    }
}
