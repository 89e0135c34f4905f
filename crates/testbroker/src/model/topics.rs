//! Topics are created, enlarged and deleted.

use std::hash::{DefaultHasher, Hash, Hasher};

use wolff_codec::ids::{BrokerId, TopicId};
use wolff_codec::{ErrorCode, Str};

use super::partition::Partition;
use super::state::{Model, Topic};
use crate::config::TopicConfig;
use crate::error::TopicError;

/// The longest name of a topic, in bytes.
const MAX_NAME_BYTES: usize = 249;

/// The most partitions of a topic: beyond that a request is a mistake, and would take the memory of
/// the process.
const MAX_PARTITIONS: i32 = 100_000;

/// A topic as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct TopicSpec {
    /// -1 for the cluster's default.
    pub(crate) partitions: i32,
    /// -1 for the cluster's default.
    pub(crate) replication_factor: i16,
    /// The replicas of each partition, the leader first; empty to let the cluster choose.
    pub(crate) assignments: Vec<Vec<BrokerId>>,
    /// None for the cluster's defaults.
    pub(crate) config: Option<TopicConfig>,
}

impl Default for TopicSpec {
    fn default() -> Self {
        Self {
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            config: None,
        }
    }
}

impl Model {
    /// Creates a topic.
    pub(crate) fn create_topic(&mut self, name: &Str, spec: &TopicSpec) -> Result<(), TopicError> {
        let replicas = self.plan_topic(name, spec)?;
        self.created_topics = self.created_topics.saturating_add(1);
        let topic = Topic {
            id: topic_id(&self.cluster_id, self.created_topics),
            config: spec.config.unwrap_or(self.topic_defaults),
            partitions: replicas
                .into_iter()
                .map(|replicas| self.new_partition(replicas))
                .collect(),
        };
        // The name may be a slice of a request.
        self.topics.insert(name.detached(), topic);
        Ok(())
    }

    /// The replicas that the partitions of a topic would get.
    pub(crate) fn plan_topic(
        &self,
        name: &Str,
        spec: &TopicSpec,
    ) -> Result<Vec<Vec<BrokerId>>, TopicError> {
        check_name(name)?;
        if self.topics.contains_key(name) {
            return Err(TopicError::new(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                "there is a topic of that name",
            ));
        }
        if !spec.assignments.is_empty() {
            if spec.partitions != -1 || spec.replication_factor != -1 {
                return Err(TopicError::new(
                    ErrorCode::INVALID_REQUEST,
                    "assignments and a number of partitions or replicas exclude each other",
                ));
            }
            self.check_assignments(&spec.assignments)?;
            return Ok(spec.assignments.clone());
        }
        let partitions = match spec.partitions {
            -1 => self.default_partitions,
            count => count,
        };
        check_partition_count(partitions)?;
        let replication_factor = match spec.replication_factor {
            -1 => usize::try_from(self.replication_factor)
                .unwrap_or(1)
                .clamp(1, self.brokers.len()),
            count => self.check_replication_factor(count)?,
        };
        Ok((0..partitions)
            .map(|partition| self.choose_replicas(partition, replication_factor))
            .collect())
    }

    /// Adds partitions, up to `count`.
    pub(crate) fn add_partitions(
        &mut self,
        name: &Str,
        count: i32,
        assignments: &[Vec<BrokerId>],
    ) -> Result<(), TopicError> {
        let replicas = self.plan_partitions(name, count, assignments)?;
        let added: Vec<Partition> = replicas
            .into_iter()
            .map(|replicas| self.new_partition(replicas))
            .collect();
        if let Some(topic) = self.topics.get_mut(name) {
            topic.partitions.extend(added);
        }
        Ok(())
    }

