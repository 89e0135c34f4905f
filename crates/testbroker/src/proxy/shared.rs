//! State shared by all connections of a proxy.

use parking_lot::Mutex;
use tokio::sync::watch;
use wolff_codec::ApiKey;

use super::conditions::{Conditions, Direction};
use super::fault::{Fate, Incident, ProxyFault, ProxyFaultId, ResponseEffect};
use super::stats::ProxyStats;
use crate::fault_book::FaultBook;

/// The state of a proxy that its connections see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    to_broker: watch::Sender<Conditions>,
    to_client: watch::Sender<Conditions>,
    /// End ordered for all connections that are open. The value from the start is for nobody.
    pub(super) orders: watch::Sender<Fate>,
    pub(super) stats: watch::Sender<ProxyStats>,
    faults: Mutex<FaultBook<ProxyFaultId, ProxyFault>>,
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            to_broker: watch::Sender::default(),
            to_client: watch::Sender::default(),
            orders: watch::Sender::new(Fate::Close),
            stats: watch::Sender::default(),
            faults: Mutex::default(),
        }
    }

    pub(super) fn conditions(&self, direction: Direction) -> &watch::Sender<Conditions> {
        match direction {
            Direction::ToBroker => &self.to_broker,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) fn change_faults<T>(
        &self,
        change: impl FnOnce(&mut FaultBook<ProxyFaultId, ProxyFault>) -> T,
    ) -> T {
        change(&mut self.faults.lock())
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut ProxyStats)) {
        self.stats.send_modify(count);
    }

    /// Draws the faults that a new connection will meet, and counts it.
    pub(super) fn incidents(&self, upstream: &str) -> Vec<(Direction, Incident)> {
        let drawn = self.faults.lock().draw_for_connection(upstream);
        self.count_hits(drawn.iter().map(|(id, ..)| *id));
        drawn
            .into_iter()
            .map(|(_, direction, incident)| (direction, incident))
            .collect()
    }

    /// Draws the faults that a response meets, and counts them and the response.
    pub(super) fn response_effects(&self, upstream: &str, api: ApiKey) -> Vec<ResponseEffect> {
        let drawn = self.faults.lock().draw_for_response(upstream, api);
        self.count(|stats| *stats.responses.entry(api).or_default() += 1);
        self.count_hits(drawn.iter().map(|(id, _)| *id));
        drawn.into_iter().map(|(_, effect)| effect).collect()
    }

    fn count_hits(&self, ids: impl ExactSizeIterator<Item = ProxyFaultId>) {
        if ids.len() > 0 {
            self.count(|stats| {
                for id in ids {
                    *stats.faults.entry(id).or_default() += 1;
                }
            });
        }
    }
}
