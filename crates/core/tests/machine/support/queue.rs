//! A local queue in memory that fails on request, loses items, and can be opened again as after
//! a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use wolff_core::{
    AppendedLease, LeaseNo, LocalLease, LocalQueue, Recovered, RecoveredLease, StorageError,
};

/// The way in which an operation fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing was done.
    NotDone,
    /// It was done, and is reported as failed.
    DoneAndInDoubt,
}

/// Faults of the next operations, in order.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) appends: u32,
    /// Appends that are done for the next run, and in doubt for this one.
    pub(crate) appends_in_doubt: u32,
    pub(crate) leases: u32,
    pub(crate) tags: VecDeque<Fault>,
    /// Appends that cannot lease at the same time.
    pub(crate) unleased: u32,
    /// Appends that lease at the same time, and whose lease cannot be read then.
    pub(crate) unread: u32,
    /// Releases that fail.
    pub(crate) releases: u32,
}

#[derive(Debug, Default)]
struct Lease {
    items: Vec<u64>,
    tag: Option<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Items that are in the queue, leased or not.
    pub(crate) items: BTreeMap<u64, Bytes>,
    /// Items that the queue has lost.
    pub(crate) lost: BTreeSet<u64>,
    /// Items of appends in doubt, which the next run finds.
    appears_later: Vec<(u64, Bytes)>,
    pub(crate) faults: Faults,
    /// Tags in the order in which they were written, with the number of the lease.
    pub(crate) tags: Vec<(u64, Bytes)>,
    pub(crate) acks: u64,
    /// Durable writes: appends, tags, appends that lease and tag.
    pub(crate) writes: u64,
    leases: BTreeMap<u64, Lease>,
    next_item: u64,
    next_lease: u64,
}

/// A handle to the queue, which outlives the driver.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue(Arc<Mutex<State>>);

/// A queue as a new run finds it.
#[derive(Debug)]
pub(crate) struct Reopened {
    pub(crate) recovered: Recovered,
    pub(crate) leases: Vec<u64>,
}

fn failed() -> StorageError {
    StorageError::new(std::io::Error::other("injected"))
}

impl State {
    /// The tag of the oldest lease is lost to damage: its items wait again.
    pub(crate) fn lose_oldest_tag(&mut self) {
        let oldest = self
            .leases
            .values_mut()
            .min_by_key(|lease| lease.items.first().copied());
        assert!(oldest.unwrap().tag.take().is_some());
    }

    /// Stores items, and says that this cannot be known.
    fn append_in_doubt(&mut self, payloads: &[Bytes]) -> Option<StorageError> {
        self.faults.appends_in_doubt = self.faults.appends_in_doubt.checked_sub(1)?;
        for payload in payloads {
            self.appears_later.push((self.next_item, payload.clone()));
            self.next_item += 1;
        }
        let error = std::io::Error::other("injected");
        Some(StorageError::in_doubt(error))
    }

    fn is_leased(&self, item: u64) -> bool {
        self.leases
            .values()
            .any(|lease| lease.items.contains(&item))
    }

    /// Items that are not leased, oldest first.
    fn free(&self) -> Vec<u64> {
        let items = self.items.keys().copied();
        items.filter(|item| !self.is_leased(*item)).collect()
    }

    fn append(&mut self, payloads: &[Bytes]) -> u64 {
        let first = self.next_item;
        for payload in payloads {
            self.items.insert(self.next_item, payload.clone());
            self.next_item += 1;
        }
        self.writes += 1;
        first
    }

    fn read(&self, items: &[u64]) -> Vec<(u64, Bytes)> {
        items
            .iter()
            .filter(|item| !self.lost.contains(item))
            .filter_map(|item| Some((*item, self.items.get(item)?.clone())))
            .collect()
    }

    fn lease(
        &mut self,
        max_items: usize,
        stop_before: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<LocalLease<u64>> {
        let mut items = Vec::new();
        for item in self.free() {
            if self.lost.contains(&item) {
                self.items.remove(&item);
                continue;
            }
            let payload = &self.items[&item];
            if items.len() == max_items || stop_before(payload) {
                break;
            }
            items.push(item);
        }
        if items.is_empty() {
            return None;
        }
        let id = self.next_lease;
        self.next_lease += 1;
        let read = self.read(&items);
        self.leases.insert(id, Lease { items, tag: None });
        Some(LocalLease { id, items: read })
    }
}

impl Queue {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Items in the queue, leased or not.
    pub(crate) fn len(&self) -> usize {
        self.state().items.len()
    }

    pub(crate) fn open_leases(&self) -> usize {
        self.state().leases.len()
    }

