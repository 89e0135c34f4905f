//! Counts of what the brokers have done so far.

use std::collections::BTreeMap;

use wolff_codec::ApiKey;
use wolff_codec::ids::BrokerId;

use crate::fault::FaultId;

/// Counts of what a cluster has done since it started. Counters only grow; `connections_open` is a
/// gauge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// By broker; a broker is here from its first connection on.
    pub brokers: BTreeMap<BrokerId, BrokerStats>,
    /// Number of requests that each fault has hit.
    pub faults: BTreeMap<FaultId, u64>,
}

/// Counts of what one broker has done since the cluster started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections on which TLS could not be agreed upon: another protocol, or a certificate that
    /// one side does not accept.
    pub tls_failures: u64,
    /// Clients that proved who they are, for the first time on their connection.
    pub authentications: u64,
    /// The same on a connection where they had before (KIP-368).
    pub reauthentications: u64,
    /// Clients that were refused: wrong credentials, mechanisms that are not enabled, messages that
    /// are malformed.
    pub authentication_failures: u64,
    /// Connections that were closed because the client asked for something before it had
    /// authenticated.
    pub unauthenticated_requests: u64,
    /// Connections that were closed because the client asked for something after its session had
    /// expired.
    pub expired_sessions: u64,
    /// Connections that were closed because nothing came for too long.
    pub idle_connections_closed: u64,
    /// Requests read, by API.
    pub requests: BTreeMap<ApiKey, u64>,
    /// Responses written, by API.
    pub responses: BTreeMap<ApiKey, u64>,
    /// Batches appended.
    pub batches: u64,
    /// Records appended.
    pub records: u64,
    /// Batches that were answered with success because they had been appended before.
    pub duplicates: u64,
    /// Batches that were answered with an error, by fault or by rule.
    pub refusals: u64,
}

impl Stats {
    /// Requests of an API, read by all brokers.
    #[must_use]
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.sum(|broker| broker.requests.get(&api).copied().unwrap_or(0))
    }

    /// Responses of an API, written by all brokers.
    #[must_use]
    pub fn responses(&self, api: ApiKey) -> u64 {
        self.sum(|broker| broker.responses.get(&api).copied().unwrap_or(0))
    }

    /// Connections accepted by all brokers.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.sum(|broker| broker.connections_accepted)
    }

    /// Connections that are open now, at all brokers.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.sum(|broker| broker.connections_open)
    }

    /// Connections of all brokers on which TLS could not be agreed upon.
    #[must_use]
    pub fn tls_failures(&self) -> u64 {
        self.sum(|broker| broker.tls_failures)
    }

    /// Clients of all brokers that proved who they are, for the first time on their connection.
    #[must_use]
    pub fn authentications(&self) -> u64 {
        self.sum(|broker| broker.authentications)
    }

    /// Clients of all brokers that proved again who they are.
    #[must_use]
    pub fn reauthentications(&self) -> u64 {
        self.sum(|broker| broker.reauthentications)
    }

    /// Clients that any broker refused.
    #[must_use]
    pub fn authentication_failures(&self) -> u64 {
        self.sum(|broker| broker.authentication_failures)
    }

    /// Connections of all brokers that were closed because the session had expired.
    #[must_use]
    pub fn expired_sessions(&self) -> u64 {
        self.sum(|broker| broker.expired_sessions)
    }

    /// Connections of all brokers that were closed because nothing came for too long.
    #[must_use]
    pub fn idle_connections_closed(&self) -> u64 {
        self.sum(|broker| broker.idle_connections_closed)
    }

    /// Batches appended by all brokers.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.sum(|broker| broker.batches)
    }

    /// Records appended by all brokers.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.sum(|broker| broker.records)
    }

    /// Batches that all brokers recognised as appended before.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.sum(|broker| broker.duplicates)
    }

    /// Batches that all brokers answered with an error.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.sum(|broker| broker.refusals)
    }

    /// The number of requests a fault has hit.
    #[must_use]
    pub fn hits(&self, fault: FaultId) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    fn sum(&self, of: impl Fn(&BrokerStats) -> u64) -> u64 {
        self.brokers.values().map(of).sum()
    }
}
