//! Brokers and topics together: answers go in, leaders and events come out.

use std::collections::HashMap;
use std::sync::Arc;

use wolff_codec::messages::{MetadataResponse, MetadataResponseTopic};
use wolff_codec::{BrokerId, LeaderEpoch, PartitionId};
use wolff_codec::{ErrorCode, Str};

use super::merge::merge;
use super::metadata::{BrokerMetadata, ClusterMetadata, TopicMetadata};
use crate::endpoint::Address;

/// So many answers in a row must say the same against what is known before they are believed,
/// where no topic id decides. One broker that is behind does not say it three times, a second
/// apart; a topic that was recreated on old brokers does for ever.
const CONTRADICTIONS_TO_BELIEVE: u32 = 3;

/// Who leads a partition, and where to find that broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: BrokerId,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) address: Address,
}

/// Why there is no leader to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLeader {
    /// Nothing is known about the topic.
    UnknownTopic,
    /// The topic has fewer partitions.
    UnknownPartition,
    /// The broker's reason.
    Code(ErrorCode),
}

#[derive(Debug)]
struct Known {
    metadata: Arc<TopicMetadata>,
    contradictions: u32,
    /// The cluster said that there is no such topic: what comes next under its name is another one.
    is_gone: bool,
}

/// What is known about the cluster.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    cluster: Arc<ClusterMetadata>,
    topics: HashMap<Str, Known>,
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

    /// What is known about a topic.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.topics.get(name).map(|known| known.metadata.clone())
    }

    /// Who leads the partition.
    pub(crate) fn leader(&self, topic: &str, partition: PartitionId) -> Result<Leader, NoLeader> {
        let known = self.topics.get(topic).ok_or(NoLeader::UnknownTopic)?;
        let partition = known
            .metadata
            .partition(partition)
            .ok_or(NoLeader::UnknownPartition)?;
        if !partition.error.is_ok() {
            return Err(NoLeader::Code(partition.error));
        }
        partition
            .leader
            .and_then(|leader| self.cluster.broker(leader))
            .and_then(|broker| {
                Some(Leader {
                    broker: broker.id,
                    epoch: partition.leader_epoch,
                    address: broker.address.clone()?,
                })
            })
            // A leader that is not among the brokers has just gone down.
            .ok_or(NoLeader::Code(ErrorCode::LEADER_NOT_AVAILABLE))
    }

    /// Forgets the brokers, so that the bootstrap endpoints are asked (KIP-1102).
    pub(crate) fn forget_brokers(&mut self) {
        self.cluster = Arc::default();
    }

    /// Forgets a topic that nobody asks for any more.
    pub(crate) fn forget_topic(&mut self, name: &str) {
        self.topics.remove(name);
    }

    /// Takes the brokers from an answer. An empty list, as brokers give it while they start, changes
    /// nothing.
    pub(crate) fn handle_brokers(&mut self, answer: &MetadataResponse) {
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
        answer: &MetadataResponseTopic,
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
                contradictions = 0;
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
mod tests {
    use wolff_codec::TopicId;
    use wolff_codec::messages::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    const P0: PartitionId = PartitionId(0);

    /// An answer about topic `t`: its id, and for each partition its index, leader, epoch and error.
    fn answer(id: u8, partitions: &[(i32, i32, i32, i16)]) -> MetadataResponseTopic {
        let partition =
            |&(index, leader, epoch, error): &(i32, i32, i32, i16)| MetadataResponsePartition {
                partition_index: PartitionId(index),
                leader_id: BrokerId(leader),
                leader_epoch: LeaderEpoch(epoch),
                error_code: ErrorCode(error),
                ..Default::default()
            };
        MetadataResponseTopic {
            name: Some("t".into()),
            topic_id: TopicId([id; 16]),
            partitions: partitions.iter().map(partition).collect(),
            ..Default::default()
        }
    }

    fn brokers(brokers: &[(i32, &str, i32)]) -> MetadataResponse {
        let broker = |(id, host, port): &(i32, &str, i32)| MetadataResponseBroker {
            node_id: BrokerId(*id),
            host: (*host).into(),
            port: *port,
            ..Default::default()
        };
        MetadataResponse {
            brokers: brokers.iter().map(broker).collect(),
            ..Default::default()
        }
    }

    /// Takes the answers one after the other, and shows what is known after the last one: leader,
    /// epoch and error of each partition.
    fn after(answers: &[MetadataResponseTopic]) -> Vec<(i32, i32, i16)> {
        let mut topology = Topology::default();
        for answer in answers {
            let _ = topology.handle_topic(&"t".into(), answer);
        }
        let known = topology.topic("t").unwrap();
        for (index, partition) in (0..).zip(&known.partitions) {
            assert_eq!(partition.partition, PartitionId(index), "no holes");
        }
        let shown = known.partitions.iter().map(|partition| {
            let leader = partition.leader.unwrap_or(BrokerId::NONE);
            (leader.0, partition.leader_epoch.0, partition.error.0)
        });
        shown.collect()
    }

    #[test]
    fn a_newer_epoch_replaces_an_older_one_and_not_the_other_way_round() {
        let (old, new) = (answer(1, &[(0, 1, 4, 0)]), answer(1, &[(0, 2, 5, 0)]));
        assert_eq!(after(&[old.clone(), new.clone()]), [(2, 5, 0)]);
        assert_eq!(after(&[new.clone(), old.clone()]), [(2, 5, 0)]);
        // With topic ids, no insisting makes an old answer new.
        let insisting = [new, old.clone(), old.clone(), old.clone(), old];
        assert_eq!(after(&insisting), [(2, 5, 0)]);
    }

    #[test]
    fn an_error_keeps_the_leader_and_the_epoch() {
        let good = answer(1, &[(0, 1, 4, 0)]);
        assert_eq!(
            after(&[good.clone(), answer(1, &[(0, -1, 4, 5)])]),
            [(1, 4, 5)]
        );
        assert_eq!(
            after(&[good.clone(), answer(1, &[(0, -1, -1, 0)])]),
            [(1, 4, 5)]
        );
        // An error from before the last election is old news.
        assert_eq!(
            after(&[good.clone(), answer(1, &[(0, -1, 3, 5)])]),
            [(1, 4, 0)]
        );
        // A replica that is down does not matter.
        assert_eq!(after(&[good, answer(1, &[(0, 2, 5, 9)])]), [(2, 5, 0)]);
    }

    #[test]
    fn a_hole_keeps_what_was_there_and_a_new_one_has_an_error() {
        let three = answer(1, &[(0, 1, 0, 0), (1, 2, 0, 0), (2, 3, 0, 0)]);
        let expected = [(1, 0, 0), (2, 0, 0), (3, 0, 0)];
        assert_eq!(
            after(&[three.clone(), answer(1, &[(0, 1, 0, 0), (2, 3, 0, 0)])]),
            expected
        );
        assert_eq!(
            after(&[three.clone(), answer(1, &[(0, 1, 0, 0)])]),
            expected
        );
        assert_eq!(after(&[three, answer(1, &[])]), expected);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
        assert_eq!(
            after(&[answer(1, &[(1, 2, 0, 0)])]),
            [(-1, -1, unknown), (2, 0, 0)]
        );
    }

    #[test]
    fn another_topic_id_is_another_topic() {
        let old = answer(1, &[(0, 1, 9, 0), (1, 1, 9, 0)]);
        assert_eq!(after(&[old, answer(2, &[(0, 2, 0, 0)])]), [(2, 0, 0)]);
    }

    #[test]
    fn without_topic_ids_a_contradiction_is_believed_the_third_time() {
        let old = answer(0, &[(0, 1, 9, 0), (1, 1, 9, 0)]);
        let new = answer(0, &[(0, 2, 0, 0)]);
        let twice = [old.clone(), new.clone(), new.clone()];
        assert_eq!(after(&twice), [(1, 9, 0), (1, 9, 0)]);
        let thrice = [old.clone(), new.clone(), new.clone(), new.clone()];
        assert_eq!(after(&thrice), [(2, 0, 0)]);
        let interrupted = [
            old.clone(),
            new.clone(),
            new.clone(),
            old.clone(),
            new.clone(),
        ];
        assert_eq!(after(&interrupted), [(1, 9, 0), (1, 9, 0)]);
        let gone = MetadataResponseTopic {
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ..answer(0, &[])
        };
        assert_eq!(
            after(&[old, gone, new]),
            [(2, 0, 0)],
            "its absence was seen"
        );
    }

    #[test]
    fn without_epochs_the_last_answer_counts() {
        let answers = [answer(0, &[(0, 1, -1, 0)]), answer(0, &[(0, 2, -1, 0)])];
        assert_eq!(after(&answers), [(2, -1, 0)]);
    }

    #[test]
    fn indexes_beyond_reason_and_second_entries_are_ignored() {
        let absurd = answer(
            1,
            &[
                (0, 1, 0, 0),
                (i32::MAX, 1, 0, 0),
                (-1, 1, 0, 0),
                (0, 2, 9, 0),
            ],
        );
        assert_eq!(after(&[absurd]), [(1, 0, 0)]);
    }

    #[test]
    fn the_same_answer_again_is_the_same_value() {
        let mut topology = Topology::default();
        let answer = answer(1, &[(0, 1, 0, 0)]);
        let first = topology.handle_topic(&"t".into(), &answer).unwrap();
        let second = topology.handle_topic(&"t".into(), &answer).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        topology.forget_topic("t");
        assert_eq!(topology.topic("t"), None);
    }

    #[test]
    fn brokers_are_sorted_and_an_empty_list_changes_nothing() {
        let mut topology = Topology::default();
        let answer = brokers(&[(2, "b", 2), (1, "a", 1), (3, "c", -1), (2, "twice", 2)]);
        topology.handle_brokers(&answer);
        topology.handle_brokers(&brokers(&[]));
        let cluster = topology.cluster();
        let ids: Vec<_> = cluster.brokers.iter().map(|broker| broker.id.0).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert_eq!(
            topology.addresses(),
            [Address::new("a", 1), Address::new("b", 2)]
        );
        topology.forget_brokers();
        assert!(topology.addresses().is_empty());
    }

    #[test]
    fn a_leader_is_told_only_where_it_can_be_connected_to() {
        let mut topology = Topology::default();
        assert_eq!(topology.leader("t", P0), Err(NoLeader::UnknownTopic));
        topology.handle_brokers(&brokers(&[(1, "a", 1), (2, "b", 0)]));
        let partitions = [(0, 1, 3, 0), (1, 2, 3, 0), (2, 7, 3, 0), (3, -1, 3, 5)];
        topology
            .handle_topic(&"t".into(), &answer(1, &partitions))
            .unwrap();
        let leader = Leader {
            broker: BrokerId(1),
            epoch: LeaderEpoch(3),
            address: Address::new("a", 1),
        };
        assert_eq!(topology.leader("t", P0), Ok(leader));
        for partition in 1..=3 {
            let outcome = topology.leader("t", PartitionId(partition));
            assert_eq!(
                outcome,
                Err(NoLeader::Code(ErrorCode::LEADER_NOT_AVAILABLE))
            );
        }
        let outcome = topology.leader("t", PartitionId(4));
        assert_eq!(outcome, Err(NoLeader::UnknownPartition));
    }

    #[test]
    fn a_hint_counts_when_it_is_news() {
        let mut topology = Topology::default();
        topology.handle_brokers(&brokers(&[(1, "a", 1)]));
        topology
            .handle_topic(&"t".into(), &answer(1, &[(0, 1, 3, 0)]))
            .unwrap();
        let mut hint = |topic, partition, leader, epoch, address: Option<Address>| {
            let (partition, leader) = (PartitionId(partition), BrokerId(leader));
            topology.handle_leader_hint(topic, partition, leader, LeaderEpoch(epoch), address)
        };
        let there = Address::new("b", 2);
        assert!(!hint("other", 0, 2, 9, Some(there.clone())));
        assert!(!hint("t", 1, 2, 9, Some(there.clone())));
        assert!(!hint("t", 0, -1, 9, Some(there.clone())));
        assert!(!hint("t", 0, 2, 9, None));
        assert!(!hint("t", 0, 2, 3, Some(there.clone())));
        assert!(hint("t", 0, 2, 4, Some(there.clone())));
        assert!(!hint("t", 0, 1, 4, None));
        assert!(hint("t", 0, 1, 5, None), "back to a broker that is known");
        assert!(hint("t", 0, 2, 6, Some(there.clone())));
        let leader = topology.leader("t", P0).unwrap();
        assert_eq!((leader.epoch, leader.address), (LeaderEpoch(6), there));
        // The next answer may be older than the hint.
        topology
            .handle_topic(&"t".into(), &answer(1, &[(0, 1, 5, 0)]))
            .unwrap();
        assert_eq!(topology.leader("t", P0).unwrap().broker, BrokerId(2));
    }
}
