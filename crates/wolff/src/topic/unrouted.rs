//! Delivering calls that were accepted before the topic's partitions were known.
//!
//! They go to a queue of their own, on disk as well. When the partition count is known, leased
//! batches are separated by partition and sent by the partitions' own machines; a lease is
//! acknowledged when Kafka has all of it. So nothing depends on room for a second copy, and a full
//! disk can be emptied. New calls follow into the unrouted queue until everything in it was routed,
//! which keeps the order per key. What a partition does not take is left in its lease and read
//! again later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wolff_client::MetadataError;
use wolff_codec::PartitionId;
use wolff_core::{DoubtReason, FailReason, Routable};

use super::Topic;
use super::carriers::Carriers;
use super::count::{partition_count, partitions_below};
use super::routes::Routes;
use super::separate::separate;
use crate::clock;
use crate::error::with_causes;
use crate::partition::{PartitionQueue, Token, UnroutedQueue};

/// Interval at which the partition count is requested while no broker answers.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Bytes of records that may be on their way to partitions at once; as much again may be with
/// partitions that do not move.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Finds out the partition count, delivers what is not routed, and then lets calls go to the
/// partitions directly.
pub(super) async fn run(
    topic: Weak<Topic>,
    unrouted: Arc<UnroutedQueue>,
    mut stop: watch::Receiver<bool>,
) {
    let guard = GiveUp(Some(unrouted.clone()));
    let routed = route_all(&topic, &unrouted, &mut stop).await;
    if routed == Routed::Gone {
        // The guard ends every call.
        return;
    }
    guard.disarm();
    if routed != Routed::All {
        return;
    }
    if let Some(topic) = topic.upgrade() {
        topic.change_routes(|routes| routes.with_unrouted(None));
    }
    if let Err(error) = unrouted.close_and_purge().await {
        tracing::warn!(error = %with_causes(&error), "the queue of unrouted records could not be removed");
    }
}

/// Leaves nobody waiting when the task ends with its runtime or in a panic.
struct GiveUp(Option<Arc<UnroutedQueue>>);

impl GiveUp {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else {
            return;
        };
        if std::thread::panicking() {
            queue.give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        } else {
            queue.give_up(&FailReason::Stopped, DoubtReason::Dropped);
        }
    }
}

/// Returns whether everything was delivered; `false`: the producer is stopped or gone, or its
/// client is closed.
async fn route_all(
    topic: &Weak<Topic>,
    unrouted: &Arc<UnroutedQueue>,
    stop: &mut watch::Receiver<bool>,
) -> Routed {
    let count = tokio::select! {
        biased;
        () = stopped(stop) => return Routed::Stopped,
        count = learn_partition_count(topic) => count,
    };
    let Some(count) = count else {
        return Routed::Gone;
    };
    {
        let Some(topic) = topic.upgrade() else {
            return Routed::Gone;
        };
        let opening = async {
            topic.open_all(count).await;
            topic.reject_beyond(count).await;
        };
        // A stop waits for this task, and nothing is opened meanwhile.
        tokio::select! {
            biased;
            () = stopped(stop) => return Routed::Stopped,
            () = opening => {}
        }
    }
    unrouted.change(|machine| machine.start_routing(MAX_BYTES));
    let mut router = Router::new(unrouted.clone(), count);
    loop {
        unrouted.settle();
        let routable: Vec<Routable<Token>> =
            std::iter::from_fn(|| unrouted.machine().poll_routable()).collect();
        if !routable.is_empty() {
            let Some(topic) = topic.upgrade() else {
                return Routed::Gone;
            };
            router.route(&topic, routable, stop).await;
            continue;
        }
        let (is_routed, is_drained) = {
            let machine = unrouted.machine();
            (machine.is_routed(), machine.is_drained())
        };
        if is_routed && !router.is_closed {
            let Some(topic) = topic.upgrade() else {
                return Routed::Gone;
            };
            let has_closed = tokio::select! {
                biased;
                () = stopped(stop) => return Routed::Stopped,
                has_closed = router.close(&topic, is_drained) => has_closed,
            };
            if has_closed {
                continue;
            }
        }
        if router.is_closed && is_drained {
            return Routed::All;
        }
        let wake_at = unrouted.machine().poll_timeout(clock::now());
        tokio::select! {
            biased;
            () = stopped(stop) => return Routed::Stopped,
            () = unrouted.woken() => {}
            () = until(wake_at) => {}
        }
    }
}

