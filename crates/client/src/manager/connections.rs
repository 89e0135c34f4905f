//! The connections of a client: one for metadata, and those to leaders as they are wanted.
//!
//! Each is opened once however many wait for it, in a task of its own, so that a slow broker delays
//! nobody but those who want that very broker. Connections to leaders live as long as somebody uses
//! them; the one for metadata lives as long as the client.

mod for_metadata;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use wolff_backoff::{BackoffPolicy, Random};
use wolff_codec::{BrokerId, PartitionId, Str};

use super::attempt::{Attempt, Running};
use super::hosts::{HostState, Hosts};
use super::passage::Passage;
use super::sharing::Crowd;
use crate::config::ClientConfig;
use crate::connection::{Connection, Settings, WeakConnection, establish};
use crate::endpoint::Address;
use crate::error::{ConnectionFailure, HostError, HostReason, RequestError};

/// Purpose of a connection to a leader.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Purpose {
    /// One partition alone, unless connections have to be shared.
    Partition(Str, PartitionId),
    /// Everything at that broker.
    Broker(BrokerId),
}

#[derive(Default)]
struct Slot {
    address: Option<Address>,
    connection: Option<WeakConnection>,
    attempt: Option<Attempt<Connection, HostError>>,
}

#[derive(Default)]
struct MetadataSlot {
    connection: Option<Connection>,
    attempt: Option<Attempt<Connection, Vec<HostError>>>,
}

struct State {
    is_closed: bool,
    metadata: MetadataSlot,
    /// In a defined order, since closing goes through all of them.
    leaders: BTreeMap<Purpose, Slot>,
    passages: HashMap<Address, Arc<Passage>>,
    crowd: Crowd,
    /// With so many slots or passages, those that nobody uses are thrown away.
    sweep_at: usize,
    random: Random,
}

/// All connections of a client.
pub(super) struct Connections {
    settings: Settings,
    bootstrap: Vec<Address>,
    backoff: BackoffPolicy,
    /// Connections that may be open to one broker, the one for metadata not counted.
    most_per_broker: usize,
    state: Mutex<State>,
    /// Also noted by the ends of connections; locked for a look, and nothing is locked under it.
    hosts: Arc<Mutex<Hosts>>,
    /// Rung when the client is closed.
    closed: Notify,
}

impl Connections {
    pub(super) fn new(
        config: &ClientConfig,
        settings: Settings,
        bootstrap: Vec<Address>,
        random: Random,
    ) -> Self {
        let state = State {
            is_closed: false,
            metadata: MetadataSlot::default(),
            leaders: BTreeMap::new(),
            passages: HashMap::new(),
            crowd: Crowd::default(),
            sweep_at: 64,
            random,
        };
        Self {
            settings,
            bootstrap,
            backoff: config.reconnect_backoff,
            most_per_broker: config.max_connections_per_broker.unwrap_or(usize::MAX),
            state: Mutex::new(state),
            hosts: Arc::default(),
            closed: Notify::new(),
        }
    }

    /// Connects to a host, and remembers how that went.
    async fn dial(&self, host: &Address) -> Result<Connection, HostError> {
        let since = now();
        self.hosts.lock().handle_attempt(since, host);
        let trying = Trying {
            connections: self,
            host,
            is_over: false,
        };
        let outcome = establish(&self.settings, host).await;
        trying.finish(since, &outcome);
        if let Ok(connection) = &outcome {
            let hosts = Arc::clone(&self.hosts);
            connection.watch_failed_request(Box::new(move |error| {
                hosts.lock().handle_request_failed(now(), error, false);
            }));
        }
        outcome
    }

    /// A connection was of no use: a request on it had no response in time.
    pub(super) fn handle_useless(&self, error: &RequestError) {
        self.hosts.lock().handle_request_failed(now(), error, true);
    }

    /// Attempts to connect that wait for credentials at the moment.
    pub(super) fn credentials_pending(&self) -> usize {
        self.settings.credentials_pending()
    }

