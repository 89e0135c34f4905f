//! Asking the cluster: a task that runs while somebody waits for an answer, and not otherwise.

mod metadata;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::{sleep, sleep_until, timeout};
use wolff_backoff::Random;
use wolff_codec::{ErrorCode, Str};

use self::metadata::Fetched;
use super::connections::{Connections, Purpose};
use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::endpoint::Address;
use crate::error::{MetadataError, RequestContext};
use crate::leaders_response::TopicLeaders;
use crate::topology::{Lookup, Refresh, TopicEvent, TopicMetadata, Topology};

type Answer = Result<Arc<TopicMetadata>, MetadataError>;

/// The shortest pause between two questions about a topic that is being created.
const CREATION_PAUSE: Duration = Duration::from_millis(50);

/// Events that a slow listener may be behind.
const EVENTS: usize = 256;

struct State {
    topology: Topology,
    refresh: Refresh<oneshot::Sender<Answer>>,
    random: Random,
    /// A broker that had nothing new to say about what has proved wrong, again and again.
    doubted: Option<Address>,
    /// True if the asking task runs.
    is_asking: bool,
    is_closed: bool,
}

/// Known state of the cluster, and the way to learn more.
pub(super) struct Questions {
    connections: Arc<Connections>,
    timeout: Duration,
    allow_auto_topic_creation: bool,
    /// The cluster that brokers must belong to.
    cluster_id: Option<String>,
    state: Mutex<State>,
    /// Rung when there is a new question.
    asked: Notify,
    events: broadcast::Sender<TopicEvent>,
}

enum Next {
    Fetch(Vec<Str>),
    Wait(Option<Instant>),
    Rest,
}

impl Questions {
    pub(super) fn new(
        config: &ClientConfig,
        connections: Arc<Connections>,
        random: Random,
    ) -> Self {
        let interval = config.min_metadata_refresh_interval;
        Self {
            connections,
            timeout: config.metadata_timeout,
            allow_auto_topic_creation: config.allow_auto_topic_creation,
            cluster_id: config.cluster_id.clone(),
            state: Mutex::new(State {
                topology: Topology::default(),
                refresh: Refresh::new(interval, config.reconnect_backoff),
                random,
                doubted: None,
                is_asking: false,
                is_closed: false,
            }),
            asked: Notify::new(),
            events: broadcast::Sender::new(EVENTS),
        }
    }

