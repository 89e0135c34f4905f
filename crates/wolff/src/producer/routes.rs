//! Which queue a call goes to.

use std::sync::Arc;

use wolff_codec::PartitionId;

use crate::directory::is_partition;
use crate::error::SendError;
use crate::queue::PartitionQueue;

/// The queues of a topic as they are now; replaced as a whole when they change.
#[derive(Debug, Default, Clone)]
pub(super) struct Routes {
    /// By partition number; a hole where a queue is not open.
    pub(super) partitions: Vec<Option<Arc<PartitionQueue>>>,
    /// How many partitions the topic has, once that is known.
    pub(super) count: Option<u32>,
    /// Where calls go while there is something that is not routed.
    pub(super) unrouted: Option<Arc<PartitionQueue>>,
}

/// Why a call has no queue.
#[derive(Debug)]
pub(super) enum RouteError {
    /// The partition was named by the caller, and its queue is not open yet.
    NotOpen(PartitionId),
    /// There is none for it.
    Refused(SendError),
}

impl Routes {
    pub(super) fn partition(&self, partition: PartitionId) -> Option<&Arc<PartitionQueue>> {
        let index = usize::try_from(partition.0).ok()?;
        self.partitions.get(index)?.as_ref()
    }

    /// The same routes with one more queue.
    pub(super) fn with_partition(
        mut self,
        partition: PartitionId,
        queue: Arc<PartitionQueue>,
    ) -> Self {
        if let Ok(index) = usize::try_from(partition.0) {
            if self.partitions.len() <= index {
                self.partitions.resize(index.saturating_add(1), None);
            }
            if let Some(slot) = self.partitions.get_mut(index) {
                *slot = Some(queue);
            }
        }
        self
    }

    /// The queues of partitions, in order.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        self.partitions.iter().flatten()
    }

    /// All queues; the one that is not routed comes first.
    pub(super) fn queues(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        self.unrouted.iter().chain(self.partitions())
    }

    /// The queue of a partition that the caller, or a fixed choice, names.
    pub(super) fn named(&self, partition: PartitionId) -> Result<&Arc<PartitionQueue>, RouteError> {
        if let Some(queue) = self.partition(partition) {
            return Ok(queue);
        }
        let exists = match self.count {
            Some(count) => u32::try_from(partition.0).is_ok_and(|number| number < count),
            None => is_partition(partition),
        };
        if exists {
            return Err(RouteError::NotOpen(partition));
        }
        Err(RouteError::Refused(SendError::InvalidPartition {
            partition,
            count: self.count,
        }))
    }
}
