//! The connection for metadata: the first of several hosts that can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wolff_codec::BrokerId;

use super::super::attempt::{Attempt, Running};
use super::super::probe::{AdvertisedBroker, HostReport, ask_something, examine};
use super::{Connections, Slot, State, Trying, now};
use crate::connection::Connection;
use crate::endpoint::Address;
use crate::error::{HostError, HostReason};
use crate::transport::{Growth, race_staggered};

/// Time that hosts may be tried for metadata without success before more are tried beside them;
/// twice as many each time.
const STAGGER: Duration = Duration::from_millis(250);

/// Advertised addresses that are tried when hosts are examined.
const MOST_EXAMINED: usize = 100;

/// The brokers that a host names, or why it cannot be used.
type Examined = Result<Vec<(BrokerId, Option<Address>)>, HostReason>;

impl Connections {
    /// The connection for metadata. Where it has to be opened, `known` brokers are tried in random
    /// order, then the bootstrap endpoints (KIP-899), and those in `avoided` last.
    pub(in crate::manager) async fn metadata(
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
                let candidates = self.candidates(&mut state, known, avoided);
                let (attempt, running, outcome) = Attempt::start();
                state.metadata.attempt = Some(attempt);
                tokio::spawn(Arc::clone(self).open_metadata(candidates, running));
                outcome
            })
        };
        let abandoned = |_| Err(self.all_bootstrap(&HostReason::Abandoned));
        outcome.await.unwrap_or_else(abandoned)
    }

    /// Has the next question for metadata asked elsewhere, where there is anybody else. Gives whom
    /// not to ask. The connection stays for those who use it still.
    pub(in crate::manager) fn leave_metadata(&self, known: &[Address]) -> Option<Address> {
        let mut state = self.state.lock();
        let connection = state.metadata.connection.as_ref()?;
        let left = connection.address().clone();
        let mut others = known.iter().chain(&self.bootstrap);
        others.any(|host| *host != left).then(|| {
            state.metadata.connection = None;
            left
        })
    }

    /// The broker that is asked for metadata and owes a response, and how long it has been silent.
    pub(in crate::manager) fn silent_metadata(&self) -> Option<(Address, Duration)> {
        let state = self.state.lock();
        let connection = state.metadata.connection.as_ref()?;
        let silent_for = connection.link().silent_for;
        (!silent_for.is_zero()).then(|| (connection.address().clone(), silent_for))
    }

    /// True if there is a connection for metadata already.
    pub(in crate::manager) fn has_metadata(&self) -> bool {
        let state = self.state.lock();
        let connection = state.metadata.connection.as_ref();
        connection.is_some_and(|connection| !connection.is_closed())
    }

    /// All hosts that can be asked for metadata, in the order in which they are tried.
    pub(in crate::manager) fn metadata_hosts(
        &self,
        known: Vec<Address>,
        avoided: &[Address],
    ) -> Vec<Address> {
        self.candidates(&mut self.state.lock(), known, avoided)
    }

    /// Connects to a host beside the connection for metadata, which this one may replace. Where
    /// there is no room for a further connection, an open one to that host serves.
    pub(in crate::manager) async fn dial_metadata(
        &self,
        host: &Address,
    ) -> Result<Connection, HostError> {
        let closed = || HostError {
            host: host.clone(),
            reason: HostReason::ClientClosed,
        };
        let outcome = self.unless_closed(self.dial(host)).await;
        match outcome.unwrap_or_else(|| Err(closed())) {
            Err(error) if error.reason.is_crowding() => {
                let open = self.state.lock().open_to(host).into_iter().next();
                open.ok_or(error)
            }
            outcome => outcome,
        }
    }

    /// Has the next question for metadata asked on this connection. The one before stays for those
    /// who use it still.
    pub(in crate::manager) fn use_for_metadata(&self, connection: Connection) {
        let mut state = self.state.lock();
        match state.is_closed {
            true => connection.close(),
            false => state.metadata.connection = Some(connection),
        }
    }

    async fn open_metadata(
        self: Arc<Self>,
        candidates: Vec<Address>,
        running: Running<Connection, Vec<HostError>>,
    ) {
        let attempts = candidates.iter().map(|host| self.dial(host));
        let race = race_staggered(attempts, STAGGER, Growth::Doubling);
        let mut outcome = self.unless_closed(race).await.unwrap_or(Err(Vec::new()));
        {
            let mut state = self.state.lock();
            state.metadata.attempt = None;
            if state.is_closed {
                outcome = Err(self.all_bootstrap(&HostReason::ClientClosed));
            }
            outcome = outcome.or_else(|errors| self.instead(&mut state, errors));
            state.metadata.connection = outcome.as_ref().ok().cloned();
        }
        running.finish(&outcome);
    }

    /// Connection to a leader, which serves if one for metadata cannot be opened for want of room.
    fn instead(
        &self,
        state: &mut State,
        mut errors: Vec<HostError>,
    ) -> Result<Connection, Vec<HostError>> {
        let is_crowded = errors.iter().any(|error| error.reason.is_crowding());
        let mut open = state.leaders.values().filter_map(Slot::open);
        if is_crowded && let Some(connection) = open.next() {
            return Ok(connection);
        }
        // As the user named them, whatever the order was in which they were tried.
        let place = |error: &HostError| self.bootstrap.iter().position(|host| *host == error.host);
        errors.sort_by_key(|error| place(error).unwrap_or(usize::MAX));
        Err(errors)
    }

    /// Tries every bootstrap endpoint by itself, all at the same time, and then the addresses that
    /// the brokers advertise.
    pub(in crate::manager) async fn probe(self: &Arc<Self>) -> Vec<HostReport> {
        let mut reports = Vec::new();
        let mut tried = BTreeMap::new();
        for (host, outcome) in self.examine_all(&self.bootstrap).await {
            let named = outcome.as_ref().map_or(Vec::new(), Vec::clone);
            tried.insert(host.clone(), outcome.clone().map(drop));
            let outcome = outcome.map(drop);
            reports.push((host, outcome, named));
        }
        let named = reports.iter().flat_map(|(_, _, named)| named);
        let addresses = named.filter_map(|(_, address)| address.clone());
        let new: BTreeSet<_> = addresses
            .filter(|address| !tried.contains_key(address))
            .collect();
        let new: Vec<_> = new.into_iter().take(MOST_EXAMINED).collect();
        for (host, outcome) in self.examine_all(&new).await {
            tried.insert(host, outcome.map(drop));
        }
        let broker = |(id, address): (BrokerId, Option<Address>)| AdvertisedBroker {
            outcome: (address.as_ref())
                .and_then(|address| tried.get(address).cloned())
                .unwrap_or(Ok(())),
            id,
            address,
        };
        let report = |(host, outcome, named): (_, _, Vec<_>)| HostReport {
            host,
            outcome,
            brokers: named.into_iter().map(broker).collect(),
        };
        reports.into_iter().map(report).collect()
    }

    async fn examine_all(self: &Arc<Self>, hosts: &[Address]) -> Vec<(Address, Examined)> {
        let probe = |host: &Address| {
            let (this, address) = (Arc::clone(self), host.clone());
            let probe = tokio::spawn(async move {
                let closed = Err(HostReason::ClientClosed);
                let Some(connection) = this.unless_closed(this.dial(&address)).await else {
                    return closed;
                };
                let connection = connection.map_err(|error| error.reason)?;
                let question = examine(&connection, this.settings.connect_timeout());
                let answered = this.unless_closed(question).await;
                connection.close();
                answered.unwrap_or(closed)
            });
            (host.clone(), probe)
        };
        let probes: Vec<_> = hosts.iter().map(probe).collect();
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

    /// Checks that some broker responds: the one for metadata, or the first of all that can be
    /// dialled. One that shakes hands and then says nothing does not keep the others from being
    /// tried.
    pub(in crate::manager) async fn check(
        self: &Arc<Self>,
        known: Vec<Address>,
    ) -> Result<(), Vec<HostError>> {
        let (open, candidates) = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(self.all_bootstrap(&HostReason::ClientClosed));
            }
            let open = state.metadata.connection.clone();
            (open, self.candidates(&mut state, known, &[]))
        };
        let after = self.settings.connect_timeout();
        if let Some(open) = open.filter(|open| !open.is_closed()) {
            if ask_something(&open, after).await.is_ok() {
                return Ok(());
            }
            // A connection that was idle may be gone without having noticed; a new one is not.
            open.close();
        }
        let attempts = candidates.iter().map(|host| self.dial_and_ask(host));
        let race = race_staggered(attempts, STAGGER, Growth::Doubling);
        let outcome = self.unless_closed(race).await.unwrap_or(Err(Vec::new()));
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(self.all_bootstrap(&HostReason::ClientClosed));
        }
        let connection = outcome.or_else(|errors| self.instead(&mut state, errors))?;
        state.metadata.connection.get_or_insert(connection);
        Ok(())
    }

    /// Connects to a host that responds to a request as well. One that closes the connection
    /// instead gets a second one.
    async fn dial_and_ask(&self, host: &Address) -> Result<Connection, HostError> {
        match self.dial_and_ask_once(host).await {
            Err(error) if error.reason == HostReason::ClosedAtFirstQuestion => {
                self.dial_and_ask_once(host).await
            }
            outcome => outcome,
        }
    }

    async fn dial_and_ask_once(&self, host: &Address) -> Result<Connection, HostError> {
        let connection = self.dial(host).await?;
        let since = now();
        let after = self.settings.connect_timeout();
        let trying = Trying {
            connections: self,
            host,
            is_over: false,
        };
        self.hosts.lock().handle_attempt(since, host);
        let outcome = ask_something(&connection, after).await;
        let outcome = outcome.map(|()| connection).map_err(|reason| HostError {
            host: host.clone(),
            reason,
        });
        trying.finish(since, &outcome);
        outcome
    }

    fn candidates(
        &self,
        state: &mut State,
        known: Vec<Address>,
        avoided: &[Address],
    ) -> Vec<Address> {
        let hosts = self.hosts.lock();
        hosts.order(now(), known, &self.bootstrap, avoided, &mut state.random)
    }
}
