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
        let held = budget.try_acquire(8).unwrap();
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
        assert!(budget.try_acquire(10).is_some());
    });
}

#[test]
fn a_partition_that_gives_back_serves_one_that_waits() {
    check(|| {
        let budget = MemoryBudget::new(1_000);
        let mut busy = Allowance::new(budget.clone());
        assert!(busy.try_use(900));
        let waiting = budget.clone();
        let waits = thread::spawn(move || {
            let mut allowance = Allowance::new(waiting.clone());
            while !allowance.try_use(500) {
                allowance.add(block_on(waiting.acquire(allowance.needs(500))));
            }
            allowance.give_back(500);
        });
        for _ in 0..9 {
            busy.give_back(100);
        }
        waits.join().unwrap();
        assert_eq!(budget.used_bytes(), 0);
    });
}
