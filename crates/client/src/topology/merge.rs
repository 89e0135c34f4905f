//! Merge of a response about a topic into what is known of it.
//!
//! One broker's metadata can be behind, ahead, or full of holes. The rules: an error or a hole
//! never takes a partition away, an older leader epoch never replaces a newer one, and only another
//! topic id proves that the topic is another one.

use wolff_codec::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use wolff_codec::{ErrorCode, Str};

use super::metadata::{PartitionMetadata, TopicMetadata};
use crate::leaders_response::{PartitionLeader, TopicLeaders};

/// The outcome of a merge.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) metadata: TopicMetadata,
    /// The topic was deleted and created anew: offsets and epochs begin again.
    pub(super) is_recreated: bool,
    /// The answer says less than what is known, and nothing tells who is right: the broker is
    /// behind, or the topic was recreated on brokers that have no topic ids.
    pub(super) is_contradicted: bool,
}

/// The answer alone, without anything that was known before.
pub(crate) fn view(name: Str, answer: &TopicLeaders) -> TopicMetadata {
    // A clone of a name that nobody shares yet would take memory of its own.
    TopicMetadata {
        name,
        ..merge(&Str::default(), None, answer).metadata
    }
}

/// Merges `answer` into `known`. The answer carries no error for the topic as a whole.
pub(super) fn merge(name: &Str, known: Option<&TopicMetadata>, answer: &TopicLeaders) -> Merged {
    let is_recreated = known.is_some_and(|known| differ(known.topic_id, answer.topic_id));
    let is_same = known.is_some_and(|known| same(known.topic_id, answer.topic_id));
    let base = known.filter(|_| !is_recreated);
    let known_count = base.map_or(0, |base| base.partitions.len());

    let answered = by_index(&answer.partitions, known_count);
    let mut is_contradicted = !is_same && answered.len() < known_count;
    let partitions = (0_i32..)
        .take(answered.len().max(known_count))
        .zip(answered.into_iter().chain(std::iter::repeat(None)))
        .map(|(index, answered)| {
            let partition = PartitionId(index);
            let before = base.and_then(|base| base.partition(partition));
            match answered {
                Some(answer) => {
                    let (merged, is_older) = merge_partition(partition, before, answer);
                    is_contradicted |= is_older && !is_same;
                    merged
                }
                None => before.cloned().unwrap_or(PartitionMetadata {
                    partition,
                    leader: None,
                    leader_epoch: LeaderEpoch::UNKNOWN,
                    error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                }),
            }
        })
        .collect();
    Merged {
        metadata: TopicMetadata {
            name: name.clone(),
            topic_id: known_id(base, answer.topic_id),
            is_internal: answer.is_internal,
            partitions,
        },
        is_recreated,
        is_contradicted,
    }
}

/// The answer's partitions by their ids, with `None` for holes.
///
/// A hostile answer can name partition 2^31-1 in forty bytes, so that the table has to stay in
/// proportion to what was received or known.
fn by_index(answers: &[PartitionLeader], known_count: usize) -> Vec<Option<&PartitionLeader>> {
    let limit = answers.len().saturating_mul(16).max(known_count);
    let mut table = Vec::with_capacity(answers.len());
    for answer in answers {
        let Ok(index) = usize::try_from(answer.partition_index.0) else {
            continue;
        };
        if index >= limit {
            tracing::warn!(
                partition = index,
                limit,
                "the broker names a partition out of all proportion, which is left out"
            );
            continue;
        }
        if table.len() <= index {
            table.resize(index + 1, None);
        }
        if let Some(place @ None) = table.get_mut(index) {
            *place = Some(answer);
        }
    }
    table
}

/// The partition after the answer, and whether the answer was older than what is known.
fn merge_partition(
    partition: PartitionId,
    before: Option<&PartitionMetadata>,
    answer: &PartitionLeader,
) -> (PartitionMetadata, bool) {
    let known_epoch = before.map_or(LeaderEpoch::UNKNOWN, |before| before.leader_epoch);
    let is_older = answer.leader_epoch != LeaderEpoch::UNKNOWN && answer.leader_epoch < known_epoch;
    if let (true, Some(before)) = (is_older, before) {
        return (before.clone(), true);
    }
    // A replica that is down does not keep the leader from leading; old brokers report it as error.
    let is_usable =
        answer.error_code.is_ok() || answer.error_code == ErrorCode::REPLICA_NOT_AVAILABLE;
    let leader = Some(answer.leader_id).filter(|leader| *leader > BrokerId::NONE);
    let merged = match leader {
        Some(leader) if is_usable => PartitionMetadata {
            partition,
            leader: Some(leader),
            leader_epoch: answer.leader_epoch,
            error: ErrorCode::NONE,
        },
        _ => PartitionMetadata {
            partition,
            leader: before.and_then(|before| before.leader),
            leader_epoch: known_epoch,
            error: if is_usable {
                ErrorCode::LEADER_NOT_AVAILABLE
            } else {
                answer.error_code
            },
        },
    };
    (merged, false)
}

fn differ(one: TopicId, other: TopicId) -> bool {
    !one.is_zero() && !other.is_zero() && one != other
}

fn same(one: TopicId, other: TopicId) -> bool {
    !one.is_zero() && one == other
}

/// A broker that is too old for topic ids does not make a known one unknown.
fn known_id(base: Option<&TopicMetadata>, answered: TopicId) -> TopicId {
    match base {
        Some(base) if answered.is_zero() => base.topic_id,
        _ => answered,
    }
}