    /// The replicas that the new partitions would get.
    pub(crate) fn plan_partitions(
        &self,
        name: &Str,
        count: i32,
        assignments: &[Vec<BrokerId>],
    ) -> Result<Vec<Vec<BrokerId>>, TopicError> {
        let topic = self.topics.get(name).ok_or_else(TopicError::unknown)?;
        let present = topic.partition_count();
        check_partition_count(count)?;
        if count <= present {
            return Err(TopicError::new(
                ErrorCode::INVALID_PARTITIONS,
                format!("the topic has {present} partitions already"),
            ));
        }
        if !assignments.is_empty() {
            self.check_assignments(assignments)?;
            if i32::try_from(assignments.len()) != Ok(count - present) {
                return Err(TopicError::new(
                    ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                    format!(
                        "{} assignments for {} partitions",
                        assignments.len(),
                        count - present
                    ),
                ));
            }
            return Ok(assignments.to_vec());
        }
        let replication_factor = topic
            .partitions
            .first()
            .map_or(1, |first| first.replicas().len());
        Ok((present..count)
            .map(|partition| self.choose_replicas(partition, replication_factor))
            .collect())
    }

    /// Deletes a topic with its logs. One that is created later is another one, with another id.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<(), TopicError> {
        self.topics
            .remove(name)
            .map(|_| ())
            .ok_or_else(TopicError::unknown)
    }

    fn new_partition(&self, replicas: Vec<BrokerId>) -> Partition {
        let leader = replicas.iter().find(|replica| self.is_alive(**replica));
        let leader = leader.copied().unwrap_or(BrokerId::NONE);
        Partition::new(replicas, leader)
    }

    /// Every partition gets another preferred leader, in turn.
    fn choose_replicas(&self, partition: i32, replication_factor: usize) -> Vec<BrokerId> {
        let first = usize::try_from(partition).unwrap_or(0);
        let in_turn = self
            .brokers
            .keys()
            .cycle()
            .skip(first % self.brokers.len().max(1));
        in_turn.take(replication_factor).copied().collect()
    }

    fn check_replication_factor(&self, count: i16) -> Result<usize, TopicError> {
        usize::try_from(count)
            .ok()
            .filter(|count| (1..=self.brokers.len()).contains(count))
            .ok_or_else(|| {
                TopicError::new(
                    ErrorCode::INVALID_REPLICATION_FACTOR,
                    format!("{count} replicas on {} brokers", self.brokers.len()),
                )
            })
    }

    fn check_assignments(&self, assignments: &[Vec<BrokerId>]) -> Result<(), TopicError> {
        let is_valid = |replicas: &Vec<BrokerId>| {
            let is_known = replicas
                .iter()
                .all(|broker| self.brokers.contains_key(broker));
            let mut unique = replicas.clone();
            unique.sort_unstable();
            unique.dedup();
            is_known && !replicas.is_empty() && unique.len() == replicas.len()
        };
        if assignments.iter().all(is_valid) {
            Ok(())
        } else {
            Err(TopicError::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "every partition needs replicas on brokers that exist, each once",
            ))
        }
    }
}

/// Kafka's rule for the names of topics.
pub(crate) fn check_name(name: &str) -> Result<(), TopicError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || matches!(name, "." | "..")
        || !name.bytes().all(is_legal)
    {
        return Err(TopicError::new(
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            "a topic's name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'",
        ));
    }
    Ok(())
}

fn check_partition_count(count: i32) -> Result<(), TopicError> {
    if (1..=MAX_PARTITIONS).contains(&count) {
        Ok(())
    } else {
        Err(TopicError::new(
            ErrorCode::INVALID_PARTITIONS,
            format!("a topic has 1 to {MAX_PARTITIONS} partitions, not {count}"),
        ))
    }
}

/// An id that no other topic of this cluster has, and very likely none of another cluster.
fn topic_id(cluster_id: &str, number: u64) -> TopicId {
    let mut hasher = DefaultHasher::new();
    cluster_id.hash(&mut hasher);
    let mut id = [0; 16];
    let halves = hasher
        .finish()
        .to_be_bytes()
        .into_iter()
        .chain(number.to_be_bytes());
    for (byte, value) in id.iter_mut().zip(halves) {
        *byte = value;
    }
    TopicId(id)
}

