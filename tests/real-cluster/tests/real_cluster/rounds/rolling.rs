//! Nodes are restarted one after the other under a producer that goes on.

use super::cluster::{Rounds, print_figures, print_verdict};
use super::random::rounds;
use crate::nodes::{COUNT, Nodes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_under_load_lose_and_repeat_nothing() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let mut scene = Rounds::new(&nodes, "rolling").await;
    let mut child = scene.start(&[]);
    child
        .until("it flowed", |seen| seen.acked_records() > 1_000)
        .await;
    let rounds = rounds(1);
    for round in 1..=rounds {
        for number in 1..=i32::try_from(COUNT).unwrap() {
            nodes.control("restart", number).await;
            child.flows().await;
        }
        let verdict = scene.read().await;
        assert!(verdict.is_exact(), "round {round}: {verdict:#?}");
        println!("round {round}: {} records", verdict.records);
    }
    let run = child.run;
    let seen = child.stopped().await;
    scene.must_have(run, &seen);
    scene.drain().await;
    let verdict = scene.read().await;
    assert!(verdict.is_exact(), "{verdict:#?}");
    assert_eq!(verdict.records, seen.counts.accepted);
    assert_eq!(seen.counts.possibly_duplicated, 0);
    print_verdict(&verdict);
    print_figures(&[
        ("restarts of a node", rounds * 3),
        ("batches sent again", seen.counts.retried_batches),
    ]);
}
