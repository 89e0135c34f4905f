//! The task that carries out what the state machine wants of the network. It owns the link and decides nothing.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wolff_client::{
    Address, Client, ConnectError, Connection, LeaderConnection, Pending, ProduceAnswer,
    ProduceBatch, RequestCause, RequestError,
};
use wolff_codec::messages::{
    InitProducerIdRequest, InitProducerIdResponse, PartitionProduceData, ProduceRequest,
    TopicProduceData,
};
use wolff_codec::records::BatchTooLarge;
use wolff_codec::{ErrorCode, Offset, PartitionId, Str, TopicId};
use wolff_core::{Action, BatchNo, Transmit};

use super::{PartitionQueue, encode};
use crate::config::RequiredAcks;

/// What a worker needs beside its queue.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
    pub(crate) topic: Str,
    pub(crate) acks: RequiredAcks,
    pub(crate) ack_timeout: Duration,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One partition's worker.
pub(crate) struct Worker {
    queue: Arc<PartitionQueue>,
    partition: PartitionId,
    client: Client,
    config: WorkerConfig,
    stop: watch::Receiver<bool>,
    link: Option<Link>,
    connecting: Option<Boxed<Result<LeaderConnection, ConnectError>>>,
    identity: Option<Boxed<Result<InitProducerIdResponse, RequestError>>>,
    failed_connects: u32,
}

struct Link {
    connection: Connection,
    topic_id: TopicId,
    /// A batch for which the connection's queue had no room.
    blocked: Option<Transmit>,
    /// Requests on their way, oldest first.
    pending: VecDeque<(BatchNo, Answering)>,
}

/// The answer to come.
enum Answering {
    Told(Pending<ProduceAnswer>),
    /// acks=none: that the bytes were handed over is all there is.
    HandedOver(Pending<()>),
}

