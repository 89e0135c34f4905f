//! Check that the broker leads the partition of a request, and who does instead.

use wolff_codec::ErrorCode;
use wolff_codec::ids::{BrokerId, LeaderEpoch, PartitionId};
use wolff_codec::messages::{LeaderIdAndEpoch, NodeEndpoint};

use super::serve::Call;
use crate::model::{Model, Partition};

/// A partition that the broker leads, in the epoch that the client thinks it does.
pub(super) fn led<'m>(
    model: &'m Model,
    call: &Call<'_>,
    topic: &str,
    partition: PartitionId,
    claimed_epoch: LeaderEpoch,
) -> Result<&'m Partition, ErrorCode> {
    let partition = model
        .partition(topic, partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if partition.leader() != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let epoch = partition.leader_epoch();
    if claimed_epoch != LeaderEpoch::UNKNOWN && claimed_epoch < epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if claimed_epoch > epoch {
        return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
    }
    Ok(partition)
}

/// True if an error comes with a hint at the leader (KIP-951).
pub(super) fn deserves_hint(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
    )
}

/// Returns the leader of a partition; nobody if it is not known.
pub(super) fn current_leader(
    model: &Model,
    topic: &str,
    partition: PartitionId,
) -> LeaderIdAndEpoch {
    model
        .partition(topic, partition)
        .map_or_else(LeaderIdAndEpoch::default, |partition| LeaderIdAndEpoch {
            leader_id: partition.leader(),
            leader_epoch: partition.leader_epoch(),
            ..Default::default()
        })
}

/// Where to reach some brokers, each once.
pub(super) fn endpoints(model: &Model, mut brokers: Vec<BrokerId>) -> Vec<NodeEndpoint> {
    brokers.sort_unstable();
    brokers.dedup();
    let endpoint = |broker: BrokerId| {
        model.node(broker).map(|node| NodeEndpoint {
            node_id: broker,
            host: node.host.clone(),
            port: node.port.into(),
            ..Default::default()
        })
    };
    brokers.into_iter().filter_map(endpoint).collect()
}
