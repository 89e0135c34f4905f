//! The connections of a client: one for metadata, and those to leaders as they are wanted.
//!
//! Each is opened once however many wait for it, in a task of its own, so that a slow broker delays
//! nobody but those who want that very broker. Connections to leaders live as long as somebody uses
//! them; the one for metadata lives as long as the client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use wolff_backoff::{BackoffPolicy, Random};
use wolff_codec::{BrokerId, PartitionId, Str};

use super::attempt::{Attempt, Running};
use super::passage::Passage;
use super::probe::ask_something;
use crate::connection::{Connection, Settings, WeakConnection, establish};
use crate::endpoint::Address;
use crate::error::{HostError, HostReason};
use crate::transport::race_staggered;

/// How long one host may be alone in being tried for metadata before the next one is tried as well.
const STAGGER: Duration = Duration::from_secs(1);

/// What a connection to a leader is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// One partition alone.
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
    /// With so many slots or passages, those that nobody uses are thrown away.
    sweep_at: usize,
    random: Random,
}

/// All connections of a client.
pub(super) struct Connections {
    settings: Settings,
    bootstrap: Vec<Address>,
    backoff: BackoffPolicy,
    state: Mutex<State>,
    /// Rung when the client is closed.
    closed: Notify,
}

impl Connections {
    pub(super) fn new(
        settings: Settings,
        bootstrap: Vec<Address>,
        backoff: BackoffPolicy,
        random: Random,
    ) -> Self {
        let state = State {
            is_closed: false,
            metadata: MetadataSlot::default(),
            leaders: BTreeMap::new(),
            passages: HashMap::new(),
            sweep_at: 64,
            random,
        };
        Self {
            settings,
            bootstrap,
            backoff,
            state: Mutex::new(state),
            closed: Notify::new(),
        }
    }

    /// The connection for metadata. Where it has to be opened, `known` brokers are tried in random
    /// order, then the bootstrap endpoints in theirs (KIP-899), and those in `avoided` last.
    pub(super) async fn metadata(
        self: &Arc<Self>,
        known: Vec<Address>,
        avoided: &[Address],
    ) -> Result<Connection, Vec<HostError>> {
        let outcome = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(self.all_bootstrap(&HostReason::ClientClosed));
            }
            if let Some(connection) = &state.metadata.connection
                && !connection.is_closed()
            {
                return Ok(connection.clone());
            }
            let joined = state.metadata.attempt.as_ref().and_then(Attempt::join);
            joined.unwrap_or_else(|| {
                let candidates = self.candidates(known, avoided, &mut state.random);
                let (attempt, running, outcome) = Attempt::start();
                state.metadata.attempt = Some(attempt);
                tokio::spawn(Arc::clone(self).open_metadata(candidates, running));
                outcome
            })
        };
        let abandoned = |_| Err(self.all_bootstrap(&HostReason::Abandoned));
        outcome.await.unwrap_or_else(abandoned)
    }

    /// Has the next question for metadata asked elsewhere, where there is anybody else. Gives whom not to ask. The
    /// connection stays for those who use it still.
    pub(super) fn leave_metadata(&self, known: &[Address]) -> Option<Address> {
        let mut state = self.state.lock();
        let connection = state.metadata.connection.as_ref()?;
        let left = connection.address().clone();
        let mut others = known.iter().chain(&self.bootstrap);
        others.any(|host| *host != left).then(|| {
            state.metadata.connection = None;
            left
        })
    }

    async fn open_metadata(
        self: Arc<Self>,
        candidates: Vec<Address>,
        running: Running<Connection, Vec<HostError>>,
    ) {
        let attempts = candidates
            .iter()
            .map(|host| establish(&self.settings, host));
        let race = race_staggered(attempts, STAGGER);
        let mut outcome = self.unless_closed(race).await.unwrap_or(Err(Vec::new()));
        {
            let mut state = self.state.lock();
            state.metadata.attempt = None;
            if state.is_closed {
                outcome = Err(self.all_bootstrap(&HostReason::ClientClosed));
            }
            state.metadata.connection = outcome.as_ref().ok().cloned();
        }
        running.finish(&outcome);
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
        let entered = self.passage(address).enter().await;
        let told = |reason| HostError {
            host: address.clone(),
            reason,
        };
        let pass = entered.map_err(told)?;
        let outcome = establish(&self.settings, address).await;
        pass.tell(outcome.as_ref().map_err(|error| &error.reason));
        outcome
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

    /// Whether the connection for `purpose` was lost since the last time this was asked.
    pub(super) fn take_lost(&self, purpose: &Purpose) -> bool {
        let (life, passage) = {
            let mut state = self.state.lock();
            let State {
                leaders, passages, ..
            } = &mut *state;
            let Some(slot) = leaders.get_mut(purpose) else {
                return false;
            };
            let Some(life) = slot.connection.as_ref().and_then(WeakConnection::lost_life) else {
                return false;
            };
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

    /// Tries every bootstrap endpoint by itself, all at the same time.
    pub(super) async fn probe(self: &Arc<Self>) -> Vec<(Address, Result<(), HostReason>)> {
        let probe = |host: &Address| {
            let (this, address) = (Arc::clone(self), host.clone());
            let probe = tokio::spawn(async move {
                let closed = Err(HostReason::ClientClosed);
                let Some(connection) = this
                    .unless_closed(establish(&this.settings, &address))
                    .await
                else {
                    return closed;
                };
                let connection = connection.map_err(|error| error.reason)?;
                let question = ask_something(&connection, this.settings.connect_timeout());
                let answered = this.unless_closed(question).await;
                connection.close();
                answered.unwrap_or(closed)
            });
            (host.clone(), probe)
        };
        let probes: Vec<_> = self.bootstrap.iter().map(probe).collect();
        let mut outcomes = Vec::new();
        for (host, probe) in probes {
            let outcome = match probe.await {
                Ok(outcome) => outcome,
                Err(_gone) => Err(HostReason::Abandoned),
            };
            outcomes.push((host, outcome));
        }
        outcomes
    }

    /// Whether some broker answers: the one for metadata.
    pub(super) async fn check(self: &Arc<Self>, known: Vec<Address>) -> Result<(), Vec<HostError>> {
        let connection = self.metadata(known.clone(), &[]).await?;
        let after = self.settings.connect_timeout();
        if ask_something(&connection, after).await.is_ok() {
            return Ok(());
        }
        // A connection that was idle may be gone without having noticed; a new one is not.
        connection.close();
        let avoided = [connection.address().clone()];
        let connection = self.metadata(known, &avoided).await?;
        let outcome = ask_something(&connection, after).await;
        outcome.map_err(|reason| {
            connection.close();
            let host = connection.address().clone();
            vec![HostError { host, reason }]
        })
    }

    /// What comes of an attempt; nothing when the client is closed meanwhile.
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

    fn candidates(
        &self,
        mut known: Vec<Address>,
        avoided: &[Address],
        random: &mut Random,
    ) -> Vec<Address> {
        random.shuffle(&mut known);
        for host in &self.bootstrap {
            if !known.contains(host) {
                known.push(host.clone());
            }
        }
        // Stable: otherwise the order stays.
        known.sort_by_key(|host| avoided.contains(host));
        known
    }

    fn all_bootstrap(&self, reason: &HostReason) -> Vec<HostError> {
        let error = |host: &Address| HostError {
            host: host.clone(),
            reason: reason.clone(),
        };
        self.bootstrap.iter().map(error).collect()
    }
}

impl State {
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
