//! Counts of what has gone through a proxy.

use std::collections::BTreeMap;

use wolff_codec::ApiKey;

use super::fault::ProxyFaultId;

/// Counts of what has gone through a [`Proxy`](crate::Proxy) since it started. Counters only grow;
/// `connections_open` is a gauge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Connections accepted from clients.
    pub connections_accepted: u64,
    /// Connections of clients that are open now, at least on the client's side.
    pub connections_open: u64,
    /// Bytes passed on to brokers.
    pub bytes_to_broker: u64,
    /// Bytes passed on to clients.
    pub bytes_to_client: u64,
    /// Requests that were readable, by API.
    pub requests: BTreeMap<ApiKey, u64>,
    /// Responses that came from brokers to such requests, by API, whatever then became of them.
    pub responses: BTreeMap<ApiKey, u64>,
    /// Number of connections or responses that each fault has hit.
    pub faults: BTreeMap<ProxyFaultId, u64>,
}

impl ProxyStats {
    /// Requests of an API.
    #[must_use]
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.requests.get(&api).copied().unwrap_or(0)
    }

    /// Responses of an API.
    #[must_use]
    pub fn responses(&self, api: ApiKey) -> u64 {
        self.responses.get(&api).copied().unwrap_or(0)
    }

    /// Number of connections or responses that a fault has hit.
    #[must_use]
    pub fn hits(&self, fault: ProxyFaultId) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }
}
