//! The hosts of a cluster as this client has experienced them, and the order in which they are
//! tried: no I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wolff_backoff::Random;

use crate::endpoint::Address;
use crate::error::{HostReason, RequestError};

/// A host that failed is tried after the others for this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Hosts that are remembered; more than any cluster has.
const MOST_HOSTS: usize = 10_000;

/// The state of a host that this client has tried to reach, for statistics and reports.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostState {
    /// Address at which it was dialled.
    pub address: Address,
    /// Attempts that failed since one last succeeded.
    pub failures: u32,
    /// Why the last attempt failed; `None` when it succeeded, or while the first one is running.
    pub last_failure: Option<HostReason>,
    /// The time since then.
    pub failed_ago: Option<Duration>,
    /// The duration of the last attempt that failed.
    pub took: Option<Duration>,
    /// The time that the running attempt has taken so far, if there is one.
    pub trying_for: Option<Duration>,
    /// Why the last request that failed has no response; it stays when later ones succeed.
    pub last_request_failure: Option<RequestError>,
    /// The time since then.
    pub request_failed_ago: Option<Duration>,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    last_failure: Option<(HostReason, Instant, Duration)>,
    last_request_failure: Option<(RequestError, Instant)>,
    trying_since: Option<Instant>,
    /// When something failed last, if nothing was connected after it: tried after the others.
    avoided_since: Option<Instant>,
}

/// History of hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    records: BTreeMap<Address, Record>,
}

impl Hosts {
    /// An attempt begins.
    pub(super) fn handle_attempt(&mut self, now: Instant, host: &Address) {
        if self.records.len() >= MOST_HOSTS && !self.records.contains_key(host) {
            self.records
                .retain(|_, record| record.trying_since.is_some());
        }
        let record = self.records.entry(host.clone()).or_default();
        record.trying_since.get_or_insert(now);
    }

    /// The attempt that began at `since` has failed.
    pub(super) fn handle_failed(
        &mut self,
        now: Instant,
        since: Instant,
        host: &Address,
        reason: &HostReason,
    ) {
        let record = self.records.entry(host.clone()).or_default();
        record.failures = record.failures.saturating_add(1);
        let took = now.saturating_duration_since(since);
        record.last_failure = Some((reason.clone(), now, took));
        record.trying_since = None;
        record.avoided_since = Some(now);
    }

    /// A request to a host that was connected to has no response. A host that `is_useless` is tried
    /// after others, as one that cannot be connected to.
    pub(super) fn handle_request_failed(
        &mut self,
        now: Instant,
        error: &RequestError,
        is_useless: bool,
    ) {
        let host = error.context().address().clone();
        let record = self.records.entry(host).or_default();
        record.last_request_failure = Some((error.clone(), now));
        if is_useless {
            record.avoided_since = Some(now);
        }
    }

    /// An attempt has succeeded.
    pub(super) fn handle_connected(&mut self, host: &Address) {
        let record = self.records.entry(host.clone()).or_default();
        *record = Record {
            last_request_failure: record.last_request_failure.take(),
            ..Record::default()
        };
    }

    /// An attempt was given up, since another host was faster.
    pub(super) fn handle_abandoned(&mut self, host: &Address) {
        if let Some(record) = self.records.get_mut(host) {
            record.trying_since = None;
        }
    }

    /// All hosts that were ever tried, by address.
    pub(super) fn states(&self, now: Instant) -> Vec<HostState> {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let state = |(address, record): (&Address, &Record)| HostState {
            address: address.clone(),
            failures: record.failures,
            last_failure: record
                .last_failure
                .as_ref()
                .map(|failure| failure.0.clone()),
            failed_ago: record.last_failure.as_ref().map(|failure| ago(failure.1)),
            took: record.last_failure.as_ref().map(|failure| failure.2),
            trying_for: record.trying_since.map(ago),
            last_request_failure: (record.last_request_failure.as_ref())
                .map(|(error, _)| error.clone()),
            request_failed_ago: (record.last_request_failure.as_ref()).map(|(_, at)| ago(*at)),
        };
        self.records.iter().map(state).collect()
    }