    /// All hosts that were ever dialled, with what came of it.
    pub(super) fn host_states(&self) -> Vec<HostState> {
        self.hosts.lock().states(now())
    }

    /// The brokers that owe a response, with the time for which they have sent nothing, the longest
    /// first.
    pub(super) fn silent(&self) -> Vec<(Address, Duration)> {
        let state = self.state.lock();
        let leaders = state.leaders.values().filter_map(Slot::open);
        let mut silent: BTreeMap<Address, Duration> = BTreeMap::new();
        for connection in leaders.chain(state.metadata.connection.clone()) {
            let silent_for = connection.link().silent_for;
            if !silent_for.is_zero() {
                let longest = silent.entry(connection.address().clone()).or_default();
                *longest = silent_for.max(*longest);
            }
        }
        let mut silent: Vec<_> = silent.into_iter().collect();
        silent.sort_by_key(|(_, silent_for)| std::cmp::Reverse(*silent_for));
        silent
    }

    /// The connection that serves `purpose`, to the broker at `address`.
    pub(super) async fn leader(
        self: &Arc<Self>,
        purpose: Purpose,
        address: Address,
    ) -> Result<Connection, HostError> {
        let outcome = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(HostError {
                    host: address,
                    reason: HostReason::ClientClosed,
                });
            }
            state.sweep();
            let slot = state.leaders.entry(purpose.clone()).or_default();
            let is_there = slot.address.as_ref() == Some(&address);
            if is_there
                && let Some(connection) = slot.connection.as_ref().and_then(|weak| weak.upgrade())
            {
                return Ok(connection);
            }
            let joined = slot.attempt.as_ref().and_then(Attempt::join);
            joined.filter(|_| is_there).unwrap_or_else(|| {
                let (attempt, running, outcome) = Attempt::start();
                // What was open to another broker goes when its last user goes.
                *slot = Slot {
                    address: Some(address.clone()),
                    connection: None,
                    attempt: Some(attempt),
                };
                tokio::spawn(Arc::clone(self).open_leader(purpose, address.clone(), running));
                outcome
            })
        };
        let abandoned = |_| {
            Err(HostError {
                host: address,
                reason: HostReason::Abandoned,
            })
        };
        outcome.await.unwrap_or_else(abandoned)
    }

    async fn open_leader(
        self: Arc<Self>,
        purpose: Purpose,
        address: Address,
        running: Running<Connection, HostError>,
    ) {
        let closed = || HostError {
            host: address.clone(),
            reason: HostReason::ClientClosed,
        };
        let attempt = self.unless_closed(self.establish_leader(&address));
        let mut outcome = attempt.await.unwrap_or_else(|| Err(closed()));
        {
            let mut state = self.state.lock();
            if state.is_closed {
                outcome = Err(closed());
            }
            // Meanwhile the leader may have moved, and a newer attempt have taken the slot.
            if let Some(slot) = state.leaders.get_mut(&purpose)
                && (slot.attempt.as_ref()).is_some_and(|attempt| attempt.is(running.attempt()))
            {
                slot.attempt = None;
                slot.connection = outcome.as_ref().ok().map(Connection::downgrade);
            }
        }
        running.finish(&outcome);
    }

    /// Connects when it is the turn of this attempt.
    async fn establish_leader(&self, address: &Address) -> Result<Connection, HostError> {
        if let Some(shared) = self.shared_if_full(address) {
            return Ok(shared);
        }
        let pass = match self.passage(address).enter().await {
            Ok(pass) => pass,
            Err(reason) => {
                let host = address.clone();
                return self.or_shared(HostError { host, reason });
            }
        };
        // Meanwhile others may have used the room up.
        if let Some(shared) = self.shared_if_full(address) {
            pass.tell(Ok(()));
            return Ok(shared);
        }
        let outcome = self.dial(address).await;
        pass.tell(outcome.as_ref().map_err(|error| &error.reason));
        outcome.or_else(|error| self.or_shared(error))
    }

    /// An open connection to the broker that others use as well, where no further one may be
    /// opened.
    fn shared_if_full(&self, address: &Address) -> Option<Connection> {
        let mut state = self.state.lock();
        let is_crowded = state.crowd.is_crowded(now(), address);
        if !is_crowded && self.most_per_broker == usize::MAX {
            return None;
        }
        let open = state.open_to(address);
        let is_full = is_crowded || open.len() >= self.most_per_broker;
        is_full.then(|| state.crowd.choose(&open)).flatten()
    }

    /// As [`Self::shared_if_full`], where a further one could not be opened.
    fn or_shared(&self, error: HostError) -> Result<Connection, HostError> {
        if !error.reason.is_crowding() {
            return Err(error);
        }
        let mut state = self.state.lock();
        let open = state.open_to(&error.host);
        let Some(shared) = state.crowd.choose(&open) else {
            return Err(error);
        };
        if state.crowd.handle_crowding(now(), &error.host) {
            tracing::warn!(
                broker = %error.host, connections = open.len(), reason = %error.reason,
                "no more connections can be opened: partitions share them from now on"
            );
        }
        Ok(shared)
    }

    /// Closes up to half of the connections to each broker, of those that have nothing in flight,
    /// and has partitions share what is left of them. Returns how many were closed.
    pub(super) fn free_descriptors(&self) -> usize {
        let closing = self.state.lock().spare(now());
        for connection in &closing {
            connection.close();
        }
        closing.len()
    }

    fn passage(&self, address: &Address) -> Arc<Passage> {
        let State {
            passages, random, ..
        } = &mut *self.state.lock();
        let passage = passages
            .entry(address.clone())
            .or_insert_with(|| Arc::new(Passage::new(self.backoff, random.fork())));
        Arc::clone(passage)
    }

    /// True if the connection for `purpose` to `address` was lost since the last call.
    pub(super) fn take_lost(&self, purpose: &Purpose, address: &Address) -> bool {
        let (life, passage) = {
            let mut state = self.state.lock();
            let State {
                leaders,
                passages,
                metadata,
                ..
            } = &mut *state;
            // What was lost to an earlier leader says nothing about this one.
            let slot = leaders.get_mut(purpose);
            let Some(slot) = slot.filter(|slot| slot.address.as_ref() == Some(address)) else {
                return false;
            };
            let Some(life) = slot.connection.as_ref().and_then(WeakConnection::lost_life) else {
                return false;
            };
            let failure = slot.connection.as_ref().and_then(WeakConnection::failure);
            if let Some(ConnectionFailure::LostWhileIdle { after, .. }) = failure
                && let Some(connection) = &metadata.connection
                && connection.idle() > after
            {
                // What dropped the one while it was idle has dropped the other one as well.
                connection.close();
            }
            slot.connection = None;
            let passage = slot
                .address
                .as_ref()
                .and_then(|address| passages.get(address));
            (life, passage.cloned())
        };
        if let Some(passage) = passage {
            passage.handle_lost(life.0, life.1);
        }
        true
    }

    /// Waits no more for silent brokers that lead no longer what their connections are for:
    /// `is_led` says whether the broker at an address still does.
    pub(super) fn suspect_unless(&self, is_led: impl Fn(&Purpose, &Address) -> bool) {
        let open: Vec<_> = {
            let state = self.state.lock();
            let slots = state.leaders.iter();
            slots
                .filter_map(|(purpose, slot)| {
                    Some((purpose.clone(), slot.address.clone()?, slot.open()?))
                })
                .collect()
        };
        for (purpose, address, connection) in open {
            if !is_led(&purpose, &address) {
                connection.suspect();
            }
        }
    }

    /// Outcome of an attempt; `None` when the client is closed meanwhile.
    async fn unless_closed<F: Future>(&self, attempt: F) -> Option<F::Output> {
        let closed = self.closed.notified();
        tokio::pin!(closed);
        closed.as_mut().enable();
        if self.state.lock().is_closed {
            return None;
        }
        tokio::select! {
            biased;
            () = closed => None,
            outcome = attempt => Some(outcome),
        }
    }

    /// Ends all connections and all attempts, and lets nobody open another one.
    pub(super) fn close(&self) {
        let (metadata, leaders) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            let metadata = std::mem::take(&mut state.metadata);
            (metadata, std::mem::take(&mut state.leaders))
        };
        self.closed.notify_waiters();
        if let Some(connection) = metadata.connection {
            connection.close();
        }
        for connection in leaders.into_values().filter_map(|slot| slot.connection) {
            connection.close();
        }
    }

    fn all_bootstrap(&self, reason: &HostReason) -> Vec<HostError> {
        let error = |host: &Address| HostError {
            host: host.clone(),
            reason: reason.clone(),
        };
        self.bootstrap.iter().map(error).collect()
    }
}