/// What the worker was woken by.
enum Event {
    Answer(BatchNo, Result<Option<ProduceAnswer>, RequestError>),
    Connected(Result<LeaderConnection, ConnectError>),
    Identity(Result<InitProducerIdResponse, RequestError>),
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
            partition,
            client,
            config,
            stop,
            link: None,
            connecting: None,
            identity: None,
            failed_connects: 0,
        }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        loop {
            self.carry_out();
            let timeout = self.queue.state.lock().machine.poll_timeout(Instant::now());
            match self.next_event(timeout).await {
                Event::Stop => return,
                event => self.handle(event),
            }
        }
    }

    /// Does all that can be done now.
    fn carry_out(&mut self) {
        loop {
            self.queue
                .state
                .lock()
                .machine
                .handle_timeout(Instant::now());
            self.queue.work_on_queue();
            if self.is_blocked() {
                break;
            }
            let Some(action) = self.queue.state.lock().machine.poll_action(Instant::now()) else {
                break;
            };
            match action {
                Action::Connect { refresh_metadata } => self.connect(refresh_metadata),
                Action::InitProducerId => self.ask_for_identity(),
                Action::Send(transmit) => self.send(transmit),
                Action::Disconnect => self.disconnect(),
            }
        }
        self.queue.tell_outcomes();
    }

    fn connect(&mut self, refresh_metadata: bool) {
        if refresh_metadata {
            self.client.mark_stale(&self.config.topic);
        }
        let (client, topic, partition) = (
            self.client.clone(),
            self.config.topic.clone(),
            self.partition,
        );
        self.connecting = Some(Box::pin(async move {
            client.leader_connection(&topic, partition).await
        }));
    }

    fn disconnect(&mut self) {
        self.link = None;
        self.identity = None;
        self.queue
            .state
            .lock()
            .machine
            .handle_disconnected(Instant::now());
    }

    fn ask_for_identity(&mut self) {
        let Some(link) = &self.link else {
            return self.disconnect();
        };
        let connection = link.connection.clone();
        // A null transactional id: any broker gives a fresh id. The timeout means nothing without a transaction.
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.identity = Some(Box::pin(async move { connection.request(&request).await }));
    }

    fn is_blocked(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.blocked.is_some())
    }

    fn send(&mut self, transmit: Transmit) {
        let batch = transmit.batch;
        let Some(link) = &mut self.link else {
            return self.disconnect();
        };
        match link.start(&self.config, self.partition, &transmit) {
            Ok(answering) => link.pending.push_back((batch, answering)),
            Err(StartError::Request(RequestError::NotSent(RequestCause::QueueFull))) => {
                link.blocked = Some(transmit)
            }
            Err(StartError::Request(error)) => self.request_failed(batch, &error),
            Err(StartError::TooLarge(error)) => {
                tracing::error!(partition = self.partition.0, %error, "a batch cannot be sent");
                let now = Instant::now();
                self.queue.state.lock().machine.handle_answer(
                    batch,
                    ErrorCode::MESSAGE_TOO_LARGE,
                    None,
                    now,
                );
            }
        }
    }

    fn request_failed(&mut self, batch: BatchNo, error: &RequestError) {
        tracing::debug!(partition = self.partition.0, %error, "a produce request failed");
        self.queue.state.lock().machine.handle_request_failed(
            batch,
            !error.is_in_doubt(),
            Instant::now(),
        );
    }

    async fn next_event(&mut self, timeout: Option<Instant>) -> Event {
        let Self {
            queue,
            link,
            connecting,
            identity,
            stop,
            ..
        } = self;
        let connection = link.as_ref().map(|link| link.connection.clone());
        let has_pending = link.as_ref().is_some_and(|link| !link.pending.is_empty());
        let is_blocked = link.as_ref().is_some_and(|link| link.blocked.is_some());
        tokio::select! {
            biased;
            () = until_stopped(stop) => Event::Stop,
            (batch, result) = next_answer(link) => Event::Answer(batch, result),
            result = ready(connecting) => Event::Connected(result),
            result = ready(identity) => Event::Identity(result),
            () = queue.wake.notified() => Event::Poll,
            () = until_ready(connection.as_ref()), if is_blocked => Event::Room,
            () = until_closed(connection.as_ref()), if !has_pending => Event::LinkClosed,
            () = until(timeout) => Event::Poll,
        }
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Answer(batch, Ok(response)) => self.handle_answer(batch, response.as_ref(), now),
            Event::Answer(batch, Err(error)) => self.request_failed(batch, &error),
            Event::Connected(result) => self.handle_connected(result, now),
            Event::Identity(result) => self.handle_identity(result, now),
            Event::LinkClosed => self.disconnect(),
            Event::Room => {
                if let Some(transmit) = self.link.as_mut().and_then(|link| link.blocked.take()) {
                    self.send(transmit);
                }
            }
            Event::Poll | Event::Stop => {}
        }
    }

    fn handle_connected(&mut self, result: Result<LeaderConnection, ConnectError>, now: Instant) {
        match result {
            Ok(leader) => {
                tracing::debug!(
                    partition = self.partition.0,
                    broker = leader.broker.0,
                    "connected to the leader"
                );
                self.failed_connects = 0;
                self.link = Some(Link {
                    connection: leader.connection,
                    topic_id: leader.topic_id,
                    blocked: None,
                    pending: VecDeque::new(),
                });
                self.queue.state.lock().machine.handle_connected();
            }
            Err(error) => {
                self.failed_connects = self.failed_connects.saturating_add(1);
                if self.failed_connects.is_power_of_two() {
                    tracing::warn!(
                        partition = self.partition.0, attempts = self.failed_connects, %error, "no connection to the leader"
                    );
                }
                self.queue.state.lock().machine.handle_connect_failed(now);
            }
        }
    }

    fn handle_identity(
        &mut self,
        result: Result<InitProducerIdResponse, RequestError>,
        now: Instant,
    ) {
        let mut state = self.queue.state.lock();
        let refused = match result {
            Ok(response) if response.error_code == ErrorCode::NONE => {
                return state
                    .machine
                    .handle_producer_id(response.producer_id, response.producer_epoch);
            }
            Ok(response) => is_refusal(response.error_code),
            Err(error) => matches!(error.cause(), RequestCause::Unsupported(_)),
        };
        if state.machine.handle_producer_id_failed(refused, now) {
            tracing::warn!(
                partition = self.partition.0,
                "the cluster gives no producer id: going on without idempotence, at least once"
            );
        }
    }

    fn handle_answer(&mut self, batch: BatchNo, answer: Option<&ProduceAnswer>, now: Instant) {
        let Some(answer) = answer else {
            return self.queue.state.lock().machine.handle_answer(
                batch,
                ErrorCode::NONE,
                None,
                now,
            );
        };
        self.use_leader_hint(answer);
        let answer = &answer.partition;
        if answer.error_code != ErrorCode::NONE {
            tracing::debug!(partition = self.partition.0, error = %answer.error_code, "the broker refused a batch");
        }
        let offset = (answer.base_offset.0 >= 0).then_some(Offset(answer.base_offset.0));
        self.queue
            .state
            .lock()
            .machine
            .handle_answer(batch, answer.error_code, offset, now);
    }

    /// A broker that no longer leads the partition may say who does (KIP-951).
    fn use_leader_hint(&self, answer: &ProduceAnswer) {
        let hint = &answer.partition.current_leader;
        if hint.leader_id.0 < 0 {
            return;
        }
        let endpoint = answer
            .node_endpoints
            .iter()
            .find(|node| node.node_id == hint.leader_id);
        let address = endpoint.and_then(|node| {
            Some(Address::new(
                node.host.as_str(),
                u16::try_from(node.port).ok()?,
            ))
        });
        self.client.update_leader(
            &self.config.topic,
            self.partition,
            hint.leader_id,
            hint.leader_epoch,
            address,
        );
    }
}

