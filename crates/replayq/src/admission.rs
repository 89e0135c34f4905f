//! Admission of appends: the queue's own limit, the one that it shares with others, and the reserve
//! of the disk.

use crate::sync::Mutex;
use bytes::Bytes;

use crate::config::{Config, Overflow};
use crate::error::AppendError;
use crate::format::segment::entry::entries_bytes;
use crate::limits::load::Load;
use crate::limits::shared::{Held, Share, SharedLimits};
use crate::signal::Signal;
use crate::store::Store;

/// The limits of one queue.
#[derive(Debug)]
pub(crate) struct Admission {
    max_total_bytes: u64,
    overflow: Overflow,
    /// Appends under way, where those beyond the limit are rejected. Locked after the ledger.
    appending: Mutex<Load>,
    share: Option<Share>,
    /// Raised when there may be room in the queue's own limit, where it shares no other.
    room: Signal,
}

/// An append under way; until it has ended it counts as held.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    appending: &'a Mutex<Load>,
    load: Load,
    _shared: Option<Held<'a>>,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut appending = self.appending.lock();
        *appending = appending.less(self.load);
    }
}

impl Admission {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max_total_bytes: config.max_total_bytes,
            overflow: config.overflow,
            appending: Mutex::new(Load::default()),
            share: config.shared_limits.clone().map(Share::new),
            room: Signal::default(),
        }
    }

    /// Looks at the limits, and makes room in those that are shared until the append has ended.
    /// Waits for room where the queue is to.
    #[inline]
    pub(crate) fn admit(
        &self,
        store: &Store,
        payloads: &[Bytes],
    ) -> Result<Option<Admitted<'_>>, AppendError> {
        if self.is_open() {
            return Ok(None);
        }
        self.admit_within_limits(store, payloads)
    }

    fn admit_within_limits(
        &self,
        store: &Store,
        payloads: &[Bytes],
    ) -> Result<Option<Admitted<'_>>, AppendError> {
        let full = match self.try_admit(store, payloads) {
            Err(full @ AppendError::Full { .. }) if self.overflow == Overflow::Block => full,
            other => return other,
        };
        let bytes = Load::of(payloads).counted_bytes();
        let shared = self.share.as_ref().map(Share::limits);
        let most = shared.map_or(u64::MAX, SharedLimits::limit_bytes);
        if bytes > most.min(self.max_total_bytes) {
            return Err(full);
        }
        // Either limit may be the one that has no room, so that both are watched: the one that all
        // share is raised with the queue's own too.
        let mut watch = shared.map_or(&self.room, SharedLimits::room).watch();
        loop {
            match self.try_admit(store, payloads) {
                Err(AppendError::Full { .. }) => {}
                other => return other,
            }
            if store.ledger().is_closed() {
                return Err(AppendError::Closed);
            }
            watch.wait(None);
        }
    }

    /// Returns whether everything is admitted.
    fn is_open(&self) -> bool {
        self.overflow == Overflow::Report && self.share.is_none()
    }

    /// There may be room: something is done, or an append under way has ended.
    #[inline]
    pub(crate) fn raise_room(&self) {
        if !self.is_open() {
            self.raise_room_for_all();
        }
    }

    fn raise_room_for_all(&self) {
        let shared = self.share.as_ref().map(Share::limits);
        shared
            .map_or(&self.room, SharedLimits::room)
            .raise_for_all();
    }

    fn try_admit(
        &self,
        store: &Store,
        payloads: &[Bytes],
    ) -> Result<Option<Admitted<'_>>, AppendError> {
        let mut admitted = if self.overflow != Overflow::Report {
            Some(self.admit_to_own_limit(store, Load::of(payloads))?)
        } else {
            None
        };
        let Some(share) = &self.share else {
            return Ok(admitted);
        };
        let limits = share.limits();
        if let Some(disk) = store.disk() {
            let check = || limits.check_disk(disk.vfs(), disk.directory(), entries_bytes(payloads));
            let checked = match check() {
                Err(_) if disk.release_spares() => check(),
                checked => checked,
            };
            checked.map_err(|free| AppendError::DiskReserve {
                free,
                reserve: limits.reserve_bytes(),
            })?;
        }
        if let Some(admitted) = &mut admitted {
            let held = share
                .try_hold(admitted.load.counted_bytes())
                .map_err(|bytes| AppendError::Full {
                    bytes,
                    limit: limits.limit_bytes(),
                })?;
            admitted._shared = Some(held);
        }
        Ok(admitted)
    }

    /// Returns whether there is room beside what is held and what others append at the same time.
    fn admit_to_own_limit(&self, store: &Store, load: Load) -> Result<Admitted<'_>, AppendError> {
        // Under this lock one append is admitted after the other, and nothing appended is missed:
        // it is in the ledger before it is no longer under way.
        let ledger = store.ledger();
        let mut appending = self.appending.lock();
        let bytes = ledger.load().plus(*appending).plus(load).counted_bytes();
        if bytes > self.max_total_bytes {
            return Err(AppendError::Full {
                bytes,
                limit: self.max_total_bytes,
            });
        }
        *appending = appending.plus(load);
        Ok(Admitted {
            appending: &self.appending,
            load,
            _shared: None,
        })
    }

    /// Updates what this queue holds in the limits that it shares.
    pub(crate) fn recount(&self, store: &Store) {
        if let Some(share) = &self.share {
            // Under the lock: an older count must not replace a newer one.
            let ledger = store.ledger();
            share.count(ledger.load().counted_bytes());
        }
    }

    /// By how many bytes the queue is over its limit, or over the one that it shares, whichever is
    /// more.
    pub(crate) fn overflow_bytes(&self, load: Load) -> i64 {
        let own = i128::from(load.counted_bytes()).saturating_sub(i128::from(self.max_total_bytes));
        let shared = self
            .share
            .as_ref()
            .map_or(i128::MIN, |share| share.limits().overflow_bytes());
        let difference = own.max(shared);
        i64::try_from(difference).unwrap_or(if difference > 0 { i64::MAX } else { i64::MIN })
    }
}