/// Progress of the task.
#[derive(Debug, Eq, PartialEq)]
enum Routed {
    /// Everything was delivered.
    All,
    /// The producer is being stopped.
    Stopped,
    /// The producer is gone, or its client is closed.
    Gone,
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the producer is gone altogether.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn learn_partition_count(topic: &Weak<Topic>) -> Option<u32> {
    let mut failures = 0u32;
    loop {
        let (client, name, troubles) = {
            let topic = topic.upgrade()?;
            let troubles = topic.incidents.troubles.clone();
            (topic.client.clone(), topic.name.clone(), troubles)
        };
        let asked = client.topic(&name).await;
        troubles.asked(asked.as_ref().err().cloned());
        match asked {
            Ok(metadata) => {
                if let Some(count) = partition_count(&metadata) {
                    return Some(count);
                }
            }
            Err(MetadataError::ClientClosed) => return None,
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() && failures > 2 {
                    tracing::warn!(topic = %name, %error, failures, "the topic's partitions are still unknown");
                }
            }
        }
        client.mark_stale(&name);
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Hands records to the partitions.
struct Router {
    unrouted: Arc<UnroutedQueue>,
    count: u32,
    carriers: Carriers,
    /// The queues of all partitions were open.
    are_open: bool,
    /// New calls go to the partitions directly.
    is_closed: bool,
    /// Partitions whose new calls still come here; `None`: all.
    held: Option<Arc<BTreeSet<PartitionId>>>,
    /// Partitions whose new calls wait for those that are deferred here.
    waiting: BTreeMap<PartitionId, Arc<PartitionQueue>>,
}

impl Router {
    fn new(unrouted: Arc<UnroutedQueue>, count: u32) -> Self {
        Self {
            unrouted,
            count,
            carriers: Carriers::default(),
            are_open: false,
            is_closed: false,
            held: None,
            waiting: BTreeMap::new(),
        }
    }

    async fn route(
        &mut self,
        topic: &Arc<Topic>,
        routable: Vec<Routable<Token>>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let separating = {
            let (topic, unrouted, count) = (topic.clone(), self.unrouted.clone(), self.count);
            move || separate(&topic, &unrouted, routable, count)
        };
        let Some(separated) = topic.environment.lanes().compute(separating).await else {
            // It panicked while it held the leases.
            self.unrouted
                .give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
            return;
        };
        // What is dropped before it was handed over is given back.
        for parcel in separated {
            let carrier = self.carriers.find(topic, parcel.partition());
            let queue = tokio::select! {
                biased;
                queue = carrier => queue,
                () = stopped(stop) => return,
            };
            parcel.hand_to(&queue);
        }
        self.release_waiting();
    }

    /// New calls of partitions that have got all that was deferred here go on.
    fn release_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let deferring: BTreeSet<PartitionId> =
            self.unrouted.machine().deferring().into_iter().collect();
        self.waiting.retain(|partition, queue| {
            let waits = deferring.contains(partition);
            if !waits {
                queue.change(|machine| machine.await_foreign(false));
            }
            waits
        });
    }

    /// Lets calls go to the partitions directly, if nothing has come in meanwhile. Those of a
    /// partition for which something is deferred here wait behind that. Returns whether something
    /// was done.
    async fn close(&mut self, topic: &Arc<Topic>, is_drained: bool) -> bool {
        self.are_open = self.are_open || topic.open_all(self.count).await;
        // What a carrier has would be overtaken. When nothing is left, a partition whose queue
        // cannot be opened refuses its own calls only.
        let may_close = is_drained || (self.are_open && self.carriers.is_empty());
        if !may_close {
            return false;
        }
        if self.unrouted.is_on_disk() {
            return self.release(topic);
        }
        let deferring = {
            let mut machine = self.unrouted.machine();
            if !machine.is_routed() {
                return true;
            }
            machine.stop_accepting();
            machine.deferring()
        };
        self.is_closed = true;
        for partition in deferring {
            if let Some(queue) = topic.routes.load().partition(partition) {
                queue.change(|machine| machine.await_foreign(true));
                self.waiting.insert(partition, queue.clone());
            }
        }
        topic.change_routes(Routes::without_unrouted_calls);
        // Whoever waits for room goes on to a partition.
        self.unrouted.change(|_| ());
        true
    }
}

impl Router {
    /// Lets the calls of partitions that take what they get go there directly. Those of others come
    /// here until then: the next run sends what a partition's own queue has first, so that nothing
    /// may be in it that is newer than what is here for that partition. Returns whether something
    /// was done.
    fn release(&mut self, topic: &Arc<Topic>) -> bool {
        let Some(gate) = topic.routes.load().gate() else {
            return false;
        };
        let mut is_stale = false;
        let is_changed = gate.change(|era| {
            let (held, outstanding) = {
                let mut machine = self.unrouted.machine();
                if !machine.is_routed() {
                    is_stale = true;
                    return false;
                }
                let blocked: BTreeSet<PartitionId> =
                    machine.blocked(clock::now()).into_iter().collect();
                // Once released it stays so.
                let held: BTreeSet<PartitionId> = match &self.held {
                    Some(before) => before.intersection(&blocked).copied().collect(),
                    None => blocked,
                };
                if self.held.as_ref().is_some_and(|before| **before == held) {
                    return false;
                }
                if held.is_empty() {
                    machine.stop_accepting();
                }
                (Arc::new(held), machine.outstanding())
            };
            for partition in outstanding {
                if !held.contains(&partition)
                    && let Some(queue) = topic.routes.load().partition(partition)
                {
                    queue.change(|machine| machine.hold_appends());
                }
            }
            topic.change_routes(|routes| routes.with_held(&held, era));
            self.is_closed = held.is_empty();
            self.held = Some(held);
            true
        });
        if self.is_closed {
            // Whoever waits for room goes on to a partition.
            self.unrouted.change(|_| ());
        }
        is_changed || is_stale
    }
}

impl Topic {
    /// Opens the queues of all partitions. Returns whether all are open.
    async fn open_all(self: &Arc<Self>, count: u32) -> bool {
        let errors = self
            .open_partitions(partitions_below(count), Some(count))
            .await;
        self.report_closed(&errors);
        errors.is_empty()
    }

