//! The task of a partition. It owns the connection and decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wolff_client::{Address, Client, ConnectError, Connection, LeaderConnection, RequestError};
use wolff_codec::messages::{InitProducerIdRequest, InitProducerIdResponse};
use wolff_codec::{ApiKey, ErrorCode, PartitionId, Str};
use wolff_core::{
    Action, Answer, BatchNo, ClusterRequest, DoubtReason, Event, FailReason, IdentityRequest,
    Leader, Transmit,
};

use super::answers;
use super::identity::identity;
use super::reports::Reports;
use super::requests::{Answered, Link, NotStarted, Target};
use crate::clock;
use crate::config::RequiredAcks;
use crate::partition::PartitionQueue;
use crate::troubles::Troubles;

/// Configuration of a worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) topic: Str,
    pub(crate) acks: RequiredAcks,
    pub(crate) ack_timeout: Duration,
    pub(crate) troubles: Troubles,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One partition's worker.
pub(crate) struct Worker {
    queue: Arc<PartitionQueue>,
    target: Target,
    client: Client,
    stop: watch::Receiver<bool>,
    link: Option<Link>,
    connecting: Option<Boxed<Result<LeaderConnection, ConnectError>>>,
    /// The response, and when it was requested.
    identity: Option<Boxed<(Result<InitProducerIdResponse, RequestError>, Instant)>>,
    /// The broker of the last connection.
    broker: Option<Address>,
    reports: Reports,
    /// It has ended in order: nothing has to be given up when it is dropped.
    is_stopped: bool,
}

/// Why the worker woke up.
enum Woken {
    Answered(Answered),
    Connected(Result<LeaderConnection, ConnectError>),
    Identity((Result<InitProducerIdResponse, RequestError>, Instant)),
    LinkClosed,
    /// The connection's queue has room again.
    Room,
    Poll,
    Stop,
}

impl Worker {
    pub(crate) fn new(
        queue: Arc<PartitionQueue>,
        partition: PartitionId,
        client: Client,
        config: WorkerConfig,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            queue,
            target: Target {
                topic: config.topic,
                partition,
                acks: config.acks,
                ack_timeout: config.ack_timeout,
            },
            client,
            stop,
            link: None,
            connecting: None,
            identity: None,
            broker: None,
            reports: Reports::new(partition, config.troubles),
            is_stopped: false,
        }
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(mut self) {
        loop {
            self.carry_out();
            let timeout = self.queue.machine().poll_timeout(clock::now());
            match self.wait(timeout).await {
                Woken::Stop => {
                    self.is_stopped = true;
                    return;
                }
                woken => self.handle(woken),
            }
            if self.is_stopped {
                return;
            }
        }
    }

    fn partition(&self) -> i32 {
        self.target.partition.0
    }

    /// Does everything that can be done now.
    fn carry_out(&mut self) {
        self.queue.settle();
        while !self.link.as_ref().is_some_and(Link::is_blocked) {
            let Some(action) = self.queue.machine().poll_action(clock::now()) else {
                break;
            };
            match action {
                Action::Connect { refresh_metadata } => self.connect(refresh_metadata),
                Action::Request(ClusterRequest::Identity(request)) => {
                    self.request_identity(request);
                }
                Action::Request(_) => {}
                Action::Send(transmit) => self.send(transmit),
                Action::Disconnect => self.drop_link(),
            }
        }
        // Stamps and leases may have become possible.
        self.queue.settle();
    }

    fn connect(&mut self, refresh_metadata: bool) {
        if refresh_metadata {
            self.client.mark_stale(&self.target.topic);
        }
        let (client, topic) = (self.client.clone(), self.target.topic.clone());
        let partition = self.target.partition;
        self.connecting = Some(Box::pin(async move {
            client.leader_connection(&topic, partition).await
        }));
    }

    /// Drops the connection. Answers that are there already still count.
    fn drop_link(&mut self) {
        self.identity = None;
        for answered in self.link.take().map(Link::drain).unwrap_or_default() {
            self.answered(answered);
        }
        self.queue.handle(Event::Disconnected);
    }

