//! Damage on disk: small, counted in records, told where a caller waits, and nobody else's.

use std::time::Duration;

use crate::support::{World, add_foreign_queue, damage_items, items_in};

/// More than stays in memory beside the files.
const MANY: u32 = 40_000;

#[tokio::test]
async fn items_that_no_producer_has_written_are_left_as_they_are() {
    let world = World::new(2).await;
    let queue = world.on_disk().directory().join("0");
    let foreign: [&[u8]; 2] = [
        b"somebody else's",
        b"and more of it, long enough to be anything at all in a queue",
    ];
    add_foreign_queue(&queue, &foreign);
    // The other partition's records flow.
    if let Ok(producer) = world.on_disk().try_start().await {
        let receipt = producer.send_to(1, "a").await.unwrap();
        assert!(receipt.end().await.is_acked());
        producer.flush(Duration::from_secs(2)).await;
        producer.stop().await;
    }
    let left = items_in(&queue);
    for item in foreign {
        assert!(left.iter().any(|other| other == item), "{left:?}");
    }
}

#[tokio::test]
async fn damage_of_an_earlier_runs_records_is_counted_in_records_and_small() {
    let world = World::new(1).await;
    let setup = world.on_disk();
    let queue = setup.directory().join("0");
    let first = setup.start().await;
    world.kill_all().await;
    for number in 0..MANY {
        drop(first.accept(&number.to_string()).await);
    }
    first.queued().await;
    first.stop().await;
    damage_items(&queue, 300_000);
    world.revive_all().await;
    let second = world.on_disk().start().await;
    second.flushed().await;
    let arrived = u64::try_from(world.log(0).len()).unwrap();
    let lost = u64::from(MANY) - arrived;
    let counts = second.counts();
    assert!(lost > 0, "nothing was damaged");
    assert_eq!(counts.damaged_records, lost, "{counts:#?}");
    assert_eq!(counts.replayed, arrived);
    // A fragment of 64 KiB, of records of 130 bytes and more.
    assert!(lost <= 64 * 1024 / 130, "{lost} records for eight bytes");
    second.stop().await;
}
