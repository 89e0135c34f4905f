//! What the clones of a producer share: the queues of one topic, their workers, and the tasks that keep them up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wolff_client::Client;
use wolff_codec::{PartitionId, Str};
use wolff_core::{Config, Durability, Idempotence, Partition, StorageError};
use wolff_partitioner::{Partitioner, Strategy};

use super::moved::Moved;
use super::routes::{RouteError, Routes};
use crate::completion::{CallbackLane, Panics};
use crate::config::Settings;
use crate::directory::TopicDirectory;
use crate::error::{CloseError, SendError, StartError, StopError};
use crate::failures::Failures;
use crate::queue::{PartitionQueue, QueueParts, Worker, WorkerConfig};
use crate::random::next_random;
use crate::record::Call;
use crate::stats::ProducerStats;
use crate::stopped::Leftover;

/// Memory that a queue on disk may keep beside the file, for records that are sent soon.
const RESIDENT_BYTES: u64 = 2 * 1024 * 1024;

/// Within which bounds two batches are what a caller may be ahead of the disk, per partition: memory that is held whatever the
/// disk does.
const UNQUEUED_BYTES: Range<usize> = 1024 * 1024..4 * 1024 * 1024;

/// How long a queue may take to close that a producer of this process had and that was dropped without a stop.
const CLOSING: Duration = Duration::from_millis(500);

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What has no partition yet.
    Unrouted,
    /// A partition's calls.
    Partition(PartitionId),
    /// Records on their way from the unrouted to a partition's leader. They stand in the queue of the unrouted until Kafka has
    /// them, so this one is in memory.
    Transit(PartitionId),
}

impl Place {
    fn partition(self) -> Option<PartitionId> {
        match self {
            Self::Unrouted => None,
            Self::Partition(partition) | Self::Transit(partition) => Some(partition),
        }
    }
}

/// The topic's side of a producer.
pub(super) struct Topic {
    name: Str,
    client: Client,
    config: Settings,
    partitioner: Partitioner,
    directory: Option<TopicDirectory>,
    routes: ArcSwap<Routes>,
    /// Held while queues are opened: one at a time changes the routes.
    opening: tokio::sync::Mutex<()>,
    stop: watch::Sender<bool>,
    is_stopped: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    failures: Arc<Failures>,
    panics: Panics,
    /// The runtime that the producer was started in.
    runtime: Handle,
    /// For their counts, which outlive them.
    transits: Mutex<Vec<Arc<PartitionQueue>>>,
    pub(super) moved: Arc<Moved>,
}

impl Topic {
    pub(super) fn new(name: Str, client: Client, config: Settings, runtime: Handle) -> Arc<Self> {
        let directory = config
            .replayq_dir
            .as_deref()
            .map(|base| TopicDirectory::new(base, client.client_id(), &name));
        Arc::new(Self {
            name,
            client,
            partitioner: Partitioner::new(config.partitioner.clone()),
            config,
            directory,
            routes: ArcSwap::default(),
            opening: tokio::sync::Mutex::new(()),
            stop: watch::Sender::new(false),
            is_stopped: AtomicBool::new(false),
            tasks: Mutex::new(JoinSet::new()),
            failures: Arc::new(Failures::default()),
            panics: Panics::default(),
            runtime,
            transits: Mutex::default(),
            moved: Arc::default(),
        })
    }

