//! Elections of leaders, as brokers come and go.

use std::collections::BTreeMap;

use wolff_codec::Str;
use wolff_codec::ids::{BrokerId, PartitionId};

use super::partition::Partition;
use super::state::{Model, Node};
use crate::error::ClusterError;

impl Model {
    /// A broker dies: what it led goes to the next living replica.
    pub(crate) fn bury(&mut self, broker: BrokerId, now_ms: i64) {
        if let Some(node) = self.brokers.get_mut(&broker) {
            node.is_alive = false;
        }
        for partition in self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            partition.reload(broker, now_ms);
            if partition.leader() == broker {
                let heir = first_living(partition, &self.brokers);
                partition.lead(heir, now_ms);
            }
        }
    }

    /// A broker comes back: it leads what nobody else could.
    pub(crate) fn revive(&mut self, broker: BrokerId, now_ms: i64) {
        if let Some(node) = self.brokers.get_mut(&broker) {
            node.is_alive = true;
        }
        for partition in self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            if partition.leader() == BrokerId::NONE && partition.replicas().contains(&broker) {
                partition.lead(broker, now_ms);
            }
        }
    }

    /// Makes a living broker the leader of a partition, in a new epoch even if it is that already.
    pub(crate) fn move_leader(
        &mut self,
        topic: &Str,
        partition: PartitionId,
        to: BrokerId,
        now_ms: i64,
    ) -> Result<(), ClusterError> {
        match self.brokers.get(&to) {
            None => return Err(ClusterError::UnknownBroker { broker: to }),
            Some(node) if !node.is_alive => return Err(ClusterError::BrokerDown { broker: to }),
            Some(_) => {}
        }
        self.expect_partition(topic, partition)?.lead(to, now_ms);
        Ok(())
    }

    /// A partition that its owner says is there.
    pub(crate) fn expect_partition(
        &mut self,
        topic: &Str,
        partition: PartitionId,
    ) -> Result<&mut Partition, ClusterError> {
        let found = self.topics.get_mut(topic);
        found
            .ok_or_else(|| ClusterError::UnknownTopic {
                topic: topic.clone(),
            })?
            .partition_mut(partition)
            .ok_or_else(|| ClusterError::UnknownPartition {
                topic: topic.clone(),
                partition,
            })
    }
}

/// The first replica that is alive; none if all are dead.
fn first_living(partition: &Partition, brokers: &BTreeMap<BrokerId, Node>) -> BrokerId {
    let is_alive = |broker: &&BrokerId| brokers.get(*broker).is_some_and(|node| node.is_alive);
    let heir = partition.replicas().iter().find(is_alive);
    heir.copied().unwrap_or(BrokerId::NONE)
}

#[cfg(test)]
mod tests {
    use wolff_codec::ids::LeaderEpoch;

    use super::super::state::tests::model;
    use super::super::topics::TopicSpec;
    use super::*;

    fn leader(model: &Model) -> (BrokerId, LeaderEpoch) {
        let partition = model.partition("orders", PartitionId(0)).unwrap();
        (partition.leader(), partition.leader_epoch())
    }

    fn with_topic(brokers: i32, replicas: i16) -> Model {
        let mut model = model(brokers);
        let spec = TopicSpec {
            partitions: 1,
            replication_factor: replicas,
            ..TopicSpec::default()
        };
        model.create_topic(&Str::from("orders"), &spec).unwrap();
        model
    }

    #[test]
    fn the_next_living_replica_inherits_and_keeps_what_it_got() {
        let mut model = with_topic(3, 3);
        assert_eq!(leader(&model), (BrokerId(1), LeaderEpoch(0)));
        model.bury(BrokerId(1), 0);
        assert_eq!(leader(&model), (BrokerId(2), LeaderEpoch(1)));
        model.revive(BrokerId(1), 0);
        assert_eq!(leader(&model), (BrokerId(2), LeaderEpoch(1)));
        model.bury(BrokerId(3), 0);
        assert_eq!(leader(&model), (BrokerId(2), LeaderEpoch(1)));
    }

    #[test]
    fn a_partition_whose_replicas_are_all_dead_waits_for_one_of_them() {
        let mut model = with_topic(2, 1);
        model.bury(BrokerId(1), 0);
        assert_eq!(leader(&model), (BrokerId::NONE, LeaderEpoch(1)));
        model.revive(BrokerId(1), 0);
        assert_eq!(leader(&model), (BrokerId(1), LeaderEpoch(2)));
    }

    #[test]
    fn leaders_move_to_living_brokers_only() {
        let mut model = with_topic(3, 1);
        let orders = Str::from("orders");
        model
            .move_leader(&orders, PartitionId(0), BrokerId(3), 0)
            .unwrap();
        assert_eq!(leader(&model), (BrokerId(3), LeaderEpoch(1)));
        model.bury(BrokerId(2), 0);
        let mut moved = |topic: &Str, partition, to| {
            model
                .move_leader(topic, PartitionId(partition), BrokerId(to), 0)
                .unwrap_err()
        };
        assert!(matches!(
            moved(&orders, 0, 2),
            ClusterError::BrokerDown { .. }
        ));
        assert!(matches!(
            moved(&orders, 0, 4),
            ClusterError::UnknownBroker { .. }
        ));
        assert!(matches!(
            moved(&orders, 1, 1),
            ClusterError::UnknownPartition { .. }
        ));
        assert!(matches!(
            moved(&Str::from("other"), 0, 1),
            ClusterError::UnknownTopic { .. }
        ));
    }
}