    fn request_identity(&mut self, request: IdentityRequest) {
        if let Some((producer_id, epoch)) = request.next_epoch() {
            // The epoch is the producer's own to raise (KIP-360).
            self.queue
                .handle(Event::IdentityGranted { producer_id, epoch });
            return;
        }
        let Some(link) = &self.link else {
            return self.queue.handle(Event::Disconnected);
        };
        let connection = link.connection().clone();
        // A null transactional id: any broker grants a fresh id. The timeout means nothing without
        // a transaction.
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.identity = Some(Box::pin(async move {
            let sent_at = clock::now();
            (connection.request(&request).await, sent_at)
        }));
    }

    fn send(&mut self, transmit: Transmit) {
        let batch = transmit.batch;
        let Some(link) = &mut self.link else {
            return self.queue.handle(Event::RequestFailed {
                batch,
                not_sent: true,
            });
        };
        match link.start(&self.target, &transmit) {
            Ok(()) => {}
            Err(NotStarted::Request(error)) if error.is_queue_full() => link.block(transmit),
            Err(NotStarted::Request(error)) => self.request_error(batch, clock::now(), &error),
            Err(NotStarted::TooLarge(error)) => {
                tracing::error!(partition = self.partition(), %error, "a batch cannot be expressed");
                let answer = Answer {
                    code: ErrorCode::MESSAGE_TOO_LARGE,
                    ..Answer::default()
                };
                self.queue.handle(Event::Answered(batch, answer));
            }
        }
    }

    fn request_error(&mut self, batch: BatchNo, sent_at: Instant, error: &RequestError) {
        self.report_failure(ApiKey::PRODUCE, sent_at, error);
        let limit_before = self.queue.snapshot().link_limit_bytes;
        let not_sent = !error.is_in_doubt();
        self.queue.handle(Event::RequestFailed { batch, not_sent });
        let limit = self.queue.snapshot().link_limit_bytes;
        if let (None, Some(batch_bytes)) = (limit_before, limit) {
            tracing::warn!(
                partition = self.partition(), batch_bytes, %error,
                "the link to the leader is lost again and again in the middle of a batch: from now on batches are of this size, until it carries more; a larger one that the broker may have already is sent again as it is"
            );
        }
    }

    fn report_failure(&mut self, api: ApiKey, sent_at: Instant, error: &RequestError) {
        let after = clock::now().saturating_duration_since(sent_at);
        if let Some(broker) = &self.broker {
            self.reports.request_failed(api, broker, after, error);
        }
    }

    async fn wait(&mut self, timeout: Option<Instant>) -> Woken {
        let Self {
            queue,
            link,
            connecting,
            identity,
            stop,
            ..
        } = self;
        let connection = link.as_ref().map(|link| link.connection().clone());
        let has_pending = link.as_ref().is_some_and(Link::has_pending);
        let is_blocked = link.as_ref().is_some_and(Link::is_blocked);
        tokio::select! {
            biased;
            () = until_stopped(stop) => Woken::Stop,
            answered = next_answer(link) => Woken::Answered(answered),
            result = ready(connecting) => Woken::Connected(result),
            result = ready(identity) => Woken::Identity(result),
            () = queue.woken() => Woken::Poll,
            () = until_ready(connection.as_ref()), if is_blocked => Woken::Room,
            () = until_closed(connection.as_ref()), if !has_pending => Woken::LinkClosed,
            () = until(timeout) => Woken::Poll,
        }
    }

    fn handle(&mut self, woken: Woken) {
        match woken {
            Woken::Answered(answered) => self.answered(answered),
            Woken::Connected(result) => self.connected(result),
            Woken::Identity(result) => self.identified(result),
            Woken::LinkClosed => self.drop_link(),
            Woken::Room => {
                if let Some(transmit) = self.link.as_mut().and_then(Link::unblock) {
                    self.send(transmit);
                }
            }
            Woken::Poll | Woken::Stop => {}
        }
    }

