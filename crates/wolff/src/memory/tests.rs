//! Tests: grants of a budget, and what partitions keep of them.

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
    let mut held = budget.try_acquire_some(90, 90).unwrap();
    let mut large = pin!(budget.acquire(50));
    let mut small = pin!(budget.acquire(5));
    assert!(poll(large.as_mut()).is_none() && poll(small.as_mut()).is_none());
    assert!(budget.try_acquire_some(1, 1).is_none(), "others wait");
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
    let held = budget.try_acquire_some(90, 90).unwrap();
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
    let small = budget.try_acquire_some(1, 1).unwrap();
    let mut large = pin!(budget.acquire(1_000));
    assert!(poll(large.as_mut()).is_none());
    drop(small);
    let large = poll(large).unwrap();
    assert_eq!(budget.used_bytes(), 1_000);
    assert!(budget.try_acquire_some(1, 1).is_none());
    drop(large);
    assert!(MemoryBudget::new(0).try_acquire_some(7, 7).is_some());
    let default = MemoryBudget::default().limit_bytes();
    assert_eq!(default, MemoryBudget::DEFAULT_BYTES);
}

#[test]
fn what_must_go_on_is_counted_and_delays_the_others() {
    let budget = MemoryBudget::new(100);
    let mut forced = budget.take(150);
    assert!(budget.try_acquire_some(1, 1).is_none());
    forced.merge(budget.take(10));
    drop(forced);
    assert!(budget.try_acquire_some(100, 100).is_some());
}

