//! Panics in the code of users: every call ends, and what others have sent arrives once.

use std::time::Duration;

use wolff::Strategy;

use crate::support::{Setup, World, forced_panic, within};

/// A long linger: what is accepted before a flush is one batch.
const LONG: Duration = Duration::from_secs(600);

/// Where the records of a scenario are when the panic comes.
const PLACES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// A partitioner that cannot bear one key.
fn touchy(setup: Setup) -> Setup {
    setup.partitioner(Strategy::custom(|key, _| {
        if key == Some(b"panic") {
            forced_panic();
        }
        0
    }))
}

#[tokio::test]
async fn a_panic_in_a_partitioner_is_the_end_of_its_call_alone() {
    for (on_disk, offline) in PLACES {
        let world = World::new(1).await;
        if offline {
            world.kill_all().await;
        }
        let producer = touchy(world.setup(on_disk)).start().await;
        let before = producer.accept("before").await;
        let guilty = {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send("panic").await })
        };
        // Known at once or only when it is routed: refused, or accepted and ended.
        let guilty = within("the call", guilty).await;
        let after = producer.accept("after").await;
        world.revive_all().await;
        if let Ok(Ok(receipt)) = guilty {
            let end = receipt.end().await;
            assert!(!end.is_acked(), "{end:?}");
        }
        assert!(before.end().await.is_acked());
        assert!(after.end().await.is_acked());
        producer.flushed().await;
        assert_eq!(world.log(0), ["before", "after"]);
        producer.counts().assert_sum();
        assert_eq!(producer.counts().queued, 0);
        producer.stop().await;
        let next = touchy(world.setup(on_disk)).start().await;
        next.flushed().await;
        next.stop().await;
    }
}

#[tokio::test]
async fn a_panic_in_a_call_leaves_its_batch_as_it_was() {
    for (on_disk, offline) in PLACES {
        // Looked at once to be measured, perhaps, and once more to be encoded.
        for nth in 0..4 {
            let world = World::new(1).await;
            if offline {
                world.kill_all().await;
            }
            // All of it in one batch.
            let setup = world.setup(on_disk).linger(LONG);
            let producer = setup.start().await;
            let before = producer.accept("before").await;
            let guilty = {
                let producer = producer.clone();
                tokio::spawn(async move { producer.send_panicking("three", nth).await })
            };
            let panicked = within("the call", guilty).await.is_err();
            let after = producer.accept("after").await;
            world.revive_all().await;
            producer.flushed().await;
            let (before, after) = (before.end().await, after.end().await);
            assert!(
                before.is_acked() && after.is_acked(),
                "{before:?}, {after:?}"
            );
            let mut expected = vec!["before", "three", "three", "three", "after"];
            if panicked {
                expected = vec!["before", "after"];
            }
            assert_eq!(world.log(0), expected, "{on_disk} {offline} {nth}");
            let counts = producer.counts();
            counts.assert_sum();
            assert_eq!(counts.acked, u64::try_from(expected.len()).unwrap());
            assert_eq!(counts.queued, 0);
            producer.stop().await;
            let next = world.setup(on_disk).start().await;
            next.flushed().await;
            assert_eq!(world.log(0), expected, "{on_disk} {offline} {nth}");
            next.stop().await;
        }
    }
}
