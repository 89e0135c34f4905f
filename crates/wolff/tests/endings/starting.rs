//! Starts: what can change by itself is waited for, and what is found on disk counts.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use wolff::client::codec::ApiKey;
use wolff::client::codec::messages::MetadataResponse;
use wolff::{ErrorCode, Strategy};
use wolff_testbroker::Fault;

use crate::support::{SOON, TOPIC, World, until};

/// Metadata that says this of every topic.
fn topic_error(code: ErrorCode) -> Fault {
    Fault::edit_answer(move |answer: &mut MetadataResponse| {
        for topic in &mut answer.topics {
            topic.error_code = code;
            topic.partitions.clear();
        }
    })
}

#[tokio::test]
async fn a_topic_that_is_not_ready_yet_is_asked_for_again() {
    for code in [
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::INVALID_RECORD,
        ErrorCode(7_777),
    ] {
        let world = World::new(1).await;
        world.cluster.inject(topic_error(code).times(2));
        let setup = world.in_memory().start_timeout(SOON);
        let producer = setup.try_start().await;
        let producer = producer.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(producer.accept("a").await.end().await.is_acked());
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_topic_that_is_gone_for_a_while_does_not_refuse_a_producer_with_a_queue_on_disk() {
    let world = World::new(1).await;
    let first = world.on_disk().start().await;
    world.kill_all().await;
    drop(first.send("a").await.unwrap());
    first.stop().await;
    world.revive_all().await;
    world.cluster.delete_topic(TOPIC).unwrap();
    let second = world.on_disk().try_start().await.unwrap();
    drop(second.send("b").await.unwrap());
    world.cluster.create_topic(TOPIC, 1).unwrap();
    second.flushed().await;
    assert_eq!(world.log(0), ["a", "b"]);
    second.stop().await;
}

#[tokio::test]
async fn a_topic_error_that_lasts_does_not_refuse_a_producer_with_a_queue_on_disk() {
    let world = World::new(1).await;
    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    let fault = world.cluster.inject(topic_error(code).always());
    let producer = world.on_disk().try_start().await.unwrap();
    let receipt = producer.send("a").await.unwrap();
    world.cluster.remove_fault(fault);
    assert!(receipt.end().await.is_acked());
    producer.stop().await;
}

#[tokio::test]
async fn a_hole_in_the_first_metadata_moves_no_keys() {
    let world = World::new(4).await;
    let first = world.on_disk().start().await;
    first.stop().await;
    let hole = Fault::hole_in_metadata(TOPIC, 3);
    world.cluster.inject(hole.api(ApiKey::METADATA).times(1));
    // The last partition of those that there are.
    let last = Strategy::custom(|_, topic| i32::try_from(topic.partition_count()).unwrap_or(0) - 1);
    let second = world.on_disk().partitioner(last).start().await;
    for value in ["a", "b", "c"] {
        drop(second.send(value).await.unwrap());
    }
    second.flushed().await;
    assert_eq!(world.log(3), ["a", "b", "c"]);
    second.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_in_use_is_told_with_the_cause() {
    let world = World::new(1).await;
    let first = world.on_disk().start().await;
    let error = world.on_disk().try_start().await.unwrap_err();
    let process = std::process::id().to_string();
    assert!(error.contains(&process), "{error}");
    first.stop().await;
}

#[tokio::test]
async fn a_second_producer_on_the_same_directory_is_always_refused() {
    for round in 0..12 {
        let world = World::new(2).await;
        world.kill_all().await;
        let before = world.on_disk().start().await;
        drop(before.send("left").await.unwrap());
        before.stop().await;
        world.revive_all().await;
        // While the first is still at what was not routed.
        let first = world.on_disk().start().await;
        for step in 0..round % 4 {
            let _ = step;
            tokio::task::yield_now().await;
        }
        let second = world.on_disk().try_start().await;
        assert!(second.is_err(), "round {round}: two producers at once");
        first.flushed().await;
        until("its partitions", || first.partition_count() == Some(2)).await;
        let third = world.on_disk().try_start().await;
        assert!(third.is_err(), "round {round}: two producers at once");
        first.stop().await;
    }
}

#[test]
fn a_start_outside_of_a_runtime_is_an_error_and_no_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new(1));
    let setup = {
        let _entered = runtime.enter();
        world.in_memory()
    };
    let outcome = std::thread::spawn(move || {
        catch_unwind(AssertUnwindSafe(|| {
            let mut start = Box::pin(setup.plain_start());
            match start.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => Some(result.map(drop)),
                Poll::Pending => None,
            }
        }))
    })
    .join()
    .unwrap();
    let result = outcome.expect("a start that does not panic");
    let error = result.expect("an answer at once").unwrap_err();
    assert!(error.contains("runtime"), "{error}");
}
