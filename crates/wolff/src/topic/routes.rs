//! Which queues there are: sparse while the topic's partitions are not known, and never larger than the
//! topic once they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use wolff_codec::PartitionId;

use crate::partition::{PartitionQueue, UnroutedQueue};
use crate::stats::Past;

/// The queues of a topic as they are now; replaced as a whole when they change.
#[derive(Debug, Default, Clone)]
pub(super) struct Routes {
    /// The topic's partitions by number, once their count is known; a hole where a queue is not open.
    dense: Vec<Option<Arc<PartitionQueue>>>,
    /// Partitions beyond those: left by a previous run, or named by a caller while the count is unknown.
    sparse: BTreeMap<PartitionId, Arc<PartitionQueue>>,
    count: Option<u32>,
    /// Where calls go while there is something that is not routed.
    unrouted: Option<Arc<UnroutedQueue>>,
    /// Counts of queues that are closed.
    past: Past,
}

impl Routes {
    /// How many partitions the topic has, once that is known.
    #[inline]
    pub(super) fn count(&self) -> Option<u32> {
        self.count
    }

    #[inline]
    pub(super) fn unrouted(&self) -> Option<&Arc<UnroutedQueue>> {
        self.unrouted.as_ref()
    }

    pub(super) fn past(&self) -> Past {
        self.past
    }

    #[inline]
    pub(super) fn partition(&self, partition: PartitionId) -> Option<&Arc<PartitionQueue>> {
        let index = usize::try_from(partition.0).ok()?;
        match self.dense.get(index) {
            Some(queue) => queue.as_ref(),
            None => self.sparse.get(&partition),
        }
    }

    /// Partitions that the topic has at least, by the queues that are open.
    pub(super) fn least_count(&self) -> u32 {
        let last = self.sparse.keys().next_back();
        let beyond = last.and_then(|last| u32::try_from(last.0).ok());
        let count = beyond.map_or(0, |last| last.saturating_add(1));
        count.max(self.count.unwrap_or(0))
    }

    /// The queues of partitions, in order.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        self.dense.iter().flatten().chain(self.sparse.values())
    }

    /// Queues of partitions that the topic does not have.
    pub(super) fn beyond(&self) -> impl Iterator<Item = (&PartitionId, &Arc<PartitionQueue>)> {
        self.sparse.iter()
    }

    /// The same routes with these queues, and with the topic's partition count where it is given.
    pub(super) fn with(
        mut self,
        queues: impl IntoIterator<Item = (PartitionId, Arc<PartitionQueue>)>,
        count: Option<u32>,
    ) -> Self {
        for (partition, queue) in queues {
            self.sparse.insert(partition, queue);
        }
        self.count = count.or(self.count);
        let len = self.count.and_then(|count| usize::try_from(count).ok());
        if let Some(len) = len.filter(|len| *len > self.dense.len()) {
            self.dense.resize(len, None);
        }
        for (index, slot) in self.dense.iter_mut().enumerate() {
            if slot.is_none()
                && let Ok(number) = i32::try_from(index)
            {
                *slot = self.sparse.remove(&PartitionId(number));
            }
        }
        self
    }

    /// The same routes without the queue of a partition that the topic does not have.
    pub(super) fn without(mut self, partition: PartitionId) -> Self {
        if let Some(queue) = self.sparse.remove(&partition) {
            self.past.add(&queue.snapshot());
        }
        self
    }

    /// The same routes with another queue for unrouted calls; the counts of the present one are kept.
    pub(super) fn with_unrouted(mut self, unrouted: Option<Arc<UnroutedQueue>>) -> Self {
        if let Some(queue) = self.unrouted.take() {
            self.past.add(&queue.snapshot());
        }
        self.unrouted = unrouted;
        self
    }
}
