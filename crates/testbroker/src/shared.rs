//! State shared by all brokers of a cluster, behind locks that nobody holds while waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;
use wolff_codec::ids::BrokerId;
use wolff_codec::messages::MetadataResponse;

use crate::config::Config;
use crate::fault::{Fault, FaultId};
use crate::fault_book::FaultBook;
use crate::model::Model;
use crate::sasl::Sasl;
use crate::stats::{BrokerStats, Stats};
#[cfg(feature = "tls")]
use crate::tls::TlsListener;

/// The cluster behind its brokers.
#[derive(Debug)]
pub(crate) struct Shared {
    config: Config,
    model: Mutex<Model>,
    faults: Mutex<FaultBook<FaultId, Fault>>,
    /// Metadata of brokers that do not notice changes any more.
    stale_metadata: Mutex<BTreeMap<BrokerId, Arc<MetadataResponse>>>,
    stats: watch::Sender<Stats>,
    sasl: Mutex<Option<Arc<Sasl>>>,
    #[cfg(feature = "tls")]
    tls: Mutex<Option<TlsListener>>,
    /// Tells whoever waits that the model or the faults have changed.
    changes: watch::Sender<()>,
    started_at: Instant,
    /// In milliseconds since the Unix epoch.
    start_time_ms: i64,
}

impl Shared {
    pub(crate) fn new(config: Config, model: Model) -> Self {
        Self {
            sasl: Mutex::new(config.sasl.clone().map(Arc::new)),
            #[cfg(feature = "tls")]
            tls: Mutex::new(config.tls.clone()),
            start_time_ms: config.start_time_ms.unwrap_or_else(system_time_ms),
            started_at: Instant::now(),
            config,
            model: Mutex::new(model),
            faults: Mutex::default(),
            stale_metadata: Mutex::default(),
            stats: watch::Sender::default(),
            changes: watch::Sender::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The model, to be read.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock()
    }

    /// Changes the model, and tells whoever waits for that.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let result = change(&mut self.model.lock());
        self.changes.send_replace(());
        result
    }

    /// Changes the faults in place, and tells whoever waits for that.
    pub(crate) fn change_faults<T>(
        &self,
        change: impl FnOnce(&mut FaultBook<FaultId, Fault>) -> T,
    ) -> T {
        let result = change(&mut self.faults.lock());
        self.changes.send_replace(());
        result
    }

    /// The metadata of a broker that does not notice changes any more.
    pub(crate) fn stale_metadata(&self, broker: BrokerId) -> Option<Arc<MetadataResponse>> {
        self.stale_metadata.lock().get(&broker).cloned()
    }

    /// Has a broker tell this, or the truth again; returns what it told so far.
    pub(crate) fn set_stale_metadata(
        &self,
        broker: BrokerId,
        stale: Option<MetadataResponse>,
    ) -> Option<Arc<MetadataResponse>> {
        let mut all = self.stale_metadata.lock();
        match stale {
            Some(stale) => all.insert(broker, Arc::new(stale)),
            None => all.remove(&broker),
        }
    }

    /// The faults in place. Drawing from them does not count as a change.
    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook<FaultId, Fault>> {
        self.faults.lock()
    }

    /// Sees every change of the model or the faults from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Waits until a fault is removed.
    pub(crate) async fn removal_of(&self, fault: FaultId) {
        let mut changes = self.changes();
        let is_removed = |_: &()| !self.faults().contains(fault);
        // The sender lives in `self`.
        let _ = changes.wait_for(is_removed).await;
    }

    /// SASL as it is configured now, if clients have to authenticate.
    pub(crate) fn sasl(&self) -> Option<Arc<Sasl>> {
        self.sasl.lock().clone()
    }

    pub(crate) fn change_sasl(&self, change: impl FnOnce(Sasl) -> Sasl) {
        let mut sasl = self.sasl.lock();
        let current = sasl.as_deref().cloned();
        let changed = change(current.unwrap_or_else(|| Sasl::new([])));
        *sasl = Some(Arc::new(changed));
    }

    /// TLS of connections that are made now, if they are encrypted.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<TlsListener> {
        self.tls.lock().clone()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_tls(&self, tls: Option<TlsListener>) {
        *self.tls.lock() = tls;
    }

    /// The time that the brokers stamp, in milliseconds since the Unix epoch. It goes on by tokio's
    /// clock from the time of the start.
    pub(crate) fn now_ms(&self) -> i64 {
        let since = i64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.start_time_ms.saturating_add(since)
    }

    pub(crate) fn stats(&self) -> &watch::Sender<Stats> {
        &self.stats
    }

    /// Counts something of a broker.
    pub(crate) fn count(&self, broker: BrokerId, count: impl FnOnce(&mut BrokerStats)) {
        self.stats
            .send_modify(|stats| count(stats.brokers.entry(broker).or_default()));
    }
}

/// The start of clusters that are given none.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a cluster's time comes from the system"
)]
fn system_time_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(i64::MAX)
}