    fn answered(&mut self, answered: Answered) {
        let batch = answered.batch;
        let answer = match answered.result {
            Ok(None) => answers::handed_over(),
            Ok(Some(answer)) => answers::answer(
                &answer,
                &self.client,
                &self.target.topic,
                self.target.partition,
            ),
            Err(error) => return self.request_error(batch, answered.sent_at, &error),
        };
        self.reports.responded();
        if answer.code != ErrorCode::NONE {
            let before = self.queue.machine().snapshot().refusal;
            self.reports.refused(&answer, before.as_ref());
        }
        self.queue.handle(Event::Answered(batch, answer));
        self.reports.lost(self.queue.snapshot().broker_data_loss);
    }

    fn connected(&mut self, result: Result<LeaderConnection, ConnectError>) {
        match result {
            Ok(leader) => {
                self.reports.connected(leader.broker.0);
                self.broker = Some(leader.connection.address().clone());
                let facts = Leader {
                    broker: leader.broker,
                    epoch: leader.leader_epoch,
                    topic_id: leader.topic_id,
                    cluster: self.client.cluster_id().map_or(0, |id| hash_of(&id)),
                    now_ms: self.queue.now_ms(),
                };
                self.link = Some(Link::new(leader.connection, leader.topic_id));
                self.queue.handle(Event::Connected(facts));
                if self.queue.snapshot().is_other_cluster {
                    tracing::error!(
                        partition = self.partition(),
                        "this is another cluster than the one that has what an earlier run left in doubt: nothing is sent; connect to that cluster, or use another queue directory"
                    );
                }
            }
            Err(ConnectError::ClientClosed) => {
                // Nobody will send anything any more: as a stop without time.
                self.is_stopped = true;
                self.queue
                    .give_up(&FailReason::Stopped, DoubtReason::Stopped);
            }
            Err(error) => {
                self.reports.connect_failed(error);
                self.queue.handle(Event::ConnectFailed);
            }
        }
    }

    fn identified(
        &mut self,
        (result, requested_at): (Result<InitProducerIdResponse, RequestError>, Instant),
    ) {
        if let Err(error) = &result
            && error.is_connection_lost()
        {
            self.report_failure(ApiKey::INIT_PRODUCER_ID, requested_at, error);
        } else {
            self.reports.responded();
        }
        let reason = match identity(result) {
            Ok((producer_id, epoch)) => {
                return self
                    .queue
                    .handle(Event::IdentityGranted { producer_id, epoch });
            }
            Err(reason) => reason,
        };
        let is_refused = reason.is_refused();
        self.queue.handle(Event::IdentityFailed { is_refused });
        let goes_on = !self.queue.snapshot().is_idempotent;
        self.reports.no_identity(&reason, goes_on);
    }
}

/// A worker that ends by itself, with its runtime or in a panic, leaves nobody waiting.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        if std::thread::panicking() {
            tracing::error!(
                partition = self.partition(),
                "the worker of a partition panicked: the partition accepts no more calls"
            );
            self.queue
                .give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        } else {
            self.queue
                .give_up(&FailReason::Stopped, DoubtReason::Dropped);
        }
    }
}

/// A hash of a cluster's id that stays the same for ever (FNV-1a), never 0.
fn hash_of(id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// The end of the oldest request; pending for ever where nothing is on its way.
async fn next_answer(link: &mut Option<Link>) -> Answered {
    std::future::poll_fn(|context| match link {
        Some(link) => link.poll_answer(context),
        None => Poll::Pending,
    })
    .await
}

async fn ready<T>(slot: &mut Option<Boxed<T>>) -> T {
    let result = std::future::poll_fn(|context| match slot {
        Some(future) => future.as_mut().poll(context),
        None => Poll::Pending,
    })
    .await;
    *slot = None;
    result
}

async fn until_stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the producer is gone altogether.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until_closed(connection: Option<&Connection>) {
    match connection {
        Some(connection) => drop(connection.closed().await),
        None => std::future::pending().await,
    }
}

async fn until_ready(connection: Option<&Connection>) {
    match connection {
        Some(connection) => connection.ready().await,
        None => std::future::pending().await,
    }
}

async fn until(timeout: Option<Instant>) {
    match timeout {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
