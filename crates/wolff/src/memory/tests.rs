//! What a budget grants, and what partitions keep of it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::allowance::{Allowance, PIECE_BYTES};
use super::budget::{Acquire, MemoryBudget, MemoryPermit};

fn poll(acquire: Pin<&mut Acquire>) -> Option<MemoryPermit> {
    match acquire.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

#[test]
fn who_came_first_is_served_first_also_when_a_later_one_needs_less() {
    let budget = MemoryBudget::new(100);
    let mut held = budget.try_acquire(90).unwrap();
    let mut large = pin!(budget.acquire(50));
    let mut small = pin!(budget.acquire(5));
    assert!(poll(large.as_mut()).is_none() && poll(small.as_mut()).is_none());
    assert!(budget.try_acquire(1).is_none(), "others wait");
    drop(held.split(40));
    let large = poll(large).unwrap();
    assert_eq!((large.bytes(), budget.used_bytes()), (50, 100));
    assert!(poll(small.as_mut()).is_none());
    drop(held);
    assert_eq!(poll(small).unwrap().bytes(), 5);
}

#[test]
fn who_leaves_the_line_holds_up_nobody_and_keeps_nothing() {
    let budget = MemoryBudget::new(100);
    let held = budget.try_acquire(90).unwrap();
    let mut large = Box::pin(budget.acquire(50));
    let mut small = Box::pin(budget.acquire(5));
    assert!(poll(large.as_mut()).is_none() && poll(small.as_mut()).is_none());
    drop(large);
    let small = poll(small.as_mut()).unwrap();
    let mut granted = Box::pin(budget.acquire(95));
    assert!(poll(granted.as_mut()).is_none());
    drop(held);
    drop(small);
    assert_eq!(budget.used_bytes(), 95, "granted, and not looked at");
    drop(granted);
    assert_eq!(budget.used_bytes(), 0);
    assert!(!budget.is_wanted());
}

#[test]
fn more_than_the_whole_budget_is_granted_to_one_that_is_alone() {
    let budget = MemoryBudget::new(10);
    let small = budget.try_acquire(1).unwrap();
    let mut large = pin!(budget.acquire(1_000));
    assert!(poll(large.as_mut()).is_none());
    drop(small);
    let large = poll(large).unwrap();
    assert_eq!(budget.used_bytes(), 1_000);
    assert!(budget.try_acquire(1).is_none());
    drop(large);
    assert!(MemoryBudget::new(0).try_acquire(7).is_some());
    let default = MemoryBudget::default().limit_bytes();
    assert_eq!(default, MemoryBudget::DEFAULT_BYTES);
}

#[test]
fn what_must_go_on_is_counted_and_delays_the_others() {
    let budget = MemoryBudget::new(100);
    let mut forced = budget.take(150);
    assert!(budget.try_acquire(1).is_none());
    forced.merge(budget.take(10));
    drop(forced);
    assert!(budget.try_acquire(100).is_some());
}

#[test]
fn small_uses_touch_the_budget_once_a_piece() {
    let budget = MemoryBudget::new(1 << 20);
    let mut allowance = Allowance::new(budget.clone());
    assert!(allowance.try_use(100));
    assert_eq!(budget.used_bytes(), PIECE_BYTES);
    assert!((1..600).all(|_| allowance.try_use(100)));
    assert_eq!(
        (allowance.used(), budget.used_bytes()),
        (60_000, PIECE_BYTES)
    );
}

#[test]
fn the_last_bytes_of_a_budget_can_be_used() {
    let budget = MemoryBudget::new(PIECE_BYTES + 1_000);
    let mut allowance = Allowance::new(budget.clone());
    assert!(allowance.try_use(PIECE_BYTES));
    assert!(allowance.try_use(1_000));
    assert!(!allowance.try_use(1));
    assert_eq!(allowance.needs(1), 1);
    allowance.force_use(1);
    assert_eq!(budget.used_bytes(), PIECE_BYTES + 1_001);
    allowance.give_back(PIECE_BYTES + 1_001);
    assert_eq!(budget.used_bytes(), 0, "an idle partition keeps nothing");
}

#[test]
fn while_somebody_waits_no_reserve_is_kept() {
    let budget = MemoryBudget::new(PIECE_BYTES);
    let mut allowance = Allowance::new(budget.clone());
    assert!(allowance.try_use(10));
    let mut waiting = pin!(budget.acquire(1_000));
    assert!(poll(waiting.as_mut()).is_none());
    allowance.give_back(5);
    let permit = poll(waiting).unwrap();
    assert_eq!((permit.bytes(), budget.used_bytes()), (1_000, 1_005));
    allowance.add(permit);
    assert!(allowance.try_use(1_000));
    assert_eq!((allowance.used(), budget.used_bytes()), (1_005, 1_005));
}

proptest! {
    #[test]
    fn what_partitions_use_is_within_what_the_budget_counts_and_that_within_the_limit(
        steps in prop::collection::vec((0_usize..3, any::<bool>(), 0_usize..200_000), 0..300),
    ) {
        let budget = MemoryBudget::new(1 << 20);
        let mut partitions: Vec<_> = (0..3).map(|_| Allowance::new(budget.clone())).collect();
        for (partition, uses, bytes) in steps {
            let allowance = &mut partitions[partition];
            if uses {
                let before = allowance.used();
                let used = allowance.try_use(bytes);
                prop_assert_eq!(allowance.used(), if used { before + bytes } else { before });
            } else {
                allowance.give_back(bytes.min(allowance.used()));
            }
            let used: usize = partitions.iter().map(Allowance::used).sum();
            prop_assert!(used <= budget.used_bytes());
            prop_assert!(budget.used_bytes() <= budget.limit_bytes());
        }
        drop(partitions);
        prop_assert_eq!(budget.used_bytes(), 0);
    }
}