    /// Returns the metadata of a topic; sends a request or waits for a response if it has to.
    pub(super) async fn topic(self: &Arc<Self>, name: &str) -> Answer {
        let answer = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(MetadataError::ClientClosed);
            }
            match state.refresh.lookup(now(), name) {
                Lookup::Known => {
                    if let Some(metadata) = state.topology.topic(name) {
                        return Ok(metadata);
                    }
                }
                Lookup::Refused(error) => return Err(error),
                Lookup::Ask => {}
            }
            let (teller, answer) = oneshot::channel();
            state.refresh.handle_wait(&name.into(), teller);
            if !state.is_asking {
                // Panics where there is no runtime; then nobody is asking.
                tokio::spawn(Arc::clone(self).ask());
                state.is_asking = true;
            }
            answer
        };
        self.asked.notify_one();
        answer.await.unwrap_or(Err(MetadataError::Abandoned))
    }

    /// As [`Questions::topic`], but where lookups create topics it waits until the new one is
    /// there.
    pub(super) async fn topic_or_create(self: &Arc<Self>, name: &str) -> Answer {
        if !self.allow_auto_topic_creation {
            return self.topic(name).await;
        }
        let mut refusal = None;
        let attempts = async {
            loop {
                match self.topic(name).await {
                    Err(error @ MetadataError::Topic { code, .. }) if is_being_created(code) => {
                        refusal = Some(error);
                        self.mark_stale(name);
                        // However short the interval is that was configured.
                        sleep(CREATION_PAUSE).await;
                    }
                    answer => return answer,
                }
            }
        };
        let outcome = timeout(self.timeout, attempts).await;
        // What the broker said last says more than that the time is over.
        let late = || Err(refusal.unwrap_or(MetadataError::TimedOut(self.timeout)));
        outcome.unwrap_or_else(|_elapsed| late())
    }

    /// Looks at what is known.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Topology) -> T) -> T {
        look(&self.state.lock().topology)
    }

    /// Changes what is known, by a hint from elsewhere.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Topology) -> T) -> T {
        change(&mut self.state.lock().topology)
    }

    /// Subscribes to changes from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<TopicEvent> {
        self.events.subscribe()
    }

    pub(super) fn mark_stale(&self, topic: &str) {
        let mut state = self.state.lock();
        state.refresh.mark_stale(topic);
        // A hint that came before has proved wrong as well.
        state.topology.forget_hints(topic);
    }

    pub(super) fn mark_stale_if_old(&self, topic: &str) {
        self.state.lock().refresh.mark_stale_if_old(now(), topic);
    }

    pub(super) fn handle_disconnect(&self, topic: &str) {
        self.state.lock().refresh.handle_disconnect(topic);
    }

    /// A broker owes a response and is silent: whether it still leads is asked elsewhere, if need
    /// be.
    pub(super) fn handle_silence(self: &Arc<Self>, purpose: &Purpose) {
        let topics = match purpose {
            Purpose::Partition(topic, _) => vec![topic.clone()],
            Purpose::Broker(broker) => self.read(|topology| topology.topics_of(*broker)),
        };
        for topic in topics {
            self.handle_disconnect(&topic);
            let this = Arc::clone(self);
            // Whatever comes of it is taken where answers are.
            tokio::spawn(async move { drop(this.topic(&topic).await) });
        }
    }

    pub(super) fn forget(&self, topic: &str) {
        let mut state = self.state.lock();
        state.refresh.forget(topic);
        state.topology.forget_topic(topic);
    }

    /// Nobody gets an answer any more.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.refresh.handle_close()
        };
        for teller in waiting {
            let _ = teller.send(Err(MetadataError::ClientClosed));
        }
        self.asked.notify_one();
    }

    /// The connection for metadata; where it has to be opened, a broker in doubt is tried last.
    pub(super) async fn connection(&self) -> Result<Connection, MetadataError> {
        let (known, doubted) = {
            let state = self.state.lock();
            if state.is_closed {
                return Err(MetadataError::ClientClosed);
            }
            let doubted: Vec<_> = state.doubted.iter().cloned().collect();
            (state.topology.addresses(), doubted)
        };
        let connection = self.connections.metadata(known, &doubted).await;
        connection.map_err(MetadataError::Unreachable)
    }

    /// The asking task: runs until nobody waits.
    async fn ask(self: Arc<Self>) {
        let asking = Asking {
            questions: self,
            is_done: false,
        };
        let this = &asking.questions;
        loop {
            match this.next() {
                Next::Rest => break,
                Next::Fetch(topics) => {
                    let outcome = this.fetch(Some(&topics)).await;
                    this.handle_outcome(&topics, outcome);
                }
                Next::Wait(until) => {
                    let until = until.map_or_else(far_away, Into::into);
                    tokio::select! {
                        biased;
                        () = this.asked.notified() => {}
                        () = sleep_until(until) => {}
                    }
                }
            }
        }
        asking.finish();
    }

    fn next(&self) -> Next {
        let mut state = self.state.lock();
        if let Some(topics) = state.refresh.poll_fetch(now()) {
            return Next::Fetch(topics);
        }
        if state.is_closed || !state.refresh.is_busy() {
            state.is_asking = false;
            return Next::Rest;
        }
        Next::Wait(state.refresh.poll_timeout())
    }

    fn handle_outcome(&self, topics: &[Str], outcome: Result<Fetched, MetadataError>) {
        let mut told: Vec<(oneshot::Sender<Answer>, Answer)> = Vec::new();
        let is_answered = outcome.is_ok();
        let events = {
            let mut state = self.state.lock();
            let State {
                topology,
                refresh,
                random,
                doubted,
                ..
            } = &mut *state;
            match outcome {
                Ok((response, context)) => {
                    let mut answers = HashMap::new();
                    for answer in &response.topics {
                        if let Some(name) = &answer.name {
                            answers.entry(name).or_insert(answer);
                        }
                    }
                    let mut is_in_doubt = false;
                    let mut take = |name: &Str| {
                        let answer = answers.get(name).copied();
                        let before = topology.topic(name);
                        let outcome = handle_topic(topology, name, answer, &context);
                        let is_news = (outcome.as_ref()).is_ok_and(|now| {
                            before.is_none_or(|before| !Arc::ptr_eq(&before, now))
                        });
                        is_in_doubt |= refresh.handle_news(name, is_news);
                        (name.clone(), outcome)
                    };
                    let outcomes: HashMap<Str, Answer> = topics.iter().map(&mut take).collect();
                    if is_in_doubt
                        && let Some(broker) = self.connections.leave_metadata(&topology.addresses())
                    {
                        tracing::debug!(%broker, "brings no news; another broker is asked");
                        *doubted = Some(broker);
                        refresh.handle_other_broker();
                    }
                    let waiting = refresh.handle_answer(topics, |name| {
                        outcomes
                            .get(name)
                            .and_then(|answer| answer.as_ref().err().cloned())
                    });
                    for (name, tellers) in waiting {
                        if let Some(answer) = outcomes.get(&name) {
                            told.extend(tellers.into_iter().map(|teller| (teller, answer.clone())));
                        }
                    }
                }
                Err(error) => {
                    let waiting = refresh.handle_failure(now(), topics, random.next_u64());
                    told.extend(
                        waiting
                            .into_iter()
                            .map(|teller| (teller, Err(error.clone()))),
                    );
                }
            }
            topology.take_events()
        };
        if is_answered {
            let is_led = |purpose: &Purpose, address: &Address| {
                self.read(|topology| leads(topology, purpose, address))
            };
            self.connections.suspect_unless(is_led);
        }
        for event in events {
            // Nobody need listen.
            let _ = self.events.send(event);
        }
        for (teller, answer) in told {
            let _ = teller.send(answer);
        }
    }
}

