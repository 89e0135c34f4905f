//! Brokers and topics together: answers go in, leaders and events come out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wolff_codec::{BrokerId, LeaderEpoch, PartitionId};
use wolff_codec::{ErrorCode, Str};

use super::event::TopicEvent;
use super::merge::merge;
use super::metadata::{BrokerMetadata, ClusterMetadata, TopicMetadata};
use crate::endpoint::Address;
use crate::leaders_response::{LeadersResponse, TopicLeaders};

/// So many answers in a row must say the same against what is known before they are believed,
/// where no topic id decides. One broker that is behind does not say it three times, a second
/// apart; a topic that was recreated on old brokers does for ever.
const CONTRADICTIONS_TO_BELIEVE: u32 = 3;

/// Leader of a partition, and its address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Leader {
    pub(crate) broker: BrokerId,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) address: Address,
}

/// Why there is no leader to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoLeader {
    /// Nothing is known about the topic.
    UnknownTopic,
    /// The topic has fewer partitions.
    UnknownPartition,
    /// The broker's reason.
    Code(ErrorCode),
    /// The leader is not among the brokers, or advertises no address that can be connected to.
    Unreachable(BrokerId),
}

#[derive(Debug)]
struct Known {
    metadata: Arc<TopicMetadata>,
    contradictions: u32,
    /// The cluster said that there is no such topic: what comes next under its name is another one.
    is_gone: bool,
    /// Partitions whose leader was learnt from a hint, and not yet from metadata.
    hinted: BTreeSet<PartitionId>,
}

/// Known state of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    cluster: Arc<ClusterMetadata>,
    /// The last id that a broker gave, which outlives what is known of the brokers.
    cluster_id: Option<Str>,
    topics: HashMap<Str, Known>,
    /// Events that [`Topology::take_events`] has not returned yet.
    events: Vec<TopicEvent>,
}

impl Topology {
    /// The brokers, as far as they are known.
    pub(crate) fn cluster(&self) -> Arc<ClusterMetadata> {
        Arc::clone(&self.cluster)
    }

