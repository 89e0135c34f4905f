//! A producer is stopped under load and started again on the same queue.

use super::cluster::{Rounds, print_figures, print_verdict};
use super::random::{Random, rounds};
use crate::nodes::Nodes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_stops_under_load_lose_and_repeat_nothing() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    let mut random = Random::of_seed();
    let mut scene = Rounds::new(&nodes, "stops").await;
    let (mut left, mut left_sum, mut acked) = (0, 0, 0);
    let rounds = rounds(3);
    for round in 1..=rounds {
        let mut child = scene.start(&["--pause-ms", &random.draw(0..4).to_string()]);
        // From "nothing is sent yet" to "everything flows".
        let enough = random.draw(0..6_000);
        child
            .until("it had accepted", |seen| seen.accepted_records() >= enough)
            .await;
        let run = child.run;
        let seen = child.stopped().await;
        let counts = seen.counts;
        assert_eq!((counts.failed, counts.in_doubt), (0, 0), "{seen:#?}");
        assert_eq!(counts.possibly_duplicated, 0, "{seen:#?}");
        // What this run did not send of the previous ones is left once more.
        assert!(counts.replayed <= left, "{} of {left}", counts.replayed);
        left = left - counts.replayed + counts.left;
        left_sum += counts.left;
        acked += counts.acked + counts.replayed;
        scene.must_have(run, &seen);
        let log = scene.read().await;
        assert_eq!((log.copies, log.out_of_order), (0, 0), "{log:#?}");
        assert_eq!(log.records, acked, "round {round}: {log:#?}");
    }
    let last = scene.drain().await;
    assert_eq!(last.counts.replayed, left, "{last:#?}");
    let verdict = scene.read().await;
    assert!(verdict.is_exact(), "{verdict:#?}");
    assert_eq!(verdict.records, acked + left);
    assert_eq!(verdict.unreported, 0);
    print_verdict(&verdict);
    assert_eq!(last.counts.possibly_duplicated, 0, "{last:#?}");
    print_figures(&[
        ("stops", rounds),
        ("records left for the next run", left_sum),
    ]);
}
