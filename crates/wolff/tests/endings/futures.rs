//! Each public future, dropped at each point at which it waits: the sums are true afterwards,
//! nothing is sent twice, and the producer goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Handle, SOON, World, until_wait, within};

/// More than any of them waits.
const MOST_WAITS: usize = 60;

/// The answers come a moment after the future was first polled, so that it has something to wait
/// for.
const MOMENT: Duration = Duration::from_millis(20);

/// The surroundings of a future.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// There is room.
    Room,
    /// The queue is full until answers come.
    Full,
    /// The topic's partitions are not known until a broker comes.
    Offline,
}

/// Drops a future at its nth wait. Returns whether it had ended before.
async fn drop_at<F: Future>(
    scene: Scene,
    on_disk: bool,
    (nth, stops): (usize, bool),
    future: impl FnOnce(Handle) -> F,
) -> bool {
    let world = World::new(1).await;
    let setup = match scene {
        Scene::Full => world.setup(on_disk).max_queue_bytes(1_000),
        _ => world.setup(on_disk),
    };
    if let Scene::Offline = scene {
        world.kill_all().await;
    }
    let producer = setup.start().await;
    let hold = world.hold_produce();
    if let Scene::Full = scene {
        while producer.try_send_to(0, "fill").is_ok() {}
    } else {
        producer.enqueue("before").await;
    }
    let answers = async {
        tokio::time::sleep(MOMENT).await;
        world.revive_all().await;
        world.cluster.remove_fault(hold);
    };
    let dropped = within("a wait", until_wait(future(producer.clone()), nth));
    let (ended, ()) = tokio::join!(dropped, answers);
    producer.counts().assert_sum();
    // What was stopped half-way is stopped again.
    if !stops {
        producer.flushed().await;
    }
    producer.stop().await;
    let counts = producer.counts();
    counts.assert_sum();
    assert_eq!(counts.queued, 0, "{counts:#?}");
    let log = world.log(0);
    let arrived = u64::try_from(log.len()).unwrap();
    assert!(counts.acked <= arrived, "{scene:?}: {counts:#?}");
    assert!(counts.acked == arrived || stops, "{scene:?}: {counts:#?}");
    let others = log.iter().filter(|value| *value != "fill");
    let (all, different) = (
        others.clone().count(),
        others.collect::<BTreeSet<_>>().len(),
    );
    assert_eq!(all, different, "{log:?}");
    // The directories are free.
    world.setup(on_disk).start().await.stop().await;
    ended.is_some()
}

/// Drops a future at each of its waits, in all surroundings.
async fn drop_at_each<F: Future>(future: impl Fn(Handle) -> F) {
    drop_each(false, future).await;
}

/// The same, for futures that may have begun to stop the producer.
async fn drop_at_each_of_a_stop<F: Future>(future: impl Fn(Handle) -> F) {
    drop_each(true, future).await;
}

async fn drop_each<F: Future>(stops: bool, future: impl Fn(Handle) -> F) {
    for on_disk in [false, true] {
        for scene in [Scene::Room, Scene::Full, Scene::Offline] {
            let mut nth = 0;
            while !drop_at(scene, on_disk, (nth, stops), &future).await {
                nth += 1;
                assert!(nth < MOST_WAITS, "it never ends");
            }
        }
    }
}

#[tokio::test]
async fn send_and_enqueue() {
    drop_at_each(async |producer: Handle| drop(producer.send("a").await)).await;
    drop_at_each(async |producer: Handle| producer.enqueue("a").await).await;
}

#[tokio::test]
async fn send_and_wait() {
    drop_at_each(async |producer: Handle| drop(producer.send_and_wait("a", SOON).await)).await;
}

#[tokio::test]
async fn prepared_calls() {
    for verb in 0..3 {
        drop_at_each(async |producer: Handle| producer.prepared(verb, "a").await).await;
    }
}

#[tokio::test]
async fn receipts() {
    drop_at_each(async |producer: Handle| {
        if let Ok(receipt) = producer.send("a").await {
            let _end = receipt.ended().await;
        }
    })
    .await;
}

#[tokio::test]
async fn flush_and_queued() {
    drop_at_each(async |producer: Handle| assert!(producer.flush(SOON).await)).await;
    drop_at_each(async |producer: Handle| producer.queued().await).await;
}

#[tokio::test]
async fn stop_and_drain() {
    drop_at_each_of_a_stop(async |producer: Handle| producer.stopping().await).await;
    drop_at_each_of_a_stop(async |producer: Handle| producer.draining().await).await;
}

#[tokio::test]
async fn start() {
    for offline in [false, true] {
        for nth in 0..MOST_WAITS {
            let world = World::new(2).await;
            let first = world.on_disk().start().await;
            world.kill_all().await;
            drop(first.send_to(1, "left").await.unwrap());
            first.stop().await;
            if !offline {
                world.revive_all().await;
            }
            let started = within("a wait", until_wait(world.on_disk().plain_start(), nth)).await;
            let is_over = started.is_some();
            drop(started);
            world.revive_all().await;
            let next = world.on_disk().start().await;
            next.flushed().await;
            next.counts().assert_sum();
            assert!(world.times(1, "left") >= 1);
            next.stop().await;
            if is_over {
                break;
            }
            assert!(nth + 1 < MOST_WAITS, "it never ends");
        }
    }
}