/// An attempt whose outcome is remembered; dropped, it was given up.
struct Trying<'a> {
    connections: &'a Connections,
    host: &'a Address,
    is_over: bool,
}

impl Trying<'_> {
    fn finish<T>(mut self, since: Instant, outcome: &Result<T, HostError>) {
        self.is_over = true;
        let mut hosts = self.connections.hosts.lock();
        match outcome {
            Ok(_) => hosts.handle_connected(self.host),
            Err(error) => hosts.handle_failed(now(), since, self.host, &error.reason),
        }
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut hosts = self.connections.hosts.lock();
            hosts.handle_abandoned(self.host);
        }
    }
}

impl Slot {
    fn open(&self) -> Option<Connection> {
        self.connection.as_ref().and_then(WeakConnection::upgrade)
    }
}

impl State {
    /// The connections that are open to a broker, each once.
    fn open_to(&self, address: &Address) -> Vec<Connection> {
        let mut open: Vec<Connection> = Vec::new();
        let slots = self.leaders.values();
        for slot in slots.filter(|slot| slot.address.as_ref() == Some(address)) {
            if let Some(connection) = slot.open()
                && !open.iter().any(|known| known.is_same(&connection))
            {
                open.push(connection);
            }
        }
        open
    }

    /// The connections that others can do without, for a process that is out of descriptors.
    fn spare(&mut self, now: Instant) -> Vec<Connection> {
        let addresses: BTreeSet<&Address> = (self.leaders.values())
            .filter_map(|slot| slot.address.as_ref())
            .collect();
        let addresses: Vec<Address> = addresses.into_iter().cloned().collect();
        let mut spare = Vec::new();
        for address in addresses {
            let open = self.open_to(&address);
            let most = open.len() / 2;
            let is_idle = |connection: &Connection| connection.link().bytes_in_flight == 0;
            let idle = open.into_iter().filter(is_idle).take(most);
            let before = spare.len();
            spare.extend(idle);
            if spare.len() > before {
                self.crowd.handle_crowding(now, &address);
            }
        }
        spare
    }

    /// Throws slots away that nobody uses; costs nothing on average.
    fn sweep(&mut self) {
        // Brokers whose address changes leave a passage behind each time.
        if self.leaders.len().max(self.passages.len()) < self.sweep_at {
            return;
        }
        self.leaders.retain(|_, slot| {
            let is_used =
                |weak: &WeakConnection| weak.upgrade().is_some() || weak.lost_life().is_some();
            slot.attempt.is_some() || slot.connection.as_ref().is_some_and(is_used)
        });
        self.passages
            .retain(|_, passage| Arc::strong_count(passage) > 1 || !passage.is_idle());
        let left = self.leaders.len().max(self.passages.len());
        self.sweep_at = left.saturating_mul(2).max(64);
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