    pub(super) fn name(&self) -> &Str {
        &self.name
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn config(&self) -> &Settings {
        &self.config
    }

    pub(super) fn directory(&self) -> Option<&TopicDirectory> {
        self.directory.as_ref()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    pub(super) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub(super) fn partition_count(&self) -> Option<usize> {
        self.routes
            .load()
            .count
            .and_then(|count| usize::try_from(count).ok())
    }

    /// The queue for a call.
    pub(super) fn route<C: Call + ?Sized>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
    ) -> Result<Arc<PartitionQueue>, RouteError> {
        self.routed(call, partition, Arc::clone)
    }

    /// Hands the queue for a call to `take`.
    #[inline]
    pub(super) fn routed<C: Call + ?Sized, R>(
        &self,
        call: &C,
        partition: Option<PartitionId>,
        take: impl FnOnce(&Arc<PartitionQueue>) -> R,
    ) -> Result<R, RouteError> {
        let routes = self.routes.load();
        let named = match self.partitioner.strategy() {
            Strategy::Fixed(fixed) => Some(PartitionId(*fixed)),
            _ => None,
        };
        let queue = if let Some(partition) = partition.or(named) {
            routes.named(partition)?
        } else if let Some(unrouted) = &routes.unrouted {
            unrouted
        } else {
            let key = call.records(0).next().and_then(|record| record.key);
            self.choose(&routes, key)?
        };
        Ok(take(queue))
    }

    /// The partition for records that were accepted before it was known that there are `count`.
    pub(super) fn partition_by_key(
        &self,
        key: Option<&[u8]>,
        count: u32,
    ) -> Result<PartitionId, SendError> {
        let chosen = self.partitioner.choose(key, count, next_random());
        let chosen = chosen.map_err(SendError::Partitioner)?;
        // Topics have fewer partitions than an i32 can say.
        Ok(PartitionId(i32::try_from(chosen).unwrap_or(i32::MAX)))
    }

    fn choose<'a>(
        &self,
        routes: &'a Routes,
        key: Option<&[u8]>,
    ) -> Result<&'a Arc<PartitionQueue>, RouteError> {
        let chosen = self
            .partition_by_key(key, routes.count.unwrap_or(0))
            .map_err(RouteError::Refused)?;
        routes.named(chosen)
    }

    /// Opens the queue of one partition, if it is not open, and starts its worker.
    pub(super) async fn open_partition(
        self: &Arc<Self>,
        partition: PartitionId,
    ) -> Result<Arc<PartitionQueue>, SendError> {
        let _one_at_a_time = self.opening.lock().await;
        if let Some(queue) = self.routes.load().partition(partition) {
            return Ok(queue.clone());
        }
        if self.is_stopped() {
            return Err(SendError::Stopped);
        }
        let queue = self
            .open_queue(Place::Partition(partition))
            .await
            .map_err(|error| SendError::QueueUnavailable(StorageError::new(error)))?;
        self.add_partition(partition, queue.clone());
        Ok(queue)
    }

    /// Opens the queues of all partitions below `count`, and lets calls be routed to them.
    pub(super) async fn open_partitions(self: &Arc<Self>, count: u32) -> Result<(), StartError> {
        let _one_at_a_time = self.opening.lock().await;
        for number in 0..count {
            let partition = PartitionId(i32::try_from(number).unwrap_or(i32::MAX));
            if self.routes.load().partition(partition).is_none() {
                let queue = self.open_queue(Place::Partition(partition)).await?;
                self.add_partition(partition, queue);
            }
        }
        self.change_routes(|routes| Routes {
            count: Some(count),
            ..routes
        });
        Ok(())
    }

    /// Opens the queues that an earlier life left on disk.
    pub(super) async fn open_left_behind(self: &Arc<Self>) -> Result<(), StartError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let found = directory.partitions();
        let found = found.map_err(|source| StartError::Directory {
            path: directory.path().to_owned(),
            source,
        })?;
        let _one_at_a_time = self.opening.lock().await;
        for partition in found {
            let queue = self.open_queue(Place::Partition(partition)).await?;
            self.add_partition(partition, queue);
        }
        Ok(())
    }

    fn add_partition(self: &Arc<Self>, partition: PartitionId, queue: Arc<PartitionQueue>) {
        self.start_worker(partition, queue.clone(), self.stop_signal());
        self.change_routes(|routes| routes.with_partition(partition, queue.clone()));
    }

    /// Opens a queue for records on their way to a partition, and starts its worker, which ends with `stop`.
    pub(super) async fn open_transit(
        &self,
        partition: PartitionId,
        stop: watch::Receiver<bool>,
    ) -> Result<Arc<PartitionQueue>, StartError> {
        let queue = self.open_queue(Place::Transit(partition)).await?;
        self.start_worker(partition, queue.clone(), stop);
        self.transits.lock().push(queue.clone());
        Ok(queue)
    }

    fn start_worker(
        &self,
        partition: PartitionId,
        queue: Arc<PartitionQueue>,
        stop: watch::Receiver<bool>,
    ) {
        let config = WorkerConfig {
            topic: self.name.clone(),
            acks: self.config.required_acks,
            ack_timeout: self.config.ack_timeout,
        };
        let worker = Worker::new(queue, partition, self.client.clone(), config, stop);
        self.spawn(worker.run());
    }

    pub(super) fn change_routes(&self, change: impl Fn(Routes) -> Routes) {
        self.routes.rcu(|routes| change(Routes::clone(routes)));
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().spawn_on(task, &self.runtime);
    }

    /// Opens one queue.
    pub(super) async fn open_queue(&self, place: Place) -> Result<Arc<PartitionQueue>, StartError> {
        let partition = place.partition();
        let directory = self.directory.as_ref();
        let path = directory.and_then(|directory| match place {
            Place::Unrouted => Some(directory.unrouted()),
            Place::Partition(partition) => Some(directory.partition(partition)),
            Place::Transit(_) => None,
        });
        let config = match &path {
            Some(path) => replayq::Config::disk(path.clone())
                .segment_bytes(self.config.replayq_seg_bytes)
                .durability(self.config.durability)
                .resident_bytes(RESIDENT_BYTES)
                // No lease has a tag here, and there may be thousands of queues.
                .lease_slots(1),
            None => replayq::Config::memory(),
        };
        let opened = self
            .runtime
            .spawn_blocking(move || open_local(&config))
            .await;
        let shown = path.clone().unwrap_or_default();
        let (local, recovery) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(source)) => {
                return Err(StartError::Queue {
                    path: shown,
                    source,
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no thread opens a queue any more");
                return Err(StartError::RuntimeShutDown);
            }
        };
        if recovery.items > 0 || !recovery.damage.is_empty() {
            tracing::info!(?place, ?recovery, "a queue on disk was opened");
        }
        let machine = Partition::new(
            self.machine_config(place, path.is_some()),
            recovery.items,
            recovery.bytes,
        );
        Ok(PartitionQueue::new(QueueParts {
            partition,
            machine,
            local,
            on_disk: path.is_some(),
            lingers: self.linger(place) > Duration::ZERO,
            // What is not routed is encoded again on its way to a partition.
            compression: if partition.is_some() {
                self.config.compression
            } else {
                Default::default()
            },
            level: self.config.compression_level,
            failures: self.failures.clone(),
            lane: CallbackLane::new(self.runtime.clone(), self.panics.clone(), || {}),
        }))
    }

    /// Only what goes to a partition by itself lingers: what was not routed has waited long enough.
    fn linger(&self, place: Place) -> Duration {
        match place {
            Place::Partition(_) => self.config.max_linger,
            Place::Unrouted | Place::Transit(_) => Duration::ZERO,
        }
    }

    fn machine_config(&self, place: Place, on_disk: bool) -> Config {
        let routed = place.partition().is_some();
        Config {
            max_batch_bytes: self.config.max_batch_bytes,
            linger: self.linger(place),
            max_in_flight: if routed {
                self.config.max_in_flight()
            } else {
                1
            },
            idempotence: if routed {
                self.config.effective_idempotence()
            } else {
                Idempotence::Off
            },
            durability: if on_disk {
                Durability::Queue
            } else {
                Durability::Memory
            },
            max_queue_bytes: self.config.replayq_max_total_bytes,
            max_unqueued_bytes: self
                .config
                .max_batch_bytes
                .saturating_mul(2)
                .clamp(UNQUEUED_BYTES.start, UNQUEUED_BYTES.end),
            retry_delay: self.config.retry_delay,
            seed: next_random(),
            ..Config::default()
        }
    }

    /// Waits until all that was accepted is queued.
    pub(super) async fn queued(&self) {
        for queue in self.all_queues() {
            let accepted = queue.snapshot().accepted_calls;
            queue
                .wait_for(|machine| (machine.queued_calls() >= accepted).then_some(()))
                .await;
        }
    }

    /// Waits until what an earlier life left in the queues of the first `count` partitions has come to its end. Behind those
    /// there is no leader to send to.
    pub(super) async fn flush_recovered(&self, count: u32) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let routes = self.routes.load_full();
        let queues = routes.partitions.iter().take(count).flatten();
        for queue in queues {
            queue
                .wait_for(|machine| machine.is_flushed(0).then_some(()))
                .await;
        }
    }

    /// Waits until all that was accepted, or left by an earlier life, has come to its end.
    pub(super) async fn flush(&self) {
        // What is not routed first: it moves on to the partitions.
        let unrouted = self.routes.load().unrouted.clone();
        if let Some(unrouted) = unrouted {
            let calls = unrouted.change(Partition::flush);
            unrouted
                .wait_for(|machine| machine.is_flushed(calls).then_some(()))
                .await;
        }
        let queues: Vec<_> = self.routes.load().partitions().cloned().collect();
        let targets: Vec<u64> = queues
            .iter()
            .map(|queue| queue.change(Partition::flush))
            .collect();
        for (queue, calls) in queues.iter().zip(targets) {
            queue
                .wait_for(|machine| machine.is_flushed(calls).then_some(()))
                .await;
        }
    }

    /// Stops everything; see [`Producer::stop`](super::Producer::stop).
    pub(super) async fn stop(&self, _deadline: Duration) -> Result<Leftover, StopError> {
        let was_stopped = self.is_stopped.swap(true, Ordering::AcqRel);
        let _no_more_opening = self.opening.lock().await;
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        while tasks.join_next().await.is_some() {}
        let before = self.stats();
        let mut errors = Vec::new();
        for queue in self.all_queues() {
            if let Err(error) = queue.close().await {
                errors.push(CloseError::new(queue.partition, error));
            }
        }
        let after = self.stats();
        let mut leftover = Leftover::default();
        if !was_stopped {
            leftover.in_queue = after.queued;
            leftover.recovered_items = after.recovered_items;
            leftover.failed = after.failed.saturating_sub(before.failed);
        }
        if errors.is_empty() {
            Ok(leftover)
        } else {
            Err(StopError::new(leftover, errors))
        }
    }

    pub(super) fn all_queues(&self) -> Vec<Arc<PartitionQueue>> {
        self.routes.load().queues().cloned().collect()
    }

    pub(super) fn stats(&self) -> ProducerStats {
        let routes = self.routes.load();
        let mut stats = ProducerStats::default();
        routes
            .partitions()
            .for_each(|queue| stats.add(&queue.snapshot()));
        for queue in self.transits.lock().iter() {
            stats.add_transit(&queue.snapshot());
        }
        let unrouted = routes.unrouted.as_ref().map(|queue| queue.snapshot());
        self.moved.correct(&mut stats, unrouted.as_ref());
        stats.queued = stats
            .accepted
            .saturating_sub(stats.acked)
            .saturating_sub(stats.failed);
        stats.callback_panics = self.panics.count();
        stats.failures = self.failures.counts();
        stats
    }
}

/// Opens a local queue. One that this process has just dropped is waited for: an I/O thread may still be at it.
fn open_local(
    config: &replayq::Config,
) -> Result<(replayq::Queue, replayq::Recovery), replayq::OpenError> {
    let deadline = Instant::now() + CLOSING;
    loop {
        match replayq::Queue::open(config.clone()) {
            Err(replayq::OpenError::Locked {
                holder: Some(holder),
                ..
            }) if holder == std::process::id() && Instant::now() < deadline => {
                std::thread::sleep(CLOSING / 100);
            }
            outcome => return outcome,
        }
    }
}