    /// As a new run finds it: leases with tags are open, the others were given back.
    pub(crate) fn reopen(&self) -> Reopened {
        let mut state = self.state();
        let appeared = std::mem::take(&mut state.appears_later);
        state.items.extend(appeared);
        let lost = std::mem::take(&mut state.lost);
        state.items.retain(|item, _| !lost.contains(item));
        state.faults = Faults::default();
        state.leases.retain(|_, lease| lease.tag.is_some());
        let mut leases: Vec<(u64, Vec<u64>, Option<Bytes>)> = state
            .leases
            .iter()
            .map(|(id, lease)| (*id, lease.items.clone(), lease.tag.clone()))
            .collect();
        leases.sort_by_key(|(_, items, _)| items.first().copied());
        let recovered = Recovered {
            lost_items: 0,
            leases: (0..)
                .zip(&leases)
                .map(|(number, (_, items, tag))| RecoveredLease {
                    lease: LeaseNo(number),
                    last_item: *items.last().unwrap(),
                    tag: tag.clone().unwrap_or_default(),
                })
                .collect(),
            through: state.items.keys().next_back().copied(),
            items: state.items.len() as u64,
            bytes: state.items.values().map(|item| item.len() as u64).sum(),
            commit_tag: Bytes::new(),
        };
        Reopened {
            recovered,
            leases: leases.into_iter().map(|(id, ..)| id).collect(),
        }
    }
}

impl LocalQueue for Queue {
    type Lease = u64;

    fn append(&self, payloads: &[Bytes]) -> Result<u64, StorageError> {
        let mut state = self.state();
        if state.faults.appends > 0 {
            state.faults.appends -= 1;
            return Err(failed());
        }
        if let Some(error) = state.append_in_doubt(payloads) {
            return Err(error);
        }
        Ok(state.append(payloads))
    }

    fn append_leased(
        &self,
        payloads: &[Bytes],
        from: Option<u64>,
        tag: &Bytes,
    ) -> Result<Option<AppendedLease<u64>>, StorageError> {
        let mut state = self.state();
        if state.faults.unleased > 0 {
            state.faults.unleased -= 1;
            return Ok(None);
        }
        if state.faults.appends > 0 {
            state.faults.appends -= 1;
            return Err(failed());
        }
        if let Some(error) = state.append_in_doubt(payloads) {
            return Err(error);
        }
        if let Some(fault) = state.faults.tags.pop_front() {
            if fault == Fault::DoneAndInDoubt {
                // Written, and given up: its ids are never used again.
                state.next_item += payloads.len() as u64;
            }
            return Err(failed());
        }
        let lost = state.lost.clone();
        let oldest = state.free().into_iter().find(|item| !lost.contains(item));
        if oldest != from {
            // An item that the machine does not know of, such as one of a batch that was lost
            // in part: a queue leases at the front only.
            return Ok(None);
        }
        let first = state.append(payloads);
        let items = state.free();
        let id = state.next_lease;
        state.next_lease += 1;
        state.tags.push((id, tag.clone()));
        let read = state.read(&items);
        let tag = Some(tag.clone());
        state.leases.insert(id, Lease { items, tag });
        let is_unread = state.faults.unread > 0;
        state.faults.unread -= u32::from(is_unread);
        Ok(Some(AppendedLease {
            first_item: first,
            lease: id,
            items: if is_unread { Err(failed()) } else { Ok(read) },
        }))
    }

    fn lease(
        &self,
        max_items: usize,
        stop_before: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<LocalLease<u64>>, StorageError> {
        let mut state = self.state();
        if state.faults.leases > 0 {
            state.faults.leases -= 1;
            return Err(failed());
        }
        Ok(state.lease(max_items, stop_before))
    }

    fn reload(&self, lease: u64) -> Result<LocalLease<u64>, StorageError> {
        let mut state = self.state();
        if state.faults.leases > 0 {
            state.faults.leases -= 1;
            return Err(failed());
        }
        let items = state.leases[&lease].items.clone();
        Ok(LocalLease {
            id: lease,
            items: state.read(&items),
        })
    }

    fn release(&self, lease: u64) -> Result<(), StorageError> {
        let mut state = self.state();
        if state.faults.releases > 0 {
            state.faults.releases -= 1;
            return Err(failed());
        }
        assert!(state.leases.remove(&lease).is_some());
        Ok(())
    }

    fn tag(&self, lease: u64, tag: Bytes) -> Result<(), StorageError> {
        let mut state = self.state();
        let fault = state.faults.tags.pop_front();
        state.writes += 1;
        if fault != Some(Fault::NotDone) {
            state.tags.push((lease, tag.clone()));
            state.leases.get_mut(&lease).unwrap().tag = Some(tag);
        }
        fault.map_or(Ok(()), |_| Err(failed()))
    }

    fn ack(&self, lease: u64, _commit_tag: Option<Bytes>) -> Result<(), StorageError> {
        let mut state = self.state();
        let lease = state
            .leases
            .remove(&lease)
            .unwrap_or_else(|| panic!("lease {lease} is acknowledged twice"));
        for item in lease.items {
            state.items.remove(&item);
        }
        state.acks += 1;
        Ok(())
    }
}