    /// Fails calls for partitions that the topic turns out not to have. Queues that hold what
    /// previous runs left are kept, with the calls of this run behind that, and named.
    async fn reject_beyond(self: &Arc<Self>, count: u32) {
        for (partition, queue) in self.beyond() {
            if queue.machine().has_recovered() {
                continue;
            }
            let reason = FailReason::InvalidPartition { partition, count };
            queue.change(|machine| machine.reject(&reason));
            self.change_routes(|routes| routes.without(partition));
            if let Err(error) = queue.close_and_purge().await {
                tracing::warn!(partition = partition.0, error = %with_causes(&error), "a queue could not be removed");
            }
        }
        self.name_beyond(count);
    }

    /// Names the queues of partitions that the topic does not have. No flush waits for them.
    pub(super) fn name_beyond(&self, count: u32) {
        for (partition, queue) in self.beyond() {
            let items = queue.snapshot().recovered_items;
            tracing::error!(
                topic = %self.name, partition = partition.0, count, items,
                "a queue on disk holds records for a partition that the topic does not have: they are kept there"
            );
            // Whoever waits for it looks again.
            queue.change(|_| ());
        }
    }

    fn beyond(&self) -> Vec<(PartitionId, Arc<PartitionQueue>)> {
        let routes = self.routes.load();
        let beyond = routes.beyond();
        beyond
            .map(|(partition, queue)| (*partition, queue.clone()))
            .collect()
    }
}
