//! State of the cluster: brokers, topics, partitions.

use std::collections::BTreeMap;

use wolff_codec::Str;
use wolff_codec::ids::{BrokerId, PartitionId, ProducerId, TopicId};

use super::partition::Partition;
use crate::config::{Config, TopicConfig};

/// The cluster, as all its brokers see it at once.
#[derive(Debug)]
pub(crate) struct Model {
    pub(super) cluster_id: Str,
    pub(super) brokers: BTreeMap<BrokerId, Node>,
    pub(super) topics: BTreeMap<Str, Topic>,
    /// Settings of topics that have none of their own.
    pub(super) topic_defaults: TopicConfig,
    pub(super) default_partitions: i32,
    pub(super) replication_factor: i16,
    /// Number of topics that there ever were: their ids are made of it.
    pub(super) created_topics: u64,
    next_producer_id: i64,
}

/// A broker, and where clients are told that it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    pub(crate) host: Str,
    pub(crate) port: u16,
    pub(crate) is_alive: bool,
}

/// A topic and its partitions, which are counted from 0.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) config: TopicConfig,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    /// The partitions with their ids.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (PartitionId, &Partition)> {
        (0..).map(PartitionId).zip(&self.partitions)
    }

    pub(crate) fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(usize::try_from(partition.0).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, partition: PartitionId) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(partition.0).ok()?)
    }

    /// Number of partitions, as the protocol counts.
    pub(crate) fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }
}

impl Model {
    /// A cluster of these brokers, all alive, without topics.
    pub(crate) fn new(config: &Config, cluster_id: Str, brokers: BTreeMap<BrokerId, Node>) -> Self {
        Self {
            cluster_id,
            brokers,
            topics: BTreeMap::new(),
            topic_defaults: config.topic_defaults,
            default_partitions: config.default_partitions,
            replication_factor: config.replication_factor,
            created_topics: 0,
            next_producer_id: 1000,
        }
    }

    pub(crate) fn cluster_id(&self) -> &Str {
        &self.cluster_id
    }

    /// The living broker with the lowest id; none if all are dead.
    pub(crate) fn controller(&self) -> BrokerId {
        self.living()
            .next()
            .map_or(BrokerId::NONE, |(broker, _)| broker)
    }

    pub(crate) fn node(&self, broker: BrokerId) -> Option<&Node> {
        self.brokers.get(&broker)
    }

    pub(crate) fn node_mut(&mut self, broker: BrokerId) -> Option<&mut Node> {
        self.brokers.get_mut(&broker)
    }

    /// The brokers that are alive, by id.
    pub(crate) fn living(&self) -> impl Iterator<Item = (BrokerId, &Node)> {
        let living = self.brokers.iter().filter(|(_, node)| node.is_alive);
        living.map(|(broker, node)| (*broker, node))
    }

    pub(crate) fn is_alive(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|node| node.is_alive)
    }

    pub(crate) fn topic_defaults(&self) -> &TopicConfig {
        &self.topic_defaults
    }

    /// The topics, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Str, &Topic)> {
        self.topics.iter()
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(crate) fn topic_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.topics.get_mut(name)
    }

    /// The name that belongs to a topic's id.
    pub(crate) fn name_of(&self, id: TopicId) -> Option<&Str> {
        let mut topics = self.topics.iter();
        topics
            .find(|(_, topic)| topic.id == id)
            .map(|(name, _)| name)
    }

    pub(crate) fn partition(&self, topic: &str, partition: PartitionId) -> Option<&Partition> {
        self.topic(topic)?.partition(partition)
    }

    /// A producer id that was never given away before.
    pub(crate) fn new_producer_id(&mut self) -> ProducerId {
        let id = ProducerId(self.next_producer_id);
        self.next_producer_id = self.next_producer_id.saturating_add(1);
        id
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A model of `brokers` living brokers, numbered from 1.
    pub(crate) fn model(brokers: i32) -> Model {
        let node = |broker: i32| Node {
            host: Str::from("127.0.0.1"),
            port: 9000 + u16::try_from(broker).unwrap(),
            is_alive: true,
        };
        let nodes = (1..=brokers).map(|broker| (BrokerId(broker), node(broker)));
        Model::new(&Config::default(), Str::from("test"), nodes.collect())
    }

    #[test]
    fn producer_ids_are_given_once() {
        let mut model = model(1);
        assert_ne!(model.new_producer_id(), model.new_producer_id());
    }

    #[test]
    fn the_lowest_living_broker_is_the_controller() {
        let mut model = model(2);
        assert_eq!(model.controller(), BrokerId(1));
        model.node_mut(BrokerId(1)).unwrap().is_alive = false;
        assert_eq!(model.controller(), BrokerId(2));
        model.node_mut(BrokerId(2)).unwrap().is_alive = false;
        assert_eq!(model.controller(), BrokerId::NONE);
    }
}
