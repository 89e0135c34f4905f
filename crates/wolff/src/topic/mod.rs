//! The topic of a producer: what the producer's clones share. It opens queues, routes calls to
//! them, and runs the tasks that serve them.

mod start;

mod growth;
mod unrouted;

mod carriers;
mod lifecycle;
mod separate;

mod open;

mod routing;
mod survey;

mod view;

mod routes;

mod count;
mod gate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wolff_client::Client;
use wolff_codec::{PartitionId, Str};
use wolff_core::Idempotence;
use wolff_partitioner::Partitioner;

use crate::completion::Panics;
use crate::config::Settings;
use crate::descriptors::Descriptors;
use crate::directory::TopicDirectory;
use crate::environment::Environment;
use crate::error::HoldUp;
use crate::failures::Failures;
use crate::stats::ProducerStats;
use crate::troubles::Troubles;
use routes::Routes;

pub(crate) use routing::{Destination, RouteError};

/// A topic and its queues.
pub(crate) struct Topic {
    name: Str,
    client: Client,
    config: Settings,
    partitioner: Partitioner,
    directory: Option<TopicDirectory>,
    routes: ArcSwap<Routes>,
    /// Held while queues are opened: one task at a time changes the routes.
    opening: tokio::sync::Mutex<()>,
    tasks: Tasks,
    incidents: Incidents,
    environment: Environment,
}

/// Everything that went wrong, for counts and errors, and what is done where descriptors run out.
struct Incidents {
    failures: Arc<Failures>,
    troubles: Troubles,
    panics: Panics,
    /// Items of other versions that were found in queues on disk.
    unknown_items: AtomicU64,
    descriptors: Arc<Descriptors>,
}

impl Incidents {
    fn new(client: &Client) -> Self {
        Self {
            failures: Arc::default(),
            troubles: Troubles::default(),
            panics: Panics::default(),
            unknown_items: AtomicU64::new(0),
            descriptors: Descriptors::new(client.clone()),
        }
    }
}

/// The tasks of a topic and the signal that ends them.
struct Tasks {
    runtime: Handle,
    stop: watch::Sender<bool>,
    /// No call is accepted any more.
    is_stopped: AtomicBool,
    running: Mutex<JoinSet<()>>,
}

impl Topic {
    pub(crate) fn new(
        name: Str,
        client: Client,
        config: Settings,
        environment: Environment,
        runtime: Handle,
    ) -> Arc<Self> {
        let directory = config
            .replayq_dir
            .as_deref()
            .map(|base| TopicDirectory::new(base, client.client_id(), &name));
        Arc::new(Self {
            name,
            incidents: Incidents::new(&client),
            client,
            partitioner: Partitioner::new(config.partitioner.clone()),
            config,
            directory,
            routes: ArcSwap::default(),
            opening: tokio::sync::Mutex::new(()),
            tasks: Tasks {
                runtime,
                stop: watch::Sender::new(false),
                is_stopped: AtomicBool::new(false),
                running: Mutex::new(JoinSet::new()),
            },
            environment,
        })
    }

    pub(crate) fn name(&self) -> &Str {
        &self.name
    }

    pub(crate) fn config(&self) -> &Settings {
        &self.config
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.tasks.is_stopped.load(Ordering::Acquire)
    }

    fn stop_signal(&self) -> watch::Receiver<bool> {
        self.tasks.stop.subscribe()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.tasks.running.lock();
        // What has ended needs no place any more.
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &self.tasks.runtime);
    }

    fn change_routes(&self, change: impl Fn(Routes) -> Routes) {
        self.routes.rcu(|routes| change(Routes::clone(routes)));
    }

    /// Returns what holds up the records of a partition, or of one that is not chosen yet.
    pub(crate) fn hold_up(&self, partition: Option<PartitionId>) -> Option<HoldUp> {
        let Some(partition) = partition else {
            return self.incidents.troubles.metadata().map(HoldUp::NoMetadata);
        };
        let queue = self.routes.load().partition(partition).cloned();
        let refusal = queue.and_then(|queue| queue.snapshot().refusal);
        if let Some(error) = self.incidents.troubles.unreached(partition) {
            return Some(HoldUp::NotConnected(error));
        }
        if let Some(failure) = self.incidents.troubles.unanswered(partition) {
            return Some(HoldUp::Unanswered(Box::new(failure)));
        }
        refusal.map(|refusal| HoldUp::Refused {
            code: refusal.code,
            message: refusal.message.as_deref().map(str::to_owned),
        })
    }

    /// Counts over all queues.
    pub(crate) fn stats(&self) -> ProducerStats {
        let routes = self.routes.load();
        let mut stats = ProducerStats {
            is_idempotent: self.config.effective_idempotence() != Idempotence::Off,
            ..ProducerStats::default()
        };
        for queue in routes.partitions() {
            stats.add(queue.partition(), &queue.snapshot());
            stats.damages += queue.damages();
        }
        stats.add_past(&routes.past());
        if let Some(queue) = routes.unrouted() {
            stats.add_unrouted(&queue.snapshot());
            stats.damages += queue.damages();
        }
        stats.unknown_items = self.incidents.unknown_items.load(Ordering::Relaxed);
        stats.callback_panics = self.incidents.panics.count();
        stats.failures = self.incidents.failures.counts();
        stats
    }
}