impl Link {
    /// Starts a produce request.
    fn start(
        &self,
        config: &WorkerConfig,
        partition: PartitionId,
        transmit: &Transmit,
    ) -> Result<Answering, StartError> {
        let batch = ProduceBatch {
            topic: config.topic.clone(),
            topic_id: self.topic_id,
            partition,
            records: encode::batch_chunks(transmit).map_err(StartError::TooLarge)?,
            acks: config.acks.on_the_wire(),
            timeout_ms: i32::try_from(config.ack_timeout.as_millis()).unwrap_or(i32::MAX),
        };
        Ok(match config.acks {
            // Nobody tells what became of it, so there is nothing to share.
            RequiredAcks::None => {
                Answering::HandedOver(self.connection.start_unacknowledged(&alone(batch))?)
            }
            _ => Answering::Told(self.connection.start_produce(batch)?),
        })
    }
}

/// A request for this batch and nothing else.
fn alone(batch: ProduceBatch) -> ProduceRequest {
    ProduceRequest {
        acks: batch.acks,
        timeout_ms: batch.timeout_ms,
        topic_data: vec![TopicProduceData {
            name: batch.topic,
            topic_id: batch.topic_id,
            partition_data: vec![PartitionProduceData {
                index: batch.partition,
                records: Some(batch.records),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Why a produce request was not started.
enum StartError {
    Request(RequestError),
    TooLarge(BatchTooLarge),
}

impl From<RequestError> for StartError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// Whether an InitProducerId error means that there will be none: no permission, or a broker that has no such thing.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::UNSUPPORTED_VERSION
    )
}

/// The oldest request's answer; for ever where nothing is on its way.
async fn next_answer(
    link: &mut Option<Link>,
) -> (BatchNo, Result<Option<ProduceAnswer>, RequestError>) {
    std::future::poll_fn(|context| {
        let Some((batch, answering)) = link.as_mut().and_then(|link| link.pending.front_mut())
        else {
            return Poll::Pending;
        };
        let batch = *batch;
        let result = match answering {
            Answering::Told(pending) => Pin::new(pending)
                .poll(context)
                .map(|result| result.map(Some)),
            Answering::HandedOver(handed_over) => Pin::new(handed_over)
                .poll(context)
                .map(|result| result.map(|()| None)),
        };
        result.map(|result| {
            if let Some(link) = link.as_mut() {
                link.pending.pop_front();
            }
            (batch, result)
        })
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
