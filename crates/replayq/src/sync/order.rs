//! The order of locks, learned from all runs of the scheduler: two kinds that are ever taken in
//! both orders are an error, whether or not the threads met there. (The writer taken under the
//! ledger's lock, put into `Queue::waiting` to see it, is found in the first run.)

use std::any::type_name;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A kind of lock: locks of one kind protect the same type in the same way.
type Kind = (&'static str, &'static str);

static ORDER: std::sync::Mutex<BTreeSet<(Kind, Kind)>> = std::sync::Mutex::new(BTreeSet::new());

shuttle::thread_local! {
    static HELD: RefCell<Vec<Kind>> = RefCell::new(Vec::new());
}

/// A lock that a thread has, or is about to wait for.
#[derive(Debug)]
pub(super) struct Held(Kind);

impl Held {
    /// A lock of this sort for this type is about to be taken, after those that the thread has.
    pub(super) fn new<T: ?Sized>(sort: &'static str) -> Self {
        let kind = (sort, type_name::<T>());
        let before = HELD.with(|held| {
            let mut held = held.borrow_mut();
            let before = held.clone();
            held.push(kind);
            before
        });
        let mut order = ORDER
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for earlier in before {
            assert!(
                !leads_to(&order, kind, earlier),
                "{kind:?} is taken after {earlier:?} here, and before it elsewhere"
            );
            order.insert((earlier, kind));
        }
        Self(kind)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let kind = self.0;
        // When the scheduler ends a run the thread's values may be gone before its locks.
        let _gone = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            if let Some(at) = held.iter().rposition(|held| *held == kind) {
                held.remove(at);
            }
        });
    }
}

/// Returns whether a lock of the second kind is known to be taken after one of the first.
fn leads_to(order: &BTreeSet<(Kind, Kind)>, from: Kind, to: Kind) -> bool {
    if from == to {
        return true;
    }
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(kind) = next.pop() {
        let after = order.iter().filter(|(earlier, _)| *earlier == kind);
        for (_, later) in after {
            if *later == to {
                return true;
            }
            if seen.insert(*later) {
                next.push(*later);
            }
        }
    }
    false
}
