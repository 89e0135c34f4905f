//! Which queues there are: sparse while the topic's partitions are not known, and never larger than
//! the topic once they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wolff_codec::PartitionId;

use super::gate::{Era, Gate, Pass};
use crate::partition::{PartitionQueue, UnroutedQueue};
use crate::stats::Past;

/// The queues of a topic as they are now; replaced as a whole when they change.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    /// The topic's partitions by number, once their count is known; a hole where a queue is not
    /// open.
    dense: Vec<Option<Arc<PartitionQueue>>>,
    /// Partitions beyond those: left by a previous run, or named by a caller while the count is
    /// unknown.
    sparse: BTreeMap<PartitionId, Arc<PartitionQueue>>,
    count: Option<u32>,
    /// Records that were accepted before the partitions were known, as long as not all of them were
    /// delivered.
    unrouted: Option<UnroutedRoute>,
    /// Counts of queues that are closed.
    past: Past,
}

/// The queue of calls that are not routed, and who uses it.
#[derive(Clone, Debug)]
struct UnroutedRoute {
    queue: Arc<UnroutedQueue>,
    users: Users,
    gate: Arc<Gate>,
    era: Era,
}

/// The calls that go to the queue of unrouted calls.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Users {
    /// All whose partition is not named.
    All,
    /// Those of partitions that have not taken what is in it for them.
    Only(Arc<BTreeSet<PartitionId>>),
    /// Nobody's.
    Nobody,
}

impl Routes {
    /// Partition count of the topic, once it is known.
    #[inline]
    pub(super) fn count(&self) -> Option<u32> {
        self.count
    }

    #[inline]
    pub(super) fn unrouted(&self) -> Option<&Arc<UnroutedQueue>> {
        self.unrouted.as_ref().map(|route| &route.queue)
    }

    /// The queue for calls that do not go to their partition, and the permission to use it.
    pub(super) fn unrouted_for_calls(&self) -> Option<(Arc<UnroutedQueue>, Pass)> {
        let route = self.unrouted.as_ref()?;
        let pass = Pass::new(route.gate.clone(), route.era);
        (route.users != Users::Nobody).then(|| (route.queue.clone(), pass))
    }

    /// Returns whether no partition is chosen for calls now.
    #[inline]
    pub(super) fn routes_nothing(&self) -> bool {
        self.unrouted
            .as_ref()
            .is_some_and(|route| route.users == Users::All)
    }

    /// Returns whether calls of a partition go to the queue of unrouted calls.
    #[inline]
    pub(super) fn is_held(&self, partition: PartitionId) -> bool {
        self.unrouted
            .as_ref()
            .is_some_and(|route| match &route.users {
                Users::All => true,
                Users::Only(held) => held.contains(&partition),
                Users::Nobody => false,
            })
    }

    /// The gate of the queue of unrouted calls.
    pub(super) fn gate(&self) -> Option<Arc<Gate>> {
        self.unrouted.as_ref().map(|route| route.gate.clone())
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

    /// Returns whether the topic is known not to have the partition.
    pub(super) fn lacks(&self, partition: PartitionId) -> bool {
        let is_there = |count| u32::try_from(partition.0).is_ok_and(|number| number < count);
        self.count.is_some_and(|count| !is_there(count))
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
            self.past.add(&queue.snapshot(), queue.damages());
        }
        self
    }

    /// The same routes with another queue for unrouted calls; the counts of the present one are
    /// kept.
    pub(super) fn with_unrouted(mut self, unrouted: Option<Arc<UnroutedQueue>>) -> Self {
        if let Some(UnroutedRoute { queue, .. }) = self.unrouted.take() {
            self.past.add(&queue.snapshot(), queue.damages());
        }
        self.unrouted = unrouted.map(|queue| UnroutedRoute {
            queue,
            users: Users::All,
            gate: Arc::default(),
            era: Era::default(),
        });
        self
    }

    /// The same routes for calls of which none goes to the unrouted queue any more.
    pub(super) fn without_unrouted_calls(mut self) -> Self {
        if let Some(route) = &mut self.unrouted {
            route.users = Users::Nobody;
        }
        self
    }

    /// The same routes, where only calls of these partitions go to the unrouted queue, with passes
    /// of this era.
    pub(super) fn with_held(mut self, held: &Arc<BTreeSet<PartitionId>>, era: Era) -> Self {
        if let Some(route) = &mut self.unrouted {
            route.users = if held.is_empty() {
                Users::Nobody
            } else {
                Users::Only(held.clone())
            };
            route.era = era;
        }
        self
    }
}
