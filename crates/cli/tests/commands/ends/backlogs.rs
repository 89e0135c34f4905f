//! Backlogs of other runs: of the same queue, and of others in the same directory.

use super::{NOBODY, assert_sum, leave, produce};
use crate::support::{TOPIC, all_values, cluster, directory, numbered, run, wolff};

#[tokio::test(flavor = "multi_thread")]
async fn records_of_earlier_runs_are_counted_apart_from_this_runs() {
    let cluster = cluster(1).await;
    let room = directory();
    leave(room.path(), &numbered(10));
    let mut command = produce(NOBODY, Some(room.path()), "0.1");
    let ended = run(&mut command, numbered(5)).code(3);
    let counts = ["accepted", "left", "left_from_earlier", "replayed"];
    assert_eq!(counts.map(|name| ended.count(name)), [5, 5, 10, 0]);
    assert_sum(&ended);
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    let ended = run(&mut command, numbered(3)).code(0);
    let counts = ["accepted", "acked", "left", "left_from_earlier", "replayed"];
    assert_eq!(counts.map(|name| ended.count(name)), [3, 3, 0, 0, 15]);
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_earlier_runs_that_fail_are_counted_apart_from_this_runs() {
    let cluster = cluster(1).await;
    let room = directory();
    leave(
        room.path(),
        &format!("{}\n{}\n", "x".repeat(5_000), "small"),
    );
    cluster
        .configure_topic(TOPIC, "max.message.bytes", "2000")
        .unwrap();
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    let ended = run(&mut command, "new\n").code(2);
    let counts = ["accepted", "acked", "failed", "replayed", "replay_failed"];
    assert_eq!(counts.map(|name| ended.count(name)), [1, 1, 0, 1, 1]);
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_another_client_id_or_topic_is_named_with_the_command_that_sends_it() {
    let cluster = cluster(1).await;
    cluster.create_topic("others", 1).unwrap();
    let room = directory();
    let base = room.path().to_str().unwrap();
    for (client_id, topic, count) in [("another", TOPIC, 7), ("wolff", "others", 9)] {
        let mut command = wolff(["produce", "--brokers", NOBODY, "--topic", topic]);
        command.args(["--client-id", client_id, "--drain-timeout", "0.1"]);
        run(command.arg("--queue-dir").arg(base), numbered(count)).code(3);
    }
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    let ended = run(&mut command, "mine\n").code(0).says([
        "7 records",
        "--client-id another",
        "9 records",
        "--topic others",
        base,
    ]);
    assert_sum(&ended);
    assert_eq!(all_values(&cluster), [b"mine"]);
    // They are as they were.
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    command.args(["--client-id", "another"]);
    assert_eq!(run(&mut command, "").code(0).count("replayed"), 7);
}