    /// The order in which hosts are tried for metadata: brokers that are known, then the bootstrap
    /// hosts (KIP-899), both in random order; after them those that failed lately, the longest ago
    /// first, and at the end those in `avoided`.
    pub(super) fn order(
        &self,
        now: Instant,
        mut known: Vec<Address>,
        bootstrap: &[Address],
        avoided: &[Address],
        random: &mut Random,
    ) -> Vec<Address> {
        random.shuffle(&mut known);
        let mut others: Vec<_> = (bootstrap.iter())
            .filter(|host| !known.contains(host))
            .cloned()
            .collect();
        random.shuffle(&mut others);
        known.append(&mut others);
        let failed_at = |host: &Address| {
            let at = self.records.get(host)?.avoided_since?;
            (now.saturating_duration_since(at) < REMEMBERED).then_some(at)
        };
        // Stable: otherwise the order stays.
        known.sort_by_key(|host| (avoided.contains(host), failed_at(host)));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Address {
        Address::new(name, 9092)
    }

    #[test]
    fn known_brokers_come_first_then_bootstrap_hosts_both_shuffled() {
        let hosts = Hosts::default();
        let now = Instant::now();
        let (known, bootstrap) = (["k1", "k2"].map(host), ["b1", "k1", "b2"].map(host));
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut random = Random::from_seed(seed);
            let order = hosts.order(now, known.to_vec(), &bootstrap, &[], &mut random);
            assert_eq!(order.len(), 4);
            assert!(known.contains(&order[0]) && known.contains(&order[1]));
            orders.insert(order);
        }
        assert_eq!(orders.len(), 4);
    }

    #[test]
    fn a_host_that_failed_is_tried_after_the_others_until_that_is_long_ago() {
        let mut hosts = Hosts::default();
        let start = Instant::now();
        let bootstrap = ["dead", "older", "fine", "avoided"].map(host);
        let reason = HostReason::Refused;
        let later = start + Duration::from_secs(1);
        hosts.handle_failed(start, start, &host("older"), &reason);
        hosts.handle_failed(later, start, &host("dead"), &reason);
        let mut random = Random::from_seed(1);
        let avoided = [host("avoided")];
        let order = hosts.order(later, Vec::new(), &bootstrap, &avoided, &mut random);
        assert_eq!(order, ["fine", "older", "dead", "avoided"].map(host));

        let firsts: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| {
                let mut random = Random::from_seed(seed);
                let now = later + REMEMBERED;
                hosts.order(now, Vec::new(), &bootstrap, &[], &mut random)[0].clone()
            })
            .collect();
        assert_eq!(firsts.len(), 4, "forgiven");
    }

    #[test]
    fn what_happened_to_a_host_is_reported_until_it_is_reached() {
        let mut hosts = Hosts::default();
        let start = Instant::now();
        hosts.handle_attempt(start, &host("a"));
        let now = start + Duration::from_secs(2);
        assert_eq!(
            hosts.states(now)[0].trying_for,
            Some(Duration::from_secs(2))
        );
        hosts.handle_failed(now, start, &host("a"), &HostReason::Refused);
        let state = &hosts.states(now + Duration::from_secs(3))[0];
        assert_eq!(state.failures, 1);
        assert_eq!(state.last_failure, Some(HostReason::Refused));
        assert_eq!(state.took, Some(Duration::from_secs(2)));
        assert_eq!(state.failed_ago, Some(Duration::from_secs(3)));
        assert_eq!(state.trying_for, None);
        hosts.handle_connected(&host("a"));
        let state = &hosts.states(now)[0];
        assert_eq!((state.failures, &state.last_failure), (0, &None));
    }

    #[test]
    fn hosts_that_come_and_go_do_not_fill_the_memory() {
        let mut hosts = Hosts::default();
        let now = Instant::now();
        for number in 0..3 * MOST_HOSTS {
            let host = host(&format!("host-{number}"));
            hosts.handle_attempt(now, &host);
            hosts.handle_abandoned(&host);
        }
        assert!(hosts.states(now).len() <= MOST_HOSTS);
    }
}
