//! Causes that are no answer of a broker: wherever a record is when they come, its call ends, the
//! end is the one of the table, and it is true.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::support::{End, World, panicking_clock, until, within};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    Stop,
    DropOfTheHandle,
    CloseOfTheClient,
    EndOfTheRuntime,
    PanicOfTheWorker,
}

const CAUSES: [Cause; 5] = [
    Cause::Stop,
    Cause::DropOfTheHandle,
    Cause::CloseOfTheClient,
    Cause::EndOfTheRuntime,
    Cause::PanicOfTheWorker,
];

/// Place of the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Accepted before the topic's partitions were known.
    Unrouted,
    /// In its partition's queue, whose leader is gone.
    Waiting,
    /// Sent, and not answered.
    InFlight,
    /// The same, of the unrouted queue.
    RoutedInFlight,
}

impl Place {
    fn is_sent(self) -> bool {
        matches!(self, Self::InFlight | Self::RoutedInFlight)
    }

    fn is_routed_later(self) -> bool {
        matches!(self, Self::Unrouted | Self::RoutedInFlight)
    }
}

/// The table.
fn expected(cause: Cause, place: Place, on_disk: bool) -> End {
    if on_disk {
        return End::LeftInQueue;
    }
    match (place.is_sent(), cause) {
        (true, _) => End::InDoubt,
        (false, Cause::PanicOfTheWorker) => End::Failed("worker_crashed"),
        (false, _) => End::Failed("stopped"),
    }
}

/// A runtime for the producer: ended from a thread in which it may be.
async fn end(runtime: Runtime) {
    let ended = tokio::task::spawn_blocking(move || drop(runtime));
    within("the end of a runtime", ended).await.unwrap();
}

async fn end_by(cause: Cause, place: Place, on_disk: bool) {
    let context = format!("{cause:?}, {place:?}, on disk {on_disk}");
    let world = World::new(1).await;
    let client = world.client();
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let (environment, is_armed) = panicking_clock();
    let setup = world.setup(on_disk).environment(environment);
    let setup = setup.client(client.clone()).single();
    if place.is_routed_later() {
        world.kill_all().await;
    }
    let producer = runtime.spawn(setup.start()).await.unwrap();
    if !place.is_routed_later() {
        assert!(producer.accept("first").await.end().await.is_acked());
    }
    if place == Place::Waiting {
        world.kill_all().await;
        // Before that the record would be given to the lost connection, and be in doubt.
        until("a loss that is noticed", || {
            producer.connected_partitions() == 0
        })
        .await;
    }
    let hold = place.is_sent().then(|| world.hold_produce());
    let receipt = producer.send("a").await.unwrap();
    if place == Place::RoutedInFlight {
        world.revive_all().await;
    }
    if let Some(hold) = hold {
        world.hits(hold, 1).await;
    }
    let mut runtime = Some(runtime);
    let mut producer = Some(producer);
    match cause {
        Cause::Stop => {
            let stopped = producer.as_ref().unwrap().stop_within(Duration::ZERO);
            assert_eq!(stopped.await.errors, Vec::<String>::new(), "{context}");
        }
        Cause::DropOfTheHandle => producer = None,
        Cause::CloseOfTheClient => within("the close", client.close()).await,
        Cause::EndOfTheRuntime => end(runtime.take().unwrap()).await,
        Cause::PanicOfTheWorker => {
            world.kill_all().await;
            is_armed.store(true, Ordering::Relaxed);
            world.revive_all().await;
        }
    }
    let ended = receipt.end().await;
    assert_eq!(ended, expected(cause, place, on_disk), "{context}");
    is_armed.store(false, Ordering::Relaxed);
    if let Some(producer) = &producer {
        producer.counts().assert_sum();
        producer.stop().await;
        producer.counts().assert_sum();
        assert_eq!(producer.counts().queued, 0, "{context}");
    }
    drop(producer);
    if let Some(runtime) = runtime {
        end(runtime).await;
    }
    if let Some(hold) = hold {
        world.cluster.remove_fault(hold);
    } else if cause != Cause::PanicOfTheWorker {
        world.revive_all().await;
    }
    let next = world.setup(on_disk).start().await;
    next.flushed().await;
    let times = world.times(0, "a");
    let counted = usize::try_from(next.counts().possibly_duplicated).unwrap();
    match ended {
        // What the previous run was routing has no sequence numbers on disk: counted.
        End::LeftInQueue if place == Place::RoutedInFlight => {
            assert!((1..=1 + counted).contains(&times), "{times}: {context}");
        }
        End::LeftInQueue => assert_eq!((times, counted), (1, 0), "{context}"),
        End::InDoubt => assert!(times <= 1, "{times}: {context}"),
        _ => assert_eq!(times, 0, "{context}"),
    }
    next.stop().await;
}

async fn end_at(place: Place) {
    for on_disk in [false, true] {
        for cause in CAUSES {
            end_by(cause, place, on_disk).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_routed_ends_by_every_cause() {
    end_at(Place::Unrouted).await;
}

#[tokio::test]
async fn what_waits_for_its_leader_ends_by_every_cause() {
    end_at(Place::Waiting).await;
}

#[tokio::test]
async fn what_is_in_flight_ends_by_every_cause() {
    end_at(Place::InFlight).await;
}

#[tokio::test]
async fn what_was_routed_and_is_in_flight_ends_by_every_cause() {
    end_at(Place::RoutedInFlight).await;
}
