//! Wakers of those who wait for records of a batch.
//!
//! Waiting, waking and leaving cost the same however many others wait: n awaited receipts of a
//! batch cost O(n).

use std::ops::Range;
use std::task::Waker;

/// No waiter.
const NONE: u32 = u32::MAX;

/// The place of one waiter, kept by its receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WaiterId(u32);

/// The wakers of a batch, by record.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// By record: its first waiter. Grows up to the last record that is waited for.
    heads: Vec<u32>,
    /// All waiters; those of one record are chained. Also the free places.
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    record: u32,
    next: u32,
    waker: Option<Waker>,
}

impl Waiters {
    /// Has `waker` woken when the record ends. `known` is the waiter's place from before, which is
    /// used again.
    pub(crate) fn wait(&mut self, record: u32, known: Option<WaiterId>, waker: &Waker) -> WaiterId {
        if let Some(id) = known
            && let Some(place) = self.place_mut(id.0)
            && place.record == record
            && let Some(waiting) = &mut place.waker
        {
            waiting.clone_from(waker);
            return id;
        }
        let index = usize::try_from(record).unwrap_or(usize::MAX);
        if self.heads.len() <= index {
            self.heads.resize(index.saturating_add(1), NONE);
        }
        let next = self.heads.get(index).copied().unwrap_or(NONE);
        let place = Place {
            record,
            next,
            waker: Some(waker.clone()),
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(free) = self.place_mut(id) {
                    *free = place;
                }
                id
            }
            None => {
                self.places.push(place);
                u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(NONE)
            }
        };
        if let Some(head) = self.heads.get_mut(index) {
            *head = id;
        }
        WaiterId(id)
    }

    /// Forgets a waiter that waits no longer.
    pub(crate) fn leave(&mut self, record: u32, id: WaiterId) {
        let Some(place) = self.place_mut(id.0) else {
            return;
        };
        // After the record's end the place may be another's.
        if place.record != record || place.waker.take().is_none() {
            return;
        }
        let after = place.next;
        let index = usize::try_from(record).unwrap_or(usize::MAX);
        match self.heads.get(index).copied() {
            Some(head) if head == id.0 => {
                if let Some(head) = self.heads.get_mut(index) {
                    *head = after;
                }
            }
            Some(head) => self.unchain(head, id.0, after),
            None => {}
        }
        self.free.push(id.0);
    }

    /// Takes out the wakers of these records, which have ended.
    pub(crate) fn end(&mut self, records: Range<u32>) -> Vec<Waker> {
        let last = usize::try_from(records.end).unwrap_or(usize::MAX);
        let range =
            usize::try_from(records.start).unwrap_or(usize::MAX)..last.min(self.heads.len());
        let mut woken = Vec::new();
        for index in range {
            let Some(head) = self.heads.get_mut(index) else {
                break;
            };
            let mut next = std::mem::replace(head, NONE);
            while let Some(place) = self.place_mut(next) {
                let id = std::mem::replace(&mut next, place.next);
                woken.extend(place.waker.take());
                self.free.push(id);
            }
        }
        if self.free.len() == self.places.len() {
            // Nobody waits: the batch may be kept by receipts for long.
            *self = Self::default();
        }
        woken
    }

    /// Takes out all wakers.
    pub(crate) fn end_all(&mut self) -> Vec<Waker> {
        self.end(0..u32::MAX)
    }

    /// Removes `id` from the chain that begins with `from`; `after` follows it.
    fn unchain(&mut self, from: u32, id: u32, after: u32) {
        let mut at = from;
        while let Some(place) = self.place_mut(at) {
            if place.next == id {
                place.next = after;
                return;
            }
            at = place.next;
        }
    }

    fn place_mut(&mut self, id: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), counter.into())
    }

    #[test]
    fn every_waiter_of_a_record_is_woken_and_no_other() {
        let mut waiters = Waiters::default();
        let counters: Vec<_> = (0..6)
            .map(|number| {
                let (counter, waker) = waker();
                waiters.wait(number / 2, None, &waker);
                counter
            })
            .collect();
        waiters.end(1..2).into_iter().for_each(Waker::wake);
        let woken: Vec<_> = counters
            .iter()
            .map(|counter| counter.0.load(Ordering::Relaxed))
            .collect();
        assert_eq!(woken, [0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn a_waiter_that_polls_again_is_woken_once_by_its_last_waker() {
        let mut waiters = Waiters::default();
        let ((first, before), (last, after)) = (waker(), waker());
        let id = waiters.wait(3, None, &before);
        assert_eq!(waiters.wait(3, Some(id), &after), id);
        waiters.end_all().into_iter().for_each(Waker::wake);
        assert_eq!(
            (
                first.0.load(Ordering::Relaxed),
                last.0.load(Ordering::Relaxed)
            ),
            (0, 1)
        );
    }

    #[test]
    fn places_are_used_again() {
        let mut waiters = Waiters::default();
        for round in 0..1_000 {
            let (_, waker) = waker();
            let id = waiters.wait(round % 7, None, &waker);
            waiters.leave(round % 7, id);
        }
        assert_eq!(waiters.places.len(), 1);
    }

    proptest! {
        /// Against a list of (record, waiter).
        #[test]
        fn waiters_come_and_go_as_in_a_list(steps in prop::collection::vec((0_u8..4, 0_u32..12), 0..200)) {
            let mut waiters = Waiters::default();
            let mut model: Vec<(u32, WaiterId, Arc<Counter>)> = Vec::new();
            let mut ended = Vec::new();
            for (step, record) in steps {
                match step {
                    0 | 1 => {
                        let (counter, waker) = waker();
                        model.push((record, waiters.wait(record, None, &waker), counter));
                    }
                    2 => {
                        if let Some(at) = model.iter().position(|(of, ..)| *of == record) {
                            let (of, id, counter) = model.remove(at);
                            waiters.leave(of, id);
                            prop_assert_eq!(counter.0.load(Ordering::Relaxed), 0);
                        }
                    }
                    _ => {
                        waiters.end(record..record + 2).into_iter().for_each(Waker::wake);
                        let range = record..record + 2;
                        ended.extend(model.extract_if(.., |(of, ..)| range.contains(of)));
                    }
                }
                for (_, _, counter) in &model {
                    prop_assert_eq!(counter.0.load(Ordering::Relaxed), 0);
                }
                for (_, _, counter) in &ended {
                    prop_assert_eq!(counter.0.load(Ordering::Relaxed), 1);
                }
            }
        }
    }
}
