//! Callbacks: once each, in the user's runtime, in order, and nobody else's burden.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle as Runtime;

use crate::support::{End, Refusal, World, forced_panic, hide, until, within};

type Seen = Arc<Mutex<Vec<(u32, bool, String)>>>;

/// A callback that notes where it runs, and has the runtime do something.
fn noting(seen: &Seen, number: u32) -> impl FnOnce(End) + Send + 'static {
    let seen = seen.clone();
    move |_| {
        let has_runtime = Runtime::try_current().is_ok();
        let thread = std::thread::current().name().unwrap_or("").to_owned();
        seen.lock().unwrap().push((number, has_runtime, thread));
    }
}

#[tokio::test]
async fn callbacks_run_in_the_runtime_that_the_producer_was_started_in_and_in_order() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let producer = world
            .setup(on_disk)
            .gzip()
            .max_batch_bytes(1_000)
            .start()
            .await;
        let seen = Seen::default();
        for number in 0..500 {
            producer
                .send_with(&number.to_string(), noting(&seen, number))
                .await
                .unwrap();
        }
        producer.flushed().await;
        until("all callbacks", || seen.lock().unwrap().len() == 500).await;
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let order: Vec<u32> = seen.iter().map(|(number, ..)| *number).collect();
        assert!(order.is_sorted(), "{order:?}");
        let outside: Vec<_> = seen
            .iter()
            .filter(|(_, has_runtime, _)| !has_runtime)
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
        producer.stop().await;
    }
}

/// Sends to a queue that cannot make new files until it refuses a record.
async fn refused_by_a_disk(world: &World, seen: &Seen) -> (u32, u32) {
    let setup = world.on_disk().segment_bytes(64 * 1024);
    let directory = setup.directory();
    let producer = setup.start().await;
    world.kill_all().await;
    hide(&directory.join("0"));
    let mut accepted = 0;
    for number in 0..10_000 {
        match producer.send_with("a", noting(seen, number)).await {
            Ok(()) => accepted += 1,
            Err(Refusal::Queue(_)) => {
                producer.stop().await;
                producer.counts().assert_sum();
                return (number, accepted);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("{accepted} accepted without a file to write to");
}

#[tokio::test]
async fn a_callback_of_a_call_that_was_refused_is_not_called() {
    let world = World::new(1).await;
    let seen = Seen::default();
    let (refused, accepted) = refused_by_a_disk(&world, &seen).await;
    let count = usize::try_from(accepted).unwrap();
    until("the callbacks of what was accepted", || {
        seen.lock().unwrap().len() >= count
    })
    .await;
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter().all(|(number, ..)| *number != refused),
        "the refused call's callback was called"
    );
}

#[tokio::test]
async fn callbacks_run_in_the_runtime_when_the_disk_refuses_records() {
    let world = World::new(1).await;
    let seen = Seen::default();
    refused_by_a_disk(&world, &seen).await;
    let seen = seen.lock().unwrap();
    let outside: Vec<_> = seen
        .iter()
        .filter(|(_, has_runtime, _)| !has_runtime)
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn slow_callbacks_delay_no_other_partition() {
    for on_disk in [false, true] {
        let world = World::new(4).await;
        let setup = world.setup(on_disk).by_leading_number();
        let producer = setup.gzip().start().await;
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (started, starts) = mpsc::channel();
        // Two of them: as many as the fewest threads that do I/O.
        for partition in 0..2 {
            let (gate, started) = (gate.clone(), started.clone());
            let callback = move |_: End| {
                started.send(()).unwrap();
                let _until_released = gate.lock().unwrap().recv();
            };
            let value = format!("{partition}-slow");
            producer.send_with(&value, callback).await.unwrap();
        }
        let mut running = 0;
        until("a callback that runs", || {
            running += starts.try_iter().count();
            running >= 1
        })
        .await;
        for partition in 2..4 {
            for number in 0..20 {
                let value = format!("{partition}-{number}");
                let sent = producer.send(&value);
                let receipt = within("room in another partition", sent).await.unwrap();
                assert!(receipt.end().await.is_acked());
            }
        }
        drop(release);
        producer.flushed().await;
        producer.counts().assert_sum();
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_callback_that_panics_takes_nobody_along() {
    for on_disk in [false, true] {
        for offline in [false, true] {
            let world = World::new(1).await;
            if offline {
                world.kill_all().await;
            }
            let producer = world.setup(on_disk).start().await;
            let seen = Seen::default();
            let first = producer.send_with("a", noting(&seen, 1)).await;
            let second = producer.send_with("b", |_| forced_panic()).await;
            let third = producer.send_with("c", noting(&seen, 3)).await;
            assert!(first.is_ok() && second.is_ok() && third.is_ok());
            world.revive_all().await;
            producer.flushed().await;
            until("the other callbacks", || seen.lock().unwrap().len() == 2).await;
            assert_eq!(world.log(0), ["a", "b", "c"]);
            let later = producer.accept("d").await;
            assert!(later.end().await.is_acked());
            let counts = producer.counts();
            counts.assert_sum();
            assert_eq!(counts.acked, 4);
            producer.stop().await;
        }
    }
}

#[tokio::test]
async fn a_callback_may_use_the_producer_that_calls_it() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        let producer = world.setup(on_disk).start().await;
        let again = producer.clone();
        let (tell, told) = mpsc::channel();
        let callback = move |_: End| {
            let counts = again.counts();
            let sent = again.try_send("again").is_ok();
            tell.send((counts.accepted, sent)).unwrap();
        };
        producer.send_with("a", callback).await.unwrap();
        let mut seen = None;
        until("the callback", || {
            seen = seen.or_else(|| told.try_recv().ok());
            seen.is_some()
        })
        .await;
        assert_eq!(seen, Some((1, true)));
        producer.flushed().await;
        assert_eq!(world.log(0), ["a", "again"]);
        producer.stop().await;
    }
}
