//! A local queue in memory that fails on request, loses items, and can be opened again as after a
//! crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use wolff_core::{LeaseNo, LocalLease, LocalQueue, Recovered, RecoveredLease, StorageError};

/// The way in which an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(crate) leases: u32,
    pub(crate) tags: VecDeque<Fault>,
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
    pub(crate) faults: Faults,
    /// Tags in the order in which they were written, with the number of the lease.
    pub(crate) tags: Vec<(u64, Bytes)>,
    pub(crate) acks: u64,
    leases: BTreeMap<u64, Lease>,
    next_item: u64,
    next_lease: u64,
}

/// A handle to the queue, which outlives the driver.
#[derive(Debug, Clone, Default)]
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
    fn is_leased(&self, item: u64) -> bool {
        self.leases
            .values()
            .any(|lease| lease.items.contains(&item))
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
        let free: Vec<u64> = self
            .items
            .keys()
            .copied()
            .filter(|item| !self.is_leased(*item))
            .collect();
        for item in free {
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
        let lost = std::mem::take(&mut state.lost);
        state.items.retain(|item, _| !lost.contains(item));
        state.faults = Faults::default();
        state.leases.retain(|_, lease| lease.tag.is_some());
        let mut leases: Vec<(u64, Vec<u64>)> = state
            .leases
            .iter()
            .map(|(id, lease)| (*id, lease.items.clone()))
            .collect();
        leases.sort_by_key(|(_, items)| items.first().copied());
        let recovered = Recovered {
            lost_items: 0,
            leases: (0..)
                .zip(&leases)
                .map(|(number, (_, items))| RecoveredLease {
                    lease: LeaseNo(number),
                    last_item: *items.last().unwrap(),
                })
                .collect(),
            through: state.items.keys().next_back().copied(),
            items: state.items.len() as u64,
            bytes: state.items.values().map(|item| item.len() as u64).sum(),
            commit_tag: Bytes::new(),
        };
        Reopened {
            recovered,
            leases: leases.into_iter().map(|(id, _)| id).collect(),
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
        let first = state.next_item;
        for payload in payloads {
            let item = state.next_item;
            state.items.insert(item, payload.clone());
            state.next_item += 1;
        }
        Ok(first)
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
        assert!(self.state().leases.remove(&lease).is_some());
        Ok(())
    }

    fn tag(&self, lease: u64, tag: Bytes) -> Result<(), StorageError> {
        let mut state = self.state();
        let fault = state.faults.tags.pop_front();
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
