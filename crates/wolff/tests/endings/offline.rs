//! Outages: the counts add up at every step.

use crate::support::{End, World, until};

#[tokio::test]
async fn the_counts_add_up_at_every_step_of_an_outage() {
    for on_disk in [false, true] {
        for started_offline in [false, true] {
            let world = World::new(2).await;
            if started_offline {
                world.kill_all().await;
            }
            let setup = world.setup(on_disk).by_leading_number();
            let producer = setup.start().await;
            let mut receipts = Vec::new();
            for number in 0..20 {
                let value = format!("{}-{number}", number % 2);
                receipts.push(producer.send(&value).await.unwrap());
                producer.counts().assert_sum();
            }
            if !started_offline {
                world.kill_all().await;
            }
            for number in 20..40 {
                let value = format!("{}-{number}", number % 2);
                receipts.push(producer.send(&value).await.unwrap());
                producer.counts().assert_sum();
            }
            world.revive_all().await;
            until("all of them", || {
                let counts = producer.counts();
                counts.assert_sum();
                counts.acked == 40
            })
            .await;
            let mut ends = Vec::new();
            for receipt in receipts {
                ends.push(receipt.end().await);
            }
            producer.counts().assert_ends(&ends);
            producer.stop().await;
            producer.counts().assert_ends(&ends);
        }
    }
}

#[tokio::test]
async fn what_an_outage_leaves_is_counted_once_at_the_stop() {
    for on_disk in [false, true] {
        let world = World::new(1).await;
        world.kill_all().await;
        let producer = world.setup(on_disk).start().await;
        let mut receipts = Vec::new();
        for number in 0..20 {
            receipts.push(producer.send(&number.to_string()).await.unwrap());
        }
        producer.stop().await;
        let mut ends = Vec::new();
        for receipt in receipts {
            ends.push(receipt.end().await);
        }
        let expected = if on_disk {
            End::LeftInQueue
        } else {
            End::Failed("stopped")
        };
        assert_eq!(ends, vec![expected; 20]);
        producer.counts().assert_ends(&ends);
    }
}