/// The asking task's mark. A runtime that shuts down drops the task in the middle: then somebody
/// else must be able to ask, and nobody may wait for ever.
struct Asking {
    questions: Arc<Questions>,
    is_done: bool,
}

impl Asking {
    fn finish(mut self) {
        self.is_done = true;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.is_done {
            let mut state = self.questions.state.lock();
            state.is_asking = false;
            drop(state.refresh.handle_close());
        }
    }
}

/// True if the broker at `address` leads what a connection is for, as far as is known.
fn leads(topology: &Topology, purpose: &Purpose, address: &Address) -> bool {
    match purpose {
        Purpose::Partition(topic, partition) => topology
            .leader(topic, *partition)
            .is_ok_and(|leader| leader.address == *address),
        Purpose::Broker(broker) => {
            let cluster = topology.cluster();
            let broker = cluster.broker(*broker);
            broker.is_some_and(|broker| broker.address.as_ref() == Some(address))
        }
    }
}

fn handle_topic(
    topology: &mut Topology,
    name: &Str,
    answer: Option<&TopicLeaders>,
    context: &RequestContext,
) -> Answer {
    let topic = name.clone();
    let context = || Box::new(context.clone());
    let Some(answer) = answer else {
        let context = context();
        return Err(MetadataError::LeftOut { topic, context });
    };
    topology
        .handle_topic(name, answer)
        .map_err(|code| MetadataError::Topic {
            topic,
            code,
            context: context(),
        })
}

/// True for the codes that brokers respond with while a topic is being created.
fn is_being_created(code: ErrorCode) -> bool {
    [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
    ]
    .contains(&code)
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn far_away() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(24 * 60 * 60)
}
