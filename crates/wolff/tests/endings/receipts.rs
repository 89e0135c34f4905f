//! Receipts: cloned, awaited by many, and each resolved.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::support::{Handle, World, thread_cpu, within};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn clones_of_a_receipt_that_several_tasks_await_resolve_in_each_of_them() {
    let world = World::new(1).await;
    let producer = world.in_memory().start().await;
    let hold = world.hold_produce();
    let receipt = producer.accept("a").await;
    world.hits(hold, 1).await;
    let tasks: Vec<_> = (0..4)
        .map(|_| tokio::spawn(receipt.clone().ended()))
        .collect();
    // Each of them has polled its clone before the answer comes.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    world.cluster.remove_fault(hold);
    for task in tasks {
        assert!(within("a task's receipt", task).await.unwrap().is_acked());
    }
    producer.stop().await;
}

/// Time on the processor that it takes to await so many receipts of one batch, before and after it
/// has ended.
async fn await_receipts(world: &World, producer: &Handle, count: u32) -> (Duration, Duration) {
    let mut receipts = Vec::new();
    for number in 0..count {
        receipts.push(producer.accept_bytes(number.to_string()).await);
    }
    let mut waiting: Vec<_> = receipts
        .iter()
        .map(|receipt| Box::pin(receipt.clone().ended()))
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let started = thread_cpu();
    for receipt in &mut waiting {
        assert!(receipt.as_mut().poll(&mut context).is_pending());
    }
    let before = thread_cpu() - started;
    world.revive_all().await;
    producer.flushed().await;
    let started = thread_cpu();
    for receipt in &mut waiting {
        assert!(receipt.as_mut().poll(&mut context).is_ready());
    }
    (before, thread_cpu() - started)
}

#[tokio::test]
async fn awaiting_the_receipts_of_a_batch_costs_the_same_for_each() {
    for offline in [false, true] {
        let mut costs = Vec::new();
        for count in [2_000, 16_000] {
            let world = World::new(1).await;
            if offline {
                world.kill_all().await;
            }
            let producer = world.in_memory().linger(LONG).start().await;
            costs.push(await_receipts(&world, &producer, count).await);
            producer.stop().await;
        }
        // Eight times as many: a cost for each pair would be sixty-four times as much.
        // The clock of a thread is as coarse as the scheduler's ticks.
        let tick = Duration::from_millis(4);
        let [few, many] = costs[..] else { panic!() };
        for (few, many) in [(few.0, many.0), (few.1, many.1)] {
            assert!(
                many < few.max(tick) * 24,
                "offline {offline}: {few:?}, {many:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_receipt_says_the_same_whenever_it_is_asked() {
    let world = World::new(1).await;
    let producer = world.in_memory().start().await;
    let receipt = producer.accept("a").await;
    let end = receipt.clone().end().await;
    assert_eq!(receipt.end_so_far(), Some(end.clone()));
    assert_eq!(receipt.end().await, end);
    producer.stop().await;
}