#[test]
fn what_is_leased_from_the_disk_keeps_half_of_the_limit_for_calls() {
    let budget = MemoryBudget::new(100);
    let first = budget.try_acquire_some(10, 10).unwrap();
    let mut outage = budget.leased();
    outage.set(30);
    assert!(budget.try_acquire_some(61, 61).is_none() && !budget.is_short());
    outage.set(51);
    assert!(budget.is_short(), "more than half");
    outage.set(1_000);
    assert_eq!(budget.used_bytes(), 1_010);
    let held = budget.try_acquire_some(40, 40).unwrap();
    assert!(budget.try_acquire_some(1, 1).is_none());
    let mut waiting = pin!(budget.acquire(30));
    assert!(poll(waiting.as_mut()).is_none());
    outage.set(20);
    assert!(poll(waiting.as_mut()).is_some());
    drop((first, held, outage));
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn the_last_bytes_of_a_budget_go_in_pieces_too() {
    let budget = MemoryBudget::new(1_000);
    let held = budget.try_acquire_some(200, 200).unwrap();
    assert_eq!(budget.try_acquire_some(10, 100).unwrap().bytes(), 100);
    assert_eq!(budget.try_acquire_some(10, 900).unwrap().bytes(), 200);
    assert_eq!(budget.try_acquire_some(700, 900).unwrap().bytes(), 700);
    assert!(budget.try_acquire_some(801, 900).is_none());
    let waiting = &mut pin!(budget.acquire(900));
    assert!(poll(waiting.as_mut()).is_none());
    assert!(budget.try_acquire_some(1, 1).is_none(), "another one waits");
    drop(held);
    assert_eq!(poll(waiting.as_mut()).unwrap().bytes(), 900);
}

#[test]
fn a_busy_queue_takes_few_pieces_of_a_budget_that_is_nearly_used_up() {
    let budget = MemoryBudget::new(256 << 20);
    let mut user = User::new(&budget);
    user.used = (255 << 20) - 1;
    user.balance();
    // A batch has ended, and calls of a kilobyte follow.
    let mut grants = 0;
    for _ in 0..800 {
        let before = user.room;
        assert!(user.accept(1_000));
        grants += u32::from(user.room > before);
    }
    assert!(grants <= 10, "{grants}");
}

/// A queue's machine as far as memory is concerned: what it uses, and its room.
struct User {
    allowance: Allowance,
    used: u64,
    leased: u64,
    room: u64,
}

impl User {
    fn new(budget: &MemoryBudget) -> Self {
        Self {
            allowance: Allowance::new(budget.clone()),
            used: 0,
            leased: 0,
            room: 0,
        }
    }

    fn balance(&mut self) {
        self.room = self.allowance.balance(self.used, self.leased);
    }

    /// As a call is accepted.
    fn accept(&mut self, bytes: usize) -> bool {
        if self.room < bytes as u64 {
            self.balance();
        }
        if self.room < bytes as u64 {
            let Some(permit) = self.allowance.try_acquire(bytes) else {
                return false;
            };
            self.room += self.allowance.add(permit);
        }
        self.room -= bytes as u64;
        self.used += bytes as u64;
        true
    }

    fn end(&mut self, bytes: u64) {
        self.used -= bytes;
        self.balance();
    }
}

#[test]
fn small_uses_touch_the_budget_once_a_piece() {
    let budget = MemoryBudget::new(1 << 30);
    let mut user = User::new(&budget);
    assert!(user.accept(100));
    assert_eq!(budget.used_bytes(), PIECE_BYTES);
    assert!((1..600).all(|_| user.accept(100)));
    assert_eq!((user.used, budget.used_bytes()), (60_000, PIECE_BYTES));
    user.end(60_000);
    assert_eq!(budget.used_bytes(), 0, "an idle queue keeps nothing");
}

#[test]
fn a_busy_queue_takes_pieces_that_grow_with_its_use_and_shrink_with_it() {
    let budget = MemoryBudget::new(256 << 20);
    let mut user = User::new(&budget);
    let mut pieces = 0;
    for _ in 0..1_000 {
        let before = budget.used_bytes();
        assert!(user.accept(12_000));
        pieces += usize::from(budget.used_bytes() > before);
    }
    assert!(pieces < 60, "{pieces} pieces for 12 MB");
    let reserve = budget.used_bytes() - 12_000_000;
    assert!(reserve <= 2_000_000, "{reserve}");
    user.end(11_990_000);
    assert!(budget.used_bytes() <= 10_000 + PIECE_BYTES);
}

#[test]
fn a_thousand_busy_queues_leave_most_of_the_budget_to_calls() {
    let budget = MemoryBudget::new(64 << 20);
    let mut users: Vec<User> = (0..1_000).map(|_| User::new(&budget)).collect();
    let mut is_full = false;
    while !is_full {
        is_full = true;
        for user in &mut users {
            user.balance();
            is_full &= !user.accept(1_000);
        }
    }
    let used: u64 = users.iter().map(|user| user.used).sum();
    assert!(used > (64 << 20) / 8 * 5, "{used} bytes are used");
}

#[test]
fn the_last_bytes_of_a_budget_can_be_used() {
    let budget = MemoryBudget::new(PIECE_BYTES + 1_000);
    let mut user = User::new(&budget);
    assert!(user.accept(PIECE_BYTES));
    assert!(user.accept(1_000));
    assert!(!user.accept(1));
    user.used += 1;
    user.balance();
    assert!(user.allowance.is_short(), "it is there, and is counted");
    assert_eq!(budget.used_bytes(), PIECE_BYTES + 1_001);
    user.end(PIECE_BYTES as u64 + 1_001);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn while_somebody_waits_no_reserve_is_kept() {
    let budget = MemoryBudget::new(PIECE_BYTES * 4096);
    let mut user = User::new(&budget);
    assert!(user.accept(10));
    assert_eq!(budget.used_bytes(), PIECE_BYTES);
    let rest = budget.limit_bytes() - PIECE_BYTES;
    let others = budget.try_acquire_some(rest, rest).unwrap();
    assert_eq!(budget.used_bytes(), PIECE_BYTES * 4096);
    let mut waiting = pin!(budget.acquire(1_000));
    assert!(poll(waiting.as_mut()).is_none());
    user.end(5);
    let permit = poll(waiting).unwrap();
    assert_eq!(permit.bytes(), 1_000);
    drop(others);
    user.room += user.allowance.add(permit);
    assert!(user.accept(1_000));
    assert_eq!((user.used, budget.used_bytes()), (1_005, 1_005));
}

#[test]
fn many_queues_with_little_in_each_keep_a_quarter_of_a_small_budget_at_most() {
    let budget = MemoryBudget::new(4 << 20);
    let mut users: Vec<User> = (0..1_000).map(|_| User::new(&budget)).collect();
    assert!(users.iter_mut().all(|user| user.accept(10)));
    assert!(budget.used_bytes() <= (1 << 20) + 1_000 * 10);
}

proptest! {
    #[test]
    fn what_queues_use_is_within_what_the_budget_counts_and_that_within_the_limit(
        steps in prop::collection::vec((0_usize..3, 0..4, 0_usize..200_000), 0..300),
    ) {
        let budget = MemoryBudget::new(1 << 20);
        let mut users: Vec<User> = (0..3).map(|_| User::new(&budget)).collect();
        for (index, step, bytes) in steps {
            let user = &mut users[index];
            match step {
                0 | 1 => {
                    user.accept(bytes);
                }
                2 => user.end(user.used.min(bytes as u64)),
                _ => {
                    user.leased = bytes as u64;
                    user.balance();
                }
            }
            let used: u64 = users.iter().map(|user| user.used + user.room).sum();
            let leased: u64 = users.iter().map(|user| user.leased).sum();
            prop_assert!(used + leased <= budget.used_bytes() as u64);
            let most = budget.limit_bytes() as u64 + leased;
            prop_assert!(budget.used_bytes() as u64 <= most);
        }
        drop(users);
        prop_assert_eq!(budget.used_bytes(), 0);
    }
}