#[cfg(test)]
mod tests {
    use wolff_codec::ids::PartitionId;

    use super::super::state::tests::model;
    use super::*;

    fn spec(partitions: i32, replication_factor: i16) -> TopicSpec {
        TopicSpec {
            partitions,
            replication_factor,
            ..TopicSpec::default()
        }
    }

    fn create(model: &mut Model, name: &str, spec: &TopicSpec) -> Result<(), ErrorCode> {
        model
            .create_topic(&Str::from(name), spec)
            .map_err(|error| error.code)
    }

    #[test]
    fn leaders_are_spread_over_the_brokers() {
        let mut model = model(3);
        create(&mut model, "orders", &spec(4, 2)).unwrap();
        let topic = model.topic("orders").unwrap();
        let replicas: Vec<Vec<i32>> = topic
            .partitions
            .iter()
            .map(|partition| partition.replicas().iter().map(|broker| broker.0).collect())
            .collect();
        assert_eq!(replicas, [[1, 2], [2, 3], [3, 1], [1, 2]]);
    }

    #[test]
    fn impossible_topics_are_refused() {
        let mut model = model(2);
        create(&mut model, "there", &TopicSpec::default()).unwrap();
        let assigned = |replicas: &[i32]| TopicSpec {
            assignments: vec![replicas.iter().copied().map(BrokerId).collect()],
            ..TopicSpec::default()
        };
        let cases = [
            ("there", spec(1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
            ("", spec(1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
            ("..", spec(1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
            ("a b", spec(1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
            ("new", spec(0, 1), ErrorCode::INVALID_PARTITIONS),
            ("new", spec(i32::MAX, 1), ErrorCode::INVALID_PARTITIONS),
            ("new", spec(1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
            ("new", spec(1, 3), ErrorCode::INVALID_REPLICATION_FACTOR),
            ("new", assigned(&[]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
            (
                "new",
                assigned(&[1, 1]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            ),
            ("new", assigned(&[3]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        ];
        for (name, spec, code) in cases {
            assert_eq!(
                create(&mut model, name, &spec),
                Err(code),
                "{name} {spec:?}"
            );
        }
        assert_eq!(create(&mut model, &"x".repeat(249), &spec(1, 1)), Ok(()));
        assert!(create(&mut model, &"x".repeat(250), &spec(1, 1)).is_err());
        assert_eq!(create(&mut model, "assigned", &assigned(&[2, 1])), Ok(()));
        assert_eq!(
            model
                .partition("assigned", PartitionId(0))
                .unwrap()
                .leader(),
            BrokerId(2)
        );
    }

    #[test]
    fn partitions_are_added_and_never_taken_away() {
        let mut model = model(2);
        let orders = Str::from("orders");
        create(&mut model, "orders", &spec(2, 1)).unwrap();
        model.add_partitions(&orders, 3, &[]).unwrap();
        assert_eq!(model.topic("orders").unwrap().partition_count(), 3);
        for count in [2, 3, -1] {
            let error = model.add_partitions(&orders, count, &[]).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_PARTITIONS);
        }
        let error = model
            .add_partitions(&Str::from("other"), 3, &[])
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let error = model
            .add_partitions(&orders, 5, &[vec![BrokerId(1)]])
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }

    #[test]
    fn a_topic_that_is_created_again_has_another_id() {
        let mut model = model(1);
        create(&mut model, "orders", &spec(1, 1)).unwrap();
        let first = model.topic("orders").unwrap().id;
        model.delete_topic("orders").unwrap();
        assert_eq!(
            model.delete_topic("orders").unwrap_err(),
            TopicError::unknown()
        );
        create(&mut model, "orders", &spec(1, 1)).unwrap();
        let second = model.topic("orders").unwrap().id;
        assert_ne!(first, second);
        assert_eq!(model.name_of(second).map(Str::as_str), Some("orders"));
        assert_eq!(model.name_of(first), None);
    }
}
