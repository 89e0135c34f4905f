//! Which queue a call goes to.

use std::sync::Arc;

use wolff_codec::PartitionId;
use wolff_core::Refused;
use wolff_partitioner::{CallView, Strategy};

use super::Topic;
use super::gate::Pass;
use super::routes::Routes;
use super::view::RoutedCall;
use crate::completion::{CallbackLane, Observer};
use crate::config::Overflow;
use crate::directory::is_partition;
use crate::error::SendError;
use crate::partition::{PartitionQueue, Taken, UnroutedQueue};
use crate::record::Call;

/// The queue for a call.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Partition(Arc<PartitionQueue>),
    Unrouted(Arc<UnroutedQueue>, Pass),
}

/// Why a call has no queue.
#[derive(Debug)]
pub(crate) enum RouteError {
    /// The partition exists, or may exist, and its queue is not open yet.
    NotOpen(PartitionId),
    /// There is none for it.
    Refused(SendError),
}

impl Destination {
    pub(crate) fn accept<C: Call + ?Sized>(
        &self,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
    ) -> Result<Taken, Refused> {
        match self {
            Self::Partition(queue) => queue.accept(call, observer, is_awaited),
            Self::Unrouted(queue, pass) => pass.accept(|| queue.accept(call, observer, is_awaited)),
        }
    }

    pub(crate) async fn accept_waiting<C: Call + ?Sized>(
        &self,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
        overflow: Overflow,
    ) -> Result<Taken, Refused> {
        match self {
            Self::Partition(queue) => {
                queue
                    .accept_waiting(call, observer, is_awaited, overflow)
                    .await
            }
            Self::Unrouted(queue, pass) => {
                let accepting = queue.accept_waiting(call, observer, is_awaited, overflow);
                pass.accept_waiting(accepting).await
            }
        }
    }

    /// Returns whether a call is queued as soon as it is accepted.
    pub(crate) fn queues_at_once(&self) -> bool {
        match self {
            Self::Partition(queue) => queue.queues_at_once(),
            Self::Unrouted(queue, _) => queue.queues_at_once(),
        }
    }

    /// The lane in which callbacks of this queue run.
    pub(crate) fn callbacks(&self) -> &Arc<CallbackLane> {
        match self {
            Self::Partition(queue) => queue.callbacks(),
            Self::Unrouted(queue, _) => queue.callbacks(),
        }
    }

    /// Returns whether a call that is refused because the queue is stopping may go elsewhere.
    pub(crate) fn is_replaced(&self) -> bool {
        match self {
            Self::Partition(_) => false,
            // One that was given up has no successor.
            Self::Unrouted(queue, ..) => !queue.is_given_up(),
        }
    }

    /// Waits until the call is queued at the durability level, or failed to be.
    pub(crate) async fn wait_queued(&self, call_no: u64) {
        match self {
            Self::Partition(queue) => queue.wait_queued(call_no).await,
            Self::Unrouted(queue, _) => queue.wait_queued(call_no).await,
        }
    }
}

impl Topic {
    pub(crate) fn partition_count(&self) -> Option<usize> {
        let count = self.routes.load().count()?;
        usize::try_from(count).ok()
    }

    /// The queue for a call.
    pub(crate) fn route<C: Call + ?Sized>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
    ) -> Result<Destination, RouteError> {
        let routes = self.routes.load();
        match self.chosen(&routes, call, partition)? {
            Some(partition) => {
                routed(&routes, partition).map(|queue| Destination::Partition(queue.clone()))
            }
            None => match routes.unrouted_for_calls() {
                Some((queue, pass)) => Ok(Destination::Unrouted(queue, pass)),
                None => Err(RouteError::Refused(SendError::Stopped)),
            },
        }
    }

    /// Fast path: passes the open queue of the call's partition to `accept`. `None` where anything
    /// else has to be considered.
    #[inline]
    pub(crate) fn with_partition<C: Call + ?Sized, R>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
        accept: impl FnOnce(&Arc<PartitionQueue>) -> R,
    ) -> Option<R> {
        let routes = self.routes.load();
        let chosen = self.chosen(&routes, call, partition).ok()??;
        routes.partition(chosen).map(accept)
    }

    /// The partition of a call; `None` where it goes to the unrouted queue.
    #[inline]
    fn chosen<C: Call + ?Sized>(
        &self,
        routes: &Routes,
        call: &C,
        partition: Option<PartitionId>,
    ) -> Result<Option<PartitionId>, RouteError> {
        let fixed = match self.partitioner.strategy() {
            Strategy::Fixed(fixed) => Some(PartitionId(*fixed)),
            _ => None,
        };
        if let Some(named) = partition.or(fixed) {
            return Ok(Some(named));
        }
        match routes.count() {
            Some(count) if !routes.routes_nothing() => {
                let chosen = self.choose_partition(RoutedCall(call), routes, count);
                let chosen = chosen.map_err(RouteError::Refused)?;
                Ok((!routes.is_held(chosen)).then_some(chosen))
            }
            _ => Ok(None),
        }
    }

    /// The partition that the partitioner chooses for a call, among the `count` of the routes.
    #[inline]
    pub(super) fn choose_partition(
        &self,
        call: impl CallView,
        routes: &Routes,
        count: u32,
    ) -> Result<PartitionId, SendError> {
        let chosen = self
            .partitioner
            .choose(call, routes, self.environment.random())
            .map_err(SendError::Partitioner)?;
        match i32::try_from(chosen) {
            Ok(chosen) => Ok(PartitionId(chosen)),
            Err(_) => Err(SendError::InvalidPartition {
                partition: PartitionId(i32::MAX),
                count: Some(count),
            }),
        }
    }
}

/// The open queue of a partition.
fn routed(routes: &Routes, partition: PartitionId) -> Result<&Arc<PartitionQueue>, RouteError> {
    let may_exist = match routes.count() {
        Some(count) => u32::try_from(partition.0).is_ok_and(|number| number < count),
        None => is_partition(partition),
    };
    if !may_exist {
        return Err(RouteError::Refused(SendError::InvalidPartition {
            partition,
            count: routes.count(),
        }));
    }
    routes
        .partition(partition)
        .ok_or(RouteError::NotOpen(partition))
}
