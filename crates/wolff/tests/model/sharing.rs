//! A memory budget that threads share.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use crate::check;
use crate::memory::allowance::Allowance;
use crate::memory::budget::MemoryBudget;

#[test]
fn the_limit_is_kept_and_everybody_who_waits_is_served() {
    check(|| {
        let budget = MemoryBudget::new(10);
        let held = Arc::new(AtomicUsize::new(0));
        let users: Vec<_> = [4, 7, 10, 3]
            .into_iter()
            .map(|bytes| {
                let (budget, held) = (budget.clone(), held.clone());
                thread::spawn(move || {
                    let permit = block_on(budget.acquire(bytes));
                    let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    assert!(now <= 10, "{now} bytes are held");
                    thread::yield_now();
                    held.fetch_sub(bytes, Ordering::SeqCst);
                    drop(permit);
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        assert_eq!(budget.used_bytes(), 0);
    });
}

#[test]
fn who_gives_up_waiting_at_any_moment_keeps_nothing_and_stops_nobody() {
    check(|| {
        let budget = MemoryBudget::new(10);
        let held = budget.try_acquire_some(8, 8).unwrap();
        let (gives_up, waits) = (budget.clone(), budget.clone());
        let gives_up = thread::spawn(move || {
            let mut acquire = pin!(gives_up.acquire(9));
            let _ = acquire
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            thread::yield_now();
        });
        let waits = thread::spawn(move || drop(block_on(waits.acquire(2))));
        drop(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(budget.used_bytes(), 0);
        assert!(budget.try_acquire_some(10, 10).is_some());
    });
}

#[test]
fn a_partition_that_gives_back_serves_one_that_waits() {
    check(|| {
        let budget = MemoryBudget::new(1_000);
        let mut busy = Allowance::new(budget.clone());
        let permit = busy.try_acquire(900).unwrap();
        busy.add(permit);
        let waiting = budget.clone();
        let waits = thread::spawn(move || {
            let mut allowance = Allowance::new(waiting.clone());
            let permit = match allowance.try_acquire(500) {
                Some(permit) => permit,
                None => block_on(waiting.acquire(500)),
            };
            allowance.add(permit);
            assert_eq!(allowance.balance(500, 0), 0);
            allowance.balance(0, 0);
        });
        for left in (0..9).rev() {
            busy.balance(left * 100, 0);
        }
        waits.join().unwrap();
        assert_eq!(budget.used_bytes(), 0);
    });
}

#[test]
fn what_a_queue_gives_back_to_the_disk_serves_one_that_waits() {
    check(|| {
        let budget = MemoryBudget::new(1_000);
        let mut outage = Allowance::new(budget.clone());
        outage.balance(0, 400);
        let waiting = budget.clone();
        let waits = thread::spawn(move || drop(block_on(waiting.acquire(700))));
        outage.balance(0, 300);
        waits.join().unwrap();
        drop(outage);
        assert_eq!(budget.used_bytes(), 0);
    });
}
