//! The topic of a producer: what the producer's clones share. It opens queues, routes calls to them,
//! and runs the tasks that serve them.

mod start;

mod partitions;
mod unrouted;

mod lifecycle;

mod open;
mod routing;

mod routes;

mod count;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wolff_client::Client;
use wolff_codec::Str;
use wolff_core::Idempotence;
use wolff_partitioner::Partitioner;

use crate::completion::Panics;
use crate::config::Settings;
use crate::directory::TopicDirectory;
use crate::environment::Environment;
use crate::failures::Failures;
use crate::stats::ProducerStats;
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
    failures: Arc<Failures>,
    panics: Panics,
    environment: Environment,
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
            failures: Arc::new(Failures::default()),
            panics: Panics::default(),
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

    /// Counts over all queues.
    pub(crate) fn stats(&self) -> ProducerStats {
        let routes = self.routes.load();
        let mut stats = ProducerStats {
            is_idempotent: self.config.effective_idempotence() != Idempotence::Off,
            ..ProducerStats::default()
        };
        for queue in routes.partitions() {
            stats.add(&queue.snapshot());
        }
        stats.add_past(&routes.past());
        if let Some(queue) = routes.unrouted() {
            stats.add_unrouted(&queue.snapshot());
        }
        stats.callback_panics = self.panics.count();
        stats.failures = self.failures.counts();
        stats
    }
}