    /// The brokers that can be connected to.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let brokers = self.cluster.brokers.iter();
        brokers
            .filter_map(|broker| broker.address.clone())
            .collect()
    }

    /// Returns the known metadata of a topic.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.topics.get(name).map(|known| known.metadata.clone())
    }

    /// Returns the leader of the partition.
    pub(crate) fn leader(&self, topic: &str, partition: PartitionId) -> Result<Leader, NoLeader> {
        let known = self.topics.get(topic).ok_or(NoLeader::UnknownTopic)?;
        let partition = known
            .metadata
            .partition(partition)
            .ok_or(NoLeader::UnknownPartition)?;
        if !partition.error.is_ok() {
            return Err(NoLeader::Code(partition.error));
        }
        let leader = partition
            .leader
            .ok_or(NoLeader::Code(ErrorCode::LEADER_NOT_AVAILABLE))?;
        let broker = self.cluster.broker(leader);
        let address = broker.and_then(|broker| broker.address.clone());
        Ok(Leader {
            broker: leader,
            epoch: partition.leader_epoch,
            address: address.ok_or(NoLeader::Unreachable(leader))?,
        })
    }

    /// Returns the leader of the partition by a hint that is newer than the last metadata.
    pub(crate) fn hinted_leader(&self, topic: &str, partition: PartitionId) -> Option<Leader> {
        let is_hinted = self.topics.get(topic)?.hinted.contains(&partition);
        is_hinted.then(|| self.leader(topic, partition).ok())?
    }

    /// The hint at the partition's leader has proved wrong.
    pub(crate) fn forget_hint(&mut self, topic: &str, partition: PartitionId) {
        if let Some(known) = self.topics.get_mut(topic) {
            known.hinted.remove(&partition);
        }
    }

    /// All hints at leaders of the topic have proved wrong.
    pub(crate) fn forget_hints(&mut self, topic: &str) {
        if let Some(known) = self.topics.get_mut(topic) {
            known.hinted.clear();
        }
    }

    /// The topics that the broker leads a partition of.
    pub(crate) fn topics_of(&self, broker: BrokerId) -> Vec<Str> {
        let leads = |known: &Known| {
            let mut partitions = known.metadata.partitions.iter();
            partitions.any(|partition| partition.leader == Some(broker))
        };
        let topics = self.topics.iter().filter(|(_, known)| leads(known));
        let mut names: Vec<_> = topics.map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Returns the changes since the last call, in the order in which they were learnt.
    pub(crate) fn take_events(&mut self) -> Vec<TopicEvent> {
        std::mem::take(&mut self.events)
    }

    /// Forgets the brokers, so that the bootstrap endpoints are asked (KIP-1102).
    pub(crate) fn forget_brokers(&mut self) {
        self.cluster = Arc::default();
    }

    /// Forgets a topic that nobody asks for any more.
    pub(crate) fn forget_topic(&mut self, name: &str) {
        self.topics.remove(name);
    }

    /// Takes the brokers from an answer. An empty list, as brokers give it while they start,
    /// changes nothing.
    pub(crate) fn handle_brokers(&mut self, answer: &LeadersResponse) {
        if answer.brokers.is_empty() {
            return;
        }
        let mut brokers: Vec<_> = answer
            .brokers
            .iter()
            .map(|broker| BrokerMetadata {
                id: broker.node_id,
                address: Address::advertised(&broker.host, broker.port),
                rack: broker.rack.as_deref().map(Str::from),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        brokers.dedup_by_key(|broker| broker.id);
        let cluster = ClusterMetadata {
            cluster_id: answer.cluster_id.as_deref().map(Str::from),
            controller: Some(answer.controller_id).filter(|id| *id > BrokerId::NONE),
            brokers,
        };
        let before = self.cluster_id.clone();
        self.cluster_id = cluster.cluster_id.clone().or_else(|| before.clone());
        if let (Some(before), Some(now)) = (before, cluster.cluster_id.clone())
            && before != now
        {
            tracing::warn!(%before, %now, "the brokers belong to another cluster than before");
            self.events.push(TopicEvent::OtherCluster { before, now });
        }
        if *self.cluster != cluster {
            self.cluster = Arc::new(cluster);
        }
    }

    /// Takes what an answer says about the topic `name`.
    ///
    /// # Errors
    /// The broker's code when it speaks of the topic as a whole; what is known stays.
    pub(crate) fn handle_topic(
        &mut self,
        name: &Str,
        answer: &TopicLeaders,
    ) -> Result<Arc<TopicMetadata>, ErrorCode> {
        if !answer.error_code.is_ok() {
            if answer.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                && let Some(known) = self.topics.get_mut(name)
            {
                known.is_gone = true;
            }
            return Err(answer.error_code);
        }
        if answer.partitions.is_empty() {
            // No topic has no partitions: the broker has heard of it, but not yet the rest.
            return Err(ErrorCode::LEADER_NOT_AVAILABLE);
        }
        let known = self.topics.get(name);
        let mut merged = merge(name, known.map(|known| &*known.metadata), answer);
        let mut contradictions = 0;
        if merged.is_contradicted {
            contradictions = known
                .map_or(0, |known| known.contradictions)
                .saturating_add(1);
            if contradictions >= CONTRADICTIONS_TO_BELIEVE
                || known.is_some_and(|known| known.is_gone)
            {
                merged = merge(name, None, answer);
                merged.is_recreated = true;
                contradictions = 0;
            }
        }
        if let Some(known) = known {
            let (before, now) = (&known.metadata, &merged.metadata);
            if merged.is_recreated {
                self.events.push(TopicEvent::Recreated {
                    topic: name.clone(),
                    before: before.topic_id,
                    now: now.topic_id,
                });
            }
            let (before, now) = (before.partitions.len(), now.partitions.len());
            if before != now {
                self.events.push(TopicEvent::PartitionCount {
                    topic: name.clone(),
                    before,
                    now,
                });
            }
        }
        if merged.is_recreated {
            tracing::warn!(topic = %name, id = %merged.metadata.topic_id, "topic was recreated");
        }
        let metadata = match known {
            Some(known) if *known.metadata == merged.metadata => Arc::clone(&known.metadata),
            _ => Arc::new(merged.metadata),
        };
        let known = Known {
            metadata: Arc::clone(&metadata),
            contradictions,
            is_gone: false,
            hinted: BTreeSet::new(),
        };
        self.topics.insert(name.clone(), known);
        Ok(metadata)
    }

    /// Takes the leader that a Produce answer hints at (KIP-951), where that is news.
    ///
    /// Gives whether it was: then there is no need to ask for metadata.
    pub(crate) fn handle_leader_hint(
        &mut self,
        topic: &str,
        partition: PartitionId,
        leader: BrokerId,
        epoch: LeaderEpoch,
        address: Option<Address>,
    ) -> bool {
        let Some(known) = self.topics.get_mut(topic) else {
            return false;
        };
        let address = address.filter(|address| address.port() != 0 && !address.host().is_empty());
        let is_news = known
            .metadata
            .partition(partition)
            .is_some_and(|known| epoch > known.leader_epoch);
        let has_address = address.is_some()
            || (self.cluster.broker(leader)).is_some_and(|broker| broker.address.is_some());
        if !is_news || !has_address || leader <= BrokerId::NONE {
            return false;
        }
        let mut metadata = TopicMetadata::clone(&known.metadata);
        for entry in &mut metadata.partitions {
            if entry.partition == partition {
                entry.leader = Some(leader);
                entry.leader_epoch = epoch;
                entry.error = ErrorCode::NONE;
            }
        }
        known.metadata = Arc::new(metadata);
        known.hinted.insert(partition);
        if let Some(address) = address {
            self.learn_address(leader, address);
        }
        true
    }

    fn learn_address(&mut self, id: BrokerId, address: Address) {
        let mut cluster = ClusterMetadata::clone(&self.cluster);
        match cluster.brokers.iter_mut().find(|broker| broker.id == id) {
            Some(broker) => broker.address = Some(address),
            None => {
                cluster.brokers.push(BrokerMetadata {
                    id,
                    address: Some(address),
                    rack: None,
                });
                cluster.brokers.sort_by_key(|broker| broker.id);
            }
        }
        self.cluster = Arc::new(cluster);
    }
}

#[cfg(test)]
mod tests;
